// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "calibrate.h"

/* One round of one-second looks: @young[level] of @pages[level] pages were young. */
static void round_of(struct ember_calibration *c, const uint32_t pages[EMBER_LEVELS],
		     const uint32_t young[EMBER_LEVELS])
{
	for (unsigned int l = 0; l < EMBER_LEVELS; l++)
		if (pages[l]) {
			ember_calibration_add(c, EMBER_PAGE_BASE, l, pages[l], young[l]);
			ember_calibration_interval(c, pages[l], 1000000);
		}
	ember_calibration_end_round(c);
}

static void test_unknown_is_flat(void **state)
{
	struct ember_calibration c;

	(void)state;
	ember_calibration_init(&c);
	ember_calibration_end_round(&c);
	for (unsigned int l = 1; l < EMBER_LEVELS; l++)
		assert_int_equal(c.worth[EMBER_PAGE_BASE][l], c.worth[EMBER_PAGE_BASE][0]);
}

/* Uniform access: levels spread by noise, the share of young pages is the same at each. */
static void test_noise_is_worth_nothing(void **state)
{
	uint32_t pages[EMBER_LEVELS] = {0}, young[EMBER_LEVELS] = {0};
	struct ember_calibration c;

	(void)state;
	ember_calibration_init(&c);
	for (unsigned int l = 40; l < 60; l++) {
		pages[l] = 10000;
		young[l] = 3000 + (l % 3) * 20;
	}
	for (int i = 0; i < 5; i++)
		round_of(&c, pages, young);
	for (unsigned int l = 0; l < EMBER_LEVELS; l++)
		assert_in_range(c.worth[EMBER_PAGE_BASE][l], EMBER_LEVEL_1HZ - 10,
				EMBER_LEVEL_1HZ - 8); /* -ln(0.7) = 0.36 per second */
}

static void test_true_rates(void **state)
{
	static const struct {
		uint32_t young; /* of 100000 in one second */
		int level;      /* of -ln(1 - share) per second */
	} cases[] = {
	    {100, 54 - 60},   /* 0.001: below the scale's middle */
	    {1000, 54 - 40},  /* 0.01 */
	    {10000, 54 - 19}, /* 0.105 */
	    {63212, 54},      /* 1 */
	    {95021, 54 + 10}, /* 3 */
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		uint32_t pages[EMBER_LEVELS] = {[50] = 100000}, young[EMBER_LEVELS] = {0};
		int expected = cases[i].level < 0 ? 0 : cases[i].level;
		struct ember_calibration c;

		young[50] = cases[i].young;
		ember_calibration_init(&c);
		round_of(&c, pages, young);
		print_message("%u of 100000: level %u, expected %d\n", cases[i].young,
			      c.worth[EMBER_PAGE_BASE][50], expected);
		assert_true(abs(c.worth[EMBER_PAGE_BASE][50] - expected) <= 1);
	}
}

/* Never falling, whatever the input; violators share their common rate. */
static void test_isotonic(void **state)
{
	uint32_t pages[EMBER_LEVELS] = {0}, young[EMBER_LEVELS] = {0};
	struct ember_calibration c;
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 50; round++) {
		ember_calibration_init(&c);
		for (unsigned int l = 0; l < EMBER_LEVELS; l++) {
			seed = seed * 1664525 + 1013904223;
			pages[l] = seed >> 30 ? seed >> 20 : 0;
			young[l] = pages[l] ? (seed & 0xffff) % (pages[l] + 1) : 0;
		}
		round_of(&c, pages, young);
		for (unsigned int l = 1; l < EMBER_LEVELS; l++)
			assert_true(c.worth[EMBER_PAGE_BASE][l] >= c.worth[EMBER_PAGE_BASE][l - 1]);
	}
	ember_calibration_init(&c);
	memset(pages, 0, sizeof(pages));
	memset(young, 0, sizeof(young));
	pages[10] = pages[20] = 1000;
	young[10] = 600; /* hotter than the next one claims to be */
	young[20] = 200;
	round_of(&c, pages, young);
	assert_int_equal(c.worth[EMBER_PAGE_BASE][10], c.worth[EMBER_PAGE_BASE][20]);
}

/* What was true two rounds ago counts a quarter. */
static void test_forgets(void **state)
{
	uint32_t pages[EMBER_LEVELS] = {[50] = 100000}, hot[EMBER_LEVELS] = {[50] = 80000};
	uint32_t cold[EMBER_LEVELS] = {[50] = 1000};
	struct ember_calibration c;
	uint8_t before;

	(void)state;
	ember_calibration_init(&c);
	round_of(&c, pages, hot);
	before = c.worth[EMBER_PAGE_BASE][50];
	for (int i = 0; i < 8; i++)
		round_of(&c, pages, cold);
	assert_true(c.worth[EMBER_PAGE_BASE][50] + 30 < before);
}

static void test_sizes_are_apart(void **state)
{
	struct ember_calibration c;

	(void)state;
	ember_calibration_init(&c);
	ember_calibration_add(&c, EMBER_PAGE_HUGE, 60, 1000, 900);
	ember_calibration_interval(&c, 1000, 1000000);
	ember_calibration_end_round(&c);
	assert_int_equal(c.worth[EMBER_PAGE_BASE][60], 0);
	assert_true(c.worth[EMBER_PAGE_HUGE][60] > EMBER_LEVEL_1HZ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unknown_is_flat), cmocka_unit_test(test_noise_is_worth_nothing),
	    cmocka_unit_test(test_true_rates),      cmocka_unit_test(test_isotonic),
	    cmocka_unit_test(test_forgets),         cmocka_unit_test(test_sizes_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
