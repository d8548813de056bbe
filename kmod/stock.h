/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of the destination, at hand before any page is unmapped. */
#ifndef EMBER_STOCK_H
#define EMBER_STOCK_H

#include <linux/mmzone.h>
#include <linux/types.h>

#include "result.h"

struct ember_pool;
struct page;

struct ember_stock {
	int nid;		    /* of ordinary memory; else NUMA_NO_NODE */
	struct ember_pool *pool;    /* or this pool, with a reference of the owner's; else NULL */
	enum zone_watermarks floor; /* that the node keeps */
	unsigned int nr;
	/* Each with one reference, not locked. NULL from nr on. */
	struct page *page[EMBER_REGION_PAGES];
};

unsigned int ember_stock_fill(struct ember_stock *stock, unsigned int nr);
struct page *ember_stock_pick(struct ember_stock *stock);
void ember_stock_unpick(struct ember_stock *stock, struct page *page);
void ember_stock_return(struct ember_stock *stock);

#endif /* EMBER_STOCK_H */
