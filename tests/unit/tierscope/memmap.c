// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tierscope/memmap.c"

#define GIB (1ull << 30)

/* 1 GiB, then 2 GiB on both sides of the hole below 4 GiB, then 512 MiB. */
static const struct mem mems[] = {
    {"a", TIER_FAST, 1, {{0, GIB}}},
    {"b", TIER_SLOW, 2, {{GIB, 2 * GIB}, {4 * GIB, 5 * GIB}}},
    {"c", TIER_SLOW, 1, {{5 * GIB, 5 * GIB + GIB / 2}}},
};

static void version_2_answers_with_guest_addresses(void **state)
{
	struct memmap map;

	(void)state;
	assert_int_equal(memmap_init(&map, mems, 3, 2), 0);
	assert_int_equal(memmap_find(&map, 0), 0);
	assert_int_equal(memmap_find(&map, GIB - 1), 0);
	assert_int_equal(memmap_find(&map, GIB), 1);
	assert_int_equal(memmap_find(&map, 2 * GIB - 1), 1);
	assert_int_equal(memmap_find(&map, 2 * GIB), MEMMAP_OTHER);
	assert_int_equal(memmap_find(&map, 4 * GIB - 1), MEMMAP_OTHER);
	assert_int_equal(memmap_find(&map, 4 * GIB), 1);
	assert_int_equal(memmap_find(&map, 5 * GIB), 2);
	assert_int_equal(memmap_find(&map, 5 * GIB + GIB / 2), MEMMAP_OTHER);
	assert_int_equal(memmap_find(&map, UINT64_MAX), MEMMAP_OTHER);
}

/* Backend i answers twice the size of those before it, plus the offset in it. */
static void version_1_answers_with_backend_addresses(void **state)
{
	struct memmap map;

	(void)state;
	assert_int_equal(memmap_init(&map, mems, 3, 1), 0);
	assert_int_equal(memmap_find(&map, 0), 0);
	assert_int_equal(memmap_find(&map, GIB - 1), 0);
	assert_int_equal(memmap_find(&map, GIB), MEMMAP_OTHER);
	assert_int_equal(memmap_find(&map, 2 * GIB), 1);
	assert_int_equal(memmap_find(&map, 4 * GIB - 1), 1);
	assert_int_equal(memmap_find(&map, 4 * GIB), MEMMAP_OTHER);
	assert_int_equal(memmap_find(&map, 6 * GIB), 2);
	assert_int_equal(memmap_find(&map, 6 * GIB + GIB / 2), MEMMAP_OTHER);
}

static void overlapping_ranges_are_refused_in_both_versions(void **state)
{
	struct mem twice[] = {mems[0], {"b", TIER_SLOW, 1, {{GIB - 4096, 2 * GIB}}}};
	struct memmap map;

	(void)state;
	assert_int_equal(memmap_init(&map, twice, 2, 1), -EINVAL);
	assert_int_equal(memmap_init(&map, twice, 2, 2), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(version_2_answers_with_guest_addresses),
	    cmocka_unit_test(version_1_answers_with_backend_addresses),
	    cmocka_unit_test(overlapping_ranges_are_refused_in_both_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
