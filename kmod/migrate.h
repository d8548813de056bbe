/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving the asked pages of one region to a node. */
#ifndef EMBER_MIGRATE_H
#define EMBER_MIGRATE_H

#include <linux/types.h>

struct ember_batch;
struct ember_region;
struct ember_respect;
struct mm_struct;

struct ember_batch *ember_batch_alloc(int nid, u32 flags);
void ember_batch_free(struct ember_batch *batch);
unsigned int ember_migrate_region(struct ember_batch *batch, struct mm_struct *mm,
				  struct ember_region *region,
				  const struct ember_respect *respect);

#endif /* EMBER_MIGRATE_H */
