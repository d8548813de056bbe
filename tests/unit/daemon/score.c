// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "records.h"
#include "score.h"

#define REGION EMBER_REGION_BYTES
#define MSEC 1000000ULL

static struct ember_scan_info info(uint64_t interval_ms, uint32_t flags)
{
	return (struct ember_scan_info){
	    .interval_ns = interval_ms * MSEC, .flags = flags, .prior_level = EMBER_LEVEL_1HZ};
}

static struct ember_score_stats scan(struct ember_regions *rs, const struct ember_scan_info *i,
				     const struct ember_region_rec *recs, size_t nr, bool complete)
{
	struct ember_score_pass pass;

	ember_score_begin(&pass, rs, i);
	assert_int_equal(ember_score_records(&pass, recs, nr), 0);
	ember_score_end(&pass, complete);
	return pass.stats;
}

/* One page in @every of the record is young, from page @first on. */
static struct ember_region_rec young_record(uint64_t addr, unsigned int first, unsigned int every)
{
	struct ember_region_rec rec = make_record(addr);

	for (unsigned int page = first; page < EMBER_REGION_PAGES; page += every) {
		set_bit(rec.young, page);
		rec.nr_young++;
	}
	return rec;
}

/* The first scan tells where pages lie; its bits have been gathering since nobody knows when. */
static void test_first_scan_learns_places_only(void **state)
{
	struct ember_region_rec rec = young_record(0, 0, 2);
	struct ember_scan_info i = info(0, EMBER_SCAN_FULL | EMBER_SCAN_COLD);
	struct ember_regions rs;

	(void)state;
	ember_regions_init(&rs);
	scan(&rs, &i, &rec, 1, true);
	assert_int_equal(rs.nr, 1);
	assert_null(rs.regions[0].heat);
	assert_int_equal(rs.regions[0].level, EMBER_LEVEL_1HZ);
	assert_int_equal(rs.regions[0].info, 0);
	ember_regions_clear(&rs);
}

static void test_separates_young_from_dark(void **state)
{
	struct ember_region_rec rec = young_record(0, 0, 4);
	struct ember_scan_info i = info(500, 0);
	struct ember_regions rs;

	(void)state;
	ember_regions_init(&rs);
	for (int round = 0; round < 10; round++)
		scan(&rs, &i, &rec, 1, true);
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
		uint8_t level = ember_region_page_level(&rs.regions[0], page);

		if (page % 4 == 0)
			assert_true(level > EMBER_LEVEL_1HZ + 6);
		else
			assert_true(level < EMBER_LEVEL_1HZ - 6);
	}
	ember_regions_clear(&rs);
}

/* Levels come near the true rate, whatever the windows: 4 touches per second here. */
static void test_finds_the_rate(void **state)
{
	static const uint64_t windows_ms[] = {50, 100, 200, 400};
	struct ember_regions rs;
	uint64_t rng = 1;
	unsigned int sum = 0;

	(void)state;
	ember_regions_init(&rs);
	for (int round = 0; round < 200; round++) {
		uint64_t ms = windows_ms[round % 4];
		struct ember_scan_info i = info(ms, 0);
		struct ember_region_rec rec = make_record(0);

		for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
			/* 1 - exp(-4 * window), in 1/1000 */
			static const unsigned int young_permille[] = {181, 330, 551, 798};

			rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
			if ((rng >> 33) % 1000 < young_permille[round % 4]) {
				set_bit(rec.young, page);
				rec.nr_young++;
			}
		}
		scan(&rs, &i, &rec, 1, true);
	}
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
		sum += ember_region_page_level(&rs.regions[0], page);
	print_message("mean level %u, true level %d\n", sum / 512, EMBER_LEVEL_1HZ + 12);
	assert_in_range(sum / 512, EMBER_LEVEL_1HZ + 12 - 2, EMBER_LEVEL_1HZ + 12 + 2);
	ember_regions_clear(&rs);
}

/* A region that is not reported by complete scans cools; ten scans made up for at once or one by
 * one. */
static void test_unreported_regions_cool(void **state)
{
	struct ember_region_rec recs[2] = {young_record(0, 0, 2), young_record(REGION, 0, 2)};
	struct ember_scan_info i = info(1000, 0);
	struct ember_regions rs;
	uint8_t before;

	(void)state;
	ember_regions_init(&rs);
	for (int round = 0; round < 5; round++)
		scan(&rs, &i, recs, 2, true);
	before = ember_region_page_level(&rs.regions[1], 0);
	for (int round = 0; round < 60; round++)
		scan(&rs, &i, recs, 1, true);
	assert_int_equal(ember_region_page_level(&rs.regions[1], 0), before);
	ember_score_catch_up(&rs, &rs.regions[1]);
	print_message("level %u, after a minute %u\n", before,
		      ember_region_page_level(&rs.regions[1], 0));
	assert_true(ember_region_page_level(&rs.regions[1], 0) + 12 < before);
	assert_int_equal(rs.regions[1].stamp_ms, rs.clock_ms);
	ember_regions_clear(&rs);
}

/* Scans that fail are no evidence: nothing cools, nothing goes. */
static void test_failed_scans_never_read_as_cold(void **state)
{
	struct ember_region_rec recs[2] = {young_record(0, 0, 2), young_record(REGION, 0, 2)};
	struct ember_scan_info i = info(1000, 0),
			       full = info(1000, EMBER_SCAN_FULL | EMBER_SCAN_COLD);
	struct ember_regions rs;
	uint8_t before;

	(void)state;
	ember_regions_init(&rs);
	for (int round = 0; round < 5; round++)
		scan(&rs, &i, recs, 2, true);
	ember_score_catch_up(&rs, &rs.regions[1]);
	before = ember_region_page_level(&rs.regions[1], 0);
	for (int round = 0; round < 100; round++)
		scan(&rs, &full, recs, 1, false);
	assert_int_equal(rs.nr, 2);
	ember_score_catch_up(&rs, &rs.regions[1]);
	assert_int_equal(ember_region_page_level(&rs.regions[1], 0), before);
	ember_regions_clear(&rs);
}

static void test_unmapped_regions_go(void **state)
{
	struct ember_region_rec recs[3] = {make_record(0), make_record(REGION),
					   make_record(2 * REGION)};
	struct ember_scan_info full = info(1000, EMBER_SCAN_FULL | EMBER_SCAN_COLD);
	struct ember_scan_info plain = info(1000, 0);
	struct ember_regions rs;

	(void)state;
	ember_regions_init(&rs);
	scan(&rs, &full, recs, 3, true);
	assert_int_equal(rs.nr, 3);
	scan(&rs, &plain, recs, 1, true); /* not full: silence means cold */
	assert_int_equal(rs.nr, 3);
	scan(&rs, &full, recs + 1, 2, true);
	assert_int_equal(rs.nr, 2);
	assert_int_equal(rs.regions[0].addr, REGION);
	ember_regions_clear(&rs);
	assert_int_equal(ember_regions_bytes(&rs), 0);
}

static void test_bad_records(void **state)
{
	struct ember_scan_info i = info(1000, EMBER_SCAN_FULL | EMBER_SCAN_COLD);
	struct ember_region_rec recs[7];
	struct ember_score_stats stats;
	struct ember_regions rs;

	(void)state;
	ember_regions_init(&rs);
	for (unsigned int n = 0; n < NR(recs); n++)
		recs[n] = make_record((uint64_t)(n + 1) * REGION);
	recs[1].version++;
	recs[2].addr += 4096;
	recs[3].kind = EMBER_KIND_UNSPEC;
	recs[4].kind = EMBER_KIND_MIXED + 1;
	recs[5].order_class = EMBER_ORDER_PMD + 1;
	recs[6].addr = REGION; /* again */
	stats = scan(&rs, &i, recs, NR(recs), true);
	assert_int_equal(stats.nr_records, 7);
	assert_int_equal(stats.nr_refused, 6);
	assert_int_equal(rs.nr, 1);
	/* a pass with bad records is not complete: nothing goes by it, nothing cools */
	recs[0].addr = 20 * REGION;
	scan(&rs, &i, recs, NR(recs), true);
	assert_int_equal(rs.nr, 2);
	assert_int_equal(rs.clock_ms, 0);
	ember_regions_clear(&rs);
}

/* Huge pages, and regions that are all alike, keep one level; unlike pages get one each. */
static void test_memory_only_where_mixed(void **state)
{
	struct ember_region_rec rec = young_record(0, 0, 1);
	struct ember_scan_info i = info(500, 0);
	struct ember_regions rs;

	(void)state;
	ember_regions_init(&rs);
	for (int round = 0; round < 5; round++)
		scan(&rs, &i, &rec, 1, true);
	assert_null(rs.regions[0].heat);
	assert_true(rs.regions[0].level > EMBER_LEVEL_1HZ);
	rec = young_record(0, 5, 16);
	for (int round = 0; round < 5; round++)
		scan(&rs, &i, &rec, 1, true);
	assert_non_null(rs.regions[0].heat);
	/* idle for long: all pages are cold alike, and the block goes */
	rs.clock_ms += 100000;
	for (int round = 0; round < 4 && rs.regions[0].heat; round++) {
		rs.clock_ms += 1000000;
		ember_score_catch_up(&rs, &rs.regions[0]);
	}
	assert_null(rs.regions[0].heat);
	assert_int_equal(rs.detail_bytes, 0);
	ember_regions_clear(&rs);
}

/* Pages that appear are neither hot nor cold, though the first touch has left them young. */
static void test_new_pages_start_at_the_prior(void **state)
{
	struct ember_region_rec rec = young_record(0, 0, 2);
	struct ember_scan_info i = info(500, 0);
	struct ember_regions rs;
	uint8_t fresh;

	(void)state;
	for (unsigned int page = 400; page < 512; page++)
		clear_bit(rec.present, page);
	ember_regions_init(&rs);
	for (int round = 0; round < 20; round++)
		scan(&rs, &i, &rec, 1, true);
	set_bit(rec.present, 450);
	scan(&rs, &i, &rec, 1, true);
	fresh = ember_region_page_level(&rs.regions[0], 450);
	assert_in_range(fresh, EMBER_LEVEL_1HZ, EMBER_LEVEL_1HZ + 6);
	assert_true(ember_region_page_level(&rs.regions[0], 0) > fresh);
	assert_true(ember_region_page_level(&rs.regions[0], 1) < fresh);
	ember_regions_clear(&rs);
}

/* Another set of pages is hot: noticed as a surprise, and learnt within a few looks. */
static void test_surprise(void **state)
{
	struct ember_region_rec before = young_record(0, 0, 4), after = young_record(0, 2, 4);
	struct ember_scan_info i = info(500, 0);
	struct ember_score_stats stats;
	struct ember_regions rs;
	int rounds = 0;

	(void)state;
	ember_regions_init(&rs);
	for (int round = 0; round < 60; round++) {
		stats = scan(&rs, &i, &before, 1, true);
		assert_int_equal(stats.nr_surprises, 0);
	}
	while (ember_region_page_level(&rs.regions[0], 2) <=
	       ember_region_page_level(&rs.regions[0], 0)) {
		stats = scan(&rs, &i, &after, 1, true);
		rounds++;
		assert_true(rounds < 10);
	}
	print_message("turned round after %d looks\n", rounds);
	ember_regions_clear(&rs);
}

/* The same records give the same levels, and rounding does not depend on anything else. */
static void test_replays_bit_by_bit(void **state)
{
	struct ember_scan_info i = info(300, 0);
	struct ember_regions rs[2];

	(void)state;
	for (int run = 0; run < 2; run++) {
		ember_regions_init(&rs[run]);
		for (unsigned int round = 0; round < 50; round++) {
			struct ember_region_rec recs[3] = {
			    young_record(0, round % 7, 3 + round % 5),
			    young_record(REGION, round % 3, 2),
			    young_record(5 * REGION, 0, 1 + round % 2)};

			scan(&rs[run], &i, recs, 2 + round % 2, true);
		}
	}
	assert_int_equal(rs[0].nr, rs[1].nr);
	for (uint32_t r = 0; r < rs[0].nr; r++)
		for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
			assert_int_equal(ember_region_page_level(&rs[0].regions[r], page),
					 ember_region_page_level(&rs[1].regions[r], page));
	ember_regions_clear(&rs[0]);
	ember_regions_clear(&rs[1]);
}

/* A look at a part in the middle of a scan changes nothing of what the scan learns. */
static void test_a_look_at_a_part_in_the_middle(void **state)
{
	struct ember_scan_info whole = info(0, EMBER_SCAN_FULL | EMBER_SCAN_COLD);
	struct ember_scan_info look = info(0, EMBER_SCAN_COLD);
	struct ember_region_rec recs[3], again[2];
	struct ember_regions rs[2];

	(void)state;
	look.part = true;
	for (int n = 0; n < 3; n++)
		recs[n] = young_record((n + 1) * REGION, n, 3);
	again[0] = make_record(REGION); /* its bits have just been cleared */
	again[1] = make_record(2 * REGION);
	for (int with = 0; with < 2; with++) {
		ember_regions_init(&rs[with]);
		scan(&rs[with], &whole, recs, 3, true);
		for (int round = 0; round < 20; round++) {
			struct ember_scan_info i = info(500, whole.flags);
			struct ember_score_pass pass;

			ember_score_begin(&pass, &rs[with], &i);
			assert_int_equal(ember_score_records(&pass, recs, 2), 0);
			if (with)
				scan(&rs[with], &look, again, 2, true);
			assert_int_equal(ember_score_records(&pass, recs + 2, 1), 0);
			ember_score_end(&pass, true);
		}
	}
	assert_int_equal(rs[1].nr, 3);
	for (uint32_t r = 0; r < 3; r++)
		for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
			assert_int_equal(ember_region_page_level(&rs[0].regions[r], page),
					 ember_region_page_level(&rs[1].regions[r], page));
	ember_regions_clear(&rs[0]);
	ember_regions_clear(&rs[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_scan_learns_places_only),
	    cmocka_unit_test(test_separates_young_from_dark),
	    cmocka_unit_test(test_finds_the_rate),
	    cmocka_unit_test(test_unreported_regions_cool),
	    cmocka_unit_test(test_failed_scans_never_read_as_cold),
	    cmocka_unit_test(test_unmapped_regions_go),
	    cmocka_unit_test(test_bad_records),
	    cmocka_unit_test(test_memory_only_where_mixed),
	    cmocka_unit_test(test_new_pages_start_at_the_prior),
	    cmocka_unit_test(test_surprise),
	    cmocka_unit_test(test_replays_bit_by_bit),
	    cmocka_unit_test(test_a_look_at_a_part_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
