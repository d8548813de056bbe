// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../workload/lib/zipf.c"

#define NR_DRAWS 1000000

/* The sum of 1 / (k + 1)^exponent over the ranks [start, end), smallest first. */
static double weight(uint64_t start, uint64_t end, double exponent)
{
	double sum = 0;

	for (uint64_t rank = end; rank > start; rank--)
		sum += pow(rank, -exponent);
	return sum;
}

/* Ranks [start, end) must come as often as they should, give or take 5 sigma. */
static void assert_share(const uint64_t *counts, const struct zipf *zipf, uint64_t start,
			 uint64_t end)
{
	double p = weight(start, end, zipf->exponent) / weight(0, zipf->nr, zipf->exponent);
	double expected = p * NR_DRAWS, margin = 5 * sqrt(expected * (1 - p)) + 1;
	uint64_t seen = 0;

	for (uint64_t rank = start; rank < end; rank++)
		seen += counts[rank];
	print_message("s %.2f, %7llu ranks, [%llu, %llu): expected %.0f within %.0f, saw %llu\n",
		      zipf->exponent, (unsigned long long)zipf->nr, (unsigned long long)start,
		      (unsigned long long)end, expected, margin, (unsigned long long)seen);
	assert_true(fabs(seen - expected) <= margin);
}

static uint64_t *draw(struct zipf *zipf, uint64_t nr, double exponent)
{
	uint64_t *counts = calloc(nr, sizeof(*counts));
	uint64_t random = 42;

	assert_non_null(counts);
	assert_int_equal(zipf_init(zipf, nr, exponent), 0);
	for (int i = 0; i < NR_DRAWS; i++) {
		uint64_t rank = zipf_next(zipf, &random);

		assert_true(rank < nr);
		counts[rank]++;
	}
	return counts;
}

static const double exponents[] = {0.2, 0.5, 0.99, 1, 1 + 1e-9, 1.1, 2, 5};

#define NR_EXPONENTS (sizeof(exponents) / sizeof(exponents[0]))

static void each_rank_has_its_exact_probability(void **state)
{
	static const uint64_t sizes[] = {1, 2, 3, 10};
	struct zipf zipf;

	(void)state;
	for (size_t i = 0; i < NR_EXPONENTS; i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			uint64_t *counts = draw(&zipf, sizes[j], exponents[i]);

			for (uint64_t rank = 0; rank < sizes[j]; rank++)
				assert_share(counts, &zipf, rank, rank + 1);
			free(counts);
		}
	}
}

/* The demo's order of magnitude; ranks in classes that double, so that each has some draws. */
static void the_tail_of_many_ranks_is_right(void **state)
{
	uint64_t nr = 200003;
	struct zipf zipf;

	(void)state;
	for (size_t i = 0; i < NR_EXPONENTS; i++) {
		uint64_t *counts = draw(&zipf, nr, exponents[i]);

		for (uint64_t start = 0; start < nr; start = 2 * start + 1) {
			uint64_t end = 2 * start + 1;

			assert_share(counts, &zipf, start, end < nr ? end : nr);
		}
		free(counts);
	}
}

static void the_same_state_gives_the_same_ranks(void **state)
{
	uint64_t a = 7, b = 7;
	struct zipf zipf;

	(void)state;
	assert_int_equal(zipf_init(&zipf, 1000, 0.99), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(zipf_next(&zipf, &a), zipf_next(&zipf, &b));
}

static void the_ends_of_the_random_numbers_are_ranks(void **state)
{
	struct zipf zipf;

	(void)state;
	for (size_t i = 0; i < NR_EXPONENTS; i++) {
		assert_int_equal(zipf_init(&zipf, 1ull << 40, exponents[i]), 0);
		assert_true(area_inverse(&zipf, zipf.area_first) >= 0.5);
		assert_true(isfinite(area_inverse(&zipf, zipf.area_first)));
		assert_false(isnan(area_inverse(&zipf, zipf.area_end)));
	}
}

static void impossible_distributions_are_refused(void **state)
{
	struct zipf zipf;

	(void)state;
	assert_int_equal(zipf_init(&zipf, 0, 1), -EINVAL);
	assert_int_equal(zipf_init(&zipf, (1ull << 52) + 1, 1), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, 0), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, -1), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, 10.5), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, NAN), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_rank_has_its_exact_probability),
	    cmocka_unit_test(the_tail_of_many_ranks_is_right),
	    cmocka_unit_test(the_same_state_gives_the_same_ranks),
	    cmocka_unit_test(the_ends_of_the_random_numbers_are_ranks),
	    cmocka_unit_test(impossible_distributions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
