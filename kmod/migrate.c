// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving the asked pages of one 2 MiB region: look, allocate, move, say why not.
 *
 * Everything about a region happens in one hold of the mmap_lock for reading, so
 * that what the look has found about areas and huge pages stays true; and the hold
 * is never longer than one region (request.c), because a waiting writer blocks all
 * faults that need the lock.
 *
 * Destination pages are allocated after the look (their number is known) and
 * before any page is unmapped (faults on unmapped pages sleep until the end).
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "copy.h"
#include "hmm.h"
#include "look.h"
#include "migrate.h"
#include "request.h"

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

/* Working memory of one request. */
struct ember_batch {
	struct hmm_migrate hmm;
	struct ember_look look;
	struct ember_pages pages;
	enum zone_watermarks floor; /* that the destination keeps */
	unsigned int nr_moved;
	unsigned int nr_spare;
	struct page *spare[HMM_MIGRATE_PAGES]; /* on the destination node; NULL from nr_spare on */
	struct ember_pairs pairs;
	u16 entry[EMBER_COPY_PAGES]; /* pair i is entry[i] of hmm */
};

static_assert(EMBER_COPY_PAGES == HMM_MIGRATE_PAGES);

/**
 * ember_batch_alloc() - working memory for moving pages to node @nid
 * @nid: destination, a node with memory
 * @flags: EMBER_MIGRATE_*
 */
struct ember_batch *ember_batch_alloc(int nid, u32 flags)
{
	struct ember_batch *batch = kvzalloc(sizeof(*batch), GFP_KERNEL);

	if (!batch)
		return NULL;
	batch->hmm.wanted = batch->pages.wanted;
	batch->look.nid = nid;
	batch->look.shared_ok = flags & EMBER_MIGRATE_SHARED;
	batch->floor = flags & EMBER_MIGRATE_EXCHANGE ? WMARK_LOW : WMARK_HIGH;
	batch->look.off_lru_ok = true;
	batch->pairs.prefer_dma = flags & EMBER_MIGRATE_DMA;
	return batch;
}

/* NULL is nothing to free. */
void ember_batch_free(struct ember_batch *batch)
{
	if (!batch)
		return;
	while (batch->nr_spare)
		put_page(batch->spare[--batch->nr_spare]);
	kvfree(batch);
}

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
static bool stock_block(struct ember_batch *batch)
{
	struct page *block = alloc_pages_node(batch->look.nid, DST_GFP, BLOCK_ORDER);

	if (!block)
		return false;
	split_page(block, BLOCK_ORDER);
	for (unsigned int i = BLOCK_PAGES; i--;)
		batch->spare[batch->nr_spare++] = block + i;
	return true;
}

/* Pages above the mark. */
static void stock_free(struct ember_batch *batch, unsigned int nr)
{
	unsigned int some, have;

	nr = min_t(unsigned long, nr, batch->nr_spare + room_on(batch->look.nid, batch->floor));
	while (batch->nr_spare + BLOCK_PAGES <= nr &&
	       blocks_on(batch->look.nid, batch->floor) && stock_block(batch))
		;
	while (batch->nr_spare < nr) {
		some = min(nr - batch->nr_spare, BULK_PAGES);
		have = ember_alloc_pages_bulk(DST_GFP, batch->look.nid, some,
					      batch->spare + batch->nr_spare);
		if (!have)
			return;
		batch->nr_spare += have;
	}
}

/* One by one: a larger request would fill the list up from below the mark. */
static void stock_listed(struct ember_batch *batch, unsigned int nr)
{
	while (batch->nr_spare < nr && listed_on(batch->look.nid)) {
		struct page *page = alloc_pages_node(batch->look.nid, DST_GFP, 0);

		if (!page)
			return;
		batch->spare[batch->nr_spare++] = page;
	}
}

static void stock_spares(struct ember_batch *batch, unsigned int nr)
{
	if (batch->nr_spare < nr)
		stock_free(batch, nr);
	stock_listed(batch, nr);
}

/* The outcome of a page that needs no further look. */
static void decide(struct ember_batch *batch, unsigned long page, u8 outcome)
{
	batch->pages.outcome[page] = outcome;
	__clear_bit(page, batch->pages.wanted);
}

/* Pages for which there is no room must not even be unmapped. */
static void allocate(struct ember_batch *batch)
{
	unsigned long *wanted = batch->pages.wanted;
	unsigned int nr = bitmap_weight(wanted, EMBER_REGION_PAGES);
	unsigned long page;

	stock_spares(batch, nr);
	if (batch->nr_spare >= nr)
		return;
	nr = batch->nr_spare;
	for_each_set_bit(page, wanted, EMBER_REGION_PAGES) {
		if (nr) {
			nr--;
			continue;
		}
		decide(batch, page, EMBER_OUTCOME_NO_MEMORY);
	}
}

/*
 * The last word on a page that is locked and unmapped now. New writeback would
 * need the folio lock, so this check holds; without it migrate_device_pages() runs
 * into BUG_ON(folio_test_writeback()). Pages of other kinds can only be here if
 * they were faulted in after the look.
 */
static u8 check_source(const struct ember_batch *batch, const struct folio *src)
{
	if (folio_test_writeback(src))
		return EMBER_OUTCOME_WRITEBACK;
	if (!folio_test_anon(src) || folio_test_ksm(src) || folio_test_large(src) ||
	    folio_is_zone_device(src) || folio_nid(src) == batch->look.nid)
		return EMBER_OUTCOME_RACED;
	return EMBER_OUTCOME_UNSPEC;
}

/* allocate() has made a spare for each page that stayed wanted. */
static void pair_up(struct ember_batch *batch, unsigned int entry, struct page *src)
{
	struct ember_pairs *pairs = &batch->pairs;

	batch->entry[pairs->nr] = entry;
	pairs->src[pairs->nr] = src;
	pairs->dst[pairs->nr++] = batch->spare[--batch->nr_spare];
	batch->spare[batch->nr_spare] = NULL;
}

static void choose_pairs(struct ember_batch *batch)
{
	struct hmm_migrate *m = &batch->hmm;

	batch->pairs.nr = 0;
	for (unsigned int i = 0; i < m->nr; i++) {
		struct page *src = migrate_pfn_to_page(m->src[i]);
		u8 why;

		m->dst[i] = 0;
		if (!src || !(m->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		why = check_source(batch, page_folio(src));
		if (why)
			decide(batch, m->page[i], why);
		else
			pair_up(batch, i, src);
	}
}

/* What was copied goes on, locked; a page that was not is a spare again, unless it is lost. */
static void use_copies(struct ember_batch *batch)
{
	struct ember_pairs *pairs = &batch->pairs;
	struct hmm_migrate *m = &batch->hmm;

	for (unsigned int i = 0; i < pairs->nr; i++) {
		struct page *dst = pairs->dst[i];

		if (test_bit(i, pairs->copied)) {
			folio_lock(page_folio(dst));
			m->dst[batch->entry[i]] = migrate_pfn(page_to_pfn(dst));
			continue;
		}
		decide(batch, m->page[batch->entry[i]], EMBER_OUTCOME_COPY_FAILED);
		if (!test_bit(i, pairs->lost))
			batch->spare[batch->nr_spare++] = dst;
	}
}

/*
 * All pages in one call: an engine wants many at once. Copying before
 * migrate_device_pages() lets a copy that fails be undone.
 */
static void alloc_and_copy(struct hmm_migrate *m)
{
	struct ember_batch *batch = container_of(m, struct ember_batch, hmm);

	choose_pairs(batch);
	ember_copy(&batch->pairs);
	use_copies(batch);
}

/* The kernel counts its own migrations only. */
static void count_in_vmstat(unsigned int nr_moved, unsigned int nr_failed)
{
	count_vm_events(PGMIGRATE_SUCCESS, nr_moved);
	count_vm_events(PGMIGRATE_FAIL, nr_failed);
}

static void finalize_and_map(struct hmm_migrate *m)
{
	struct ember_batch *batch = container_of(m, struct ember_batch, hmm);
	unsigned int nr_moved = 0;

	for (unsigned int i = 0; i < m->nr; i++) {
		if (!m->dst[i] || !(m->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		decide(batch, m->page[i], EMBER_OUTCOME_MOVED);
		nr_moved++;
	}
	batch->nr_moved += nr_moved;
	count_in_vmstat(nr_moved, m->nr - nr_moved);
}

static const struct hmm_migrate_ops node_ops = {
	.alloc_and_copy = alloc_and_copy,
	.finalize_and_map = finalize_and_map,
};

typedef void (*area_fn)(struct ember_batch *batch, struct vm_area_struct *vma, unsigned long start,
			unsigned long end);

/* Calls @fn for each area and each gap (@vma is NULL) of the batch's region. */
static void visit_areas(struct ember_batch *batch, struct mm_struct *mm, area_fn fn)
{
	unsigned long start = batch->hmm.base, limit = start + SZ_2M, end;
	struct vm_area_struct *vma;

	for (; start < limit; start = end) {
		vma = find_vma(mm, start);
		end = vma ? min(limit, vma->vm_end) : limit;
		if (vma && vma->vm_start > start) {
			end = min(limit, vma->vm_start);
			vma = NULL;
		}
		fn(batch, vma, start, end);
	}
}

static void look_area(struct ember_batch *batch, struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
	ember_look_area(&batch->look, vma, start, end, &batch->pages);
}

static void move_area(struct ember_batch *batch, struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
	if (vma)
		hmm_vma_migrate(vma, start, end, &node_ops, &batch->hmm);
}

static void look(struct ember_batch *batch, struct mm_struct *mm)
{
	batch->look.failed = false;
	visit_areas(batch, mm, look_area);
	/* Draining all CPUs' LRU batches once is enough for a request. */
	batch->look.off_lru_ok = !batch->look.nr_off_lru;
}

/* What is still wanted could not be moved. */
static void look_why_failed(struct ember_batch *batch, struct mm_struct *mm)
{
	batch->look.failed = true;
	visit_areas(batch, mm, look_area);
}

/**
 * ember_migrate_region() - try to move the asked pages of one region
 * @batch: says where to
 * @mm: whose pages; the caller holds a reference (mm_users), and the mmap_lock for
 *	reading
 * @region: outcome is set for all asked pages
 * @respect: of the threads of @mm's process, taken a moment ago: again for each region, so
 *	that a change is noticed within one
 *
 * Return: the number of pages moved.
 */
unsigned int ember_migrate_region(struct ember_batch *batch, struct mm_struct *mm,
				  struct ember_region *region,
				  const struct ember_respect *respect)
{
	bitmap_from_arr64(batch->pages.wanted, region->asked, EMBER_REGION_PAGES);
	batch->pages.outcome = region->outcome;
	batch->hmm.base = region->addr;
	batch->look.respect = respect;
	batch->nr_moved = 0;

	mmap_assert_locked(mm);
	look(batch, mm);
	allocate(batch);
	visit_areas(batch, mm, move_area);
	look_why_failed(batch, mm);
	return batch->nr_moved;
}
