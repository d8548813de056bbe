// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tierscope/marker.c"

static char name[8];

static struct marker_scan scan(const char *text)
{
	strcpy(name, "before");
	return marker_scan(text, strlen(text), name, sizeof(name));
}

static void counts_are_no_markers(void **state)
{
	struct marker_scan seen = scan("1.000 1 2 3 4\n2.000 1 2 3 4\n");

	(void)state;
	assert_int_equal(seen.nr_markers, 0);
	assert_int_equal(seen.consumed, 28);
	assert_string_equal(name, "before");
}

static void markers_are_found_between_lines(void **state)
{
	struct marker_scan seen = scan("1.000 1 2 3 4\n#ready\n2.000 1 2 3 4\n#shift\n");

	(void)state;
	assert_int_equal(seen.nr_markers, 2);
	assert_string_equal(name, "#shift");
}

static void half_a_line_is_left_for_later(void **state)
{
	struct marker_scan seen = scan("#ready\n#shi");

	(void)state;
	assert_int_equal(seen.nr_markers, 1);
	assert_int_equal(seen.consumed, 7);
	assert_string_equal(name, "#ready");
	assert_int_equal(scan("#ready").consumed, 0);
	assert_int_equal(scan("").consumed, 0);
}

static void a_name_is_one_word_that_fits(void **state)
{
	(void)state;
	scan("#a b\n");
	assert_string_equal(name, "#a");
	scan("#a\r\n");
	assert_string_equal(name, "#a");
	scan("#longer-than-eight\n");
	assert_string_equal(name, "#longer");
	scan("#\n");
	assert_string_equal(name, "#");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_are_no_markers),
	    cmocka_unit_test(markers_are_found_between_lines),
	    cmocka_unit_test(half_a_line_is_left_for_later),
	    cmocka_unit_test(a_name_is_one_word_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
