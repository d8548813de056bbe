// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <pthread.h>
#include <stdbool.h>

#include "heart.h"

#define SEC 1000000000ULL

static void test_silence_is_told_with_what_it_was_spent_on(void **state)
{
	struct ember_heart heart = {0};
	struct ember_silence s;

	(void)state;
	ember_heart_beat(&heart, EMBER_STAGE_PLAN, 100 * SEC, 7 * SEC);
	s = ember_heart_listen(&heart, 121 * SEC, 9 * SEC);
	assert_int_equal(s.stage, EMBER_STAGE_PLAN);
	assert_int_equal(s.ns, 21 * SEC);
	assert_int_equal(s.cpu_ns, 2 * SEC);
	ember_heart_beat(&heart, EMBER_STAGE_PLAN, 121 * SEC, 9 * SEC);
	s = ember_heart_listen(&heart, 122 * SEC, 9 * SEC);
	assert_int_equal(s.ns, 1 * SEC);
	assert_int_equal(s.cpu_ns, 0);
}

static void test_each_stage_keeps_its_longest(void **state)
{
	struct ember_heart heart = {0};
	struct ember_silence ended;

	(void)state;
	/* what was before the first beat was no silence */
	ended = ember_heart_beat(&heart, EMBER_STAGE_SCAN, 100 * SEC, 0);
	assert_int_equal(ended.ns, 0);
	ember_heart_beat(&heart, EMBER_STAGE_SCAN, 102 * SEC, 0);
	ended = ember_heart_beat(&heart, EMBER_STAGE_PLAN, 105 * SEC, 1 * SEC);
	assert_int_equal(ended.stage, EMBER_STAGE_SCAN);
	assert_int_equal(ended.ns, 3 * SEC);
	assert_int_equal(ended.cpu_ns, 1 * SEC);
	ember_heart_beat(&heart, EMBER_STAGE_SCAN, 106 * SEC, 1 * SEC);
	ember_heart_beat(&heart, EMBER_STAGE_WAIT, 107 * SEC, 1 * SEC);
	assert_int_equal(heart.silent_ns[EMBER_STAGE_SCAN], 3 * SEC);
	assert_int_equal(heart.silent_ns[EMBER_STAGE_PLAN], 1 * SEC);
	assert_int_equal(heart.silent_ns[EMBER_STAGE_WAIT], 0);
}

/* The listener's clock may have been read before a beat that it sees. */
static void test_a_beat_from_the_future_is_no_silence(void **state)
{
	struct ember_heart heart = {0};

	(void)state;
	ember_heart_beat(&heart, EMBER_STAGE_SCAN, 10 * SEC, 5 * SEC);
	assert_int_equal(ember_heart_listen(&heart, 9 * SEC, 4 * SEC).ns, 0);
	assert_int_equal(ember_heart_listen(&heart, 9 * SEC, 4 * SEC).cpu_ns, 0);
}

#define NR_BEATS 200000

static void *beat_on(void *arg)
{
	struct ember_heart *heart = arg;

	for (uint64_t i = 1; i <= NR_BEATS; i++)
		ember_heart_beat(heart, i % EMBER_NR_STAGES, i, i);
	return NULL;
}

/* One thread beats while another listens: what the thread sanitizer looks at. */
static void test_two_threads(void **state)
{
	struct ember_heart heart = {0};
	uint64_t nr_heard = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, beat_on, &heart), 0);
	while (ember_heart_listen(&heart, NR_BEATS + 1, 0).ns != 1) {
		assert_true(ember_heart_listen(&heart, NR_BEATS + 1, 0).stage < EMBER_NR_STAGES);
		nr_heard++;
	}
	pthread_join(thread, NULL);
	print_message("listened %lu times to %d beats\n", nr_heard, NR_BEATS);
	assert_int_equal(ember_heart_listen(&heart, NR_BEATS, 0).stage, NR_BEATS % EMBER_NR_STAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_silence_is_told_with_what_it_was_spent_on),
	    cmocka_unit_test(test_each_stage_keeps_its_longest),
	    cmocka_unit_test(test_a_beat_from_the_future_is_no_silence),
	    cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
