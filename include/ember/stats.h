/* SPDX-License-Identifier: GPL-2.0-only */
/* Indices of the counters that the BPF programs keep; what they mean: stats.def. */
#ifndef EMBER_STATS_H
#define EMBER_STATS_H

enum ember_stat {
#define EMBER_STAT(name, sentence) EMBER_STAT_##name,
#include "stats.def"
#undef EMBER_STAT
	EMBER_NR_STATS
};

#endif /* EMBER_STATS_H */
