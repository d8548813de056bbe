// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of the destination, taken before they are needed: of a node from the kernel's
 * allocator, within the limits that ember keeps there, or of a pool from ember's own books.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "pool.h"
#include "result.h"
#include "stock.h"

/*
 * No reclaim, direct or by kswapd: making room on a node is the asker's decision,
 * not a side effect of a move. And no dipping into the reserves.
 */
#define DST_GFP                                                                                    \
	((GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | __GFP_THISNODE | __GFP_NOWARN |                 \
	 __GFP_NORETRY | __GFP_NOMEMALLOC)

/*
 * Where many pages are wanted they are taken as blocks of the largest size that the
 * allocator keeps on its per-CPU lists, and split: one walk through the allocator
 * instead of eight. Larger blocks are for those who need them whole.
 */
#define BLOCK_ORDER PAGE_ALLOC_COSTLY_ORDER
#define BLOCK_PAGES (1U << BLOCK_ORDER)
#define LARGER_ORDER (BLOCK_ORDER + 3)

/*
 * One call of the bulk allocator clears so many pages with preemption disabled (a
 * few microseconds); more pages a call would save little.
 */
#define BULK_PAGES 64

/*
 * Free pages of the zone above @mark. Without reclaim an allocation may go down to the
 * min watermark, and whoever allocates next wakes kswapd; once awake, kswapd works until
 * the high one, so every page that is taken below that is a page that it reclaims. What
 * comes in exchange for pages that leave may go down to the low one, above which nobody
 * is woken: if its counterpart leaves, the node ends as it began. A raised watermark
 * (boost) counts: it stands until kswapd has run. Free pages are counted with a small
 * error per CPU, and two workers may see the same ones.
 */
static unsigned long zone_room(struct zone *zone, enum zone_watermarks mark)
{
	unsigned long kept = wmark_pages(zone, mark) + zone->lowmem_reserve[gfp_zone(DST_GFP)];
	unsigned long free = zone_page_state(zone, NR_FREE_PAGES);

	return free > kept ? free - kept : 0;
}

static unsigned long room_on(int nid, enum zone_watermarks mark)
{
	unsigned long room = 0;

	for (unsigned int i = 0; i <= gfp_zone(DST_GFP); i++) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[i];

		if (populated_zone(zone))
			room += zone_room(zone, mark);
	}
	return room;
}

/*
 * Whether this CPU's list of single pages has one of the zone that is tried first. Such
 * pages are not among the free ones, may be taken whatever the marks, and are many
 * after pages have left the node (some thousands on one of 1 GiB). The list of another CPU
 * may be meant by the time it is used: then a few pages come from below the mark. Lists
 * are freed when the zone's last memory goes offline; the window between the two reads
 * here is the one that the kernel's own readers of these lists have.
 */
static bool listed_on(int nid)
{
	for (int i = gfp_zone(DST_GFP); i >= 0; i--) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[i];

		if (populated_zone(zone))
			return !data_race(list_empty(
				&raw_cpu_ptr(zone->per_cpu_pageset)->lists[MIGRATE_MOVABLE]));
	}
	return false;
}

/*
 * Whether blocks are at hand among the free movable pages of a zone with room for them.
 * Where none are, the allocator would take them from pages of another kind and, to fight
 * fragmentation, raise the zone's watermarks, which sets kswapd to work. The per-CPU
 * list of blocks is filled by several at a time, so it must be a larger one. Only a
 * glance, without the zone's lock: a wrong answer costs a slower way, or such a raise.
 */
static bool blocks_on(int nid, enum zone_watermarks mark)
{
	for (unsigned int i = 0; i <= gfp_zone(DST_GFP); i++) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[i];

		/* without memory its lists are not even initialised */
		if (!populated_zone(zone) || zone_room(zone, mark) < EMBER_REGION_PAGES)
			continue;
		for (unsigned int order = LARGER_ORDER; order < NR_PAGE_ORDERS; order++)
			if (!data_race(list_empty(
				    &zone->free_area[order].free_list[MIGRATE_MOVABLE])))
				return true;
	}
	return false;
}

/* Highest page first: spares are taken from the end, so neighbours stay in order. */
static bool stock_block(struct ember_stock *stock)
{
	struct page *block = alloc_pages_node(stock->nid, DST_GFP, BLOCK_ORDER);

	if (!block)
		return false;
	split_page(block, BLOCK_ORDER);
	for (unsigned int i = BLOCK_PAGES; i--;)
		stock->page[stock->nr++] = block + i;
	return true;
}

/* Pages above the mark. */
static void stock_free(struct ember_stock *stock, unsigned int nr)
{
	unsigned int some, have;

	nr = min_t(unsigned long, nr, stock->nr + room_on(stock->nid, stock->floor));
	while (stock->nr + BLOCK_PAGES <= nr &&
	       blocks_on(stock->nid, stock->floor) && stock_block(stock))
		;
	while (stock->nr < nr) {
		some = min(nr - stock->nr, BULK_PAGES);
		have = ember_alloc_pages_bulk(DST_GFP, stock->nid, some,
					      stock->page + stock->nr);
		if (!have)
			return;
		stock->nr += have;
	}
}

/* One by one: a larger request would fill the list up from below the mark. */
static void stock_listed(struct ember_stock *stock, unsigned int nr)
{
	while (stock->nr < nr && listed_on(stock->nid)) {
		struct page *page = alloc_pages_node(stock->nid, DST_GFP, 0);

		if (!page)
			return;
		stock->page[stock->nr++] = page;
	}
}

/**
 * ember_stock_fill() - have pages at hand
 * @stock: of a node or a pool
 * @nr: so many wanted, at most EMBER_REGION_PAGES
 *
 * Return: the number of pages there are now; more than @nr if they were left from before.
 */
unsigned int ember_stock_fill(struct ember_stock *stock, unsigned int nr)
{
	if (stock->pool) {
		if (stock->nr < nr)
			stock->nr += ember_pool_take(stock->pool, nr - stock->nr,
						     stock->page + stock->nr);
		return stock->nr;
	}
	if (stock->nr < nr)
		stock_free(stock, nr);
	stock_listed(stock, nr);
	return stock->nr;
}

/*
 * Take the next page: its contents may be written. Only after ember_stock_fill() has said
 * that there is one.
 */
struct page *ember_stock_pick(struct ember_stock *stock)
{
	struct page *page = stock->page[--stock->nr];

	stock->page[stock->nr] = NULL;
	return page;
}

/* It is of no use yet. */
void ember_stock_unpick(struct ember_stock *stock, struct page *page)
{
	stock->page[stock->nr++] = page;
}

/* Give back what was not used. */
void ember_stock_return(struct ember_stock *stock)
{
	while (stock->nr)
		put_page(ember_stock_pick(stock));
}
