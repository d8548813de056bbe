/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * score: how hot is each page? Turns the records of one scan of one process into
 * heat levels. Pure: data and intervals in, levels out; the same records give the
 * same levels bit by bit.
 *
 *	struct ember_score_pass pass;
 *	ember_score_begin(&pass, &proc->regions, &info);
 *	for each buffer: ember_score_records(&pass, recs, nr);
 *	ember_score_end(&pass, complete);
 */
#ifndef EMBER_SCORE_H
#define EMBER_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calibrate.h"
#include "region.h"

struct ember_scan_info {
	/*
	 * Time since the start of the previous scan of this process, whether or not that
	 * one was complete: a page looks at least as hot as it is, never colder.
	 * 0 (first scan: nobody knows when the bits were last cleared): places are
	 * learnt, heat is not.
	 */
	uint64_t interval_ns;
	/*
	 * A look at a part of the process only, perhaps in the middle of another pass: it learns
	 * places and not heat, does not end complete, and leaves alone how far the other pass
	 * has come.
	 */
	bool part;
	uint32_t flags;      /* EMBER_SCAN_FULL | EMBER_SCAN_COLD as given to the kernel side */
	uint8_t prior_level; /* what an unknown page is taken for: ember_cadence gives it */
	struct ember_calibration *calibration; /* learns from this scan; may be NULL */
};

struct ember_score_stats {
	uint64_t nr_records;
	uint64_t nr_refused; /* malformed: version, alignment, order of addresses */
	uint64_t nr_young;   /* 4 KiB pages */
	uint64_t nr_present;
	uint64_t nr_surprises; /* regions whose pages behaved unlike their levels */
	uint64_t nr_nomem;     /* regions not updated for lack of memory */
};

/*
 * What one look makes of a page: the same for all regions of which as much is known, which
 * are nearly all, so it is worked out for each level and not for each page.
 */
struct ember_steps {
	const uint8_t *rows; /* made for these arguments; NULL: not made yet */
	unsigned int prior;
	unsigned int index;
	uint16_t to_q8[2][EMBER_LEVELS]; /* [young][level]: the new level, see score.c */
};

struct ember_score_pass {
	struct ember_regions *regions;
	struct ember_scan_info info;
	uint64_t last_addr;
	bool any;
	int gain_offset;     /* of the interval, see gain.h */
	uint16_t info_clock; /* of the store when the pass is complete */
	uint32_t info_rest_q8;
	struct ember_steps steps;
	struct ember_score_stats stats;
};

void ember_score_begin(struct ember_score_pass *pass, struct ember_regions *rs,
		       const struct ember_scan_info *info);

/*
 * Records of one buffer, in ascending order of address over the whole pass. Bad records
 * are counted and left out. 0 or -ENOMEM (some regions were not updated; their heat stays).
 */
int ember_score_records(struct ember_score_pass *pass, const struct ember_region_rec *recs,
			size_t nr);

/*
 * @complete: the scan reached its end and nothing was lost. Only then does what was not
 * reported count as not touched, and only after a complete EMBER_SCAN_FULL|EMBER_SCAN_COLD
 * pass do regions that were not reported go.
 */
void ember_score_end(struct ember_score_pass *pass, bool complete);

/* Bring @r up to the clock of its store (rounds in which it was not reported). */
void ember_score_catch_up(struct ember_regions *rs, struct ember_region *r);

#endif
