// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../workload/lib/choice.c"

#define NR_PAGES 8192 /* 16 blocks */
#define NR_HOT 2048

static struct choice make(enum choice_layout layout, uint64_t seed)
{
	struct choice choice = {0};

	assert_int_equal(choice_init(&choice, NR_PAGES, NR_HOT, 0.9, 0.25, layout, seed), 0);
	return choice;
}

/* Which pages are hot when the hot set begins at hot_first. */
static void mark_hot(const struct choice *choice, uint64_t hot_first, uint8_t *hot)
{
	memset(hot, 0, choice->nr_pages);
	for (uint64_t i = 0; i < choice->nr_hot; i++)
		hot[choice_page_of_rank(choice, (hot_first + i) % choice->nr_pages)]++;
}

static void assert_bijection(enum choice_layout layout, uint64_t nr_pages, uint64_t seed)
{
	uint8_t *seen = calloc(nr_pages, 1);
	struct choice choice = {0};

	assert_int_equal(choice_init(&choice, nr_pages, 1, 0, 0, layout, seed), 0);
	for (uint64_t rank = 0; rank < nr_pages; rank++) {
		uint64_t page = choice_page_of_rank(&choice, rank);

		assert_true(page < nr_pages);
		assert_int_equal(seen[page]++, 0);
	}
	free(seen);
}

static void each_page_has_one_rank(void **state)
{
	static const uint64_t sizes[] = {1, 2, 3, 5, 512, 1000, 4096, 4097, 65521, 409600};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (uint64_t seed = 0; seed < 5; seed++)
			assert_bijection(CHOICE_SCATTERED, sizes[i], seed);
	assert_bijection(CHOICE_BLOCKS, 512, 1);
	assert_bijection(CHOICE_BLOCKS, 800 * 512, 1);
	assert_bijection(CHOICE_CONTIGUOUS, 1000, 1);
}

/* In each eighth of the area about an eighth of the hot pages: 256, give or take 5 sigma. */
static void scattered_hot_pages_lie_everywhere(void **state)
{
	struct choice choice = make(CHOICE_SCATTERED, 1);
	static uint8_t hot[NR_PAGES];

	(void)state;
	mark_hot(&choice, 0, hot);
	for (int eighth = 0; eighth < 8; eighth++) {
		int nr = 0;

		for (int i = 0; i < NR_PAGES / 8; i++)
			nr += hot[eighth * NR_PAGES / 8 + i];
		print_message("eighth %d: %d hot pages, expected 256 within 70\n", eighth, nr);
		assert_in_range(nr, 186, 326);
	}
}

static void blocks_are_hot_or_cold_as_a_whole(void **state)
{
	struct choice choice = make(CHOICE_BLOCKS, 1);
	static uint8_t hot[NR_PAGES];
	int nr_hot_blocks = 0;

	(void)state;
	mark_hot(&choice, 0, hot);
	for (int block = 0; block < NR_PAGES / 512; block++) {
		for (int i = 1; i < 512; i++)
			assert_int_equal(hot[block * 512 + i], hot[block * 512]);
		nr_hot_blocks += hot[block * 512];
	}
	assert_int_equal(nr_hot_blocks, NR_HOT / 512);
}

static void contiguous_pages_are_their_ranks(void **state)
{
	struct choice choice = make(CHOICE_CONTIGUOUS, 1);

	(void)state;
	for (uint64_t rank = 0; rank < NR_PAGES; rank++)
		assert_int_equal(choice_page_of_rank(&choice, rank), rank);
}

/* 0.9 and a quarter of the rest (the hot set is a quarter of all): 0.925. */
static void hot_pages_get_their_share(void **state)
{
	struct choice choice = make(CHOICE_SCATTERED, 1);
	static uint8_t hot[NR_PAGES];
	uint64_t random = 42, nr_hot = 0, nr_writes = 0, nr = 1000000;

	(void)state;
	mark_hot(&choice, 5000, hot);
	for (uint64_t i = 0; i < nr; i++) {
		struct choice_access access = choice_next(&choice, 5000, &random);

		assert_true(access.page < NR_PAGES && access.line < 64);
		nr_hot += hot[access.page];
		nr_writes += access.write;
	}
	print_message("hot: expected 925000 within 1500, saw %llu\n", (unsigned long long)nr_hot);
	print_message("stores: expected 250000 within 2500, saw %llu\n",
		      (unsigned long long)nr_writes);
	assert_in_range(nr_hot, 923500, 926500);
	assert_in_range(nr_writes, 247500, 252500);
}

/*
 * A quarter hot (0.6), half warm (0.3), of the rest 0.1 each their part; the warm set wraps around
 * the end of the ranks.
 */
static void warm_pages_get_their_share(void **state)
{
	struct choice choice = {0};
	static uint8_t kind[NR_PAGES];
	uint64_t random = 42, nr_of[3] = {0}, first = 5000;

	(void)state;
	assert_int_equal(choice_init(&choice, NR_PAGES, NR_HOT, 0.6, 0, CHOICE_SCATTERED, 1), 0);
	assert_int_equal(choice_set_warm(&choice, 4096, 0.3), 0);
	for (uint64_t i = 0; i < NR_HOT + 4096; i++)
		kind[choice_page_of_rank(&choice, (first + i) % NR_PAGES)] = i < NR_HOT ? 1 : 2;
	for (uint64_t i = 0; i < 1000000; i++)
		nr_of[kind[choice_next(&choice, first, &random).page]]++;
	for (int i = 0; i < 3; i++)
		print_message("kind %d: %llu\n", i, (unsigned long long)nr_of[i]);
	assert_in_range(nr_of[1], 622500, 627500);
	assert_in_range(nr_of[2], 347500, 352500);
	assert_in_range(nr_of[0], 24000, 26000);
}

static void impossible_warm_sets_are_refused(void **state)
{
	struct choice c = make(CHOICE_SCATTERED, 1);

	(void)state;
	assert_int_equal(choice_set_warm(&c, NR_PAGES - NR_HOT + 1, 0.1), -EINVAL);
	assert_int_equal(choice_set_warm(&c, 10, 0.2), -EINVAL);
	assert_int_equal(choice_set_warm(&c, 0, 0.1), -EINVAL);
	assert_int_equal(choice_set_warm(&c, 10, -0.1), -EINVAL);
	assert_int_equal(choice_set_warm(&c, NR_PAGES - NR_HOT, 0.09), 0);
	assert_int_equal(choice_set_warm(&c, 0, 0), 0);
}

static void all_pages_and_lines_are_reached(void **state)
{
	struct choice choice = make(CHOICE_SCATTERED, 1);
	static uint32_t pages[NR_PAGES], lines[64];
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 100 * NR_PAGES; i++) {
		struct choice_access access = choice_next(&choice, 0, &random);

		pages[access.page]++;
		lines[access.line]++;
	}
	/* A cold page gets 10 of these on average, a line 12800. */
	for (int i = 0, nr_missed = 0; i < NR_PAGES; i++) {
		nr_missed += pages[i] == 0;
		assert_true(nr_missed < 8);
	}
	for (int i = 0; i < 64; i++)
		assert_in_range(lines[i], 12000, 13600);
}

static void shares_of_all_and_nothing_are_exact(void **state)
{
	struct choice choice = {0};
	static uint8_t hot[NR_PAGES];
	uint64_t random = 7;

	(void)state;
	assert_int_equal(choice_init(&choice, NR_PAGES, NR_HOT, 1, 1, CHOICE_SCATTERED, 1), 0);
	mark_hot(&choice, 0, hot);
	for (int i = 0; i < 100000; i++) {
		struct choice_access access = choice_next(&choice, 0, &random);

		assert_true(hot[access.page] && access.write);
	}
	assert_int_equal(choice_init(&choice, NR_PAGES, NR_HOT, 0, 0, CHOICE_SCATTERED, 1), 0);
	for (int i = 0; i < 100000; i++)
		assert_false(choice_next(&choice, 0, &random).write);
}

static void a_shift_leaves_no_page_hot(void **state)
{
	struct choice choice = make(CHOICE_SCATTERED, 3);
	static uint8_t old[NR_PAGES], new[NR_PAGES];
	uint64_t hot_first = 7000; /* the window wraps around */

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint64_t next = choice_shift(&choice, hot_first);

		mark_hot(&choice, hot_first, old);
		mark_hot(&choice, next, new);
		for (int page = 0; page < NR_PAGES; page++)
			assert_false(old[page] && new[page]);
		hot_first = next;
	}
}

static void the_same_seed_gives_the_same_accesses(void **state)
{
	struct choice a = make(CHOICE_SCATTERED, 5), b = make(CHOICE_SCATTERED, 5);
	struct choice other = make(CHOICE_SCATTERED, 6);
	uint64_t random_a = 9, random_b = 9, random_other = 9;
	int nr_different = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct choice_access x = choice_next(&a, 0, &random_a);
		struct choice_access y = choice_next(&b, 0, &random_b);
		struct choice_access z = choice_next(&other, 0, &random_other);

		assert_int_equal(x.page, y.page);
		assert_int_equal(x.line, y.line);
		nr_different += x.page != z.page;
	}
	assert_true(nr_different > 900);
}

static void impossible_choices_are_refused(void **state)
{
	struct choice c = {0};

	(void)state;
	assert_int_equal(choice_init(&c, 0, 0, 0.5, 0, CHOICE_SCATTERED, 1), -EINVAL);
	assert_int_equal(choice_init(&c, 10, 0, 0.5, 0, CHOICE_SCATTERED, 1), -EINVAL);
	assert_int_equal(choice_init(&c, 10, 11, 0.5, 0, CHOICE_SCATTERED, 1), -EINVAL);
	assert_int_equal(choice_init(&c, 10, 5, 1.1, 0, CHOICE_SCATTERED, 1), -EINVAL);
	assert_int_equal(choice_init(&c, 10, 5, 0.5, -0.1, CHOICE_SCATTERED, 1), -EINVAL);
	assert_int_equal(choice_init(&c, 513, 5, 0.5, 0, CHOICE_BLOCKS, 1), -EINVAL);
	assert_int_equal(choice_init(&c, 1ull << 32, 5, 0.5, 0, CHOICE_SCATTERED, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_page_has_one_rank),
	    cmocka_unit_test(scattered_hot_pages_lie_everywhere),
	    cmocka_unit_test(blocks_are_hot_or_cold_as_a_whole),
	    cmocka_unit_test(contiguous_pages_are_their_ranks),
	    cmocka_unit_test(hot_pages_get_their_share),
	    cmocka_unit_test(warm_pages_get_their_share),
	    cmocka_unit_test(impossible_warm_sets_are_refused),
	    cmocka_unit_test(all_pages_and_lines_are_reached),
	    cmocka_unit_test(shares_of_all_and_nothing_are_exact),
	    cmocka_unit_test(a_shift_leaves_no_page_hot),
	    cmocka_unit_test(the_same_seed_gives_the_same_accesses),
	    cmocka_unit_test(impossible_choices_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
