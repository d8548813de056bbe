// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "records.h"
#include "region.h"

static void assert_sorted(const struct ember_regions *rs)
{
	for (uint32_t i = 1; i < rs->nr; i++)
		assert_true(rs->regions[i - 1].addr < rs->regions[i].addr);
}

static void test_insert_and_find(void **state)
{
	struct ember_regions rs;
	uint64_t addrs[64];
	uint32_t seed = 1;

	(void)state;
	ember_regions_init(&rs);
	assert_null(ember_regions_find(&rs, 0));
	assert_int_equal(ember_regions_insert(&rs, addrs, 0), 0);
	/* 100 batches of random ascending addresses out of 1024 places */
	for (int batch = 0; batch < 100; batch++) {
		size_t nr = 0;

		for (uint64_t place = 0; place < 1024 && nr < NR(addrs); place++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 28 == 0)
				addrs[nr++] = place << EMBER_REGION_SHIFT;
		}
		assert_int_equal(ember_regions_insert(&rs, addrs, nr), 0);
		assert_sorted(&rs);
		for (size_t i = 0; i < nr; i++)
			assert_non_null(ember_regions_find(&rs, addrs[i]));
	}
	assert_true(rs.nr > 500 && rs.nr <= 1024);
	for (uint32_t i = 0; i < rs.nr; i++)
		assert_int_equal(ember_regions_lower_bound(&rs, rs.regions[i].addr), i);
	assert_int_equal(ember_regions_lower_bound(&rs, UINT64_MAX), rs.nr);
	ember_regions_clear(&rs);
	assert_int_equal(rs.nr, 0);
}

/* What a record says comes back page by page, whatever is stored and whatever is uniform. */
static void test_record_round_trip(void **state)
{
	struct ember_regions rs;
	struct ember_region *r;
	uint64_t addr = 0, on[EMBER_PLANE_WORDS];

	(void)state;
	ember_regions_init(&rs);
	assert_int_equal(ember_regions_insert(&rs, &addr, 1), 0);
	r = &rs.regions[0];
	for (unsigned int kind = 0; kind < 64; kind++) {
		struct ember_region_rec rec = make_record(0);
		unsigned int present = 0;

		for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
			if (kind & 1 && page % 3 == 0)
				clear_bit(rec.present, page);
			set_mem(&rec, page, kind & 2 && page % 5 < 2 ? kind % 15 : kind >> 2);
			if (kind & 4 && page == 7)
				set_bit(rec.shared, page);
			set_bit(rec.young, page);
		}
		assert_int_equal(ember_region_set_record(&rs, r, &rec), 0);
		for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
			uint8_t mem = record_mem(&rec, page);

			if (!test_bit(rec.present, page))
				continue;
			present++;
			assert_int_equal(ember_region_page_mem(r, page), mem);
			assert_true(ember_region_mems(r) & (1U << mem));
			ember_region_on_mem(r, mem, on);
			assert_true(test_bit(on, page));
			ember_region_on_mem(r, mem ^ 1, on);
			assert_false(test_bit(on, page));
		}
		assert_int_equal(r->nr_present, present);
		ember_region_plane(r, EMBER_PLANE_SHARED, on);
		assert_int_equal(test_bit(on, 7), !!(kind & 4));
		assert_int_equal(rs.detail_bytes, __builtin_popcount(r->plane_mask) * 64);
	}
	ember_regions_clear(&rs);
}

/* Uniform regions cost their summary only; others one plane per memory bit that differs. */
static void test_memory(void **state)
{
	struct ember_regions rs;
	uint64_t addr = 0;
	struct ember_region_rec rec = make_record(0);

	(void)state;
	ember_regions_init(&rs);
	ember_regions_insert(&rs, &addr, 1);
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
		set_mem(&rec, page, 5);
	ember_region_set_record(&rs, &rs.regions[0], &rec);
	assert_int_equal(rs.detail_bytes, 0);
	set_mem(&rec, 3, 4);
	ember_region_set_record(&rs, &rs.regions[0], &rec);
	assert_int_equal(rs.detail_bytes, 64);
	assert_int_equal(ember_region_split_heat(&rs, &rs.regions[0]), 0);
	assert_int_equal(rs.detail_bytes, 64 + 512);
	assert_int_equal(ember_region_split_heat(&rs, &rs.regions[0]), 0);
	assert_int_equal(rs.detail_bytes, 64 + 512);
	ember_region_merge_heat(&rs, &rs.regions[0], 9);
	assert_int_equal(rs.detail_bytes, 64);
	assert_int_equal(ember_region_page_level(&rs.regions[0], 100), 9);
	ember_regions_clear(&rs);
}

static void test_set_mem(void **state)
{
	struct ember_regions rs;
	uint64_t addr = 0, pages[EMBER_PLANE_WORDS] = {0}, nr_pages[EMBER_MEM_UNKNOWN + 1] = {0};
	struct ember_region_rec rec = make_record(0);
	struct ember_region *r;

	(void)state;
	ember_regions_init(&rs);
	ember_regions_insert(&rs, &addr, 1);
	r = &rs.regions[0];
	clear_bit(rec.present, 9);
	ember_region_set_record(&rs, r, &rec); /* all on node 0 */
	set_bit(pages, 8);
	set_bit(pages, 9); /* not there: nothing to place */
	set_bit(pages, 511);
	assert_int_equal(ember_region_set_mem(&rs, r, pages, 2), 0);
	assert_int_equal(ember_region_page_mem(r, 8), 2);
	assert_int_equal(ember_region_page_mem(r, 10), 0);
	ember_regions_count_mem(&rs, nr_pages);
	assert_int_equal(nr_pages[0], 509);
	assert_int_equal(nr_pages[2], 2);
	/* all of them: uniform again */
	memset(pages, 0xff, sizeof(pages));
	assert_int_equal(ember_region_set_mem(&rs, r, pages, 3), 0);
	assert_int_equal(r->mem, 3);
	assert_int_equal(rs.detail_bytes, 64); /* presence */
	ember_regions_clear(&rs);
}

static void test_drop_unseen(void **state)
{
	struct ember_regions rs;
	uint64_t addrs[4] = {0, 1ULL << 21, 2ULL << 21, 3ULL << 21};

	(void)state;
	ember_regions_init(&rs);
	ember_regions_insert(&rs, addrs, 4);
	for (int i = 0; i < 4; i++)
		ember_region_split_heat(&rs, &rs.regions[i]);
	rs.regions[1].seen = 1;
	rs.regions[3].nr_inflight = 1;
	ember_regions_drop_unseen(&rs);
	assert_int_equal(rs.nr, 2);
	assert_int_equal(rs.regions[0].addr, addrs[1]);
	assert_int_equal(rs.regions[1].addr, addrs[3]); /* its result is still to come */
	assert_int_equal(rs.detail_bytes, 2 * 512);
	assert_int_equal(rs.regions[0].seen, 0);
	ember_regions_clear(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_insert_and_find), cmocka_unit_test(test_record_round_trip),
	    cmocka_unit_test(test_memory),          cmocka_unit_test(test_set_mem),
	    cmocka_unit_test(test_drop_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
