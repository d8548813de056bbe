/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The accessed bits of one region (2 MiB, what one PMD entry maps).
 */
#ifndef EMBER_KMOD_REGION_H
#define EMBER_KMOD_REGION_H

#include <linux/mm_types.h>

#include <ember/sample.h>

/* Areas that have a say in a region: which pages, and of what kind. */
struct ember_region_window {
	u64 pages[EMBER_PLANE_WORDS];	/* pages that the scan may look at */
	u8 kind;			/* enum ember_region_kind */
	bool bound;			/* by the memory policy of an area */
};

enum ember_region_result {
	EMBER_REGION_EMPTY,	/* no table, or nothing mapped by it */
	EMBER_REGION_SKIPPED,	/* the non-leaf bit says that nobody was here */
	EMBER_REGION_BUSY,	/* its table is replaced all the time: try again later */
	EMBER_REGION_READ,	/* entries were read; the planes of the record are filled in */
};

enum ember_region_result ember_region_scan(struct mm_struct *mm, pmd_t *pmd, u32 flags,
					   const struct ember_region_window *window,
					   struct ember_region_rec *rec, u64 *nr_cleared);

#endif /* EMBER_KMOD_REGION_H */
