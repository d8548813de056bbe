/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does the kernel's automatic NUMA balancing undo what ember does? It pulls pages to the node
 * of the CPU that touches them (mode 1), or promotes them from slower tiers by a measure of
 * its own (mode 2). On many machines neither concerns ember: then it is left alone. Pure.
 */
#ifndef EMBER_NUMAB_H
#define EMBER_NUMAB_H

#include <stdbool.h>
#include <stdint.h>

#include "topology.h"

/* Name, conflict, word, sentence ("automatic NUMA balancing …"). */
#define EMBER_NUMAB_REASONS(X)                                                                     \
	X(UNKNOWN, false, "unknown", "has no setting here: the kernel was built without it")       \
	X(OFF, false, "off", "is off")                                                             \
	X(ONE_TIER, false, "one-tier", "moves pages within the only tier")                         \
	X(NO_TARGET, false, "no-target",                                                           \
	  "has nowhere to pull pages to: no memory lies beside CPUs")                              \
	X(ALL_TOP, false, "all-top",                                                               \
	  "looks only below the slowest tier with CPUs, where no memory lies")                     \
	X(PULLS_TO_CPU, true, "pulls-to-cpu",                                                      \
	  "pulls pages out of nodes without CPUs to the CPU that touches them")                    \
	X(PULLS_ACROSS, true, "pulls-across",                                                      \
	  "pulls pages to the CPU that touches them, whichever tier that is")                      \
	X(COMPETES, true, "competes", "promotes from the same slow memory by its own measure")

enum ember_numab_reason {
#define X(name, conflict, word, sentence) EMBER_NUMAB_##name,
	EMBER_NUMAB_REASONS(X)
#undef X
	    EMBER_NR_NUMAB_REASONS,
};

/* @mode: kernel.numa_balancing; negative if it cannot be read. */
enum ember_numab_reason ember_numab_judge(const struct ember_topology *topo, int mode);

bool ember_numab_conflict(enum ember_numab_reason reason);
const char *ember_numab_word(enum ember_numab_reason reason);
const char *ember_numab_sentence(enum ember_numab_reason reason);

#endif
