/* SPDX-License-Identifier: GPL-2.0-only */
/* The contents of many pages to many others, in one call, by whichever engine is the better. */
#ifndef EMBER_COPY_H
#define EMBER_COPY_H

#include <linux/bitmap.h>
#include <linux/ember.h>
#include <linux/mm_types.h>
#include <linux/types.h>

#define EMBER_COPY_PAGES 512 /* most pairs of one call */

/* Pairs of single pages. Nobody else reads or writes any of them during the call. */
struct ember_pairs {
	bool prefer_dma; /* (in) rather by a DMA engine, to keep the CPU free */
	unsigned int nr; /* (in) */
	struct page *src[EMBER_COPY_PAGES]; /* (in) */
	struct page *dst[EMBER_COPY_PAGES]; /* (in) */
	/* (out) by pair: what the destination says is what the source says */
	DECLARE_BITMAP(copied, EMBER_COPY_PAGES);
	/*
	 * (out) by pair: an engine that would not stop may still write to the destination,
	 * so that reference and page are no longer the caller's. The source is.
	 */
	DECLARE_BITMAP(lost, EMBER_COPY_PAGES);
};

/* Since the module was loaded; the times are of now. */
struct ember_copy_stats {
	u64 cpu_pages;
	u64 dma_pages;
	u64 fallbacks; /* of cpu_pages: an engine was to copy them */
	u32 cpu_ns[EMBER_COPY_CLASSES]; /* per page; 0: never measured */
	u32 dma_ns[EMBER_COPY_CLASSES];
};

void ember_copy(struct ember_pairs *pairs);
void ember_copy_forget_dma(void);
void ember_copy_stats(struct ember_copy_stats *ret_stats);

#endif /* EMBER_COPY_H */
