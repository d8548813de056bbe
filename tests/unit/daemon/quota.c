// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "quota.h"

#define SEC 1000000000ULL

static void test_starts_full_and_refills(void **state)
{
	struct ember_quota q;

	(void)state;
	ember_quota_init(&q, 1000, 0, 5 * SEC);
	assert_int_equal(ember_quota_available(&q, 5 * SEC), 1000);
	ember_quota_take(&q, 600);
	assert_int_equal(ember_quota_available(&q, 5 * SEC), 400);
	assert_int_equal(ember_quota_available(&q, 5 * SEC + SEC / 10), 500);
	assert_int_equal(ember_quota_available(&q, 60 * SEC), 1000);
}

static void test_burst_bound(void **state)
{
	struct ember_quota q;

	(void)state;
	ember_quota_init(&q, 1000, 250, 0);
	assert_int_equal(ember_quota_available(&q, 0), 250);
	ember_quota_take(&q, 250);
	assert_int_equal(ember_quota_available(&q, 100 * SEC), 250);
}

/* A slow rate asked often: fractions of a byte add up instead of being lost. */
static void test_fractions_add_up(void **state)
{
	struct ember_quota q;

	(void)state;
	ember_quota_init(&q, 3, 1000, 0);
	ember_quota_take(&q, 1000);
	for (int i = 1; i <= 1000; i++)
		ember_quota_available(&q, i * SEC / 10);
	assert_int_equal(ember_quota_available(&q, 100 * SEC), 300);
}

static void test_clock_and_overflow(void **state)
{
	struct ember_quota q;

	(void)state;
	ember_quota_init(&q, 1000, 0, 10 * SEC);
	ember_quota_take(&q, 2000); /* more than there is */
	assert_int_equal(ember_quota_available(&q, 9 * SEC), 0);
	assert_int_equal(ember_quota_available(&q, 10 * SEC), 0);
	assert_int_equal(ember_quota_available(&q, 10 * SEC + SEC / 2), 500);
	ember_quota_init(&q, UINT64_MAX / 2, 0, 0);
	ember_quota_take(&q, UINT64_MAX);
	assert_true(ember_quota_available(&q, UINT64_MAX) == UINT64_MAX / 2);
}

static void test_refund_set_zero(void **state)
{
	struct ember_quota q;

	(void)state;
	ember_quota_init(&q, 1000, 0, 0);
	ember_quota_take(&q, 800);
	ember_quota_refund(&q, 300);
	assert_int_equal(ember_quota_available(&q, 0), 500);
	ember_quota_refund(&q, 10000);
	assert_int_equal(ember_quota_available(&q, 0), 1000);
	ember_quota_set(&q, 100, 0, 0);
	assert_int_equal(ember_quota_available(&q, 0), 100);
	ember_quota_set(&q, 0, 0, SEC);
	assert_int_equal(ember_quota_available(&q, 100 * SEC), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starts_full_and_refills),
	    cmocka_unit_test(test_burst_bound),
	    cmocka_unit_test(test_fractions_add_up),
	    cmocka_unit_test(test_clock_and_overflow),
	    cmocka_unit_test(test_refund_set_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
