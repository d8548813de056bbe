// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "hands.h"

#define MSEC 1000000ULL

/* Addresses are small numbers here, times are milliseconds; {0, 0, 0} ends a list. */
struct step {
	uint64_t start, end, ms;
};

struct row {
	const char *what;
	struct step placed[6];
	struct step expected[6];
};

static const struct row rows[] = {
    {"nothing", {{0}}, {{0}}},
    {"an empty range is none", {{5, 5, 1}, {7, 6, 1}}, {{0}}},
    {"one", {{10, 20, 1}}, {{10, 20, 1}}},
    {"apart, in any order", {{30, 40, 1}, {10, 20, 2}}, {{10, 20, 2}, {30, 40, 1}}},
    {"the later one decides", {{10, 20, 1}, {10, 20, 5000}}, {{10, 20, 5000}}},
    {"over the end", {{10, 20, 1}, {15, 30, 5000}}, {{10, 15, 1}, {15, 30, 5000}}},
    {"over the start", {{15, 30, 1}, {10, 20, 5000}}, {{10, 20, 5000}, {20, 30, 1}}},
    {"within", {{10, 40, 1}, {20, 30, 5000}}, {{10, 20, 1}, {20, 30, 5000}, {30, 40, 1}}},
    {"over several",
     {{10, 20, 1}, {30, 40, 2}, {50, 60, 3}, {15, 55, 5000}},
     {{10, 15, 1}, {15, 55, 5000}, {55, 60, 3}}},
    {"over all", {{10, 20, 1}, {30, 40, 2}, {0, UINT64_MAX, 5000}}, {{0, UINT64_MAX, 5000}}},
    {"up in one go", {{10, 20, 1}, {20, 30, 2}, {30, 40, 3}}, {{10, 40, 1}}},
    {"down in one go", {{30, 40, 1}, {20, 30, 2}, {10, 20, 3}}, {{10, 40, 1}}},
    {"closes a gap", {{10, 20, 1}, {30, 40, 2}, {20, 30, 3}}, {{10, 40, 1}}},
    {"adjoining, but later", {{10, 20, 1}, {20, 30, 102}}, {{10, 20, 1}, {20, 30, 102}}},
    /* the time is that of the first: a slow walk is not one go without an end */
    {"slowly up",
     {{10, 20, 0}, {20, 30, 80}, {30, 40, 160}, {40, 50, 240}},
     {{10, 30, 0}, {30, 50, 160}}},
};

static void place(struct ember_hands *hands, const struct step *s)
{
	assert_int_equal(ember_hands_note(hands, s->start, s->end, s->ms * MSEC), 0);
}

static bool is_end(const struct step *s)
{
	return !s->start && !s->end;
}

static void expect(const struct row *row, const struct ember_hands *hands)
{
	uint32_t nr = 0;

	for (; nr < NR(row->expected) && !is_end(&row->expected[nr]); nr++) {
		const struct step *want = &row->expected[nr];

		if (nr >= hands->nr || hands->ranges[nr].start != want->start ||
		    hands->ranges[nr].end != want->end ||
		    hands->ranges[nr].time_ns != want->ms * MSEC)
			fail_msg("%s: range %u of %u is not as expected", row->what, nr, hands->nr);
	}
	if (nr != hands->nr)
		fail_msg("%s: %u ranges, expected %u", row->what, hands->nr, nr);
}

static void test_note(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(rows); i++) {
		struct ember_hands hands = {};

		for (size_t s = 0; s < NR(rows[i].placed) && !is_end(&rows[i].placed[s]); s++)
			place(&hands, &rows[i].placed[s]);
		expect(&rows[i], &hands);
		ember_hands_clear(&hands);
	}
}

static void test_hold(void **state)
{
	struct ember_hands hands = {};

	(void)state;
	assert_false(ember_hands_hold(&hands, 0));
	place(&hands, &(struct step){10, 20, 1});
	place(&hands, &(struct step){30, 40, 1});
	assert_false(ember_hands_hold(&hands, 9));
	assert_true(ember_hands_hold(&hands, 10));
	assert_true(ember_hands_hold(&hands, 19));
	assert_false(ember_hands_hold(&hands, 20));
	assert_true(ember_hands_hold(&hands, 30));
	assert_false(ember_hands_hold(&hands, 40));
	ember_hands_clear(&hands);
}

/* Each goes when its own time is over, and with a time of zero all go. */
static void test_expire(void **state)
{
	struct ember_hands hands = {};

	(void)state;
	place(&hands, &(struct step){10, 20, 1000});
	place(&hands, &(struct step){30, 40, 3000});
	ember_hands_expire(&hands, 5000 * MSEC, 5999 * MSEC);
	assert_int_equal(hands.nr, 2);
	ember_hands_expire(&hands, 5000 * MSEC, 6000 * MSEC);
	assert_false(ember_hands_hold(&hands, 10));
	assert_true(ember_hands_hold(&hands, 30));
	ember_hands_expire(&hands, 0, 6000 * MSEC);
	assert_false(ember_hands_hold(&hands, 30));
	assert_null(hands.ranges);
	ember_hands_expire(&hands, 0, 6000 * MSEC);
}

/* Too many: those with the smallest gaps become one; nothing that was placed is let go. */
static void test_bounded(void **state)
{
	enum { NR_PLACED = EMBER_HANDS_MAX + 100 };
	struct ember_hands hands = {};

	(void)state;
	/* the gap behind every tenth is small */
	for (uint64_t i = 0; i < NR_PLACED; i++)
		place(&hands, &(struct step){1000 * i, 1000 * i + (i % 10 ? 100 : 900), 1000 * i});
	assert_int_equal(hands.nr, EMBER_HANDS_MAX);
	for (uint64_t i = 0; i < NR_PLACED; i++)
		assert_true(ember_hands_hold(&hands, 1000 * i + 50));
	for (uint32_t i = 1; i < hands.nr; i++)
		assert_true(hands.ranges[i - 1].end <= hands.ranges[i].start);
	/* room for what is cut in the middle of a full list */
	place(&hands, &(struct step){1000 * 55 + 20, 1000 * 55 + 30, 5000000});
	assert_int_equal(hands.nr, EMBER_HANDS_MAX);
	ember_hands_clear(&hands);
}

/* Against a plain array of times, one for each address. */
static void test_against_a_plain_list(void **state)
{
	enum { ADDRESSES = 400 };
	uint64_t plain[ADDRESSES] = {}, seed = 1;
	struct ember_hands hands = {};

	(void)state;
	for (uint64_t step = 1; step < 3000; step++) {
		uint64_t start, end, ms = step * 200; /* never one go */

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		start = (seed >> 33) % ADDRESSES;
		end = start + (seed >> 45) % 40;
		end = end < ADDRESSES ? end : ADDRESSES;
		place(&hands, &(struct step){start, end, ms});
		for (uint64_t a = start; a < end; a++)
			plain[a] = ms;
		if (step % 7 == 0)
			ember_hands_expire(&hands, 20000 * MSEC, ms * MSEC);
		for (uint64_t a = 0; step % 7 == 0 && a < ADDRESSES; a++)
			if (ember_hands_hold(&hands, a) != (plain[a] && plain[a] + 20000 > ms))
				fail_msg("step %u, address %u", (unsigned int)step,
					 (unsigned int)a);
	}
	ember_hands_clear(&hands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_note),
	    cmocka_unit_test(test_hold),
	    cmocka_unit_test(test_expire),
	    cmocka_unit_test(test_bounded),
	    cmocka_unit_test(test_against_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
