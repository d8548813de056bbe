// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "account.h"

#define PAGE_SHIFT 12

/* Fewer pages may all be of one area, with a policy of its own. */
#define DENIED_PAGES 64

#define X(name, word, sentence) [EMBER_FATE_##name] = {word, sentence},
static const char *const outcomes[][2] = {EMBER_FATES(X)};
#undef X

const char *ember_fate_word(enum ember_fate outcome)
{
	return outcomes[outcome][0];
}

const char *ember_fate_sentence(enum ember_fate outcome)
{
	return outcomes[outcome][1];
}

void ember_account_init(struct ember_account *acct)
{
	*acct = (struct ember_account){0};
}

void ember_account_submitted(struct ember_account *acct, struct ember_regions *rs,
			     const struct ember_move *move, const struct ember_move_region *regions)
{
	for (uint32_t i = 0; rs && i < move->nr_regions; i++) {
		struct ember_region *r = ember_regions_find(rs, regions[i].addr);

		if (r && r->nr_inflight < UINT8_MAX)
			r->nr_inflight++;
	}
	acct->inflight_bytes[move->dest] += (uint64_t)move->nr_pages << PAGE_SHIFT;
	acct->nr_moves_submitted++;
}

/* A reader of run lengths, one page at a time. */
struct runs {
	const struct ember_fate_run *run;
	size_t nr;
	uint32_t used; /* of the first */
};

static enum ember_fate next_outcome(struct runs *runs)
{
	uint32_t outcome;

	while (runs->nr && runs->used >= runs->run->nr_pages) {
		runs->run++;
		runs->nr--;
		runs->used = 0;
	}
	if (!runs->nr)
		return EMBER_FATE_UNKNOWN;
	runs->used++;
	outcome = runs->run->outcome;
	return outcome < EMBER_NR_FATES ? outcome : EMBER_FATE_FAILED;
}

static void feed_back_moved(struct ember_cooldown *cd, const struct ember_move *move, uint64_t addr,
			    uint64_t now_ns)
{
	enum ember_cooldown_move how = move->why == EMBER_WHY_NEARER      ? EMBER_COOL_SIDEWAYS
				       : move->direction == EMBER_PROMOTE ? EMBER_COOL_UP
									  : EMBER_COOL_DOWN;

	if (move->mover == EMBER_MOVER_MOVE_SHARED || move->mover == EMBER_MOVER_MODULE_SHARED)
		ember_cooldown_moved_shared(cd, &move->id, addr, how, now_ns);
	else
		ember_cooldown_moved(cd, &move->id, addr, how, now_ns);
}

static void feed_back(struct ember_cooldown *cd, const struct ember_move *move, uint64_t addr,
		      enum ember_fate outcome, uint64_t now_ns)
{
	switch (outcome) {
	case EMBER_FATE_MOVED:
		feed_back_moved(cd, move, addr, now_ns);
		break;
	case EMBER_FATE_PINNED:
	case EMBER_FATE_SHARED:
	case EMBER_FATE_KIND:
	case EMBER_FATE_DENIED:
	case EMBER_FATE_ISOLATED:
	case EMBER_FATE_UNSPLITTABLE:
		ember_cooldown_refused(cd, &move->id, addr, EMBER_REFUSED_LASTING, now_ns);
		break;
	case EMBER_FATE_BUSY:
	case EMBER_FATE_WRITEBACK:
	case EMBER_FATE_FAILED:
		ember_cooldown_refused(cd, &move->id, addr, EMBER_REFUSED_BUSY, now_ns);
		break;
	case EMBER_FATE_UNSPLIT:
		ember_cooldown_refused(cd, &move->id, addr, EMBER_REFUSED_UNSPLIT, now_ns);
		break;
	case EMBER_FATE_NO_MEMORY: /* the node was fuller than the plan thought */
	case EMBER_FATE_NO_DEST:   /* a pool that does not come away is ready again after seconds */
		ember_cooldown_refused(cd, &move->id, addr, EMBER_REFUSED_NO_MEMORY, now_ns);
		break;
	default:
		/* nothing is wrong with the page: it is gone, in place, or was never tried */
		break;
	}
}

bool ember_account_is_denied(const struct ember_move *move, const struct ember_fate_run *runs,
			     size_t nr_runs)
{
	uint64_t nr_denied = 0;

	if (move->nr_pages < DENIED_PAGES)
		return false;
	for (size_t i = 0; i < nr_runs; i++)
		if (runs[i].outcome == EMBER_FATE_DENIED)
			nr_denied += runs[i].nr_pages;
	return nr_denied >= move->nr_pages;
}

static bool stays_whole(enum ember_fate outcome)
{
	return outcome == EMBER_FATE_UNSPLIT || outcome == EMBER_FATE_UNSPLITTABLE;
}

/*
 * Does an earlier page of the region speak for this one? The planner asks for the first address
 * of a huge page only. An entry for each page of the locked memory of a large process would
 * fill the table.
 */
static bool is_spoken_for(const struct ember_move_region *mr, enum ember_fate outcome, bool *told)
{
	bool before = *told;

	if (mr->order != EMBER_ORDER_PMD || !stays_whole(outcome))
		return false;
	*told = true;
	return before;
}

static uint64_t feed_back_addr(const struct ember_move_region *mr, unsigned int page,
			       enum ember_fate outcome)
{
	if (mr->order == EMBER_ORDER_PMD && stays_whole(outcome))
		return mr->addr;
	return mr->addr + ((uint64_t)page << PAGE_SHIFT);
}

/* One region's pages, of which @cd is told unless it is NULL; in @ret_there those that are on the
 * destination now. */
static void account_region(struct ember_book *book, struct ember_cooldown *cd,
			   const struct ember_move *move, const struct ember_move_region *mr,
			   struct runs *runs, uint64_t now_ns,
			   uint64_t ret_there[EMBER_PLANE_WORDS])
{
	bool told = false;

	memset(ret_there, 0, EMBER_PLANE_WORDS * sizeof(*ret_there));
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++)
		for (uint64_t bits = mr->pages[w]; bits; bits &= bits - 1) {
			unsigned int page = w * 64 + __builtin_ctzll(bits);
			enum ember_fate outcome = next_outcome(runs);

			book->tried++;
			book->outcome[outcome]++;
			if (outcome == EMBER_FATE_MOVED || outcome == EMBER_FATE_ALREADY)
				ret_there[w] |= bits & -bits;
			if (!cd || is_spoken_for(mr, outcome, &told))
				continue;
			feed_back(cd, move, feed_back_addr(mr, page, outcome), outcome, now_ns);
		}
}

static void settle_region(struct ember_regions *rs, const struct ember_move *move, uint64_t addr,
			  const uint64_t there[EMBER_PLANE_WORDS])
{
	struct ember_region *r = rs ? ember_regions_find(rs, addr) : NULL;

	if (!r)
		return;
	if (r->nr_inflight)
		r->nr_inflight--;
	/* no memory for the planes: the next record tells where the pages are */
	(void)ember_region_set_mem(rs, r, there, move->dest);
}

uint64_t ember_account_result(struct ember_account *acct, struct ember_regions *rs,
			      struct ember_cooldown *cooldown, const struct ember_move *move,
			      const struct ember_move_region *regions,
			      const struct ember_fate_run *runs, size_t nr_runs, uint64_t now_ns)
{
	struct ember_book *book = &acct->books[move->direction][move->mover];
	uint64_t bytes = (uint64_t)move->nr_pages << PAGE_SHIFT;
	uint64_t before = book->outcome[EMBER_FATE_MOVED];
	struct runs reader = {.run = runs, .nr = nr_runs};
	bool denied = ember_account_is_denied(move, runs, nr_runs);

	for (uint32_t i = 0; i < move->nr_regions; i++) {
		uint64_t there[EMBER_PLANE_WORDS];

		account_region(book, denied ? NULL : cooldown, move, &regions[i], &reader, now_ns,
			       there);
		settle_region(rs, move, regions[i].addr, there);
	}
	acct->inflight_bytes[move->dest] -=
	    bytes < acct->inflight_bytes[move->dest] ? bytes : acct->inflight_bytes[move->dest];
	acct->nr_moves_done++;
	return book->outcome[EMBER_FATE_MOVED] - before;
}

void ember_account_sum(const struct ember_account *acct, enum ember_direction direction,
		       struct ember_book *ret)
{
	*ret = (struct ember_book){0};
	for (int m = 0; m < EMBER_NR_MOVERS; m++) {
		const struct ember_book *book = &acct->books[direction][m];

		ret->tried += book->tried;
		for (int o = 0; o < EMBER_NR_FATES; o++)
			ret->outcome[o] += book->outcome[o];
	}
}
