// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "cooldown.h"

#define MSEC 1000000ULL
#define PAGE 0x7f0000001000ULL

static const struct ember_proc_id a = {.tgid = 1}, b = {.tgid = 1, .self_exec_id = 1};

static void test_way_back_only(void **state)
{
	struct ember_cooldown cd;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_DOWN, 0), EMBER_COOL_FREE);
	ember_cooldown_moved(&cd, &a, PAGE, EMBER_COOL_UP, 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_DOWN, 4999 * MSEC),
			 EMBER_COOL_MOVED);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 4999 * MSEC),
			 EMBER_COOL_AGAIN);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE + 4096, EMBER_COOL_DOWN, 0),
			 EMBER_COOL_FREE);
	assert_int_equal(ember_cooldown_look(&cd, &b, PAGE, EMBER_COOL_DOWN, 0), EMBER_COOL_FREE);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_DOWN, 5000 * MSEC),
			 EMBER_COOL_FREE);
	ember_cooldown_destroy(&cd);
}

/* 5 s, 10 s, 20 s … 320 s, and no longer. */
static void test_doubles_with_round_trips(void **state)
{
	static const uint32_t expected_s[] = {5, 10, 20, 40, 80, 160, 320, 320};
	struct ember_cooldown cd;
	uint64_t now = 0;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	for (size_t i = 0; i < NR(expected_s); i++) {
		enum ember_cooldown_move move = i % 2 ? EMBER_COOL_UP : EMBER_COOL_DOWN;
		enum ember_cooldown_move back = i % 2 ? EMBER_COOL_DOWN : EMBER_COOL_UP;
		uint64_t end = now + expected_s[i] * 1000 * MSEC;

		ember_cooldown_moved(&cd, &a, PAGE, move, now);
		assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, back, end - MSEC),
				 EMBER_COOL_MOVED);
		assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, back, end), EMBER_COOL_FREE);
		now = end;
	}
	ember_cooldown_destroy(&cd);
}

/* After any move a page stays on its node for a while; it may go up to a faster tier. */
static void test_sideways(void **state)
{
	struct ember_cooldown cd;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	ember_cooldown_moved(&cd, &a, PAGE, EMBER_COOL_UP, 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_SIDEWAYS, 4999 * MSEC),
			 EMBER_COOL_MOVED);
	ember_cooldown_moved(&cd, &b, PAGE, EMBER_COOL_SIDEWAYS, 0);
	assert_int_equal(ember_cooldown_look(&cd, &b, PAGE, EMBER_COOL_SIDEWAYS, 4999 * MSEC),
			 EMBER_COOL_MOVED);
	assert_int_equal(ember_cooldown_look(&cd, &b, PAGE, EMBER_COOL_DOWN, 4999 * MSEC),
			 EMBER_COOL_MOVED);
	assert_int_equal(ember_cooldown_look(&cd, &b, PAGE, EMBER_COOL_UP, 0), EMBER_COOL_AGAIN);
	/* to and fro between two sockets: twice as long each time */
	ember_cooldown_moved(&cd, &b, PAGE, EMBER_COOL_SIDEWAYS, 5000 * MSEC);
	assert_int_equal(ember_cooldown_look(&cd, &b, PAGE, EMBER_COOL_SIDEWAYS, 14999 * MSEC),
			 EMBER_COOL_MOVED);
	assert_int_equal(ember_cooldown_look(&cd, &b, PAGE, EMBER_COOL_SIDEWAYS, 15000 * MSEC),
			 EMBER_COOL_FREE);
	ember_cooldown_destroy(&cd);
}

/* A page of several processes: moved there again means that another has brought it back. */
static void test_shared_doubles_in_one_direction(void **state)
{
	static const uint32_t expected_s[] = {5, 10, 20, 40, 80, 160, 320, 320};
	struct ember_cooldown cd;
	uint64_t now = 0;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	for (size_t i = 0; i < NR(expected_s); i++) {
		uint64_t end = now + expected_s[i] * 1000 * MSEC;

		ember_cooldown_moved_shared(&cd, &a, PAGE, EMBER_COOL_UP, now);
		assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, end - MSEC),
				 EMBER_COOL_AGAIN);
		assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, end),
				 EMBER_COOL_FREE);
		now = end;
	}
	ember_cooldown_destroy(&cd);
}

static void test_refused(void **state)
{
	struct ember_cooldown cd;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	ember_cooldown_refused(&cd, &a, PAGE, false, 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 1999 * MSEC),
			 EMBER_COOL_REFUSED);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_DOWN, 1999 * MSEC),
			 EMBER_COOL_REFUSED);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 2000 * MSEC),
			 EMBER_COOL_FREE);
	ember_cooldown_refused(&cd, &a, PAGE, true, 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 54999 * MSEC),
			 EMBER_COOL_REFUSED);
	ember_cooldown_destroy(&cd);
}

/* The table never grows; what ends first gives way. */
static void test_bounded(void **state)
{
	struct ember_cooldown cd;
	unsigned int kept = 0;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	ember_cooldown_refused(&cd, &a, PAGE, true, 0); /* ends at 60 s */
	for (uint64_t i = 1; i < 10000; i++)
		ember_cooldown_moved(&cd, &a, PAGE + i * 4096, EMBER_COOL_UP, 0); /* at 5 s */
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 0), EMBER_COOL_REFUSED);
	for (uint64_t i = 0; i < 10000; i++)
		kept += ember_cooldown_look(&cd, &a, PAGE + i * 4096, EMBER_COOL_DOWN, 0) !=
			EMBER_COOL_FREE;
	print_message("kept %u of 10000, %llu gave way\n", kept, (unsigned long long)cd.nr_evicted);
	assert_int_equal(kept, 64);
	assert_int_equal(cd.nr_evicted, 10000 - 64);
	ember_cooldown_destroy(&cd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_way_back_only),
	    cmocka_unit_test(test_doubles_with_round_trips),
	    cmocka_unit_test(test_sideways),
	    cmocka_unit_test(test_shared_doubles_in_one_direction),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
