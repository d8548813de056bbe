// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tierscope/counts.c"

static const struct mem mems[] = {
    {"hbm", TIER_FAST, 1, {{0, 1}}},
    {"ddr", TIER_SLOW, 1, {{1, 2}}},
    {"cxl", TIER_SLOW, 1, {{2, 3}}},
};

static const struct counts sample = {
    .of = {[0] = {1, 20}, [1] = {300, 4000}, [2] = {50000, 600000}, [MEMMAP_OTHER] = {3, 4}}};

static void vcpus_are_added_up(void **state)
{
	static struct vcpu_counts vcpus[3];
	struct counts parts[3], sum;

	(void)state;
	for (int i = 0; i < 5; i++)
		counts_add(&vcpus[0].counts, 1, 1);
	counts_add(&vcpus[2].counts, 1, 1);
	counts_add(&vcpus[2].counts, 1, 0);
	counts_add(&vcpus[1].counts, MEMMAP_OTHER, 0);
	for (int v = 0; v < 3; v++)
		counts_read(&parts[v], &vcpus[v]);
	counts_sum(&sum, parts, 3);
	assert_int_equal(sum.of[1].hits, 6);
	assert_int_equal(sum.of[1].misses, 1);
	assert_int_equal(sum.of[0].hits, 0);
	assert_int_equal(sum.of[MEMMAP_OTHER].misses, 1);
}

static void differences_are_per_memory(void **state)
{
	struct counts now = sample, diff;

	(void)state;
	now.of[2].misses += 7;
	now.of[0].hits += 2;
	counts_diff(&diff, &now, &sample);
	assert_int_equal(diff.of[2].misses, 7);
	assert_int_equal(diff.of[0].hits, 2);
	assert_int_equal(diff.of[1].hits, 0);
}

static void a_line_has_a_time_and_four_sums(void **state)
{
	char line[256];
	int len;

	(void)state;
	len = counts_format_tiers(line, sizeof(line), 42007, &sample, mems, 3);
	assert_string_equal(line, "42.007 1 20 50300 604000\n");
	assert_int_equal(len, strlen(line));
}

static void memories_have_a_pair_of_columns_each(void **state)
{
	char line[256];

	(void)state;
	counts_format_mems_header(line, sizeof(line), mems, 3);
	assert_string_equal(line, "seconds hbm_hits hbm_misses ddr_hits ddr_misses cxl_hits "
				  "cxl_misses other\n");
	counts_format_mems(line, sizeof(line), 1000, &sample, 3);
	assert_string_equal(line, "1.000 1 20 300 4000 50000 600000 7\n");
}

static void each_vcpu_has_a_column_for_each_memory(void **state)
{
	struct counts diffs[2] = {sample, {.of = {[0] = {9, 7}, [2] = {9, 8}}}};
	char line[256];

	(void)state;
	counts_format_vcpus_header(line, sizeof(line), 2, mems, 3);
	assert_string_equal(line,
			    "seconds cpu0_hbm cpu0_ddr cpu0_cxl cpu1_hbm cpu1_ddr cpu1_cxl\n");
	counts_format_vcpus(line, sizeof(line), 1000, diffs, 2, 3);
	assert_string_equal(line, "1.000 20 4000 600000 7 0 8\n");
}

static void a_line_that_does_not_fit_is_an_error(void **state)
{
	char line[8];

	(void)state;
	assert_int_equal(counts_format_tiers(line, sizeof(line), 0, &sample, mems, 3), -ENOSPC);
	assert_int_equal(counts_format_mems(line, sizeof(line), 0, &sample, 3), -ENOSPC);
	assert_int_equal(counts_format_vcpus(line, sizeof(line), 0, &sample, 1, 3), -ENOSPC);
	assert_int_equal(counts_format_vcpus_header(line, sizeof(line), 1, mems, 3), -ENOSPC);
	assert_int_equal(counts_format_mems_header(line, sizeof(line), mems, 3), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vcpus_are_added_up),
	    cmocka_unit_test(differences_are_per_memory),
	    cmocka_unit_test(a_line_has_a_time_and_four_sums),
	    cmocka_unit_test(memories_have_a_pair_of_columns_each),
	    cmocka_unit_test(each_vcpu_has_a_column_for_each_memory),
	    cmocka_unit_test(a_line_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
