// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../workload/lib/parse.c"

static void bytes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	    {"0", 0},
	    {"4096", 4096},
	    {"0x1000", 4096},
	    {"512KiB", 512 << 10},
	    {"400M", 400ull << 20},
	    {"1600MiB", 1600ull << 20},
	    {"2G", 2ull << 30},
	    {"2GiB", 2ull << 30},
	};
	static const char *const bad[] = {
	    "",    "M",   "1.5G", "-1",    "+1", " 1",           "1 ",
	    "2GB", "2Gi", "2T",   "2GiB ", "0x", "17179869184G", "99999999999999999999"};
	uint64_t bytes = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_bytes(good[i].text, &bytes), 0);
		assert_true(bytes == good[i].bytes);
	}
	bytes = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("\"%s\"\n", bad[i]);
		assert_int_equal(parse_bytes(bad[i], &bytes), -EINVAL);
		assert_int_equal(bytes, 77);
	}
}

static void shares_go_from_0_to_1(void **state)
{
	static const char *const bad[] = {"",    "1.01", "101%", "-0.1", "0.5 ", "0..5",
					  "nan", "1e-1", "%",    ".5",   "90%%"};
	double share = 7;

	(void)state;
	assert_int_equal(parse_share("0.9", &share), 0);
	assert_true(share == 0.9);
	assert_int_equal(parse_share("90%", &share), 0);
	assert_true(share == 0.9);
	assert_int_equal(parse_share("1", &share), 0);
	assert_int_equal(parse_share("0", &share), 0);
	share = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("\"%s\"\n", bad[i]);
		assert_int_equal(parse_share(bad[i], &share), -EINVAL);
		assert_true(share == 7);
	}
}

static void seconds_have_decimals(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(parse_seconds_ns("0.25", &ns), 0);
	assert_int_equal(ns, 250000000);
	assert_int_equal(parse_seconds_ns("20", &ns), 0);
	assert_true(ns == 20000000000);
	assert_int_equal(parse_seconds_ns("20s", &ns), -EINVAL);
	assert_int_equal(parse_seconds_ns("99999999999", &ns), -EINVAL);
	assert_int_equal(parse_u64("12", &ns), 0);
	assert_int_equal(ns, 12);
	assert_int_equal(parse_u64("12K", &ns), -EINVAL);
}

static void decimals_are_plain(void **state)
{
	static const char *const bad[] = {"", "-1", "1e3", "inf", "1.1.1", " 1", "1 ", "0.99x"};
	double value = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("\"%s\"\n", bad[i]);
		assert_int_equal(parse_decimal(bad[i], &value), -EINVAL);
		assert_true(value == 7);
	}
	assert_int_equal(parse_decimal("0.99", &value), 0);
	assert_true(value == 0.99);
	assert_int_equal(parse_decimal("2", &value), 0);
	assert_true(value == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_have_units),
	    cmocka_unit_test(shares_go_from_0_to_1),
	    cmocka_unit_test(seconds_have_decimals),
	    cmocka_unit_test(decimals_are_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
