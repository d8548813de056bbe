// SPDX-License-Identifier: GPL-2.0-or-later
#include "hands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A range that is cut in the middle makes two, and one is added. */
#define ROOM (EMBER_HANDS_MAX + 2)

void ember_hands_clear(struct ember_hands *hands)
{
	free(hands->ranges);
	*hands = (struct ember_hands){};
}

/* First range that ends above @addr. */
static uint32_t first_above(const struct ember_hands *hands, uint64_t addr)
{
	uint32_t lo = 0, hi = hands->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (hands->ranges[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void insert(struct ember_hands *hands, uint32_t at, const struct ember_hand *range)
{
	memmove(hands->ranges + at + 1, hands->ranges + at,
		(hands->nr - at) * sizeof(*hands->ranges));
	hands->ranges[at] = *range;
	hands->nr++;
}

static void remove_from(struct ember_hands *hands, uint32_t at, uint32_t nr)
{
	memmove(hands->ranges + at, hands->ranges + at + nr,
		(hands->nr - at - nr) * sizeof(*hands->ranges));
	hands->nr -= nr;
}

/* Leave nothing in [start, end); returns the index at which it would stand. */
static uint32_t cut_out(struct ember_hands *hands, uint64_t start, uint64_t end)
{
	uint32_t at = first_above(hands, start), last;

	if (at < hands->nr && hands->ranges[at].start < start) {
		struct ember_hand before = hands->ranges[at];

		before.end = start;
		hands->ranges[at].start = start;
		insert(hands, at++, &before);
	}
	last = first_above(hands, end);
	remove_from(hands, at, last - at);
	if (at < hands->nr && hands->ranges[at].start < end)
		hands->ranges[at].start = end;
	return at;
}

/* Placed in one go, @b after @a. */
static bool is_same_go(const struct ember_hand *a, const struct ember_hand *b)
{
	return b->time_ns >= a->time_ns && b->time_ns - a->time_ns <= EMBER_HANDS_SAME_NS;
}

/* The range at @at has been placed just now: join it with those that it adjoins. */
static void join_neighbours(struct ember_hands *hands, uint32_t at)
{
	struct ember_hand *r = hands->ranges;

	if (at + 1 < hands->nr && r[at].end == r[at + 1].start && is_same_go(&r[at + 1], &r[at])) {
		r[at + 1].start = r[at].start;
		remove_from(hands, at, 1);
	}
	if (at > 0 && r[at - 1].end == r[at].start && is_same_go(&r[at - 1], &r[at])) {
		r[at - 1].end = r[at].end;
		remove_from(hands, at, 1);
	}
}

static void join_closest(struct ember_hands *hands)
{
	struct ember_hand *r = hands->ranges;
	uint32_t best = 0;

	for (uint32_t i = 1; i + 1 < hands->nr; i++)
		if (r[i + 1].start - r[i].end < r[best + 1].start - r[best].end)
			best = i;
	r[best + 1].start = r[best].start;
	if (r[best].time_ns > r[best + 1].time_ns)
		r[best + 1].time_ns = r[best].time_ns;
	remove_from(hands, best, 1);
}

int ember_hands_note(struct ember_hands *hands, uint64_t start, uint64_t end, uint64_t time_ns)
{
	struct ember_hand range = {.start = start, .end = end, .time_ns = time_ns};
	uint32_t at;

	if (start >= end)
		return 0;
	if (!hands->ranges)
		hands->ranges = calloc(ROOM, sizeof(*hands->ranges));
	if (!hands->ranges)
		return -ENOMEM;
	at = cut_out(hands, start, end);
	insert(hands, at, &range);
	join_neighbours(hands, at);
	while (hands->nr > EMBER_HANDS_MAX)
		join_closest(hands);
	return 0;
}

void ember_hands_expire(struct ember_hands *hands, uint64_t hold_ns, uint64_t now_ns)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < hands->nr; i++)
		if (hands->ranges[i].time_ns + hold_ns > now_ns)
			hands->ranges[kept++] = hands->ranges[i];
	hands->nr = kept;
	if (!kept)
		ember_hands_clear(hands);
}

bool ember_hands_hold(const struct ember_hands *hands, uint64_t addr)
{
	uint32_t at = first_above(hands, addr);

	return at < hands->nr && hands->ranges[at].start <= addr;
}
