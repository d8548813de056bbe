/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters of hits and misses per memory. Each vCPU adds to its own; the recorder
 * reads them all, takes differences, and forms a line. Totals never go back.
 */
#ifndef TIERSCOPE_COUNTS_H
#define TIERSCOPE_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "memmap.h"

#define COUNTS_MAX_VCPUS 64
#define COUNTS_NR (MEMMAP_MAX_MEMS + 1) /* the last is MEMMAP_OTHER */

struct count {
	uint64_t hits;
	uint64_t misses;
};

/* Of all memories at one moment, or between two. */
struct counts {
	struct count of[COUNTS_NR];
};

struct vcpu_counts {
	struct counts counts;
} __attribute__((aligned(64)));

/* Written by its vCPU only, hence no read-modify-write, but read at any time. */
static inline void counts_add(struct counts *counts, uint32_t mem, int hit)
{
	uint64_t *n = hit ? &counts->of[mem].hits : &counts->of[mem].misses;

	__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

/* The counters of one vCPU, which may go on counting. */
void counts_read(struct counts *now, const struct vcpu_counts *vcpu);

void counts_sum(struct counts *sum, const struct counts *parts, uint32_t nr_parts);

/* now - before */
void counts_diff(struct counts *diff, const struct counts *now, const struct counts *before);

/*
 * "seconds fast_hits fast_misses slow_hits slow_misses\n" into buf. Returns its
 * length, or -ENOSPC.
 */
int counts_format_tiers(char *buf, size_t len, uint64_t time_ms, const struct counts *diff,
			const struct mem *mems, uint32_t nr_mems);

/* "seconds hits misses ... other\n", a pair for each memory. As above. */
int counts_format_mems(char *buf, size_t len, uint64_t time_ms, const struct counts *diff,
		       uint32_t nr_mems);

/* The line above counts_format_mems()'s. */
int counts_format_mems_header(char *buf, size_t len, const struct mem *mems, uint32_t nr_mems);

/* "seconds misses ...\n": those of each vCPU in each memory, all memories of vCPU 0 first. */
int counts_format_vcpus(char *buf, size_t len, uint64_t time_ms, const struct counts *diffs,
			uint32_t nr_vcpus, uint32_t nr_mems);

/* The line above counts_format_vcpus()'s. */
int counts_format_vcpus_header(char *buf, size_t len, uint32_t nr_vcpus, const struct mem *mems,
			       uint32_t nr_mems);

#endif /* TIERSCOPE_COUNTS_H */
