/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Report: what the engine tells of itself.
 */
#ifndef EMBER_REPORT_H
#define EMBER_REPORT_H

#include "engine_state.h"

/* Make the snapshot that ember_engine_status() hands out. */
void ember_report_publish(struct ember_engine *e);

/* The sampler is about to go: what it has counted stays in the sums. */
void ember_report_keep_counters(struct ember_engine *e);

#endif /* EMBER_REPORT_H */
