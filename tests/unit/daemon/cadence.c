// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "cadence.h"
#include "ember/sample.h"
#include "level.h"

#define MSEC 1000000ULL
#define SEC 1000000000ULL

static struct ember_cadence make(uint32_t budget_bp)
{
	struct ember_cadence_params params = {.period_ns = SEC, .cpu_budget_bp = budget_bp};
	struct ember_cadence c;

	ember_cadence_init(&c, &params);
	return c;
}

static const struct ember_cadence_obs nothing;

/* After a plan that found the threshold at so many touches per second. */
static struct ember_cadence_obs planned(double hz, uint64_t cost_ns, bool settled)
{
	return (struct ember_cadence_obs){.cost_ns = cost_ns,
					  .threshold_level = ember_level_of_interval(1e9 / hz),
					  .planned = true,
					  .settled = settled};
}

struct result {
	uint64_t time_ns;
	unsigned int scans, plans, full;
	uint64_t cost_ns;
	struct ember_cadence_step last;
};

/* Run for @ns with a scan that costs @cost_ns; plans answer @hz. */
static struct result run(struct ember_cadence *c, uint64_t ns, double hz, uint64_t cost_ns,
			 bool settled)
{
	struct ember_cadence_obs obs = nothing;
	struct result r = {0};

	while (r.time_ns < ns) {
		r.last = ember_cadence_next(c, &obs);
		r.time_ns += r.last.next_scan_in_ns;
		r.scans++;
		r.plans += r.last.plan;
		r.full += !!(r.last.scan_flags & EMBER_SCAN_FULL);
		r.cost_ns += cost_ns;
		obs = nothing;
		obs.cost_ns = cost_ns;
		if (r.last.plan)
			obs = planned(hz, cost_ns, settled);
	}
	return r;
}

/* At once a full pass that says where everything is, then windows from short to long, then a plan.
 */
static void test_ladder(void **state)
{
	struct ember_cadence c = make(200);
	struct ember_cadence_step s = ember_cadence_next(&c, &nothing);
	uint64_t time_ns = 0, longest = 0, first_plan_ns = 0;

	(void)state;
	assert_int_equal(s.next_scan_in_ns, 0);
	assert_int_equal(s.role, EMBER_SCAN_CLEARING);
	assert_false(s.score);
	assert_true(s.scan_flags & EMBER_SCAN_CLEAR);
	assert_true(s.scan_flags & EMBER_SCAN_FULL);
	assert_true(s.scan_flags & EMBER_SCAN_COLD);
	s = ember_cadence_next(&c, &nothing);
	assert_true(s.next_scan_in_ns <= 20 * MSEC);
	while (!first_plan_ns) {
		time_ns += s.next_scan_in_ns;
		longest = s.next_scan_in_ns > longest ? s.next_scan_in_ns : longest;
		assert_int_equal(s.role, EMBER_SCAN_READING);
		assert_true(s.score);
		if (s.plan)
			first_plan_ns = time_ns;
		s = ember_cadence_next(&c, &nothing);
	}
	print_message("first plan after %llu ms\n", (unsigned long long)(first_plan_ns / MSEC));
	assert_true(longest >= 8 * 20 * MSEC);
	assert_true(first_plan_ns <= SEC);
}

/* Pages at the threshold shall be young in 30 to 60 of 100 readings, at any rate that fits. */
static void test_window_follows_the_threshold(void **state)
{
	static const struct {
		double hz;
		uint64_t min_ns, max_ns;
	} cases[] = {
	    {0.01, SEC, SEC}, /* seldom: the whole period */
	    {0.5, SEC * 8 / 10, SEC},
	    {2, SEC * 18 / 100, SEC * 45 / 100}, /* 1-exp(-2w) = .3 … .6 */
	    {10, 36 * MSEC, 91 * MSEC},
	    {30, 12 * MSEC, 30 * MSEC},
	    {1000, 10 * MSEC, 10 * MSEC}, /* no shorter than 10 ms */
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_cadence c = make(200);
		struct result r = run(&c, 30 * SEC, cases[i].hz, MSEC, true);

		print_message("%g Hz: window %.1f ms\n", cases[i].hz, r.last.window_ns / 1e6);
		assert_in_range(r.last.window_ns, cases[i].min_ns, cases[i].max_ns);
	}
}

/* Settled: a plan per period; one scan where the window is the period, two where it is short. */
static void test_settled(void **state)
{
	struct ember_cadence c = make(200);
	struct result r;

	(void)state;
	run(&c, 30 * SEC, 0.1, MSEC, true);
	r = run(&c, 20 * SEC, 0.1, MSEC, true);
	assert_in_range(r.scans, 19, 21);
	assert_in_range(r.plans, 19, 21);
	run(&c, 30 * SEC, 10, MSEC, true);
	r = run(&c, 20 * SEC, 10, MSEC, true);
	assert_in_range(r.scans, 39, 42);
	assert_in_range(r.plans, 19, 21);
	assert_in_range(r.full, 2, 3); /* every eighth */
}

static void test_more_readings_while_unsettled(void **state)
{
	struct ember_cadence c = make(200);
	struct result r;

	(void)state;
	run(&c, 10 * SEC, 10, MSEC, false);
	r = run(&c, 20 * SEC, 10, MSEC, false);
	print_message("%u scans in 20 s\n", r.scans);
	assert_in_range(r.scans, 100, 160);
	assert_in_range(r.plans, 19, 21);
}

/* Whatever a scan costs, the share of a CPU stays within the budget (15 times while unsettled).
 */
static void test_budget(void **state)
{
	static const uint64_t costs_ms[] = {1, 10, 50, 200, 1000};
	static const double rates[] = {0.1, 10};

	(void)state;
	for (size_t i = 0; i < NR(costs_ms); i++)
		for (size_t k = 0; k < NR(rates); k++)
			for (int settled = 0; settled < 2; settled++) {
				struct ember_cadence c = make(200);
				struct result r;
				double share;

				run(&c, 300 * SEC, rates[k], costs_ms[i] * MSEC, settled);
				r = run(&c, 1000 * SEC, rates[k], costs_ms[i] * MSEC, settled);
				share = (double)r.cost_ns / r.time_ns;
				print_message(
				    "%llu ms a scan, %g Hz, %ssettled: %.2f %% of a CPU\n",
				    (unsigned long long)costs_ms[i], rates[k], settled ? "" : "un",
				    share * 100);
				assert_true(share <= (settled ? 0.021 : 0.31));
				assert_true(r.plans > 0);
			}
}

/* A dear scan stretches the period; slow pages are then still read with one scan a period. */
static void test_stretched_period(void **state)
{
	struct ember_cadence c = make(200);
	struct result r;

	(void)state;
	run(&c, 300 * SEC, 0.05, 80 * MSEC, true);
	r = run(&c, 400 * SEC, 0.05, 80 * MSEC, true);
	assert_int_equal(r.last.period_ns, 4 * SEC);
	assert_int_equal(r.last.window_ns, 4 * SEC);
	assert_int_equal(r.scans, r.plans);
	assert_int_equal(r.scans, 100);
	run(&c, 300 * SEC, 0.05, MSEC, true);
	r = run(&c, 20 * SEC, 0.05, MSEC, true);
	assert_int_equal(r.last.period_ns, SEC);
	assert_int_equal(r.last.window_ns, SEC);
}

/* One plan that finds nothing to do does not stretch the period yet. */
static void test_settles_after_four_plans(void **state)
{
	struct ember_cadence c = make(200);
	struct result r;

	(void)state;
	r = run(&c, 60 * SEC, 10, 100 * MSEC, false);
	r = run(&c, 2 * SEC, 10, 100 * MSEC, true);
	assert_true(r.last.period_ns < 2 * SEC);
	r = run(&c, 60 * SEC, 10, 100 * MSEC, true);
	assert_true(r.last.period_ns >= 3 * SEC);
	r = run(&c, 8 * SEC, 10, 100 * MSEC, false);
	assert_true(r.last.period_ns < 2 * SEC);
}

/* A clearing scan after a long pause says little; it is scored only where it says something. */
static void test_saturated_intervals_are_not_scored(void **state)
{
	struct ember_cadence c = make(200);
	struct ember_cadence_obs obs = nothing;
	unsigned int clearing = 0, scored = 0;

	(void)state;
	run(&c, 30 * SEC, 30, MSEC, true);
	for (int i = 0; i < 40; i++) {
		struct ember_cadence_step s = ember_cadence_next(&c, &obs);

		obs = s.plan ? planned(30, MSEC, true) : nothing;
		clearing += s.role == EMBER_SCAN_CLEARING;
		scored += s.role == EMBER_SCAN_CLEARING && s.score;
		assert_true(s.role == EMBER_SCAN_CLEARING || s.score);
	}
	assert_int_equal(clearing, 20);
	assert_int_equal(scored, 0);
}

static void test_warm_up_again(void **state)
{
	struct ember_cadence c = make(200);
	struct ember_cadence_step s;

	(void)state;
	run(&c, 30 * SEC, 10, MSEC, true);
	assert_true(ember_cadence_warm_up(&c));
	s = ember_cadence_next(&c, &nothing);
	assert_int_equal(s.next_scan_in_ns, 0);
	assert_true(s.scan_flags & EMBER_SCAN_FULL);
	s = ember_cadence_next(&c, &nothing);
	assert_true(s.next_scan_in_ns <= 20 * MSEC);
}

/* Whoever grows all the time gets a ladder when the last one is paid for at the busy budget.
 */
static void test_ladders_keep_within_the_budget(void **state)
{
	struct ember_cadence c = make(200);
	struct ember_cadence_obs obs = nothing;
	uint64_t time_ns = 0, cost_ns = 0;

	(void)state;
	run(&c, 60 * SEC, 10, 200 * MSEC, true);
	while (time_ns < 600 * SEC) {
		struct ember_cadence_step s;

		ember_cadence_warm_up(&c);
		s = ember_cadence_next(&c, &obs);
		time_ns += s.next_scan_in_ns;
		cost_ns += 200 * MSEC;
		obs = s.plan ? planned(10, 200 * MSEC, true) : nothing;
		obs.cost_ns = 200 * MSEC;
	}
	print_message("%.1f %% of a CPU\n", 100.0 * cost_ns / time_ns);
	assert_true(cost_ns * 10 <= time_ns * 4); /* 30 % for ladders, 2 % for what is between */
}

/* A window longer than the period leaves room for one reading in it. */
static void test_window_beyond_the_period(void **state)
{
	struct ember_cadence c = make(100);
	struct ember_cadence_obs obs;
	struct ember_cadence_step s;
	unsigned int readings = 0, plans = 0;

	(void)state;
	run(&c, 30 * SEC, 10, MSEC, false);
	for (int i = 0; i < 100; i++) {
		obs = planned(10, 600 * MSEC, false);
		obs.planned = i && s.plan;
		obs.scan_ns = 600 * MSEC;
		s = ember_cadence_next(&c, &obs);
		readings += i >= 10 && s.role == EMBER_SCAN_READING;
		plans += i >= 10 && s.plan;
	}
	assert_true(plans > 0);
	assert_int_equal(readings, plans);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ladder),
	    cmocka_unit_test(test_window_follows_the_threshold),
	    cmocka_unit_test(test_settled),
	    cmocka_unit_test(test_more_readings_while_unsettled),
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_settles_after_four_plans),
	    cmocka_unit_test(test_stretched_period),
	    cmocka_unit_test(test_saturated_intervals_are_not_scored),
	    cmocka_unit_test(test_warm_up_again),
	    cmocka_unit_test(test_ladders_keep_within_the_budget),
	    cmocka_unit_test(test_window_beyond_the_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
