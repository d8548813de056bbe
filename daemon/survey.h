/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first half of planning: who has how many pages of which rank where. Counts only; what
 * to do with them is decided in exchange.c and written down in plan.c.
 */
#ifndef EMBER_SURVEY_H
#define EMBER_SURVEY_H

#include "exchange.h"
#include "gain.h"
#include "plan.h"

/* Pages that may use the same memories at the same distance are planned together. */
#define EMBER_MAX_CLASSES 64
#define EMBER_NO_CLASS UINT8_MAX

/* Information, in sixteenths, from which on the pages of a region count as known. */
#define EMBER_SURVEY_KNOWN (4 * EMBER_INFO_ONE)

/*
 * rank = what the level is worth + base, clamped to 1..255. A huge page's level tells of 512 pages:
 * 9 octaves less for each of them.
 */
#define EMBER_RANK_BASE 94
#define EMBER_RANK_BASE_HUGE (EMBER_RANK_BASE - 9 * EMBER_LEVELS_PER_OCTAVE)

/* How a region's pages come to memories where only the module can place them. */
enum ember_way {
	EMBER_WAY_AS_THEY_ARE, /* or the process has no such memory */
	EMBER_WAY_NONE,
	EMBER_WAY_BY_SPLIT, /* exclusive, anonymous and huge */
	EMBER_WAY_NOT_YET,  /* the same, but little is known of them: elsewhere they may go */
	EMBER_NR_WAYS,
};

struct ember_class {
	uint16_t allowed;  /* bit i: memory i */
	uint16_t withheld; /* would be allowed, but only the module can place pages there */
	uint16_t
	    by_split; /* of those allowed: huge pages come up to them in pieces, or not at all */
	uint8_t home;
	bool not_yet; /* it is withheld for as long as little is known of the pages */
};

/* 4 KiB pages of one class on one memory, by rank. */
struct ember_counts {
	uint64_t pages[EMBER_RANKS];
	uint64_t too_cold[EMBER_RANKS]; /* of them, those that are not worth bringing up */
};

/* Per region, so that later passes skip most of them: bounds of what may be wanted. */
struct ember_region_span {
	uint32_t first_item; /* of those planned for this region, + 1; 0: none */
	uint8_t rank_max;    /* of its pages */
	uint8_t rank_min;
	uint8_t why_not; /* not movable as a whole: enum ember_why_not, else EMBER_NR_WHY_NOT */
	uint8_t base;    /* rank of level 0 */
	uint8_t size;    /* enum ember_page_size */
	uint8_t class;   /* index, or EMBER_NO_CLASS */
};

struct ember_survey {
	uint8_t worth[EMBER_NR_PAGE_SIZES][EMBER_LEVELS]; /* calibrated levels */
	struct ember_class classes[EMBER_MAX_CLASSES];
	unsigned int nr_classes;
	struct ember_counts *counts[EMBER_MAX_NODES][EMBER_MAX_CLASSES]; /* NULL: no pages */
	uint64_t all[EMBER_RANKS]; /* every page that is known, at its rank */
	int bias;                  /* of the process under way */
	uint64_t nr_huge;          /* of them, pages of huge regions */
	uint64_t nr_doubtful;      /* of them, pages of which little is known yet */
	uint64_t nr_pages;
	struct ember_region_span *spans; /* of all processes, one after the other */
	size_t nr_spans;
	size_t nr_spans_alloc;
	uint16_t module_only;             /* pools and restricted nodes */
	uint8_t class_now[EMBER_NR_WAYS]; /* of the process under way */
	struct ember_shared_seen *shared; /* hash: regions that shared pages are counted with */
	uint64_t seed;                    /* of that hash */
	bool leave_shared;
	bool split_huge;
	size_t nr_shared;
	size_t nr_shared_alloc; /* power of two */
};

/*
 * A page touched less often than this is not brought up: in the life of most memory that does
 * not pay for the move. Once in 64 s for a base page; a huge page costs some 16 times as
 * much to move, so once in 4 s.
 */
#define EMBER_WORTH_MIN (EMBER_LEVEL_1HZ - 6 * EMBER_LEVELS_PER_OCTAVE)
#define EMBER_WORTH_MIN_HUGE (EMBER_LEVEL_1HZ - 2 * EMBER_LEVELS_PER_OCTAVE)

bool ember_survey_too_cold(const struct ember_survey *s, const struct ember_region_span *span,
			   uint8_t level);

/* Rank of a page at @level. */
uint8_t ember_survey_rank(const struct ember_survey *s, const struct ember_region_span *span,
			  uint8_t level);

/* Sum up everything. Fills @plan's nr_on_tier and the nr_why_not that concern whole regions. */
int ember_survey_take(struct ember_survey *s, struct ember_plan *plan,
		      const struct ember_topology *topo, const struct ember_plan_proc *procs,
		      size_t nr_procs, const struct ember_plan_limits *limits);
void ember_survey_free(struct ember_survey *s);

/*
 * The place of shared memory in a table. Those who are watched choose the addresses: who collides
 * with whom is known only with the seed.
 */
uint64_t ember_survey_hash(uint64_t seed, uint32_t owner, uint64_t addr);

/*
 * Shared pages of @r that are not planned here, and why: another process of the same @owner is
 * counted with them, or they are of a file.
 */
enum ember_why_not ember_survey_left_out(const struct ember_survey *s, uint32_t proc,
					 uint32_t owner, const struct ember_region *r,
					 uint64_t ret[EMBER_PLANE_WORDS]);

#endif
