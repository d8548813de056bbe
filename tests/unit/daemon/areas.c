// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "areas.h"
#include "ember/sample.h"

#define REGION EMBER_REGION_BYTES
#define MSEC 1000000ULL

struct list {
	struct ember_status_area areas[EMBER_STATUS_MAX_AREAS];
	uint32_t nr;
};

static void note(struct list *l, uint64_t start, uint64_t end, uint64_t ms, bool by_fault)
{
	struct ember_status_area piece = {start * REGION, end * REGION, ms * MSEC, by_fault};

	ember_areas_note(l->areas, &l->nr, &piece);
}

static void expect(const struct list *l, uint32_t at, uint64_t start, uint64_t end, uint64_t ms,
		   bool by_fault)
{
	assert_true(at < l->nr);
	assert_int_equal(l->areas[at].start, start * REGION);
	assert_int_equal(l->areas[at].end, end * REGION);
	assert_int_equal(l->areas[at].first_scan_ns, ms * MSEC);
	assert_int_equal(l->areas[at].by_fault, by_fault);
}

/* Only the latest are kept, and what is apart stays apart. */
static void test_apart(void **state)
{
	struct list l = {};

	(void)state;
	for (uint64_t i = 0; i < EMBER_STATUS_MAX_AREAS + 3; i++)
		note(&l, 100 + 2 * i, 101 + 2 * i, 7, false);
	assert_int_equal(l.nr, EMBER_STATUS_MAX_AREAS);
	for (uint32_t i = 0; i < l.nr; i++)
		expect(&l, i, 100 + 2 * (i + 3), 101 + 2 * (i + 3), 7, false);
}

/* 200 MiB that are met in 25 looks: one area, since the first of them. */
static void test_burst(void **state)
{
	struct list l = {};

	(void)state;
	note(&l, 10, 11, 1, false);
	for (uint64_t i = 0; i < 25; i++)
		note(&l, 100 + 4 * i, 104 + 4 * i, 40 + 20 * i, i < 20);
	assert_int_equal(l.nr, 2);
	expect(&l, 0, 10, 11, 1, false);
	expect(&l, 1, 100, 200, 40, true);
}

/* The regular scan fills what early looks left out: before, between and within. */
static void test_any_order(void **state)
{
	struct list l = {};

	(void)state;
	note(&l, 20, 22, 5, false);
	note(&l, 30, 32, 6, true);
	note(&l, 40, 42, 7, true);
	note(&l, 32, 40, 8, false); /* joins both neighbours */
	assert_int_equal(l.nr, 2);
	expect(&l, 1, 30, 42, 6, true);
	note(&l, 28, 30, 9, false);
	expect(&l, 1, 28, 42, 6, true);
	note(&l, 35, 36, 10, false); /* dropped meanwhile and touched again */
	assert_int_equal(l.nr, 2);
	expect(&l, 1, 28, 42, 6, true);
	note(&l, 22, 23, 11, true); /* the first one is the latest now */
	expect(&l, 0, 28, 42, 6, true);
	expect(&l, 1, 20, 23, 5, false);
}

/* A full list does not lose an area to a piece of another one. */
static void test_full(void **state)
{
	struct list l = {};

	(void)state;
	for (uint64_t i = 0; i < EMBER_STATUS_MAX_AREAS; i++)
		note(&l, 10 * i, 10 * i + 1, 1, false);
	note(&l, 1, 2, 2, false);
	assert_int_equal(l.nr, EMBER_STATUS_MAX_AREAS);
	expect(&l, 0, 10, 11, 1, false);
	expect(&l, l.nr - 1, 0, 2, 1, false);
}

/* What grows for ever is not one area of long ago. */
static void test_growing(void **state)
{
	struct list l = {};

	(void)state;
	for (uint64_t i = 0; i <= 100; i++)
		note(&l, i, i + 1, 20 * i, true);
	assert_int_equal(l.nr, 2);
	expect(&l, 0, 0, 51, 0, true);
	expect(&l, 1, 51, 101, 51 * 20, true);
	note(&l, 300, 301, 5000, true);
	note(&l, 301, 302, 5000 + EMBER_AREA_BURST_NS / MSEC + 1, true);
	assert_int_equal(l.nr, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_apart),     cmocka_unit_test(test_burst),
	    cmocka_unit_test(test_any_order), cmocka_unit_test(test_full),
	    cmocka_unit_test(test_growing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
