// SPDX-License-Identifier: GPL-2.0-or-later
#include "exchange.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t above_zero(int64_t v)
{
	return v > 0 ? v : 0;
}

/* Candidates from the hottest down, or victims from the coldest up. */
struct walk {
	const uint64_t *hist;
	int rank;
	int step;
	uint64_t left; /* at .rank */
};

static struct walk walk_from(const uint64_t *hist, int rank, int step)
{
	return (struct walk){.hist = hist, .rank = rank, .step = step, .left = hist[rank]};
}

/* On to the next rank that has pages; 0 if there is none. */
static int settle(struct walk *w)
{
	while (!w->left) {
		w->rank += w->step;
		if (w->rank < 0 || w->rank >= EMBER_RANKS)
			return 0;
		w->left = w->hist[w->rank];
	}
	return 1;
}

/* Free room: the hottest, whatever lies above. */
static uint64_t fill(struct walk *up, uint64_t room)
{
	uint64_t taken = 0;

	while (taken < room && settle(up)) {
		uint64_t n = min_u64(up->left, room - taken);

		up->left -= n;
		taken += n;
	}
	return taken;
}

static uint64_t swap_pairs(struct walk *up, struct walk *down, uint64_t max)
{
	uint64_t taken = 0;

	while (taken < max && settle(up) && settle(down) &&
	       up->rank - down->rank >= EMBER_EXCHANGE_GAP) {
		uint64_t n = min_u64(min_u64(up->left, down->left), max - taken);

		up->left -= n;
		down->left -= n;
		taken += n;
	}
	return taken;
}

/* The rank at which the first @nr of the walk end, and how many of that rank are among them. */
static void cut(struct walk w, uint64_t nr, uint8_t *ret_rank, uint64_t *ret_at)
{
	*ret_rank = w.rank;
	*ret_at = 0;
	while (nr && settle(&w)) {
		*ret_rank = w.rank;
		*ret_at = min_u64(nr, w.left);
		nr -= *ret_at;
		w.left = 0;
	}
}

static uint64_t total(const uint64_t hist[EMBER_RANKS])
{
	uint64_t n = 0;

	for (int rank = 0; rank < EMBER_RANKS; rank++)
		n += hist[rank];
	return n;
}

struct ember_exchange ember_exchange_find(const uint64_t candidates[EMBER_RANKS],
					  const uint64_t victims[EMBER_RANKS],
					  const struct ember_exchange_limits *l)
{
	const struct walk hottest = walk_from(candidates, EMBER_RANKS - 1, -1);
	const struct walk coldest = walk_from(victims, 0, 1);
	struct walk up = hottest, down = coldest, wish_up = hottest, wish_down = coldest;
	uint64_t max_down = min_u64(l->budget_down, total(victims));
	uint64_t fillable = above_zero(l->room - (int64_t)l->slack);
	struct ember_exchange ex = {.can_start = l->transient_room > 0 ||
						 l->lower_room > (uint64_t)-l->transient_room};
	uint64_t filled, swapped, owed;

	ex.nr_wanted = fill(&wish_up, fillable);
	ex.nr_wanted += ex.can_start ? swap_pairs(&wish_up, &wish_down, UINT64_MAX) : 0;

	filled = fill(&up, min_u64(fillable, l->budget_up));
	swapped =
	    ex.can_start ? swap_pairs(&up, &down, min_u64(l->budget_up - filled, max_down)) : 0;
	/* below its watermark a node gives two for one; what is sent from above it passes on */
	owed = min_u64(above_zero(-l->transient_room), swapped);
	owed += min_u64(above_zero(-l->room), l->demand);
	ex.nr_down = min_u64(swapped + owed, max_down);
	if (ex.nr_down > filled + swapped) /* what does not take the place of another */
		ex.nr_down =
		    filled + swapped + min_u64(ex.nr_down - filled - swapped, l->lower_room);
	ex.nr_up = min_u64(filled + swapped, above_zero(l->transient_room + (int64_t)ex.nr_down));
	cut(hottest, ex.nr_up, &ex.up_rank, &ex.up_at);
	cut(coldest, ex.nr_down, &ex.down_rank, &ex.down_at);
	return ex;
}
