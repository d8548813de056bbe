/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scan: sample and score. A round looks at every process; an early look at what fault samples
 * named, also in the middle of a round.
 */
#ifndef EMBER_SCAN_H
#define EMBER_SCAN_H

#include "engine_state.h"

/* All processes once, as e->step says. Processes that are gone are dropped. */
void ember_scan_round(struct ember_engine *e);

/* Take the events that wait, and do the early looks that are due. */
void ember_scan_early(struct ember_engine *e);

/* The earliest time at which one is due; UINT64_MAX: none. */
uint64_t ember_scan_early_due(const struct ember_engine *e);

#endif /* EMBER_SCAN_H */
