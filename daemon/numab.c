// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel does, by its sources (6.12 and 7.3):
 *
 * Bit 0 of the mode (NUMA_BALANCING_NORMAL): hint faults everywhere; mpol_misplaced() aims at
 * the node of the faulting CPU, so pages are pulled there if it has memory.
 *
 * Bit 1 (NUMA_BALANCING_MEMORY_TIERING): hint faults only on memory that is not "top tier", and
 * the aim is the same. Top tier is every memory tier at or above the slowest one that has CPUs
 * (mm/memory-tiers.c), so it goes by the kernel's tiers, not by the policy's.
 */
#include "numab.h"

#define MODE_NORMAL 1
#define MODE_TIERING 2

static const struct {
	bool conflict;
	const char *word;
	const char *sentence;
} reasons[] = {
#define X(name, conflict, word, sentence) [EMBER_NUMAB_##name] = {conflict, word, sentence},
    EMBER_NUMAB_REASONS(X)
#undef X
};

bool ember_numab_conflict(enum ember_numab_reason reason)
{
	return reasons[reason].conflict;
}

const char *ember_numab_word(enum ember_numab_reason reason)
{
	return reasons[reason].word;
}

const char *ember_numab_sentence(enum ember_numab_reason reason)
{
	return reasons[reason].sentence;
}

/* Larger is slower; memory that is in no tier of the kernel counts as top tier. */
static int slowest_tier_with_cpus(const struct ember_topology *topo)
{
	int slowest = -1;

	for (uint16_t left = topo->memory_nodes & topo->cpu_nodes; left; left &= left - 1) {
		int tier = topo->nodes[__builtin_ctz(left)].kernel_tier;

		if (tier > slowest)
			slowest = tier;
	}
	return slowest;
}

static bool all_memory_is_top(const struct ember_topology *topo)
{
	int limit = slowest_tier_with_cpus(topo);

	for (uint16_t left = topo->memory_nodes & ~topo->pools; left; left &= left - 1)
		if (topo->nodes[__builtin_ctz(left)].kernel_tier > limit)
			return false;
	return true;
}

enum ember_numab_reason ember_numab_judge(const struct ember_topology *topo, int mode)
{
	if (mode < 0)
		return EMBER_NUMAB_UNKNOWN;
	if (!(mode & (MODE_NORMAL | MODE_TIERING)))
		return EMBER_NUMAB_OFF;
	if (topo->nr_tiers < 2)
		return EMBER_NUMAB_ONE_TIER;
	if (!(topo->memory_nodes & topo->cpu_nodes))
		return EMBER_NUMAB_NO_TARGET;
	if (mode & MODE_NORMAL)
		return topo->memory_nodes & ~(topo->cpu_nodes | topo->pools)
			   ? EMBER_NUMAB_PULLS_TO_CPU
			   : EMBER_NUMAB_PULLS_ACROSS;
	return all_memory_is_top(topo) ? EMBER_NUMAB_ALL_TOP : EMBER_NUMAB_COMPETES;
}
