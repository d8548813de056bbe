// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "account.h"
#include "records.h"

#define MSEC 1000000ULL

/* A process with two regions on node 1, and a move of pages 0, 5, 9 and page 100 of the next. */
static struct ember_regions rs;
static struct ember_cooldown cooldown;
static struct ember_account account;
static struct ember_move_region parts[2];
static struct ember_move move;

static int setup(void **state)
{
	uint64_t addrs[2] = {0, EMBER_REGION_BYTES};

	(void)state;
	ember_regions_init(&rs);
	ember_account_init(&account);
	if (ember_cooldown_init(&cooldown, 64) < 0 || ember_regions_insert(&rs, addrs, 2) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		struct ember_region_rec rec = make_record(addrs[i]);

		memset(rec.mem[0], 0xff, sizeof(rec.mem[0]));
		ember_region_set_record(&rs, &rs.regions[i], &rec);
	}
	memset(parts, 0, sizeof(parts));
	parts[0].nr_pages = 3;
	set_bit(parts[0].pages, 0);
	set_bit(parts[0].pages, 5);
	set_bit(parts[0].pages, 9);
	parts[1].addr = EMBER_REGION_BYTES;
	parts[1].nr_pages = 1;
	set_bit(parts[1].pages, 100);
	move = (struct ember_move){.id = {.tgid = 1},
				   .nr_regions = 2,
				   .nr_pages = 4,
				   .dest = 0,
				   .direction = EMBER_PROMOTE,
				   .mover = EMBER_MOVER_MOVE_PAGES};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ember_regions_clear(&rs);
	ember_cooldown_destroy(&cooldown);
	return 0;
}

static void test_in_flight(void **state)
{
	struct ember_fate_run run = {EMBER_FATE_MOVED, 4};

	(void)state;
	ember_account_submitted(&account, &rs, &move, parts);
	assert_int_equal(account.inflight_bytes[0], 4 * 4096);
	assert_int_equal(rs.regions[0].nr_inflight, 1);
	assert_int_equal(rs.regions[1].nr_inflight, 1);
	assert_int_equal(ember_account_result(&account, &rs, &cooldown, &move, parts, &run, 1, 0),
			 4);
	assert_int_equal(account.inflight_bytes[0], 0);
	assert_int_equal(rs.regions[0].nr_inflight, 0);
	assert_int_equal(account.nr_moves_submitted, 1);
	assert_int_equal(account.nr_moves_done, 1);
}

/* Only what the mover says has moved is where it should be. */
static void test_page_by_page(void **state)
{
	struct ember_fate_run runs[] = {{EMBER_FATE_MOVED, 1},
					{EMBER_FATE_PINNED, 1},
					{EMBER_FATE_ALREADY, 1},
					{EMBER_FATE_BUSY, 1}};
	struct ember_book *book = &account.books[EMBER_PROMOTE][EMBER_MOVER_MOVE_PAGES];
	struct ember_book sum;

	(void)state;
	ember_account_submitted(&account, &rs, &move, parts);
	assert_int_equal(ember_account_result(&account, &rs, &cooldown, &move, parts, runs, 4, 0),
			 1);
	assert_int_equal(ember_region_page_mem(&rs.regions[0], 0), 0);
	assert_int_equal(ember_region_page_mem(&rs.regions[0], 5), 1);
	assert_int_equal(ember_region_page_mem(&rs.regions[0], 9), 0);
	assert_int_equal(ember_region_page_mem(&rs.regions[0], 1), 1);
	assert_int_equal(ember_region_page_mem(&rs.regions[1], 100), 1);
	assert_int_equal(book->tried, 4);
	assert_int_equal(book->outcome[EMBER_FATE_MOVED], 1);
	assert_int_equal(book->outcome[EMBER_FATE_PINNED], 1);
	assert_int_equal(book->outcome[EMBER_FATE_ALREADY], 1);
	assert_int_equal(book->outcome[EMBER_FATE_BUSY], 1);
	ember_account_sum(&account, EMBER_PROMOTE, &sum);
	assert_memory_equal(&sum, book, sizeof(sum));
	ember_account_sum(&account, EMBER_DEMOTE, &sum);
	assert_int_equal(sum.tried, 0);
}

/* To and fro between two sockets: the second move sideways holds the page back for longer. */
static void test_sideways_moves_are_told_apart(void **state)
{
	struct ember_fate_run run = {EMBER_FATE_MOVED, 4};

	(void)state;
	for (unsigned int why = 0; why < EMBER_NR_WHY; why++) {
		struct ember_move m = move;

		ember_cooldown_destroy(&cooldown);
		ember_cooldown_init(&cooldown, 64);
		m.why = why;
		for (unsigned int i = 0; i < 2; i++)
			ember_account_result(&account, &rs, &cooldown, &m, parts, &run, 1,
					     i * 5000 * MSEC);
		assert_int_equal(ember_cooldown_look(&cooldown, &m.id, 5 * 4096,
						     EMBER_COOL_SIDEWAYS, 10000 * MSEC),
				 why == EMBER_WHY_NEARER ? EMBER_COOL_MOVED : EMBER_COOL_FREE);
	}
}

/* Shared pages, by whichever mover: each move in one direction holds them back for longer. */
static void test_shared_moves_are_told_apart(void **state)
{
	static const bool shared[EMBER_NR_MOVERS] = {
	    [EMBER_MOVER_MODULE_SHARED] = true, [EMBER_MOVER_MOVE_SHARED] = true};
	struct ember_fate_run run = {EMBER_FATE_MOVED, 4};

	(void)state;
	for (unsigned int mover = 0; mover < EMBER_NR_MOVERS; mover++) {
		struct ember_move m = move;

		ember_cooldown_destroy(&cooldown);
		ember_cooldown_init(&cooldown, 64);
		m.mover = mover;
		for (unsigned int i = 0; i < 2; i++)
			ember_account_result(&account, &rs, &cooldown, &m, parts, &run, 1,
					     i * 5000 * MSEC);
		assert_int_equal(
		    ember_cooldown_look(&cooldown, &m.id, 5 * 4096, EMBER_COOL_UP, 12000 * MSEC),
		    shared[mover] ? EMBER_COOL_AGAIN : EMBER_COOL_FREE);
	}
}

/* What the planner is told about each page, by fate: may it go up, may it go down, and later? */
static void test_feedback(void **state)
{
	static const struct {
		enum ember_fate fate;
		enum ember_cooldown_state up, down, up_after_5s;
	} cases[] = {
	    {EMBER_FATE_MOVED, EMBER_COOL_AGAIN, EMBER_COOL_MOVED, EMBER_COOL_FREE},
	    {EMBER_FATE_PINNED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED},
	    {EMBER_FATE_SHARED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED},
	    {EMBER_FATE_KIND, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED},
	    {EMBER_FATE_DENIED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED},
	    {EMBER_FATE_BUSY, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_FREE},
	    {EMBER_FATE_UNSPLIT, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_FREE},
	    {EMBER_FATE_UNSPLITTABLE, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED},
	    {EMBER_FATE_FAILED, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_FREE},
	    {EMBER_FATE_ALREADY, EMBER_COOL_FREE, EMBER_COOL_FREE, EMBER_COOL_FREE},
	    {EMBER_FATE_NOT_PRESENT, EMBER_COOL_FREE, EMBER_COOL_FREE, EMBER_COOL_FREE},
	    {EMBER_FATE_NO_MEMORY, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_FREE},
	    {EMBER_FATE_NO_DEST, EMBER_COOL_REFUSED, EMBER_COOL_REFUSED, EMBER_COOL_FREE},
	    {EMBER_FATE_GONE, EMBER_COOL_FREE, EMBER_COOL_FREE, EMBER_COOL_FREE},
	    {EMBER_FATE_UNKNOWN, EMBER_COOL_FREE, EMBER_COOL_FREE, EMBER_COOL_FREE},
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_fate_run run = {cases[i].fate, 4};

		ember_cooldown_destroy(&cooldown);
		ember_cooldown_init(&cooldown, 64);
		ember_account_result(&account, &rs, &cooldown, &move, parts, &run, 1, 0);
		print_message("%s: %s\n", ember_fate_word(cases[i].fate),
			      ember_fate_sentence(cases[i].fate));
		assert_int_equal(
		    ember_cooldown_look(&cooldown, &move.id, 5 * 4096, EMBER_COOL_UP, 0),
		    cases[i].up);
		assert_int_equal(
		    ember_cooldown_look(&cooldown, &move.id, 5 * 4096, EMBER_COOL_DOWN, 0),
		    cases[i].down);
		assert_int_equal(
		    ember_cooldown_look(&cooldown, &move.id, 5 * 4096, EMBER_COOL_UP, 5000 * MSEC),
		    cases[i].up_after_5s);
	}
}

/* Too few runs, too many, none: every page has one fate and the books add up. */
static void test_short_and_long_results(void **state)
{
	struct ember_book *book = &account.books[EMBER_PROMOTE][EMBER_MOVER_MOVE_PAGES];
	struct ember_fate_run short_run = {EMBER_FATE_MOVED, 2};
	struct ember_fate_run long_runs[] = {{EMBER_FATE_MOVED, 0}, {EMBER_FATE_MOVED, 1000}};
	struct ember_fate_run odd = {12345, 4};
	uint64_t sum = 0;

	(void)state;
	ember_account_result(&account, &rs, &cooldown, &move, parts, &short_run, 1, 0);
	assert_int_equal(book->outcome[EMBER_FATE_MOVED], 2);
	assert_int_equal(book->outcome[EMBER_FATE_UNKNOWN], 2);
	ember_account_result(&account, &rs, &cooldown, &move, parts, long_runs, 2, 0);
	assert_int_equal(book->outcome[EMBER_FATE_MOVED], 6);
	ember_account_result(&account, &rs, &cooldown, &move, parts, NULL, 0, 0);
	assert_int_equal(book->outcome[EMBER_FATE_UNKNOWN], 6);
	ember_account_result(&account, &rs, &cooldown, &move, parts, &odd, 1, 0);
	assert_int_equal(book->outcome[EMBER_FATE_FAILED], 4);
	for (int o = 0; o < EMBER_NR_FATES; o++)
		sum += book->outcome[o];
	assert_int_equal(sum, book->tried);
	assert_int_equal(book->tried, 16);
}

/* Denied as a whole: the books tell of each page, the table of none. In part: of those. */
static void test_denied_as_a_whole_fills_no_table(void **state)
{
	const struct ember_fate_run all = {EMBER_FATE_DENIED, 64};
	const struct ember_fate_run most[] = {{EMBER_FATE_DENIED, 63}, {EMBER_FATE_RACED, 1}};
	struct ember_move m = move;
	struct ember_move_region region = {.nr_pages = 64};

	(void)state;
	region.pages[0] = ~0ULL;
	m.nr_regions = 1;
	m.nr_pages = 64;
	assert_true(ember_account_is_denied(&m, &all, 1));
	ember_account_result(&account, &rs, &cooldown, &m, &region, &all, 1, 0);
	assert_int_equal(account.books[m.direction][m.mover].outcome[EMBER_FATE_DENIED], 64);
	for (uint64_t page = 0; page < 64; page++)
		assert_int_equal(
		    ember_cooldown_look(&cooldown, &m.id, page * 4096, EMBER_COOL_UP, 0),
		    EMBER_COOL_FREE);
	assert_false(ember_account_is_denied(&m, most, 2));
	assert_false(ember_account_is_denied(&m, NULL, 0));
	ember_account_result(&account, &rs, &cooldown, &m, &region, most, 2, 0);
	assert_int_equal(ember_cooldown_look(&cooldown, &m.id, 62 * 4096ULL, EMBER_COOL_UP, 0),
			 EMBER_COOL_REFUSED);
	m.nr_pages = 63; /* too few to tell */
	assert_false(ember_account_is_denied(&m, &all, 1));
}

static uint32_t nr_cooling(uint32_t nr_pages)
{
	uint32_t n = 0;

	for (uint64_t page = 0; page < nr_pages; page++)
		n += ember_cooldown_look(&cooldown, &move.id, page * 4096, EMBER_COOL_UP, 0) ==
		     EMBER_COOL_REFUSED;
	return n;
}

/* One entry for each huge page that stays whole, at the address that the planner asks for. */
static void test_whole_huge_pages_take_one_entry(void **state)
{
	static const enum ember_fate fates[] = {EMBER_FATE_UNSPLIT, EMBER_FATE_UNSPLITTABLE};
	struct ember_move_region region = {.nr_pages = 511, .order = EMBER_ORDER_PMD};
	struct ember_move m = move;

	(void)state;
	memset(region.pages, 0xff, sizeof(region.pages));
	region.pages[0] &= ~1ULL; /* the first is not there */
	m.nr_regions = 1;
	m.nr_pages = 511;
	for (size_t i = 0; i < NR(fates); i++) {
		const struct ember_fate_run run = {fates[i], 511};

		for (int order = 0; order < 2; order++) {
			ember_cooldown_destroy(&cooldown);
			ember_cooldown_init(&cooldown, 4096);
			region.order = order ? EMBER_ORDER_PMD : EMBER_ORDER_MTHP;
			ember_account_result(&account, &rs, &cooldown, &m, &region, &run, 1, 0);
			assert_int_equal(nr_cooling(512), order ? 1 : 511);
			assert_int_equal(nr_cooling(1), order);
		}
	}
	assert_int_equal(account.books[m.direction][m.mover].outcome[EMBER_FATE_UNSPLIT], 2 * 511);
}

/* 16 GiB of them, again and again, drive nobody else's entry out, and the wait grows. */
static void test_whole_huge_pages_leave_the_table_to_others(void **state)
{
	const struct ember_fate_run run = {EMBER_FATE_UNSPLIT, 512};
	struct ember_move_region region = {.nr_pages = 512, .order = EMBER_ORDER_PMD};
	struct ember_move m = move;

	(void)state;
	ember_cooldown_destroy(&cooldown);
	ember_cooldown_init(&cooldown, 1U << 20);
	memset(region.pages, 0xff, sizeof(region.pages));
	m.nr_regions = 1;
	m.nr_pages = 512;
	for (uint64_t round = 0; round < 3; round++)
		for (uint64_t i = 0; i < 8192; i++) {
			region.addr = i * EMBER_REGION_BYTES;
			ember_account_result(&account, NULL, &cooldown, &m, &region, &run, 1,
					     round * 2000 * MSEC);
		}
	assert_int_equal(cooldown.nr_evicted, 0);
	for (uint64_t i = 0; i < 8192; i++)
		assert_int_equal(ember_cooldown_look(&cooldown, &m.id, i * EMBER_REGION_BYTES,
						     EMBER_COOL_UP, 60000 * MSEC),
				 EMBER_COOL_REFUSED);
}

/* The process, or a region of it, went away while its pages were on their way. */
static void test_process_gone(void **state)
{
	struct ember_fate_run run = {EMBER_FATE_GONE, 4};

	(void)state;
	ember_account_submitted(&account, &rs, &move, parts);
	assert_int_equal(ember_account_result(&account, NULL, &cooldown, &move, parts, &run, 1, 0),
			 0);
	assert_int_equal(account.inflight_bytes[0], 0);
	ember_regions_clear(&rs);
	ember_account_submitted(&account, &rs, &move, parts);
	assert_int_equal(ember_account_result(&account, &rs, &cooldown, &move, parts, &run, 1, 0),
			 0);
	assert_int_equal(
	    account.books[EMBER_PROMOTE][EMBER_MOVER_MOVE_PAGES].outcome[EMBER_FATE_GONE], 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_in_flight),
	    TEST(test_page_by_page),
	    TEST(test_feedback),
	    TEST(test_short_and_long_results),
	    TEST(test_process_gone),
	    TEST(test_denied_as_a_whole_fills_no_table),
	    TEST(test_whole_huge_pages_take_one_entry),
	    TEST(test_whole_huge_pages_leave_the_table_to_others),
	    TEST(test_sideways_moves_are_told_apart),
	    TEST(test_shared_moves_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
