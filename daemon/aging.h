/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DAMON_STAT beside ember: have the helper switch it off while ember samples, give it back when
 * nobody is followed any more.
 */
#ifndef EMBER_AGING_H
#define EMBER_AGING_H

#include <stdbool.h>
#include <stdint.h>

#include "damonstat.h"
#include "lease.h"
#include "status.h"

struct ember_aging {
	struct ember_lease *lease;
	enum ember_damonstat state;
	bool held;
	bool warned; /* that the helper could not be asked */
	bool asked;  /* and nothing to hold, or no answer: not asked again and again */
	uint64_t last_followed_ns; /* 0: never */
};

void ember_aging_init(struct ember_aging *aging, struct ember_lease *lease);

/* Do what @mode (enum ember_borrow) wants while @nr_followed processes are followed. */
void ember_aging_update(struct ember_aging *aging, uint32_t mode, uint32_t nr_followed,
			uint64_t now_ns);

/* Have it run again, if it did. */
void ember_aging_restore(struct ember_aging *aging);

void ember_aging_tell(const struct ember_aging *aging, struct ember_status *ret);

#endif /* EMBER_AGING_H */
