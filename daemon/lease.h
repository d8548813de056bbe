/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ember-helper(8) has switched off for this process: one connection for all of it, open as
 * long as anything is held. The helper puts everything back when it closes, however this
 * process ends.
 */
#ifndef EMBER_LEASE_H
#define EMBER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ember_lease_item {
	EMBER_LEASE_NUMA_BALANCING,
	EMBER_LEASE_DAMON_STAT,
	EMBER_NR_LEASE_ITEMS,
};

struct ember_lease {
	const char *socket;
	int fd;                 /* -1: nothing is held */
	uint32_t held;          /* bits by item */
	uint64_t retry_ns;      /* CLOCK_MONOTONIC; the helper failed: not before this */
	unsigned int nr_failed; /* in a row */
};

void ember_lease_init(struct ember_lease *lease, const char *socket);

/*
 * Have @item switched off. 0: done, @reply says what it was; else the errors of helper_client.h,
 * with -EREMOTEIO @reply says why not. May wait for ten seconds for an answer. After a failure
 * nobody is asked for 5 s, then twice as long with each, up to a minute: -EAGAIN.
 */
int ember_lease_take(struct ember_lease *lease, enum ember_lease_item item, uint64_t now_ns,
		     char *reply, size_t size);

/* Have @item put back; nothing happens if it is not held. */
void ember_lease_give(struct ember_lease *lease, enum ember_lease_item item);
void ember_lease_give_all(struct ember_lease *lease);

bool ember_lease_holds(const struct ember_lease *lease, enum ember_lease_item item);

/* Notice that the helper has ended (killed, say): it has put everything back. Logs that. */
void ember_lease_check(struct ember_lease *lease);

#endif /* EMBER_LEASE_H */
