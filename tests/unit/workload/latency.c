// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../workload/lib/latency.c"

static void classes_are_narrow_and_in_order(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (uint64_t ns = 0; ns < 100000; ns++) {
		uint32_t class = latency_class(ns);

		assert_true(class == before || class == before + 1);
		assert_true(class_end_ns(class) >= ns);
		assert_true(class_end_ns(class) <= ns + ns / 16);
		before = class;
	}
	assert_true(latency_class(UINT64_MAX) < LATENCY_NR_CLASSES);
	assert_true(class_end_ns(latency_class(UINT64_MAX)) == UINT64_MAX);
}

static void quantiles_are_those_of_the_times(void **state)
{
	static struct latency latency;

	(void)state;
	assert_int_equal(latency_quantile_ns(&latency, 0.5), 0);
	for (int i = 0; i < 990; i++)
		latency_add(&latency, 10);
	for (int i = 0; i < 9; i++)
		latency_add(&latency, 31);
	latency_add(&latency, 1000000);
	assert_int_equal(latency_nr(&latency), 1000);
	assert_int_equal(latency_quantile_ns(&latency, 0.5), 10);
	assert_int_equal(latency_quantile_ns(&latency, 0.99), 10);
	assert_int_equal(latency_quantile_ns(&latency, 0.999), 31);
	assert_in_range(latency_quantile_ns(&latency, 1), 1000000, 1062500);
}

static void merge_and_difference_undo_each_other(void **state)
{
	static struct latency a, b, sum, diff;

	(void)state;
	latency_add(&a, 5);
	latency_add(&b, 5);
	latency_add(&b, 700);
	latency_merge(&sum, &a);
	latency_merge(&sum, &b);
	assert_int_equal(latency_nr(&sum), 3);
	latency_diff(&diff, &sum, &a);
	assert_memory_equal(&diff, &b, sizeof(diff));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(classes_are_narrow_and_in_order),
	    cmocka_unit_test(quantiles_are_those_of_the_times),
	    cmocka_unit_test(merge_and_difference_undo_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
