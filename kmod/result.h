/* SPDX-License-Identifier: GPL-2.0-only */
/* Run lengths of outcomes. Pure: also built for user space by the unit tests. */
#ifndef EMBER_RESULT_H
#define EMBER_RESULT_H

#include <linux/ember.h>
#include <linux/types.h>

#define EMBER_REGION_PAGES 512

unsigned int ember_runs_encode(const __u64 asked[8], const __u8 outcome[EMBER_REGION_PAGES],
			       struct ember_run *ret_runs);
unsigned int ember_runs_count(const __u64 asked[8], const __u8 outcome[EMBER_REGION_PAGES]);

#endif /* EMBER_RESULT_H */
