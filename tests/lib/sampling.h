/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EMBER_TESTS_SAMPLING_H
#define EMBER_TESTS_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/sample.h"

/* A sampler without fault sampling; loads the module if need be. Exits on failure. */
struct ember_sampler *start_sampler(void);

/* The same with a configuration. */
struct ember_sampler *start_sampler_with(const struct ember_sampler_config *config);

/* Identity of a process that must exist. */
struct ember_proc_id identify(struct ember_sampler *sampler, uint32_t tgid);

/*
 * One part of a scan. Returns whether there is more, for which it is called again. Exits on
 * failure, and when the scan has stopped for what does not pass.
 */
bool scan_part(struct ember_sampler *sampler, const struct ember_proc_id *id,
	       struct ember_scan_req *req, const struct ember_region_rec **ret_recs);

/* Sets seen[] for the young pages of a record, counted from @base. Returns how many they are. */
uint32_t mark_young(const struct ember_region_rec *rec, uint64_t base, bool *seen);

#endif
