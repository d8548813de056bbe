/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model of a last-level cache: set-associative, 64-byte lines, physical tags,
 * true LRU, write-allocate (loads and stores are alike), shared by all vCPUs.
 *
 * A set is an array of tags ordered from the most to the least recently used, so
 * that LRU needs no ages: a hit moves its tag to the front, a miss pushes the last
 * one out. The tag at the front is looked at without the set's lock: a hit there
 * changes nothing, and a race with another vCPU only decides which of the two was
 * first.
 */
#ifndef TIERSCOPE_LLC_H
#define TIERSCOPE_LLC_H

#include <stdbool.h>
#include <stdint.h>

#define LLC_LINE_SHIFT 6
#define LLC_MAX_WAYS 32

struct llc {
	uint32_t nr_ways;
	uint32_t set_shift; /* log2 of the number of sets */
	uint32_t *tags;     /* nr_sets * nr_ways; 0: empty, else line / nr_sets + 1 */
	uint8_t *locks;     /* one byte lock for each set */
};

/*
 * Sets up an empty cache of size_bytes. Returns 0, -EINVAL where size and ways
 * give no power-of-two number of sets or exceed LLC_MAX_WAYS, or -ENOMEM. The
 * caller frees it by llc_free().
 */
int llc_init(struct llc *llc, uint64_t size_bytes, uint32_t nr_ways);
void llc_free(struct llc *llc);

/*
 * One access to the line of a physical address (below 2^38 times the number of
 * sets: 2^49 for the default). Returns whether it hit. May be called by several
 * threads at once.
 */
bool llc_access(struct llc *llc, uint64_t paddr);

#endif /* TIERSCOPE_LLC_H */
