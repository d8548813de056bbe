/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histogram of times with 16 classes for each power of two: a quantile is at most 1/16
 * above the truth. One writer; a reader may take differences of two copies.
 */
#ifndef WORKLOAD_LATENCY_H
#define WORKLOAD_LATENCY_H

#include <stdint.h>

#define LATENCY_SUB_SHIFT 4
#define LATENCY_NR_CLASSES ((64 - LATENCY_SUB_SHIFT + 1) << LATENCY_SUB_SHIFT)

struct latency {
	uint64_t counts[LATENCY_NR_CLASSES];
};

static inline uint32_t latency_class(uint64_t ns)
{
	uint32_t shift;

	if (ns < 1 << LATENCY_SUB_SHIFT)
		return ns;
	shift = 63 - LATENCY_SUB_SHIFT - __builtin_clzll(ns);
	return (shift << LATENCY_SUB_SHIFT) + (ns >> shift);
}

static inline void latency_add(struct latency *latency, uint64_t ns)
{
	uint64_t *count = &latency->counts[latency_class(ns)];

	__atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* sum += part */
void latency_merge(struct latency *sum, const struct latency *part);

/* diff = now - before */
void latency_diff(struct latency *diff, const struct latency *now, const struct latency *before);

uint64_t latency_nr(const struct latency *latency);

/* The longest time, rounded up to its class, of the shortest part (0 to 1) of all. 0 if empty. */
uint64_t latency_quantile_ns(const struct latency *latency, double part);

#endif /* WORKLOAD_LATENCY_H */
