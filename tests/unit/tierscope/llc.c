// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tierscope/llc.c"

#define DEFAULT_BYTES (2u << 20)
#define DEFAULT_WAYS 16
#define SET_STRIDE (DEFAULT_BYTES / DEFAULT_WAYS) /* addresses this far apart share a set */

static int set_up(void **state)
{
	static struct llc llc;

	if (llc_init(&llc, DEFAULT_BYTES, DEFAULT_WAYS) < 0)
		return -1;
	*state = &llc;
	return 0;
}

static int tear_down(void **state)
{
	llc_free(*state);
	return 0;
}

/* Hits of nr lines, stride bytes apart, one time over. */
static unsigned int walk(struct llc *llc, uint64_t start, uint64_t stride, unsigned int nr)
{
	unsigned int nr_hits = 0;

	for (unsigned int i = 0; i < nr; i++)
		nr_hits += llc_access(llc, start + i * stride);
	return nr_hits;
}

static void bytes_of_one_line_are_one_line(void **state)
{
	assert_false(llc_access(*state, 0x12345640));
	assert_true(llc_access(*state, 0x12345640));
	assert_true(llc_access(*state, 0x1234567f));
	assert_false(llc_access(*state, 0x12345680));
}

static void what_fits_hits_from_the_second_round_on(void **state)
{
	unsigned int nr_lines = DEFAULT_BYTES / 64;

	assert_int_equal(walk(*state, 1ull << 32, 64, nr_lines), 0);
	assert_int_equal(walk(*state, 1ull << 32, 64, nr_lines), nr_lines);
}

/* LRU throws out just what comes next in a cycle that is one too long. */
static void one_line_too_many_in_a_cycle_never_hits(void **state)
{
	for (int round = 0; round < 10; round++)
		assert_int_equal(walk(*state, 0, SET_STRIDE, DEFAULT_WAYS + 1), 0);
}

static void a_full_set_does_not_touch_its_neighbour(void **state)
{
	walk(*state, 0, SET_STRIDE, DEFAULT_WAYS);
	walk(*state, 64, SET_STRIDE, DEFAULT_WAYS + 5);
	assert_int_equal(walk(*state, 0, SET_STRIDE, DEFAULT_WAYS), DEFAULT_WAYS);
}

static void the_least_recently_used_line_goes_first(void **state)
{
	walk(*state, 0, SET_STRIDE, DEFAULT_WAYS); /* 0, 1, ... 15 */
	assert_true(llc_access(*state, 0));        /* line 1 is the oldest now */
	assert_false(llc_access(*state, 99 * SET_STRIDE));
	assert_true(llc_access(*state, 0));
	assert_false(llc_access(*state, 1 * SET_STRIDE));
	assert_true(llc_access(*state, 3 * SET_STRIDE));
}

static void address_zero_is_an_address(void **state)
{
	assert_false(llc_access(*state, 0));
	assert_true(llc_access(*state, 0));
}

static void tags_tell_distant_addresses_apart(void **state)
{
	assert_false(llc_access(*state, 0x40));
	assert_false(llc_access(*state, 0x40 + (1ull << 45)));
	assert_true(llc_access(*state, 0x40));
}

static void one_way_is_a_direct_mapped_cache(void **state)
{
	struct llc llc;

	(void)state;
	assert_int_equal(llc_init(&llc, 4096, 1), 0);
	assert_false(llc_access(&llc, 0));
	assert_true(llc_access(&llc, 0));
	assert_false(llc_access(&llc, 4096));
	assert_false(llc_access(&llc, 0));
	llc_free(&llc);
}

static void impossible_shapes_are_refused(void **state)
{
	struct llc llc;

	(void)state;
	assert_int_equal(llc_init(&llc, DEFAULT_BYTES, 0), -EINVAL);
	assert_int_equal(llc_init(&llc, DEFAULT_BYTES, LLC_MAX_WAYS + 1), -EINVAL);
	assert_int_equal(llc_init(&llc, 3u << 20, 16), -EINVAL);
	assert_int_equal(llc_init(&llc, DEFAULT_BYTES + 64, 16), -EINVAL);
	assert_int_equal(llc_init(&llc, 0, 16), -EINVAL);
	assert_int_equal(llc_init(&llc, 1u << 20, 12), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bytes_of_one_line_are_one_line, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_fits_hits_from_the_second_round_on, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(one_line_too_many_in_a_cycle_never_hits, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_full_set_does_not_touch_its_neighbour, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(the_least_recently_used_line_goes_first, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(address_zero_is_an_address, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(tags_tell_distant_addresses_apart, set_up, tear_down),
	    cmocka_unit_test(one_way_is_a_direct_mapped_cache),
	    cmocka_unit_test(impossible_shapes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
