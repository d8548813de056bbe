// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cadence, score, calibration, plan and books together against a simulated machine (world.h).
 * Prints the table that docs/decisions.md quotes; asserts what ember must reach.
 *
 * Rates are touches per second of the whole process: at 1e5 a page of the hot set is touched about
 * once per second (and 40 % of the looks at it over a second are dark), at 1e7 every page
 * is touched several times per second, hot or not (all bits saturate at the period).
 */
#include "check.h"

#include "world.h"

/* Everything is a quarter of what it says, to be done in seconds. */
#define SCALE 4
#define MIB (256 / SCALE) /* pages */
#define MOVER_BYTES_PER_S ((100 << 20) / SCALE)
#define SETTLE_S 15
#define CALM_S 25
#define END_S 40
#define SHIFT_S (END_S + 1)

static const double intensities[] = {1e5, 3e5, 1e6, 3e6, 1e7};

struct scenario {
	const char *name;
	uint32_t pages, fast, hot;
	bool fast_is_far;      /* nothing starts in fast memory */
	uint64_t scan_cost_ns; /* with everything that hangs on it */
};

/* Of the issue: 1 GiB fast of which about 900 MiB can be had, 1600 MiB touched, 400 MiB hot … */
static const struct scenario cxl = {"cxl", 1600 * MIB, 900 * MIB, 400 * MIB, false, 15 * MSEC};
static const struct scenario slow_scan = {"cxl, 60 ms scans", 1600 * MIB, 900 * MIB,
					  400 * MIB,          false,      60 * MSEC};
static const struct scenario hbm = {"hbm", 1200 * MIB, 480 * MIB, 300 * MIB, true, 15 * MSEC};
static const struct scenario tight = {"tight", 1600 * MIB, 440 * MIB, 400 * MIB, false, 15 * MSEC};
/* a hot set of 1.2 times what fast memory holds */
static const struct scenario over = {"1.2x", 1600 * MIB, 333 * MIB, 400 * MIB, false, 15 * MSEC};

struct track {
	double oracle;
	double share[2 * SHIFT_S + 2]; /* of the oracle, each second */
	uint64_t moved[2 * SHIFT_S + 2];
};

static void note(struct world *w, void *arg)
{
	struct track *t = arg;
	uint64_t s = w->now / SEC;

	t->share[s] = world_hit_share(w, 0) / t->oracle;
	t->moved[s] = w->nr_moved[0] + w->nr_moved[1];
}

static void make_world(struct world *w, const struct scenario *s, uint64_t seed)
{
	struct world_params p = {.nr_pages = s->pages,
				 .tier_pages = {s->fast, 2048 * MIB},
				 .nr_tiers = 2,
				 .first_touch = s->fast_is_far,
				 .move_bytes_per_s = MOVER_BYTES_PER_S,
				 .period_ns = SEC,
				 .scan_cost_ns = s->scan_cost_ns,
				 .cpu_budget_bp = 200,
				 .reserve_bp = 200,
				 .seed = seed};

	world_init(w, &p);
}

static unsigned int first_above(const struct track *t, unsigned int from, double share)
{
	unsigned int s = from + 1;

	while (s < from + END_S && t->share[s] < share)
		s++;
	return s - from;
}

static double worst(const struct track *t, unsigned int from, unsigned int to)
{
	double least = 1;

	for (unsigned int s = from; s <= to; s++)
		least = t->share[s] < least ? t->share[s] : least;
	return least;
}

/* One line of the table; @from: the second at which the clock starts. */
static void print_line(const char *name, double touches, const struct world *w,
		       const struct track *t, unsigned int from)
{
	print_message("%-18s %7.0e %6.3f %6.3f %6.3f %6.3f %6.3f %6.3f %5u %9lu %9lu %5.0f %5.2f\n",
		      name, touches, t->oracle, t->share[from + 2], t->share[from + 5],
		      t->share[from + 10], t->share[from + SETTLE_S],
		      worst(t, from + SETTLE_S, from + END_S), first_above(t, from, 0.97),
		      t->moved[from + SETTLE_S] - t->moved[from],
		      t->moved[from + END_S] - t->moved[from + SETTLE_S], w->window_ns / 1e6,
		      (double)ember_regions_bytes(&w->regions) / w->p.nr_pages);
}

static void print_head(void)
{
	print_message("%-18s %7s %6s %6s %6s %6s %6s %6s %5s %9s %9s %5s %5s\n", "", "touches",
		      "oracle", "2 s", "5 s", "10 s", "15 s", "worst", "0.97", "moved", "then",
		      "win", "B/pg");
	print_message("%-18s %7s %6s %34s %6s %5s %9s %9s %5s %5s\n", "", "/s", "share",
		      "of the oracle", "later", "at s", "in 15 s", "in 25 s", "ms", "");
}

enum pattern { HOT_SET, UNIFORM, ZIPF };

static void set_pattern(struct world *w, enum pattern pattern, uint32_t hot, double touches,
			uint64_t salt)
{
	if (pattern == ZIPF)
		world_zipf(w, 0.99, touches / SCALE, salt);
	else
		world_hot_set(w, hot, pattern == HOT_SET ? 0.9 : 0, touches / SCALE, salt);
}

static struct track run(const struct scenario *s, enum pattern pattern, double touches)
{
	struct track t = {0};
	struct world w;

	make_world(&w, s, 7);
	set_pattern(&w, pattern, s->hot, touches, 5);
	t.oracle = world_oracle(&w, 0);
	world_run(&w, SHIFT_S * SEC, note, &t);
	print_line(s->name, touches, &w, &t, 0);
	world_free(&w);
	return t;
}

/* 0.97 of the oracle within 15 s, and then every second, and next to nothing moves any more. */
static void must_converge(const struct scenario *s, double share)
{
	print_head();
	for (size_t i = 0; i < NR(intensities); i++) {
		struct track t = run(s, HOT_SET, intensities[i]);

		assert_true(t.share[SETTLE_S] >= share);
		assert_true(worst(&t, SETTLE_S, END_S) >= share);
		assert_true(t.moved[END_S] - t.moved[CALM_S] < s->pages / 100);
	}
}

static void test_cxl(void **state)
{
	(void)state;
	must_converge(&cxl, 0.97);
}

static void test_cxl_with_slow_scans(void **state)
{
	(void)state;
	must_converge(&slow_scan, 0.97);
}

static void test_hbm(void **state)
{
	(void)state;
	must_converge(&hbm, 0.97);
}

static void test_tight(void **state)
{
	(void)state;
	must_converge(&tight, 0.97);
}

/* Doing no harm: with uniform access less than one page in a hundred moves, ever. */
static void test_uniform(void **state)
{
	(void)state;
	print_head();
	for (size_t i = 0; i < NR(intensities); i++) {
		struct track t = run(&cxl, UNIFORM, intensities[i]);

		assert_true(t.moved[END_S] < cxl.pages / 100);
		assert_true(worst(&t, 1, END_S) > 0.99);
	}
}

/* More hot pages than fast memory: they do not push each other out. */
static void test_hot_set_too_large(void **state)
{
	(void)state;
	print_head();
	for (size_t i = 0; i < NR(intensities); i++) {
		struct track t = run(&over, HOT_SET, intensities[i]);

		/* the reserve and the watermark are 2.5 % of a node that could be all hot */
		assert_true(t.share[SETTLE_S] >= 0.96);
		assert_true(t.moved[END_S] - t.moved[CALM_S] < over.pages / 100);
	}
}

static void test_zipf(void **state)
{
	(void)state;
	print_head();
	for (size_t i = 0; i < NR(intensities); i++) {
		struct track t = run(&cxl, ZIPF, intensities[i]);

		/* at least three quarters of the way from where it starts to the oracle */
		assert_true(1 - t.share[SETTLE_S] <= (1 - t.share[0]) / 4);
		assert_true(t.share[END_S] >= t.share[SETTLE_S]);
	}
}

/* Then another set of pages is hot. */
static void test_shift(void **state)
{
	(void)state;
	print_head();
	for (size_t i = 0; i < NR(intensities); i++) {
		struct track t = {0};
		struct world w;

		make_world(&w, &cxl, 7);
		set_pattern(&w, HOT_SET, cxl.hot, intensities[i], 5);
		t.oracle = world_oracle(&w, 0);
		world_run(&w, SHIFT_S * SEC, note, &t);
		set_pattern(&w, HOT_SET, cxl.hot, intensities[i], 99);
		world_run(&w, (2 * SHIFT_S + 1) * SEC, note, &t);
		print_line("shift", intensities[i], &w, &t, SHIFT_S);
		assert_true(t.share[SHIFT_S + 1] < 0.9);
		assert_true(t.share[SHIFT_S + SETTLE_S] >= 0.97);
		world_free(&w);
	}
}

/* Huge pages: 50 of 200 hot. Rates per page are 512 times higher, so windows get short. */
static void test_huge(void **state)
{
	static const double rates[] = {1e2, 1e3, 1e4};
	struct scenario s = cxl;

	(void)state;
	print_head();
	s.name = "huge pages";
	for (size_t i = 0; i < NR(rates); i++) {
		struct track t = {0};
		struct world w;

		make_world(&w, &s, 7);
		w.p.huge = true;
		for (uint32_t page = 0; page < w.p.nr_pages;
		     page++) /* huge pages lie on one node */
			w.place[page] = w.place[page / PAGES * PAGES];
		world_hot_set(&w, 50 * PAGES, 0.9, rates[i], 5);
		t.oracle = world_oracle(&w, 0);
		world_run(&w, SHIFT_S * SEC, note, &t);
		print_line(s.name, rates[i], &w, &t, 0);
		assert_true(t.share[SETTLE_S] >= 0.97);
		assert_true(t.moved[END_S] - t.moved[CALM_S] < w.p.nr_pages / 20);
		world_free(&w);
	}
}

/* Three tiers, everything in the wrong one at first. */
static void test_three_tiers(void **state)
{
	struct world_params p = {.nr_pages = 800 * MIB,
				 .tier_pages = {200 * MIB, 400 * MIB, 800 * MIB},
				 .nr_tiers = 3,
				 .first_touch = 2,
				 .move_bytes_per_s = MOVER_BYTES_PER_S,
				 .period_ns = SEC,
				 .scan_cost_ns = 10 * MSEC,
				 .cpu_budget_bp = 200,
				 .reserve_bp = 200,
				 .seed = 7};
	double oracle[2], share[2];
	struct world w;

	(void)state;
	world_init(&w, &p);
	world_hot_set(&w, 150 * MIB, 0.8, 1e6 / SCALE, 5); /* hot … */
	for (uint32_t i = 0; i < p.nr_pages; i++)          /* … warm, cold */
		if (w.rate[i] < 2)
			w.rate[i] = i % 2 ? 0.8 : 0.01;
	for (int t = 0; t < 2; t++)
		oracle[t] = world_oracle(&w, t);
	world_run(&w, 30 * SEC, NULL, NULL);
	for (int t = 0; t < 2; t++) {
		share[t] = world_hit_share(&w, t);
		print_message("touches in tiers 0..%d: %.3f, oracle %.3f\n", t, share[t],
			      oracle[t]);
		assert_true(share[t] >= 0.97 * oracle[t]);
	}
	world_free(&w);
}

/* The same machine twice: the same plans, bit by bit. */
static void test_deterministic(void **state)
{
	uint64_t sums[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world w;

		make_world(&w, &tight, 11);
		set_pattern(&w, HOT_SET, tight.hot, 1e6, 5);
		world_run(&w, 8 * SEC, NULL, NULL);
		sums[i] = w.checksum;
		world_free(&w);
	}
	print_message("checksum of all plans: %lx and %lx\n", sums[0], sums[1]);
	assert_true(sums[0] != 0);
	assert_true(sums[0] == sums[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cxl),           cmocka_unit_test(test_cxl_with_slow_scans),
	    cmocka_unit_test(test_hbm),           cmocka_unit_test(test_tight),
	    cmocka_unit_test(test_uniform),       cmocka_unit_test(test_hot_set_too_large),
	    cmocka_unit_test(test_zipf),          cmocka_unit_test(test_shift),
	    cmocka_unit_test(test_huge),          cmocka_unit_test(test_three_tiers),
	    cmocka_unit_test(test_deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
