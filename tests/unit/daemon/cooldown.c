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
	ember_cooldown_refused(&cd, &a, PAGE, EMBER_REFUSED_BUSY, 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 1999 * MSEC),
			 EMBER_COOL_REFUSED);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_DOWN, 1999 * MSEC),
			 EMBER_COOL_REFUSED);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 2000 * MSEC),
			 EMBER_COOL_FREE);
	ember_cooldown_refused(&cd, &a, PAGE, EMBER_REFUSED_LASTING, 0);
	assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, 54999 * MSEC),
			 EMBER_COOL_REFUSED);
	ember_cooldown_destroy(&cd);
}

static void test_backoff_grows_from_the_third_time(void **state)
{
	static const struct {
		enum ember_refused why;
		unsigned int nr;
		uint32_t want_s;
	} table[] = {
	    {EMBER_REFUSED_BUSY, 1, 2},        {EMBER_REFUSED_BUSY, 2, 2},
	    {EMBER_REFUSED_BUSY, 3, 4},        {EMBER_REFUSED_BUSY, 4, 8},
	    {EMBER_REFUSED_BUSY, 9, 256},      {EMBER_REFUSED_BUSY, 10, 320},
	    {EMBER_REFUSED_BUSY, 255, 320},    {EMBER_REFUSED_NO_MEMORY, 1, 2},
	    {EMBER_REFUSED_NO_MEMORY, 3, 2},   {EMBER_REFUSED_NO_MEMORY, 255, 2},
	    {EMBER_REFUSED_LASTING, 1, 60},    {EMBER_REFUSED_LASTING, 2, 60},
	    {EMBER_REFUSED_LASTING, 3, 120},   {EMBER_REFUSED_LASTING, 5, 480},
	    {EMBER_REFUSED_LASTING, 6, 960},   {EMBER_REFUSED_LASTING, 7, 960},
	    {EMBER_REFUSED_LASTING, 255, 960}, {EMBER_REFUSED_UNSPLIT, 1, 2},
	    {EMBER_REFUSED_UNSPLIT, 2, 2},     {EMBER_REFUSED_UNSPLIT, 3, 60},
	    {EMBER_REFUSED_UNSPLIT, 4, 60},    {EMBER_REFUSED_UNSPLIT, 5, 120},
	    {EMBER_REFUSED_UNSPLIT, 255, 960},
	};

	(void)state;
	for (size_t i = 0; i < NR(table); i++)
		assert_int_equal(ember_cooldown_backoff_ms(table[i].why, table[i].nr),
				 table[i].want_s * 1000);
	for (int why = 0; why < EMBER_NR_REFUSED; why++)
		for (unsigned int nr = 1; nr < 300; nr++)
			assert_true(ember_cooldown_backoff_ms(why, nr) <= EMBER_COOLDOWN_MAX_MS);
}

/* Refused and, as soon as the wait is over, refused again: checks each wait, to the millisecond. */
static uint64_t refuse_in_a_row(struct ember_cooldown *cd, enum ember_refused why,
				const uint32_t *waits_s, size_t nr, uint64_t now)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t end = now + waits_s[i] * 1000 * MSEC;

		ember_cooldown_refused(cd, &a, PAGE, why, now);
		assert_int_equal(ember_cooldown_look(cd, &a, PAGE, EMBER_COOL_UP, end - MSEC),
				 EMBER_COOL_REFUSED);
		assert_int_equal(ember_cooldown_look(cd, &a, PAGE, EMBER_COOL_UP, end),
				 EMBER_COOL_FREE);
		now = end;
	}
	return now;
}

static void test_refused_in_a_row(void **state)
{
	static const uint32_t busy_s[] = {2, 2, 4, 8, 16, 32, 64, 128, 256, 320, 320};
	static const uint32_t full_s[] = {2, 2, 2, 2, 2};
	static const uint32_t two_more_s[] = {2, 4};
	static const uint32_t lasting_s[] = {60, 60, 120, 240};
	struct ember_cooldown cd;
	uint64_t now = 0;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	now = refuse_in_a_row(&cd, EMBER_REFUSED_BUSY, busy_s, NR(busy_s), now);
	/* it has moved: a clean slate */
	ember_cooldown_moved(&cd, &a, PAGE, EMBER_COOL_UP, now);
	now = refuse_in_a_row(&cd, EMBER_REFUSED_NO_MEMORY, full_s, NR(full_s), now);
	/* a full node counts as one refusal, however often */
	now = refuse_in_a_row(&cd, EMBER_REFUSED_BUSY, two_more_s, NR(two_more_s), now);
	/* nobody asked for it for long: a clean slate */
	now += (EMBER_BACKOFF_FORGET_MS + 1) * MSEC;
	refuse_in_a_row(&cd, EMBER_REFUSED_LASTING, lasting_s, NR(lasting_s), now);
	ember_cooldown_destroy(&cd);
}

/* Until a wait of long ago seems to lie in the future: the clock of 32 bits has come round. */
static void test_ended_weeks_ago(void **state)
{
	const uint64_t day = 24 * 3600 * 1000 * MSEC;
	struct ember_cooldown cd;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	ember_cooldown_refused(&cd, &a, PAGE, EMBER_REFUSED_LASTING, 0);
	for (uint64_t days = 1; days < 49; days++)
		assert_int_equal(ember_cooldown_look(&cd, &a, PAGE, EMBER_COOL_UP, days * day),
				 EMBER_COOL_FREE);
	ember_cooldown_destroy(&cd);
}

/* The table never grows; what ends first gives way. */
static void test_bounded(void **state)
{
	struct ember_cooldown cd;
	unsigned int kept = 0;

	(void)state;
	assert_int_equal(ember_cooldown_init(&cd, 64), 0);
	ember_cooldown_refused(&cd, &a, PAGE, EMBER_REFUSED_LASTING, 0); /* ends at 60 s */
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
	    cmocka_unit_test(test_backoff_grows_from_the_third_time),
	    cmocka_unit_test(test_refused_in_a_row),
	    cmocka_unit_test(test_ended_weeks_ago),
	    cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
