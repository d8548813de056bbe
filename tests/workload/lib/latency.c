// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "latency.h"

void latency_merge(struct latency *sum, const struct latency *part)
{
	for (uint32_t i = 0; i < LATENCY_NR_CLASSES; i++)
		sum->counts[i] += __atomic_load_n(&part->counts[i], __ATOMIC_RELAXED);
}

void latency_diff(struct latency *diff, const struct latency *now, const struct latency *before)
{
	for (uint32_t i = 0; i < LATENCY_NR_CLASSES; i++)
		diff->counts[i] = now->counts[i] - before->counts[i];
}

uint64_t latency_nr(const struct latency *latency)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < LATENCY_NR_CLASSES; i++)
		nr += latency->counts[i];
	return nr;
}

/* The longest time that falls into a class. */
static uint64_t class_end_ns(uint32_t class)
{
	uint32_t shift;

	if (class < 2 << LATENCY_SUB_SHIFT)
		return class;
	shift = (class >> LATENCY_SUB_SHIFT) - 1;
	return ((class - (shift << LATENCY_SUB_SHIFT) + 1ull) << shift) - 1;
}

uint64_t latency_quantile_ns(const struct latency *latency, double part)
{
	uint64_t wanted = (uint64_t)ceil(part * latency_nr(latency));
	uint64_t seen = 0;

	for (uint32_t i = 0; i < LATENCY_NR_CLASSES; i++) {
		seen += latency->counts[i];
		if (seen && seen >= wanted)
			return class_end_ns(i);
	}
	return 0;
}
