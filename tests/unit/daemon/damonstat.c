// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "daemon/damonstat.h"
#include "daemon/policy.h"

#define SECOND 1000000000ULL

static void judged_by_what_was_found(void **state)
{
	static const struct {
		bool present;
		const char *found;
		enum ember_damonstat expected;
	} table[] = {
	    {false, NULL, EMBER_DAMONSTAT_ABSENT},  {false, "Y", EMBER_DAMONSTAT_ABSENT},
	    {true, NULL, EMBER_DAMONSTAT_UNKNOWN},  {true, "", EMBER_DAMONSTAT_UNKNOWN},
	    {true, "Yes", EMBER_DAMONSTAT_UNKNOWN}, {true, "N", EMBER_DAMONSTAT_OFF},
	    {true, "Y", EMBER_DAMONSTAT_STEALS},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum ember_damonstat seen = ember_damonstat_judge(table[i].present, table[i].found);

		print_message("%spresent, found %s: expects %s, sees %s\n",
			      table[i].present ? "" : "not ",
			      table[i].found ? table[i].found : "nothing",
			      ember_damonstat_word(table[i].expected), ember_damonstat_word(seen));
		assert_int_equal(seen, table[i].expected);
	}
}

static void wanted_while_ember_samples(void **state)
{
	static const struct {
		uint32_t mode;
		uint64_t idle_ns;
		bool wanted;
	} table[] = {
	    {EMBER_BORROW_AUTO, 0, true},
	    {EMBER_BORROW_AUTO, 59 * SECOND, true}, /* somebody may come again */
	    {EMBER_BORROW_AUTO, 60 * SECOND, false},
	    {EMBER_BORROW_AUTO, UINT64_MAX, false},
	    {EMBER_BORROW_OFF, 0, true},
	    {EMBER_BORROW_OFF, UINT64_MAX, true},
	    {EMBER_BORROW_LEAVE, 0, false},
	    {EMBER_BORROW_LEAVE, UINT64_MAX, false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		print_message("mode %u, idle for %llu ns: expects %d\n", table[i].mode,
			      (unsigned long long)table[i].idle_ns, table[i].wanted);
		assert_int_equal(ember_damonstat_wanted(table[i].mode, table[i].idle_ns),
				 table[i].wanted);
	}
}

static void every_state_has_words(void **state)
{
	for (unsigned int i = 0; i < EMBER_NR_DAMONSTAT_STATES; i++) {
		assert_true(strlen(ember_damonstat_word(i)) > 0);
		assert_true(strlen(ember_damonstat_sentence(i)) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judged_by_what_was_found),
	    cmocka_unit_test(wanted_while_ember_samples),
	    cmocka_unit_test(every_state_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
