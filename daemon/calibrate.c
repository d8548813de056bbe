// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "calibrate.h"
#include "gain.h"

#define ONE_Q16 65536ULL
#define LN2_Q16 45426ULL

/* Pages of adjacent levels that share one rate. */
struct block {
	uint64_t touches_q16;
	uint64_t watched_us;
	unsigned int first; /* level */
};

void ember_calibration_init(struct ember_calibration *c)
{
	memset(c, 0, sizeof(*c));
}

/* -ln(1 - young/pages), the touches per page that this share stands for, in 16 bits of fraction. */
static uint64_t touches_per_page_q16(uint64_t nr_pages, uint64_t nr_young)
{
	uint64_t p, all = 2 * nr_pages + 1, dark = all - 2 * nr_young;

	if (nr_young * 4 > nr_pages) /* half a page stays dark: the logarithm is finite */
		return (ember_log2_q8(all) - ember_log2_q8(dark)) * LN2_Q16 / 256;
	p = (nr_young << 16) / nr_pages;
	return p + p * p / (2 * ONE_Q16) + p * p / ONE_Q16 * p / (3 * ONE_Q16);
}

/*
 * Saturated looks count less: nearly all young tells little about how often. The weight is
 * information per touch, x/(exp(x)-1).
 */
static uint64_t weight_q8(uint64_t x_q16)
{
	int lx;

	if (x_q16 < ONE_Q16 / 64)
		return 256;
	lx = (ember_log2_q8(x_q16) - 16 * 256) * EMBER_LEVELS_PER_OCTAVE / 256;
	return (ember_gain_info_q8(lx) << 16) / (EMBER_INFO_ONE * x_q16);
}

/*
 * Each older round counts half, where there are thousands of pages; where there are few, one
 * round tells little, and more of them are remembered.
 */
static unsigned int decay_shift(const struct ember_calibration *c, unsigned int size)
{
	uint64_t nr = 0;

	for (unsigned int level = 0; level < EMBER_LEVELS; level++)
		nr += c->round[size][level].nr_pages;
	if (nr >= 8192)
		return 1;
	if (nr >= 2048)
		return 2;
	return nr >= 512 ? 3 : 4;
}

static void fold(struct ember_calibration *c, unsigned int size, unsigned int level, uint64_t us,
		 unsigned int shift)
{
	struct ember_calibration_sum *sum = &c->round[size][level];
	uint64_t x_q16, weight;

	c->touches_q16[size][level] -= c->touches_q16[size][level] >> shift;
	c->watched_us[size][level] -= c->watched_us[size][level] >> shift;
	if (!sum->nr_pages)
		return;
	x_q16 = touches_per_page_q16(sum->nr_pages, sum->nr_young);
	weight = weight_q8(x_q16);
	c->touches_q16[size][level] += sum->nr_pages * x_q16 / 256 * weight;
	c->watched_us[size][level] += sum->nr_pages * us * weight / 256;
}

/* Is the rate of @a above that of @b? */
static int above(const struct block *a, const struct block *b)
{
	return (__uint128_t)a->touches_q16 * b->watched_us >
	       (__uint128_t)b->touches_q16 * a->watched_us;
}

static uint8_t level_of(const struct block *b)
{
	int32_t log;

	/* half a touch more than seen: never is not known, only seldom */
	log = ember_log2_q8(b->touches_q16 + ONE_Q16 / 2) - 16 * 256;
	log += ember_log2_q8(1000000) - ember_log2_q8(b->watched_us);
	log = EMBER_LEVEL_1HZ + ((log * EMBER_LEVELS_PER_OCTAVE + 128) >> 8);
	if (log < 0)
		return 0;
	return log < EMBER_LEVELS ? log : EMBER_LEVELS - 1;
}

static void regress(struct ember_calibration *c, unsigned int size)
{
	struct block blocks[EMBER_LEVELS];
	unsigned int nr = 0, level;

	for (level = 0; level < EMBER_LEVELS; level++) {
		if (!c->watched_us[size][level])
			continue;
		blocks[nr++] = (struct block){.touches_q16 = c->touches_q16[size][level],
					      .watched_us = c->watched_us[size][level],
					      .first = level};
		for (; nr > 1 && above(&blocks[nr - 2], &blocks[nr - 1]); nr--) {
			blocks[nr - 2].touches_q16 += blocks[nr - 1].touches_q16;
			blocks[nr - 2].watched_us += blocks[nr - 1].watched_us;
		}
	}
	if (!nr)
		return;
	/* levels without pages are worth what the next lower ones are, or the lowest */
	for (unsigned int b = 0; b < nr; b++) {
		unsigned int end = b + 1 < nr ? blocks[b + 1].first : EMBER_LEVELS;

		for (level = b ? blocks[b].first : 0; level < end; level++)
			c->worth[size][level] = level_of(&blocks[b]);
	}
}

void ember_calibration_end_round(struct ember_calibration *c)
{
	if (!c->nr_looks)
		return;
	for (unsigned int size = 0; size < EMBER_NR_PAGE_SIZES; size++) {
		unsigned int shift = decay_shift(c, size);

		for (unsigned int level = 0; level < EMBER_LEVELS; level++)
			fold(c, size, level, c->looks_us / c->nr_looks, shift);
		regress(c, size);
	}
	memset(c->round, 0, sizeof(c->round));
	c->nr_looks = c->looks_us = 0;
}
