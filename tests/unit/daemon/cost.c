// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What scoring and planning cost in time and memory, for spaces much larger than the test bed's.
 * Times are printed, not asserted; what is asserted is memory, and that the cost follows what is
 * active and not what is mapped.
 */
#include "check.h"

#include <time.h>

#include "cadence.h"
#include "plan.h"
#include "records.h"
#include "score.h"

#define MSEC 1000000ULL
#define REGION EMBER_REGION_BYTES

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static struct ember_topology two_nodes(void)
{
	struct ember_topology t = {.nr_tiers = 2, .memory_nodes = 3};

	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++)
		t.nodes[n].tier = n < 2 ? n : EMBER_NO_TIER;
	for (unsigned int n = 0; n < 2; n++) {
		t.tiers[n] = (struct ember_tier){.nodes = 1U << n, .nr_nodes = 1};
		t.nodes[n].has_memory = true;
		t.nodes[n].capacity_bytes = 1ULL << 41;
		t.nodes[n].free_bytes = n ? 1ULL << 40 : 0;
	}
	return t;
}

/* Pages that differ, on both nodes: what costs most. */
static struct ember_region_rec mixed_record(uint64_t addr, uint64_t *rng)
{
	struct ember_region_rec rec = make_record(addr);

	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		*rng = *rng * 6364136223846793005ULL + 1442695040888963407ULL;
		rec.young[w] = w % 2 ? 0 : *rng ^ *rng >> 29;
		rec.mem[0][w] = *rng * 0x9e3779b97f4a7c15ULL;
		rec.nr_young += __builtin_popcountll(rec.young[w]);
	}
	return rec;
}

struct cost {
	double score_ms, plan_ms;
	uint64_t bytes, nr_regions, nr_planned;
};

/*
 * @nr_procs processes of @nr_regions regions each, every @stride-th of them active. Ten rounds;
 * the cost of the last.
 */
static struct cost measure(unsigned int nr_procs, unsigned int nr_regions, unsigned int stride)
{
	struct ember_regions *rs = calloc(nr_procs, sizeof(*rs));
	struct ember_plan_proc *procs = calloc(nr_procs, sizeof(*procs));
	struct ember_region_rec *recs = calloc(nr_regions, sizeof(*recs));
	static struct ember_calibration calibration;
	struct ember_plan_limits limits = {.bytes = {200000000, 200000000},
					   .calibration = &calibration};
	struct ember_topology topo = two_nodes();
	struct ember_cooldown cooldown;
	struct ember_plan plan;
	struct cost cost = {0};
	uint64_t rng = 1;

	ember_calibration_init(&calibration);
	ember_cooldown_init(&cooldown, 1 << 16);
	ember_plan_init(&plan);
	for (unsigned int p = 0; p < nr_procs; p++) {
		ember_regions_init(&rs[p]);
		procs[p] = (struct ember_plan_proc){.id = {.tgid = p + 1},
						    .regions = &rs[p],
						    .weight = 100,
						    .allowed = UINT16_MAX,
						    .home = EMBER_NO_NODE};
	}
	for (int round = 0; round < 10; round++) {
		bool full = round == 0;
		struct ember_scan_info info = {.interval_ns = full ? 0 : 500 * MSEC,
					       .flags =
						   full ? EMBER_SCAN_FULL | EMBER_SCAN_COLD : 0,
					       .prior_level = EMBER_LEVEL_1HZ,
					       .calibration = &calibration};

		cost.score_ms = 0;
		for (unsigned int p = 0; p < nr_procs; p++) {
			struct ember_score_pass pass;
			unsigned int nr = 0;
			double start;

			for (unsigned int i = 0; i < nr_regions; i++)
				if (i % stride == 0)
					recs[nr++] = mixed_record(i * REGION, &rng);
				else if (full)
					recs[nr++] = make_record(i * REGION);
			start = now_ms();
			ember_score_begin(&pass, &rs[p], &info);
			ember_score_records(&pass, recs, nr);
			ember_score_end(&pass, true);
			cost.score_ms += now_ms() - start;
		}
		cost.plan_ms = now_ms();
		ember_calibration_end_round(&calibration);
		assert_int_equal(
		    ember_plan_make(&plan, &topo, procs, nr_procs, &limits, &cooldown, 0), 0);
		cost.plan_ms = now_ms() - cost.plan_ms;
	}
	cost.nr_planned = plan.nr_planned[0] + plan.nr_planned[1];
	for (unsigned int p = 0; p < nr_procs; p++) {
		cost.bytes += ember_regions_bytes(&rs[p]);
		cost.nr_regions += rs[p].nr;
		ember_regions_clear(&rs[p]);
	}
	ember_plan_clear(&plan);
	ember_cooldown_destroy(&cooldown);
	free(recs);
	free(procs);
	free(rs);
	return cost;
}

static struct cost report(const char *name, unsigned int nr_procs, unsigned int nr_regions,
			  unsigned int stride)
{
	struct cost c = measure(nr_procs, nr_regions, stride);

	print_message("%-42s score %6.1f ms, plan %6.1f ms, %llu regions, %.1f MiB (%.3f bytes a "
		      "page), %llu pages planned\n",
		      name, c.score_ms, c.plan_ms, (unsigned long long)c.nr_regions,
		      c.bytes / 1048576.0, (double)c.bytes / c.nr_regions / EMBER_REGION_PAGES,
		      (unsigned long long)c.nr_planned);
	return c;
}

static void test_cost(void **state)
{
	struct cost dense, idle, many;

	(void)state;
	dense = report("1 GiB, all of it active", 1, 512, 1);
	idle = report("1 TiB, 1 GiB of it active", 1, 512 * 1024, 1024);
	many = report("10000 processes of 60 regions, 1 in 60 active", 10000, 60, 60);
	/* two bytes a page at worst; mapped and idle costs the summaries only */
	assert_true(dense.bytes <= 2 * dense.nr_regions * EMBER_REGION_PAGES);
	assert_true(idle.bytes <= 60 * idle.nr_regions + dense.bytes);
	assert_true(many.bytes <= 80 * many.nr_regions + 20 * dense.bytes);
	assert_true(dense.nr_planned > 0 && idle.nr_planned > 0 && many.nr_planned > 0);
	/* 1024 times as much memory costs nowhere near 1024 times as much time */
	assert_true(idle.score_ms + idle.plan_ms < 64 * (dense.score_ms + dense.plan_ms + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
