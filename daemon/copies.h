/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module says of its copies, and what is to be said where a policy asks for DMA
 * engines. Pure.
 */
#ifndef EMBER_COPIES_H
#define EMBER_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#define EMBER_BATCH_CLASSES 10 /* sizes of batches whose times the module keeps apart */

/* Since the module was loaded, whoever asked; but channels, leaks and times are of now. */
struct ember_copies {
	uint32_t channels; /* of DMA engines that the module holds and that work */
	uint64_t cpu_pages;
	uint64_t dma_pages;
	uint64_t fallback_pages; /* of cpu_pages: an engine was to copy them */
	uint64_t nr_timeouts;    /* a channel was stopped for that */
	uint64_t leaked_pages;   /* out of use: an engine may still write to them */
	/* Per page, of batches of [2^i, 2^(i+1)) pages; 0: never measured. */
	uint32_t cpu_ns[EMBER_BATCH_CLASSES];
	uint32_t dma_ns[EMBER_BATCH_CLASSES];
};

enum ember_copies_notice {
	EMBER_COPIES_QUIET,
	EMBER_COPIES_NO_CHANNEL, /* an engine is wanted, and there is none */
	EMBER_COPIES_CHANNELS,   /* there was none when it was said last, now there is */
};

/*
 * What to say now, so that each change is said once. @dma_wanted: by the policy. *missing: it has
 * been said that there is no channel; false at first, the caller keeps it.
 */
enum ember_copies_notice ember_copies_notice(bool dma_wanted, uint32_t channels, bool *missing);

#endif
