/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmod/result.c: run lengths of outcomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kmod/result.c"

static void ask(__u64 asked[8], unsigned int page)
{
	asked[page / 64] |= 1ULL << (page % 64);
}

/* Straight from the definition: write a run down page by page, then compare. */
static void expect_expands(const __u64 asked[8], const __u8 outcome[EMBER_REGION_PAGES])
{
	struct ember_run runs[EMBER_REGION_PAGES + 1];
	unsigned int nr, run = 0, used = 0;

	memset(runs, 0xff, sizeof(runs));
	nr = ember_runs_encode(asked, outcome, runs);
	assert_int_equal(nr, ember_runs_count(asked, outcome));
	assert_int_equal(runs[nr].outcome, 0xffff); /* not one too far */
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
		if (!(asked[page / 64] >> (page % 64) & 1))
			continue;
		assert_true(run < nr);
		assert_int_equal(runs[run].outcome, outcome[page]);
		if (++used == runs[run].count) {
			run++;
			used = 0;
		}
	}
	assert_int_equal(run, nr);
	assert_int_equal(used, 0);
	for (unsigned int i = 1; i < nr; i++)
		assert_int_not_equal(runs[i].outcome, runs[i - 1].outcome);
}

static void nothing_asked(void **state)
{
	__u64 asked[8] = {0};
	__u8 outcome[EMBER_REGION_PAGES] = {0};

	assert_int_equal(ember_runs_count(asked, outcome), 0);
}

static void all_alike_is_one_run(void **state)
{
	__u8 outcome[EMBER_REGION_PAGES];
	struct ember_run run;
	__u64 asked[8];

	memset(asked, 0xff, sizeof(asked));
	memset(outcome, EMBER_OUTCOME_MOVED, sizeof(outcome));
	assert_int_equal(ember_runs_encode(asked, outcome, &run), 1);
	assert_int_equal(run.outcome, EMBER_OUTCOME_MOVED);
	assert_int_equal(run.count, 512);
}

static void alternating_is_the_longest(void **state)
{
	__u8 outcome[EMBER_REGION_PAGES];
	__u64 asked[8];

	memset(asked, 0xff, sizeof(asked));
	for (int page = 0; page < EMBER_REGION_PAGES; page++)
		outcome[page] = 1 + page % 2;
	assert_int_equal(ember_runs_count(asked, outcome), 512);
	expect_expands(asked, outcome);
}

/* A gap does not end a run, and what lies in it is not looked at. */
static void gaps_are_left_out(void **state)
{
	__u8 outcome[EMBER_REGION_PAGES];
	struct ember_run runs[2];
	__u64 asked[8] = {0};

	memset(outcome, 99, sizeof(outcome));
	ask(asked, 0);
	ask(asked, 63);
	ask(asked, 64);
	ask(asked, 511);
	outcome[0] = outcome[63] = outcome[64] = EMBER_OUTCOME_MOVED;
	outcome[511] = EMBER_OUTCOME_PINNED;
	assert_int_equal(ember_runs_encode(asked, outcome, runs), 2);
	assert_int_equal(runs[0].count, 3);
	assert_int_equal(runs[1].outcome, EMBER_OUTCOME_PINNED);
	assert_int_equal(runs[1].count, 1);
}

static void random_ones_expand_to_themselves(void **state)
{
	__u8 outcome[EMBER_REGION_PAGES];
	__u64 asked[8];

	srand(1);
	for (int round = 0; round < 2000; round++) {
		int kinds = 1 + rand() % EMBER_OUTCOME_MAX;

		memset(asked, 0, sizeof(asked));
		for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
			if (rand() % (1 + round % 7) == 0)
				ask(asked, page);
			outcome[page] = 1 + rand() % kinds;
		}
		expect_expands(asked, outcome);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_asked),
	    cmocka_unit_test(all_alike_is_one_run),
	    cmocka_unit_test(alternating_is_the_longest),
	    cmocka_unit_test(gaps_are_left_out),
	    cmocka_unit_test(random_ones_expand_to_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
