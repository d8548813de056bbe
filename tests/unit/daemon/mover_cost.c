// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "mover_cost.h"

#define MODULE EMBER_BASE_MODULE
#define CALL EMBER_BASE_MOVE_PAGES

static const struct ember_mover_case DENSE = {9, 0}, LESS_DENSE = {8, 0}, SCATTERED = {0, 0},
				     BUSY = {9, 1};

static void runs_are_counted_across_words(void **state)
{
	static const struct {
		uint64_t pages[EMBER_PLANE_WORDS];
		unsigned int nr;
	} cases[] = {
	    {{0}, 0},
	    {{1}, 1},
	    {{0x5}, 2},
	    {{0xff00}, 1},
	    {{1ULL << 63, 1}, 1},
	    {{1ULL << 63, 2}, 2},
	    {{~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL}, 1},
	    {{0x0101010101010101, 0, 0x0101010101010101}, 16},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(ember_mover_runs(cases[i].pages), cases[i].nr);
}

static void density_is_the_power_of_two_of_the_pages_per_run(void **state)
{
	static const struct {
		uint64_t nr_pages, nr_runs;
		unsigned int density;
	} cases[] = {{1, 1, 0},   {3, 2, 0},   {4, 2, 1},    {7, 2, 1},       {8, 2, 2},
		     {511, 1, 8}, {512, 1, 9}, {8192, 1, 9}, {1024, 1024, 0}, {1024, 2, 9}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
		    ember_mover_case_of(cases[i].nr_pages, cases[i].nr_runs, 0).density,
		    cases[i].density);
	assert_int_equal(ember_mover_case_of(1, 1, 0).cpus, 0);
	assert_int_equal(ember_mover_case_of(1, 1, 1).cpus, 1);
	assert_int_equal(ember_mover_case_of(1, 1, 2).cpus, 2);
	assert_int_equal(ember_mover_case_of(1, 1, 100).cpus, 2);
}

/* So many jobs of 512 dense pages that took @page_ns a page. */
static void dense(struct ember_mover_cost *cost, enum ember_base_mover mover, unsigned int nr,
		  uint64_t page_ns)
{
	while (nr--)
		ember_mover_cost_learn(cost, mover, DENSE, 512, 512, 512 * page_ns);
}

static void the_faster_one_is_chosen_by_density(void **state)
{
	struct ember_mover_cost cost = {0};

	(void)state;
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), MODULE);
	dense(&cost, MODULE, 1, 2000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), MODULE);
	dense(&cost, CALL, 3, 1000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), CALL);
	assert_int_equal(ember_mover_cost_choose(&cost, LESS_DENSE),
			 MODULE);                                       /* nothing is known of it */
	assert_int_equal(ember_mover_cost_choose(&cost, BUSY), MODULE); /* nor of this */
	dense(&cost, CALL, 40, 3000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), MODULE);
}

static void one_outlier_decides_nothing(void **state)
{
	struct ember_mover_cost cost = {0};

	(void)state;
	dense(&cost, CALL, 3, 1500);
	dense(&cost, MODULE, 20, 1000);
	dense(&cost, MODULE, 1, 1000000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), MODULE);
	dense(&cost, MODULE, 3, 1000000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), CALL);
}

/* The very first job of a mover was preempted, or those of both were: no decision for long. */
static void a_slow_start_is_made_good(void **state)
{
	struct ember_mover_cost cost = {0};

	(void)state;
	dense(&cost, MODULE, 16, 2000);
	dense(&cost, CALL, 1, 100000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), MODULE);
	dense(&cost, MODULE, 16, 2000);
	assert_true(ember_mover_cost_wants_probe(&cost, DENSE)); /* not only after 256 */
	dense(&cost, CALL, 1, 1000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), CALL);
	cost = (struct ember_mover_cost){0};
	dense(&cost, MODULE, 1, 100000);
	dense(&cost, CALL, 1, 2000);
	dense(&cost, MODULE, 2, 1000);
	assert_int_equal(ember_mover_cost_choose(&cost, DENSE), MODULE);
}

static void what_is_refused_is_not_asked_for_in_every_plan(void **state)
{
	struct ember_mover_cost cost = {0};
	unsigned int nr_probes = 0;

	(void)state;
	dense(&cost, MODULE, 16, 1000);
	for (unsigned int i = 0; i < 1000; i++) {
		if (ember_mover_cost_wants_probe(&cost, DENSE)) {
			ember_mover_cost_learn(&cost, CALL, DENSE, 512, 0, i % 2 * 1000);
			nr_probes++;
		}
		dense(&cost, MODULE, 1, 1000);
	}
	assert_in_range(nr_probes, 1000 / 16 - 1, 1000 / 16 + 1);
	/* a region of few pages is no trial */
	dense(&cost, MODULE, 16, 1000);
	ember_mover_cost_learn(&cost, CALL, DENSE, 63, 63, 1000);
	assert_true(ember_mover_cost_wants_probe(&cost, DENSE));
}

static void jobs_that_tell_of_something_else_are_ignored(void **state)
{
	struct ember_mover_cost cost = {0};
	const struct ember_mover_cost nothing = {0};

	(void)state;
	ember_mover_cost_learn(&cost, CALL, DENSE, 63, 63, 1000);     /* few */
	ember_mover_cost_learn(&cost, CALL, DENSE, 512, 255, 100000); /* most were refused */
	ember_mover_cost_learn(&cost, CALL, DENSE, 0, 0, 100000);
	ember_mover_cost_learn(&cost, CALL, DENSE, 512, 512, 0);
	assert_memory_equal(&cost, &nothing, sizeof(cost));
}

static void the_other_one_is_tried_now_and_then(void **state)
{
	struct ember_mover_cost cost = {0};

	(void)state;
	assert_false(ember_mover_cost_wants_probe(&cost, DENSE));
	dense(&cost, MODULE, 15, 1000);
	assert_false(ember_mover_cost_wants_probe(&cost, DENSE));
	dense(&cost, MODULE, 1, 1000);
	assert_true(ember_mover_cost_wants_probe(&cost, DENSE));
	for (unsigned int i = 0; i < 2; i++) {
		dense(&cost, CALL, 1, 2000);
		assert_false(ember_mover_cost_wants_probe(&cost, DENSE));
		dense(&cost, MODULE, 16, 1000);
		assert_true(ember_mover_cost_wants_probe(&cost, DENSE));
	}
	dense(&cost, CALL, 1, 2000);
	assert_false(ember_mover_cost_wants_probe(&cost, DENSE));
	dense(&cost, MODULE, 255, 1000);
	assert_false(ember_mover_cost_wants_probe(&cost, DENSE));
	dense(&cost, MODULE, 1, 1000);
	assert_true(ember_mover_cost_wants_probe(&cost, DENSE));
	assert_false(ember_mover_cost_wants_probe(&cost, SCATTERED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(runs_are_counted_across_words),
	    cmocka_unit_test(density_is_the_power_of_two_of_the_pages_per_run),
	    cmocka_unit_test(the_faster_one_is_chosen_by_density),
	    cmocka_unit_test(one_outlier_decides_nothing),
	    cmocka_unit_test(a_slow_start_is_made_good),
	    cmocka_unit_test(what_is_refused_is_not_asked_for_in_every_plan),
	    cmocka_unit_test(jobs_that_tell_of_something_else_are_ignored),
	    cmocka_unit_test(the_other_one_is_tried_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
