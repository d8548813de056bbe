/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a level is really worth.
 *
 * The level of a page is an estimate from few looks; among very many pages the hottest
 * looking ones are to a good part just lucky. So levels are tested on looks that did not make
 * them: of all pages that were at level l before a scan, so many were young in it; that gives
 * the rate that pages at level l really have. Where access is uniform every level turns
 * out to be worth the same, whatever the noise, and nothing moves; where a hot set
 * hides in the noise, the average of a level shows it long before single pages do. Rates may
 * only rise with levels (isotonic regression by pooling adjacent violators, Ayer et al. 1955).
 *
 * One table for all processes, for base and for huge pages. Pure.
 */
#ifndef EMBER_CALIBRATE_H
#define EMBER_CALIBRATE_H

#include <stdint.h>

#include "level.h"

enum ember_page_size { EMBER_PAGE_BASE, EMBER_PAGE_HUGE, EMBER_NR_PAGE_SIZES };

struct ember_calibration_sum {
	uint64_t nr_pages;
	uint64_t nr_young;
};

struct ember_calibration {
	/* the scan round under way */
	struct ember_calibration_sum round[EMBER_NR_PAGE_SIZES][EMBER_LEVELS];
	uint64_t nr_looks;
	uint64_t looks_us; /* sum of their intervals */

	/* all rounds, the older the less */
	uint64_t touches_q16[EMBER_NR_PAGE_SIZES][EMBER_LEVELS];
	uint64_t watched_us[EMBER_NR_PAGE_SIZES][EMBER_LEVELS]; /* page-microseconds */

	uint8_t worth[EMBER_NR_PAGE_SIZES][EMBER_LEVELS]; /* the level that a level is worth */
};

/* Before anything is known every level is worth the same. */
void ember_calibration_init(struct ember_calibration *c);

/*
 * @nr_pages pages that were at @level before a scan over @interval_us, @nr_young of which
 * were young in it.
 */
static inline void ember_calibration_add(struct ember_calibration *c, enum ember_page_size size,
					 uint8_t level, uint32_t nr_pages, uint32_t nr_young)
{
	c->round[size][level].nr_pages += nr_pages;
	c->round[size][level].nr_young += nr_young;
}

/* The pages just added were watched for so long. */
static inline void ember_calibration_interval(struct ember_calibration *c, uint64_t nr_pages,
					      uint64_t interval_us)
{
	c->nr_looks += nr_pages;
	c->looks_us += nr_pages * interval_us;
}

/* Call when all processes have been scanned: makes the round count. */
void ember_calibration_end_round(struct ember_calibration *c);

#endif
