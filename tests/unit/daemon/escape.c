// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "daemon/escape.h"

static void names_become_safe(void **state)
{
	static const struct {
		const char *name, *safe;
	} table[] = {
	    {"", ""},
	    {"redis-server", "redis-server"},
	    {"a b", "a b"},
	    {"back\\slash", "back\\\\slash"},
	    {"\033[2Jgone", "\\x1b[2Jgone"},
	    {"line\nbreak\t\r\177", "line\\x0abreak\\x09\\x0d\\x7f"},
	    {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"\xe7\x81\xab", "\xe7\x81\xab"},
	    {"\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5"},
	    /* not UTF-8: a lone byte, a cut sequence, too long forms, a surrogate, beyond the end
	     */
	    {"\xff", "\\xff"},
	    {"\xc3", "\\xc3"},
	    {"\xe7\x81", "\\xe7\\x81"},
	    {"\xe7\x81x", "\\xe7\\x81x"},
	    {"\xc0\xaf", "\\xc0\\xaf"},
	    {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
	    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
	    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	    /* UTF-8, but a control character, a change of direction, no width, a noncharacter */
	    {"\xc2\x9b", "\\xc2\\x9b"},
	    {"\xe2\x80\xaegnp.exe", "\\xe2\\x80\\xaegnp.exe"},
	    {"a\xe2\x80\x8b", "a\\xe2\\x80\\x8b"},
	    {"\xef\xbf\xbf", "\\xef\\xbf\\xbf"},
	    {"\xef\xb7\x90", "\\xef\\xb7\\x90"},
	};
	char safe[EMBER_ESCAPED_SIZE(64)];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ember_escape(table[i].name, 64, safe, sizeof(safe));
		print_message("expects %s, sees %s\n", table[i].safe, safe);
		assert_string_equal(safe, table[i].safe);
	}
}

static void a_field_need_not_end_in_a_nul(void **state)
{
	const char comm[16] = {'1', '2', '3', '4', '5', '6', '7', '8',
			       '9', 'a', 'b', 'c', 'd', 'e', 'f', '\xc3'};
	char safe[EMBER_ESCAPED_SIZE(sizeof(comm))];

	ember_escape(comm, sizeof(comm), safe, sizeof(safe));
	assert_string_equal(safe, "123456789abcdef\\xc3");
}

static void every_byte_fits_its_longest_form(void **state)
{
	char worst[256], safe[EMBER_ESCAPED_SIZE(sizeof(worst))];

	memset(worst, 0xff, sizeof(worst));
	ember_escape(worst, sizeof(worst), safe, sizeof(safe));
	assert_int_equal(strlen(safe), 4 * sizeof(worst));
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
	char safe[8];

	memset(safe, 'z', sizeof(safe));
	ember_escape("abcde\033", 64, safe, sizeof(safe));
	assert_string_equal(safe, "abcde");
	ember_escape("abcde\xe7\x81\xab", 64, safe, sizeof(safe));
	assert_string_equal(safe, "abcde");
	ember_escape("abcdefghi", 64, safe, sizeof(safe));
	assert_string_equal(safe, "abcdefg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_become_safe),
	    cmocka_unit_test(a_field_need_not_end_in_a_nul),
	    cmocka_unit_test(every_byte_fits_its_longest_form),
	    cmocka_unit_test(what_does_not_fit_is_left_out_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
