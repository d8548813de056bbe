/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many pages shall change places between one fast node and what lies below it.
 *
 * Hottest below against coldest above, pair by pair, while the one is hotter than the other
 * by more than a gap (memory-optimizer's exchange with its anti-thrash gap). No threshold
 * has to be found: where access is uniform no pair has the gap and nothing moves; where the
 * hot set is larger than fast memory, hot pages do not displace each other. Free room is
 * filled from the hottest down without a gap, for nothing is displaced.
 *
 * As each page that comes from below leaves a place for one that goes, an exchange needs free room
 * on one side only, for the first pages; where neither side has any, it cannot start.
 */
#ifndef EMBER_EXCHANGE_H
#define EMBER_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Ranks are what pages of all processes are compared by: levels, made comparable between
 * huge and base pages (touches per 4 KiB) and shifted by the weight of the policy's rule.
 */
#define EMBER_RANKS 256

/* In sixths of an octave: twice the touches. docs/decisions.md tells how it was found. */
#define EMBER_EXCHANGE_GAP 6

struct ember_exchange_limits {
	int64_t room; /* 4 KiB pages free above watermark and reserve; negative: in debt */
	int64_t transient_room; /* the same without the reserve: may be used while pages pass */
	uint64_t slack; /* free room that is not filled, so that it is not filled and emptied */
	uint64_t lower_room; /* what the nodes below can take more than they give */
	uint64_t budget_up;  /* pages this round */
	uint64_t budget_down;
	uint64_t demand; /* pages that the tier above sends here in this round */
};

/* The @nr_up hottest candidates go up, the @nr_down coldest victims go down. */
struct ember_exchange {
	uint64_t nr_up;
	uint64_t nr_down;
	uint64_t nr_wanted; /* pages that would go up if the budgets were endless */
	uint64_t up_at;     /* at rank up_rank only so many; above it all */
	uint64_t down_at;   /* at rank down_rank only so many; below it all */
	uint8_t up_rank;
	uint8_t down_rank;
	bool can_start; /* there is room on one side at least */
};

struct ember_exchange ember_exchange_find(const uint64_t candidates[EMBER_RANKS],
					  const uint64_t victims[EMBER_RANKS],
					  const struct ember_exchange_limits *limits);

#endif
