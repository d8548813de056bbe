/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that shall be left alone for a while: those just moved (so that noise does not
 * carry them back; the time doubles with every round trip) and those that a mover
 * refused (so that a pinned page is not tried every round). A bounded table: when it is
 * full the entry that ends first gives way.
 */
#ifndef EMBER_COOLDOWN_H
#define EMBER_COOLDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ember_cooldown_entry;

struct ember_cooldown {
	struct ember_cooldown_entry *entries; /* sets of EMBER_COOLDOWN_WAYS */
	uint32_t nr_sets;                     /* power of two */
	uint32_t max_sets;
	uint32_t nr_used;
	uint64_t nr_evicted; /* entries that gave way before their time */
};

enum ember_cooldown_state {
	EMBER_COOL_FREE,    /* may move */
	EMBER_COOL_MOVED,   /* moved a short while ago */
	EMBER_COOL_REFUSED, /* refused a short while ago */
};

/* @max_entries is a bound on memory (16 bytes each); rounded to a power of two. 0 or -ENOMEM. */
int ember_cooldown_init(struct ember_cooldown *cd, uint32_t max_entries);
void ember_cooldown_destroy(struct ember_cooldown *cd);

/* @proc: any number that names the process for its life, e.g. ember_proc_hash(). */
enum ember_cooldown_state ember_cooldown_look(const struct ember_cooldown *cd, uint64_t proc,
					      uint64_t addr, bool promote, uint64_t now_ns);
void ember_cooldown_moved(struct ember_cooldown *cd, uint64_t proc, uint64_t addr, bool promote,
			  uint64_t now_ns);
void ember_cooldown_refused(struct ember_cooldown *cd, uint64_t proc, uint64_t addr, bool lasting,
			    uint64_t now_ns);

#endif
