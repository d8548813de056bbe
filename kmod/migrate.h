/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving the asked pages of one region to a node or a pool. */
#ifndef EMBER_MIGRATE_H
#define EMBER_MIGRATE_H

#include <linux/numa.h>
#include <linux/types.h>

struct ember_batch;
struct ember_pool;
struct ember_region;
struct ember_respect;
struct mm_struct;

/* Where to. */
struct ember_dest {
	int nid;  /* a node with memory; NUMA_NO_NODE: the pool */
	u32 pool; /* id */
};

static inline bool ember_dest_is_pool(const struct ember_dest *dest)
{
	return dest->nid == NUMA_NO_NODE;
}

int ember_batch_alloc(const struct ember_dest *dest, u32 flags, struct ember_batch **ret_batch);
void ember_batch_only_from(struct ember_batch *batch, const struct ember_pool *pool);
void ember_batch_free(struct ember_batch *batch);
unsigned int ember_migrate_pages(struct ember_batch *batch, struct mm_struct *mm,
				 struct ember_region *region, unsigned int first,
				 unsigned int last, const struct ember_respect *respect);
u64 ember_batch_longest_unmapped_ns(const struct ember_batch *batch);

#endif /* EMBER_MIGRATE_H */
