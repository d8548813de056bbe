// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "exchange.h"

#define MANY 1000000

/* Room for nothing, budget for everything: pure exchange. */
static struct ember_exchange_limits full_node(void)
{
	return (struct ember_exchange_limits){
	    .transient_room = 0, .lower_room = MANY, .budget_up = MANY, .budget_down = MANY};
}

static const struct {
	const char *what;
	/* rank and number of pages, up to three of each */
	unsigned int candidates[3][2], victims[3][2];
	int64_t room, transient_room;
	uint64_t slack, lower_room, budget_up, budget_down, demand;
	uint64_t up, down, wanted;
	unsigned int up_rank, up_at, down_rank, down_at;
} cases[] = {
    {"nothing there", {{0}}, {{0}}, 0, 0, 0, MANY, MANY, MANY, 0, 0, 0, 0, 255, 0, 0, 0},
    {"hot below, cold above",
     {{150, 30}},
     {{120, 50}},
     0,
     0,
     0,
     MANY,
     MANY,
     MANY,
     0,
     30,
     30,
     30,
     150,
     30,
     120,
     30},
    {"uniform: nothing has the gap",
     {{150, 500}},
     {{150, 500}},
     0,
     0,
     0,
     MANY,
     MANY,
     MANY,
     0,
     0,
     0,
     0,
     255,
     0,
     0,
     0},
    {"just under the gap",
     {{150 + EMBER_EXCHANGE_GAP - 1, 500}},
     {{150, 500}},
     0,
     0,
     0,
     MANY,
     MANY,
     MANY,
     0,
     0,
     0,
     0,
     255,
     0,
     0,
     0},
    {"just the gap",
     {{150 + EMBER_EXCHANGE_GAP, 500}},
     {{150, 400}},
     0,
     0,
     0,
     MANY,
     MANY,
     MANY,
     0,
     400,
     400,
     400,
     150 + EMBER_EXCHANGE_GAP,
     400,
     150,
     400},
    {"hottest against coldest first",
     {{200, 10}, {160, 10}, {130, 10}},
     {{110, 15}, {140, 10}, {190, 10}},
     0,
     0,
     0,
     MANY,
     MANY,
     MANY,
     0,
     20,
     20,
     20,
     160,
     10,
     140,
     5},
    {"the budget cuts the colder ones",
     {{200, 10}, {160, 10}},
     {{110, 50}},
     0,
     0,
     0,
     MANY,
     12,
     MANY,
     0,
     12,
     12,
     20,
     160,
     2,
     110,
     12},
    {"the other direction's budget as well",
     {{200, 10}, {160, 10}},
     {{110, 50}},
     0,
     0,
     0,
     MANY,
     MANY,
     7,
     0,
     7,
     7,
     20,
     200,
     7,
     110,
     7},
    {"a little room below is enough to begin",
     {{200, 10}},
     {{110, 50}},
     0,
     0,
     0,
     4,
     MANY,
     MANY,
     0,
     10,
     10,
     10,
     200,
     10,
     110,
     10},
    {"none below, but a little here",
     {{200, 10}},
     {{110, 50}},
     0,
     5,
     0,
     0,
     MANY,
     MANY,
     0,
     10,
     10,
     10,
     200,
     10,
     110,
     10},
    {"none on either side: no first page can move",
     {{200, 10}},
     {{110, 50}},
     0,
     0,
     0,
     0,
     MANY,
     MANY,
     0,
     0,
     0,
     0,
     255,
     0,
     0,
     0},
    {"as deep below the watermark as there is room below",
     {{200, 10}},
     {{110, 50}},
     -5,
     -5,
     0,
     5,
     MANY,
     MANY,
     0,
     0,
     0,
     0,
     255,
     0,
     0,
     0},
    {"free room is filled without a gap, down to the slack",
     {{150, 30}},
     {{150, 50}},
     25,
     25,
     5,
     MANY,
     MANY,
     MANY,
     0,
     20,
     0,
     20,
     150,
     20,
     0,
     0},
    {"free room and exchange together",
     {{160, 30}},
     {{120, 50}},
     10,
     10,
     0,
     MANY,
     MANY,
     MANY,
     0,
     30,
     20,
     30,
     160,
     30,
     120,
     20},
    {"below the watermark: nothing comes in before something is out",
     {{160, 30}},
     {{120, 50}},
     -20,
     -20,
     0,
     MANY,
     MANY,
     MANY,
     0,
     30,
     50,
     30,
     160,
     30,
     120,
     50},
    {"below the reserve but above the watermark: one for one",
     {{160, 30}},
     {{120, 50}},
     -20,
     5,
     0,
     MANY,
     MANY,
     MANY,
     0,
     30,
     30,
     30,
     160,
     30,
     120,
     30},
    {"below the reserve and nothing wanted: left alone",
     {{160, 30}},
     {{160, 50}},
     -20,
     5,
     0,
     MANY,
     MANY,
     MANY,
     0,
     0,
     0,
     0,
     255,
     0,
     0,
     0},
    {"passes on what the tier above sends",
     {{160, 30}},
     {{160, 50}},
     -20,
     5,
     0,
     MANY,
     MANY,
     MANY,
     15,
     0,
     15,
     0,
     255,
     0,
     160,
     15},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_exchange_limits l = full_node();
		uint64_t up[EMBER_RANKS] = {0}, down[EMBER_RANKS] = {0};
		struct ember_exchange ex;

		for (int k = 0; k < 3; k++) {
			up[cases[i].candidates[k][0]] += cases[i].candidates[k][1];
			down[cases[i].victims[k][0]] += cases[i].victims[k][1];
		}
		l.room = cases[i].room;
		l.transient_room = cases[i].transient_room;
		l.slack = cases[i].slack;
		l.lower_room = cases[i].lower_room;
		l.budget_up = cases[i].budget_up;
		l.budget_down = cases[i].budget_down;
		l.demand = cases[i].demand;
		ex = ember_exchange_find(up, down, &l);
		print_message("%s: up %llu (expected %llu), down %llu (%llu)\n", cases[i].what,
			      (unsigned long long)ex.nr_up, (unsigned long long)cases[i].up,
			      (unsigned long long)ex.nr_down, (unsigned long long)cases[i].down);
		assert_int_equal(ex.nr_up, cases[i].up);
		assert_int_equal(ex.nr_down, cases[i].down);
		assert_int_equal(ex.nr_wanted, cases[i].wanted);
		assert_int_equal(ex.up_rank, cases[i].up_rank);
		assert_int_equal(ex.up_at, cases[i].up_at);
		assert_int_equal(ex.down_rank, cases[i].down_rank);
		assert_int_equal(ex.down_at, cases[i].down_at);
	}
}

/* Whatever the histograms: no more than there is, than fits, than is allowed; hotter comes in. */
static void test_properties(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct ember_exchange_limits l = full_node();
		uint64_t up[EMBER_RANKS] = {0}, down[EMBER_RANKS] = {0}, sum_up = 0, sum_down = 0;
		struct ember_exchange ex;

		for (int k = 0; k < 20; k++) {
			seed = seed * 1664525 + 1013904223;
			up[seed >> 24] += (seed >> 8) & 0xff;
			sum_up += (seed >> 8) & 0xff;
			seed = seed * 1664525 + 1013904223;
			down[seed >> 24] += (seed >> 8) & 0xff;
			sum_down += (seed >> 8) & 0xff;
		}
		seed = seed * 1664525 + 1013904223;
		l.transient_room = (int)(seed >> 22) - 512;
		l.room = l.transient_room - (seed & 255);
		l.budget_up = (seed >> 4) & 0xfff;
		l.budget_down = (seed >> 12) & 0xfff;
		l.lower_room = (seed >> 8) & 0xfff;
		ex = ember_exchange_find(up, down, &l);
		assert_true(ex.nr_up <= sum_up && ex.nr_up <= l.budget_up);
		assert_true(ex.nr_down <= sum_down && ex.nr_down <= l.budget_down);
		/* in an order in which neither side is ever overfull */
		assert_true(!ex.nr_up || l.transient_room + (int64_t)l.lower_room > 0);
		assert_true((int64_t)ex.nr_down - (int64_t)ex.nr_up <= (int64_t)l.lower_room);
		assert_true((int64_t)ex.nr_up <=
			    (l.transient_room > 0 ? l.transient_room : 0) + (int64_t)ex.nr_down);
		if (ex.nr_up && ex.nr_up == ex.nr_down && l.transient_room >= 0)
			assert_true(ex.up_rank - ex.down_rank >= EMBER_EXCHANGE_GAP || l.room > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
