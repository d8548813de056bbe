/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hotset decides: which page comes next. Pure functions of a seed, kept inline
 * because they are most of what one operation does.
 *
 * Terms: pages have a rank from 0 to nr_pages - 1. The hot set is a window of
 * nr_hot ranks, which wraps around; a shift moves the window to the ranks behind it, so that
 * the new hot set has no page of the old one as long as nr_hot <= nr_pages / 2. The warm set
 * is the window of the nr_warm ranks behind the hot set and moves with it. The
 * layout says which page a rank is:
 *  - CONTIGUOUS: page = rank;
 *  - BLOCKS: 2 MiB blocks are permuted, pages keep their place in the block;
 *  - SCATTERED: all pages are permuted.
 */
#ifndef WORKLOAD_CHOICE_H
#define WORKLOAD_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#define CHOICE_BLOCK_SHIFT 9 /* 2 MiB in 4 KiB pages */

enum choice_layout {
	CHOICE_SCATTERED,
	CHOICE_BLOCKS,
	CHOICE_CONTIGUOUS,
};

/* A random bijection of [0, nr) that needs no table. */
struct choice_permutation {
	uint64_t nr;
	uint64_t mask;   /* of the smallest power of two >= nr */
	uint32_t half;   /* half of its bits, at least 1 */
	uint64_t odd[3]; /* a multiplier for each round */
	uint64_t plus[3];
};

struct choice {
	uint64_t nr_pages;
	uint64_t nr_hot;
	uint64_t nr_warm;     /* 0: there is no warm set */
	uint64_t hot_share;   /* 2^32: each access goes to the hot set */
	uint64_t warm_share;  /* likewise */
	uint64_t write_share; /* 2^32: each access is a store */
	enum choice_layout layout;
	struct choice_permutation permutation;
};

/* What one access does. */
struct choice_access {
	uint64_t page;
	uint32_t line; /* 0 to 63 */
	bool write;
};

/*
 * Sets up the choice. Shares are from 0 to 1. Returns 0, or -EINVAL where there is no
 * page, more hot pages than pages, or a number of pages that BLOCKS cannot divide.
 */
int choice_init(struct choice *choice, uint64_t nr_pages, uint64_t nr_hot, double hot_share,
		double write_share, enum choice_layout layout, uint64_t seed);

/* splitmix64: the next of a sequence that state stands for (Steele, Lea, Flood 2014). */
static inline uint64_t choice_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* A number in [0, nr) from 32 random bits, nr < 2^32 (Lemire's multiplication). */
static inline uint64_t choice_below(uint32_t random, uint64_t nr)
{
	return random * nr >> 32;
}

/*
 * Each round is a bijection of the numbers below a power of two: multiplying by an odd
 * number, adding, and xoring the upper half onto the lower. Results that are not below
 * nr are sent through again ("cycle walking"): less than one more time on average, as
 * nr is more than half of the power of two.
 */
static inline uint64_t choice_permute(const struct choice_permutation *p, uint64_t x)
{
	do {
		for (int i = 0; i < 3; i++) {
			x = (x * p->odd[i] + p->plus[i]) & p->mask;
			x ^= x >> p->half;
		}
	} while (x >= p->nr);
	return x;
}

/*
 * Makes the nr_warm ranks behind the hot set warm: they get a share of the accesses of their
 * own. Returns 0, or -EINVAL where there are fewer pages or shares than that.
 */
int choice_set_warm(struct choice *choice, uint64_t nr_warm, double warm_share);

static inline uint64_t choice_page_of_rank(const struct choice *choice, uint64_t rank)
{
	uint64_t in_block = rank & ((1 << CHOICE_BLOCK_SHIFT) - 1);

	switch (choice->layout) {
	case CHOICE_SCATTERED:
		return choice_permute(&choice->permutation, rank);
	case CHOICE_BLOCKS:
		return choice_permute(&choice->permutation, rank >> CHOICE_BLOCK_SHIFT)
			   << CHOICE_BLOCK_SHIFT |
		       in_block;
	case CHOICE_CONTIGUOUS:
		break;
	}
	return rank;
}

/* The next access, where the hot set begins at rank hot_first (< nr_pages). */
static inline struct choice_access choice_next(const struct choice *choice, uint64_t hot_first,
					       uint64_t *state)
{
	uint64_t how = choice_random(state), where = choice_random(state);
	uint64_t rank;

	if ((uint32_t)how < choice->hot_share) {
		rank = hot_first + choice_below(where, choice->nr_hot);
		if (rank >= choice->nr_pages)
			rank -= choice->nr_pages;
	} else if ((uint32_t)how - choice->hot_share < choice->warm_share) {
		rank = hot_first + choice->nr_hot + choice_below(where, choice->nr_warm);
		while (rank >= choice->nr_pages)
			rank -= choice->nr_pages;
	} else {
		rank = choice_below(where, choice->nr_pages);
	}

	return (struct choice_access){
	    .page = choice_page_of_rank(choice, rank),
	    .line = where >> 58,
	    .write = how >> 32 < choice->write_share,
	};
}

/* Where the hot set begins after a shift. */
static inline uint64_t choice_shift(const struct choice *choice, uint64_t hot_first)
{
	return (hot_first + choice->nr_hot) % choice->nr_pages;
}

#endif /* WORKLOAD_CHOICE_H */
