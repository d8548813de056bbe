// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../workload/lib/value.c"

#define GUARD 0x5a

static void what_was_filled_is_recognised(void **state)
{
	static const size_t lens[] = {0, 1, 7, 8, 9, 1000, 3961, 4096};
	char buf[4096 + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(buf, GUARD, sizeof(buf));
		value_fill(i, buf, lens[i]);
		assert_true(value_is(i, buf, lens[i]));
		assert_int_equal(buf[lens[i]], GUARD);
	}
}

static void any_wrong_byte_is_noticed(void **state)
{
	char buf[1003];

	(void)state;
	value_fill(77, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++) {
		buf[i] ^= 1;
		assert_false(value_is(77, buf, sizeof(buf)));
		buf[i] ^= 1;
	}
	assert_true(value_is(77, buf, sizeof(buf)));
}

static void the_value_of_another_key_is_noticed(void **state)
{
	char buf[8];

	(void)state;
	for (uint64_t key = 0; key < 1000; key++) {
		value_fill(key, buf, sizeof(buf));
		for (uint64_t other = 0; other < 1000; other++)
			assert_int_equal(value_is(other, buf, sizeof(buf)), other == key);
	}
}

/* A page of one value that lands at another place of the same value. */
static void a_value_does_not_repeat_itself(void **state)
{
	char buf[4096];

	(void)state;
	value_fill(5, buf, sizeof(buf));
	for (size_t at = 8; at < sizeof(buf); at += 8)
		assert_int_not_equal(memcmp(buf, buf + at, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_filled_is_recognised),
	    cmocka_unit_test(any_wrong_byte_is_noticed),
	    cmocka_unit_test(the_value_of_another_key_is_noticed),
	    cmocka_unit_test(a_value_does_not_repeat_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
