// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/copies.h"

#define QUIET EMBER_COPIES_QUIET
#define NO_CHANNEL EMBER_COPIES_NO_CHANNEL
#define CHANNELS EMBER_COPIES_CHANNELS

/* One life of a daemon, look by look. */
static const struct {
	const char *what;
	bool wanted;
	uint32_t channels;
	enum ember_copies_notice notice;
} looks[] = {
    {"nobody wants an engine", false, 0, QUIET},
    {"wanted, none", true, 0, NO_CHANNEL},
    {"said once", true, 0, QUIET},
    {"one comes", true, 1, CHANNELS},
    {"another comes", true, 2, QUIET},
    {"all go", true, 0, NO_CHANNEL},
    {"no longer wanted", false, 0, QUIET},
    {"comes unwanted", false, 1, QUIET},
    {"wanted, and there", true, 1, QUIET},
    {"goes unwanted", false, 0, QUIET},
    {"wanted again: a new policy", true, 0, NO_CHANNEL},
    {"not wanted when it comes", false, 2, QUIET},
    {"wanted, and there all along", true, 2, QUIET},
};

static void each_change_is_said_once(void **state)
{
	bool missing = false;

	(void)state;
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		enum ember_copies_notice notice =
		    ember_copies_notice(looks[i].wanted, looks[i].channels, &missing);

		print_message("%s: expects %d, sees %d\n", looks[i].what, looks[i].notice, notice);
		assert_int_equal(notice, looks[i].notice);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_change_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
