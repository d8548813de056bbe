// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../tierscope/pages.c"

static struct pages pages;

static int set_up(void **state)
{
	(void)state;
	return pages_init(&pages);
}

static int tear_down(void **state)
{
	(void)state;
	pages_free(&pages);
	return 0;
}

static void add_times(uint64_t vaddr, int times)
{
	for (int i = 0; i < times; i++)
		pages_add(&pages, vaddr, 2);
}

static void assert_dump(bool reset, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	pages_dump(&pages, file, reset);
	fclose(file);
	assert_string_equal(text, expected);
	free(text);
}

static void pages_are_counted_in_order_of_address(void **state)
{
	(void)state;
	add_times(0x7ffffffff000, 1);
	add_times(0x100000000fff, 2);
	add_times(0x100000001000, 3);
	add_times(0x1000, 4);
	assert_dump(false, "1 4 0 2\n100000000 2 0 2\n100000001 3 0 2\n7ffffffff 1 0 2\n");
}

static void banks_share_a_page_s_misses(void **state)
{
	(void)state;
	add_times(0x5000, 2);
	pages_switch_bank(&pages);
	add_times(0x5000, 1);
	add_times(0x6000, 1);
	pages_switch_bank(&pages);
	add_times(0x5000, 1);
	assert_dump(false, "5 3 1 2\n6 0 1 2\n");
}

static void a_dump_that_resets_begins_anew(void **state)
{
	(void)state;
	add_times(0x5000, 2);
	assert_dump(false, "5 2 0 2\n");
	assert_dump(true, "5 2 0 2\n");
	assert_dump(false, "");
	add_times(0x5000, 1);
	assert_dump(true, "5 1 0 2\n");
}

static void a_page_lies_where_its_last_miss_was_served(void **state)
{
	(void)state;
	pages_add(&pages, 0x5000, 1);
	pages_add(&pages, 0x6000, 1);
	pages_add(&pages, 0x5fff, 0);
	assert_dump(true, "5 2 0 0\n6 1 0 1\n");
	pages_add(&pages, 0x6000, 3);
	assert_dump(false, "6 1 0 3\n");
}

static void kernel_addresses_are_not_counted(void **state)
{
	(void)state;
	add_times(0x800000000000, 1);
	add_times(UINT64_MAX, 1);
	assert_dump(false, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(pages_are_counted_in_order_of_address, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(banks_share_a_page_s_misses, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_dump_that_resets_begins_anew, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_page_lies_where_its_last_miss_was_served, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(kernel_addresses_are_not_counted, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
