// SPDX-License-Identifier: GPL-2.0-or-later
/* The integer tables against the formulae in floating point. */
#include "check.h"

#include <math.h>

#include "gain.h"

static void test_levels_and_intervals(void **state)
{
	(void)state;
	for (unsigned int l = 0; l < EMBER_LEVELS; l++) {
		double expected = 1e9 * exp2(9 - l / 6.0), saw = ember_level_interval_ns(l);

		assert_true(fabs(saw / expected - 1) < 1e-4);
		assert_int_equal(ember_level_of_interval(ember_level_interval_ns(l)), l);
	}
	assert_int_equal(ember_level_of_interval(0), EMBER_LEVELS - 1);
	assert_int_equal(ember_level_of_interval(UINT64_MAX), 0);
	assert_int_equal(ember_level_of_interval(1000000000), EMBER_LEVEL_1HZ);
}

static void test_log2(void **state)
{
	double worst = 0;

	(void)state;
	for (uint64_t v = 1; v < UINT64_MAX / 3; v += v / 7 + 1) {
		double diff = fabs(ember_log2_q8(v) - log2(v) * 256);

		worst = diff > worst ? diff : worst;
	}
	print_message("log2: off by at most %.2f/256\n", worst);
	assert_true(worst <= 1.01);
}

static void test_steps(void **state)
{
	double worst = 0;

	(void)state;
	for (unsigned int n = 0; n < EMBER_NR_GAINS; n++)
		for (int lx = -60; lx <= 60; lx++) {
			double x = exp2(lx / 6.0), k = 2.0 / (n + 1);
			double up = 6 * 256 * log2(1 + k * x / expm1(x));
			double down = -6 * 256 * log2(1 + k * x);
			const struct ember_gain *young = &ember_gains[n][1][lx - EMBER_X_MIN];
			const struct ember_gain *dark = &ember_gains[n][0][lx - EMBER_X_MIN];
			double diff = fmax(fabs(up - young->step), fabs(down - dark->step));

			worst = diff > worst ? diff : worst;
			assert_int_equal(young->surprise, x < exp2(-5.0) * 0.999);
			assert_int_equal(dark->surprise, lx > EMBER_X_SURE);
		}
	print_message("steps: off by at most %.2f/256 of a level\n", worst);
	assert_true(worst < 13); /* a twentieth of a level */
}

/* In the long run a level stays where young and dark looks balance: at the true rate. */
static void test_unbiased_at_the_true_rate(void **state)
{
	(void)state;
	for (int lx = -18; lx <= 9; lx++) {
		double x = exp2(lx / 6.0), p = -expm1(-x);
		unsigned int n = EMBER_NR_GAINS - 1;
		double drift = p * ember_gains[n][1][lx - EMBER_X_MIN].step +
			       (1 - p) * ember_gains[n][0][lx - EMBER_X_MIN].step;

		assert_true(fabs(drift) < 10); /* 1/256 of a level per look */
	}
}

static void test_information(void **state)
{
	(void)state;
	for (int lx = -30; lx <= 18; lx++) {
		double x = exp2(lx / 6.0), expected = 16 * 256 * x * x / expm1(x);

		assert_true(fabs(ember_gain_info_q8(lx) - expected) < 20 + expected / 50);
	}
	assert_int_equal(ember_gain_info_q8(60), 0);
}

static void test_offsets_stay_in_the_tables(void **state)
{
	static const uint64_t intervals[] = {0, 1, 1000, 1000000000, UINT64_MAX / 2, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < NR(intervals); i++) {
		int offset = ember_gain_offset(intervals[i]);

		assert_true(offset >= EMBER_X_MIN);
		assert_true(offset + EMBER_LEVELS - 1 <= EMBER_X_MAX);
	}
	/* a page touched once per second, watched for one second */
	assert_int_equal(ember_gain_offset(1000000000) + EMBER_LEVEL_1HZ, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels_and_intervals),
	    cmocka_unit_test(test_log2),
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_unbiased_at_the_true_rate),
	    cmocka_unit_test(test_information),
	    cmocka_unit_test(test_offsets_stay_in_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
