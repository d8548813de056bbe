// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "execute.h"
#include "movepages.h"

#include <errno.h>
#include <stdbool.h>

#define PAGE 4096ULL

/* Moves of one region each. */
struct move_spec {
	uint8_t direction, src, dest;
	uint16_t nr_pages;
};

static void barriers(const struct move_spec *specs, uint32_t nr,
		     const uint64_t room[EMBER_MAX_NODES], uint64_t reserve, uint32_t *ret)
{
	struct ember_execute_room given = {.reserve_bytes = {reserve}}; /* of node 0 */
	struct ember_move moves[8] = {};
	struct ember_move_region regions[8] = {};
	struct ember_plan plan = {
	    .moves = moves, .nr_moves = nr, .regions = regions, .nr_regions = nr};

	for (uint32_t i = 0; i < nr; i++) {
		moves[i] = (struct ember_move){.direction = specs[i].direction,
					       .dest = specs[i].dest,
					       .first_region = i,
					       .nr_regions = 1,
					       .nr_pages = specs[i].nr_pages};
		regions[i].src = specs[i].src;
		regions[i].nr_pages = specs[i].nr_pages;
	}
	memcpy(given.bytes, room, sizeof(given.bytes));
	ember_execute_barriers(&plan, &given, ret);
}

/*
 * Where the slower node has room, a promotion waits for as many demotions as make its room and
 * for no more, and demotions for nothing.
 */
static void test_promotions_wait(void **state)
{
	static const struct move_spec swap[] = {
	    {EMBER_DEMOTE, 0, 1, 100}, {EMBER_DEMOTE, 0, 1, 100},  {EMBER_DEMOTE, 0, 1, 100},
	    {EMBER_PROMOTE, 1, 0, 50}, {EMBER_PROMOTE, 1, 0, 100}, {EMBER_PROMOTE, 1, 0, 100},
	};
	uint64_t room[EMBER_MAX_NODES] = {0, 300 * PAGE};
	uint32_t ret[8];

	(void)state;
	barriers(swap, NR(swap), room, 0, ret);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ret[i], 0);
	assert_int_equal(ret[3], 1);
	assert_int_equal(ret[4], 2);
	assert_int_equal(ret[5], 3);
	room[0] = 60 * PAGE; /* there is room for the first */
	barriers(swap, NR(swap), room, 0, ret);
	assert_int_equal(ret[3], 0);
	assert_int_equal(ret[4], 1);
	assert_int_equal(ret[5], 2);
	room[0] = 1000 * PAGE;
	barriers(swap, NR(swap), room, 0, ret);
	assert_int_equal(ret[5], 0);
}

/* Where only the faster node has room, it is the other way round. */
static void test_demotions_wait(void **state)
{
	static const struct move_spec swap[] = {
	    {EMBER_DEMOTE, 0, 1, 100},  {EMBER_DEMOTE, 0, 1, 100},  {EMBER_DEMOTE, 0, 1, 100},
	    {EMBER_PROMOTE, 1, 0, 100}, {EMBER_PROMOTE, 1, 0, 100}, {EMBER_PROMOTE, 1, 0, 100},
	};
	static const uint32_t one_by_one[] = {1, 2, 3, 0, 1, 2};
	uint64_t room[EMBER_MAX_NODES] = {150 * PAGE};
	uint32_t ret[8];

	(void)state;
	barriers(swap, NR(swap), room, 0, ret);
	assert_memory_equal(ret, one_by_one, sizeof(one_by_one));
	room[0] = 200 * PAGE;
	barriers(swap, NR(swap), room, 0, ret);
	assert_true(ret[0] >= 1 && ret[3] == 0 && ret[4] == 0 && ret[5] == 1);
	room[0] = 0; /* through the reserve, if nothing else helps */
	barriers(swap, NR(swap), room, 150 * PAGE, ret);
	assert_memory_equal(ret, one_by_one, sizeof(one_by_one));
	room[1] = 300 * PAGE;
	barriers(swap, NR(swap), room, 150 * PAGE, ret);
	assert_true(!ret[0] && !ret[1] && !ret[2] && ret[3] == 1 && ret[4] == 2 && ret[5] == 3);
	room[0] = 200 * PAGE;
	room[1] = 100 * PAGE; /* one may go at once */
	barriers(swap, NR(swap), room, 0, ret);
	assert_int_equal(ret[0], 0);
	assert_true(ret[1] >= 1);
}

/* Both lanes of random plans, run as the movers run them: no barrier is ever waited for in vain. */
static void test_lanes_never_block_each_other(void **state)
{
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		struct move_spec specs[8];
		uint64_t room[EMBER_MAX_NODES] = {};
		uint32_t ret[8], nr_down, down = 0, up = 0;

		seed = seed * 1664525 + 1013904223;
		nr_down = (seed >> 24) % 9;
		for (uint32_t i = 0; i < 8; i++) {
			seed = seed * 1664525 + 1013904223;
			specs[i] = (struct move_spec){i < nr_down ? EMBER_DEMOTE : EMBER_PROMOTE,
						      (seed >> 28) % 4, (seed >> 24) % 4,
						      (seed >> 8) % 500};
			room[i % 4] = (uint64_t)(seed % 800) * PAGE;
		}
		barriers(specs, 8, room, seed % 3 * 100 * PAGE, ret);
		for (bool moved = true; moved;) {
			moved = false;
			for (; down < nr_down && ret[down] <= up; down++)
				moved = true;
			for (; up < 8 - nr_down && ret[nr_down + up] <= down; up++)
				moved = true;
		}
		assert_int_equal(down, nr_down);
		assert_int_equal(up, 8 - nr_down);
	}
}

/* Demotions from another node make no room; memories that are no nodes are left out. */
static void test_barriers_of_other_nodes(void **state)
{
	static const struct move_spec specs[] = {
	    {EMBER_DEMOTE, 1, 2, 100}, {EMBER_DEMOTE, EMBER_MEM_UNKNOWN, 2, 100},
	    {EMBER_DEMOTE, 0, 2, 100}, {EMBER_PROMOTE, 2, 0, 80},
	    {EMBER_PROMOTE, 2, 1, 80},
	};
	uint64_t room[EMBER_MAX_NODES] = {0, 0, 300 * PAGE};
	uint32_t ret[8];

	(void)state;
	barriers(specs, NR(specs), room, 0, ret);
	assert_int_equal(ret[3], 3); /* the third is the one that helps */
	assert_int_equal(ret[4], 3); /* counted with those before */
	/* more is wanted than is given up: wait for all, and not for more than there are */
	barriers(specs, 2, room, 0, ret);
	barriers(&specs[3], 1, room, 0, ret);
	assert_int_equal(ret[0], 0);
}

static void test_fates(void **state)
{
	static const struct {
		int status;
		enum ember_fate fate;
	} cases[] = {
	    {0, EMBER_FATE_MOVED},
	    {1, EMBER_FATE_FAILED},
	    {-ENOENT, EMBER_FATE_NOT_PRESENT},
	    {-EFAULT, EMBER_FATE_NOT_PRESENT},
	    {-EBUSY, EMBER_FATE_BUSY},
	    {-EAGAIN, EMBER_FATE_BUSY},
	    {-EACCES, EMBER_FATE_SHARED},
	    {-EPERM, EMBER_FATE_DENIED},
	    {-ENOMEM, EMBER_FATE_NO_MEMORY},
	    {-EINVAL, EMBER_FATE_FAILED},
	    {0x7fffffff, EMBER_FATE_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++)
		assert_int_equal(ember_movepages_fate(cases[i].status, 0), cases[i].fate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_promotions_wait),
	    cmocka_unit_test(test_demotions_wait),
	    cmocka_unit_test(test_lanes_never_block_each_other),
	    cmocka_unit_test(test_barriers_of_other_nodes),
	    cmocka_unit_test(test_fates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
