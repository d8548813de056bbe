/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Automatic NUMA balancing beside ember: watch the sysctl, have the helper switch it off while it
 * is in the way, give it back.
 */
#ifndef EMBER_BALANCING_H
#define EMBER_BALANCING_H

#include <stdbool.h>
#include <stdint.h>

#include "lease.h"
#include "status.h"
#include "topology.h"

struct ember_balancing {
	struct ember_lease *lease;
	int32_t value; /* kernel.numa_balancing as last read, -1: none */
	int32_t saved; /* the value to be restored, -1: nothing is held */
	bool conflict;
	bool told; /* the present conflict was logged */
};

void ember_balancing_init(struct ember_balancing *b, struct ember_lease *lease);

/* Look at the sysctl and do what @mode (enum ember_borrow) wants. Logs changes once. */
void ember_balancing_update(struct ember_balancing *b, uint32_t mode,
			    const struct ember_topology *topo, uint64_t now_ns);

/* Have the value restored. */
void ember_balancing_restore(struct ember_balancing *b);

void ember_balancing_tell(const struct ember_balancing *b, struct ember_status *ret);

#endif /* EMBER_BALANCING_H */
