// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "daemon/allowance.h"

#define SECOND 1000000000ULL
#define INTERVAL EMBER_ALLOWANCE_INTERVAL_NS
#define BURST EMBER_ALLOWANCE_BURST

static struct ember_allowance a;

static int clear(void **state)
{
	memset(&a, 0, sizeof(a));
	return 0;
}

static void a_burst_is_answered_at_once_then_one_per_interval(void **state)
{
	uint64_t now = SECOND;

	for (unsigned int i = 0; i < BURST; i++)
		assert_int_equal(ember_allowance_take(&a, 7, now), now);
	for (unsigned int i = 1; i <= BURST; i++)
		assert_int_equal(ember_allowance_take(&a, 7, now), now + i * INTERVAL);
}

static void who_waits_for_his_answers_gets_the_rate(void **state)
{
	uint64_t now = SECOND;
	unsigned int nr = 0;

	while (now < 11 * SECOND) {
		now = ember_allowance_take(&a, 7, now);
		nr++;
	}
	print_message("in 10 s expects about %u answers, sees %u\n", BURST + 200, nr);
	assert_in_range(nr, 200, BURST + 201);
}

static void who_asks_rarely_is_never_held_up(void **state)
{
	for (uint64_t now = SECOND; now < 100 * SECOND; now += INTERVAL)
		assert_int_equal(ember_allowance_take(&a, 7, now), now);
}

static void users_do_not_hold_each_other_up(void **state)
{
	for (unsigned int i = 0; i < 1000; i++)
		ember_allowance_take(&a, 7, SECOND);
	assert_int_equal(ember_allowance_take(&a, 8, SECOND), SECOND);
	assert_int_equal(ember_allowance_take(&a, 0, SECOND), SECOND);
}

static void nobody_is_shut_out_for_long(void **state)
{
	uint64_t due = 0;

	for (unsigned int i = 0; i < 100000; i++)
		due = ember_allowance_take(&a, 7, SECOND);
	assert_in_range(due, SECOND + 1, SECOND + BURST * INTERVAL);
}

static void the_one_who_asked_longest_ago_makes_room(void **state)
{
	for (unsigned int i = 0; i < 2 * BURST; i++)
		ember_allowance_take(&a, 1, SECOND);
	for (uint32_t uid = 2; uid <= EMBER_ALLOWANCE_MAX_USERS; uid++)
		ember_allowance_take(&a, uid, SECOND + uid);
	/* the table is full, he is still known */
	assert_true(ember_allowance_take(&a, 1, SECOND + 100) > SECOND + 100);
	/* one more pushes out user 2, not him */
	ember_allowance_take(&a, 1000, SECOND + 101);
	assert_true(ember_allowance_take(&a, 1, SECOND + 102) > SECOND + 102);
	for (uint32_t uid = 2000; uid < 2000 + EMBER_ALLOWANCE_MAX_USERS; uid++)
		ember_allowance_take(&a, uid, SECOND + uid);
	assert_int_equal(ember_allowance_take(&a, 1, SECOND + 9000), SECOND + 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_burst_is_answered_at_once_then_one_per_interval, clear),
	    cmocka_unit_test_setup(who_waits_for_his_answers_gets_the_rate, clear),
	    cmocka_unit_test_setup(who_asks_rarely_is_never_held_up, clear),
	    cmocka_unit_test_setup(users_do_not_hold_each_other_up, clear),
	    cmocka_unit_test_setup(nobody_is_shut_out_for_long, clear),
	    cmocka_unit_test_setup(the_one_who_asked_longest_ago_makes_room, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
