/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a page table: which pages may move, and why the others may not. */
#ifndef EMBER_LOOK_H
#define EMBER_LOOK_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include "respect.h"
#include "result.h"

struct ember_pool;

struct ember_look {
	int nid;	    /* destination; NUMA_NO_NODE: the pool */
	const struct ember_pool *pool; /* destination, or NULL */
	const struct ember_pool *from; /* leave pages that lie elsewhere; NULL: any may move */
	const struct ember_respect *respect; /* NULL: nobody is asked */
	bool isolated_ok;   /* CPUs that are isolated may be interrupted */
	bool shared_ok;	    /* pages of several processes may move */
	bool off_lru_ok;    /* pages waiting for their LRU list may move; see look.c */
	bool failed;	    /* the move was tried and failed: why? */
	unsigned int nr_off_lru; /* (out) such pages, added up */
};

/* By page of a 2 MiB region. */
struct ember_pages {
	DECLARE_BITMAP(wanted, EMBER_REGION_PAGES);
	u8 *outcome; /* enum ember_outcome */
};

bool ember_look_lies_there(const struct ember_look *look, const struct folio *folio);
void ember_look_area(struct ember_look *look, struct vm_area_struct *vma, unsigned long start,
		     unsigned long end, struct ember_pages *pages);

#endif /* EMBER_LOOK_H */
