// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "split.h"

#define MOVED EMBER_FATE_MOVED
#define LARGE EMBER_FATE_LARGE
#define BUSY EMBER_FATE_BUSY
#define ALREADY EMBER_FATE_ALREADY
#define UNKNOWN EMBER_FATE_UNKNOWN
#define UNSPLIT EMBER_FATE_UNSPLIT

static struct ember_fate_run *copy(const struct ember_fate_run *runs, size_t nr)
{
	struct ember_fate_run *to = calloc(nr + 1, sizeof(*to));

	assert_non_null(to);
	memcpy(to, runs, nr * sizeof(*to));
	return to;
}

/* Joined page by page, whatever the run lengths of the two answers are. */
static void answers_are_joined(void **state)
{
	static const struct ember_fate_run first[] = {
	    {MOVED, 3}, {LARGE, 6}, {BUSY, 2}, {MOVED, 1}};
	static const struct ember_fate_run second[] = {
	    {ALREADY, 2}, {EMBER_FATE_GONE, 1}, {MOVED, 3}, {LARGE, 2}, {BUSY, 1}, {MOVED, 1}};
	static const struct ember_fate_run want[] = {{MOVED, 6}, {UNSPLIT, 2}, {BUSY, 1},
						     {MOVED, 1}, {BUSY, 1},    {MOVED, 1}};
	struct ember_job job = {.move = {.nr_pages = 12, .split = true}};

	(void)state;
	job.first_runs = copy(first, NR(first));
	job.nr_first_runs = NR(first);
	job.runs = copy(second, NR(second)); /* one page short: the answer to it is lost */
	job.nr_runs = NR(second);
	ember_split_settle(&job);
	assert_null(job.first_runs);
	assert_int_equal(job.nr_runs, 6);
	for (size_t i = 0; i < NR(want); i++) {
		print_message("%u of %s\n", job.runs[i].nr_pages,
			      ember_fate_word(job.runs[i].outcome));
		assert_int_equal(job.runs[i].outcome, want[i].outcome);
		assert_int_equal(job.runs[i].nr_pages, want[i].nr_pages);
	}
	assert_int_equal(job.nr_split, 3);
	assert_int_equal(job.nr_unsplit, 2);
	free(job.runs);
}

/* The second answer is lost: what moved before has moved, of the others nothing is known. */
static void a_lost_answer_takes_nothing_back(void **state)
{
	static const struct ember_fate_run first[] = {{MOVED, 3}, {LARGE, 5}};
	struct ember_job job = {.move = {.nr_pages = 8, .split = true}};

	(void)state;
	job.first_runs = copy(first, NR(first));
	job.nr_first_runs = NR(first);
	ember_split_settle(&job);
	assert_int_equal(job.nr_runs, 2);
	assert_int_equal(job.runs[0].outcome, MOVED);
	assert_int_equal(job.runs[0].nr_pages, 3);
	assert_int_equal(job.runs[1].outcome, UNKNOWN);
	assert_int_equal(job.nr_split + job.nr_unsplit, 0);
	free(job.runs);
}

static void due_once_and_where_it_was_planned(void **state)
{
	struct ember_fate_run large[] = {{BUSY, 1}, {LARGE, 1}}, none[] = {{MOVED, 2}};
	struct ember_job job = {
	    .move = {.nr_pages = 2, .split = true}, .runs = large, .nr_runs = 2};

	(void)state;
	assert_true(ember_split_is_due(&job));
	job.first_runs = none;
	assert_false(ember_split_is_due(&job));
	job.first_runs = NULL;
	job.move.split = false;
	assert_false(ember_split_is_due(&job));
	job.move.split = true;
	job.runs = none;
	job.nr_runs = 1;
	assert_false(ember_split_is_due(&job));
}

/* A full destination, a process that is gone: nothing is asked twice, and the books say why. */
static void not_in_vain(void **state)
{
	struct ember_fate_run runs[] = {{BUSY, 1}, {LARGE, 1}};
	struct ember_job job = {.move = {.nr_pages = 2, .split = true, .id = {.tgid = INT32_MAX}},
				.runs = runs,
				.nr_runs = 2};

	(void)state;
	assert_false(ember_split_run(&job));
	assert_int_equal(runs[0].outcome, BUSY);
	assert_int_equal(runs[1].outcome, EMBER_FATE_GONE);
	runs[1].outcome = LARGE;
	job.floor_bytes = 1ULL << 60;
	assert_false(ember_split_run(&job));
	assert_int_equal(runs[1].outcome, EMBER_FATE_NO_MEMORY);
	assert_null(job.first_runs);
}

static unsigned int nr_chosen(uint8_t order, const uint64_t large[EMBER_PLANE_WORDS],
			      uint64_t chosen[EMBER_PLANE_WORDS])
{
	struct ember_move_region region = {.order = order};
	unsigned int n = 0;

	ember_split_choose(&region, large, chosen);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		assert_int_equal(chosen[w] & ~large[w], 0);
		n += __builtin_popcountll(chosen[w]);
	}
	return n;
}

/* Few, for each loses its accessed bit; but one at least of each large folio. */
static void few_pages_are_named(void **state)
{
	uint64_t all[EMBER_PLANE_WORDS], some[EMBER_PLANE_WORDS] = {0}, chosen[EMBER_PLANE_WORDS];

	(void)state;
	memset(all, 0xff, sizeof(all));
	assert_int_equal(nr_chosen(EMBER_ORDER_PMD, all, chosen), 1);
	assert_int_equal(nr_chosen(EMBER_ORDER_MTHP, all, chosen), 128);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		assert_int_equal(chosen[w], 0x1111111111111111ULL);
	some[0] = 0xe; /* of one group */
	some[3] = 1ULL << 63;
	some[4] = 1;
	assert_int_equal(nr_chosen(EMBER_ORDER_MTHP, some, chosen), 3);
	assert_int_equal(chosen[0], 2);
	assert_int_equal(chosen[3], 1ULL << 63);
	assert_int_equal(chosen[4], 1);
	assert_int_equal(nr_chosen(EMBER_ORDER_PMD, some, chosen), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_are_joined),
	    cmocka_unit_test(a_lost_answer_takes_nothing_back),
	    cmocka_unit_test(due_once_and_where_it_was_planned),
	    cmocka_unit_test(not_in_vain),
	    cmocka_unit_test(few_pages_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
