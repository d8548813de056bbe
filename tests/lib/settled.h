/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel still holds when all is quiet: nothing must be left of moves, neither a page nor
 * an address space. Read before and after.
 *
 * A node's pages are counted that are neither free (on the buddy's or on per-CPU lists) nor of a
 * kind that comes and goes with the system's other business: anonymous and mapped by a process that
 * lives, page cache, slab, kernel stacks, page tables, huge page pools. A page that a mover has
 * lost, on an LRU list or off it, is among them. The rest of the system has some of its own
 * (vmalloc, per-CPU memory, BPF): SETTLED_BOUND_PAGES is what they may differ by.
 *
 * mm_struct objects are counted beyond those of the processes that there are. A CPU may hold on to
 * the last one that it has used, so they may differ by as many as there are CPUs. The count is
 * exact with the slab debugging that test guests boot with.
 */
#ifndef EMBER_TESTS_SETTLED_H
#define EMBER_TESTS_SETTLED_H

#include <stdbool.h>

#define SETTLED_MAX_NODES 8
#define SETTLED_BOUND_PAGES 128

struct settled {
	long nr_pages[SETTLED_MAX_NODES];
	long nr_spare_mms;
};

/* Drops the page cache first, and waits until all is quiet. Exits on failure. */
void settled_read(struct settled *ret_settled);
/*
 * Is nothing left since @before? Waits for what is on its way out, and says what it saw. The caller
 * counts it: expect() counts the failures of its own source only.
 */
bool settled_expect(const struct settled *before, const char *what);

#endif /* EMBER_TESTS_SETTLED_H */
