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

#include "copy.h"
#include "hmm.h"
#include "look.h"
#include "migrate.h"
#include "pool.h"
#include "request.h"
#include "stock.h"

/* Working memory of one request. */
struct ember_batch {
	struct hmm_migrate hmm;
	struct ember_look look;
	struct ember_pages pages;
	struct ember_stock stock;
	unsigned int nr_moved;
	struct ember_pairs pairs;
	u16 entry[EMBER_COPY_PAGES]; /* pair i is entry[i] of hmm */
};

static_assert(EMBER_COPY_PAGES == HMM_MIGRATE_PAGES);

/**
 * ember_batch_alloc() - working memory for moving pages
 * @dest: where to; a pool is held until ember_batch_free()
 * @flags: EMBER_MIGRATE_*
 * @ret_batch: filled in on success
 *
 * Return: 0, -ENOMEM, or -ENODEV: the pool is gone, or being emptied.
 */
int ember_batch_alloc(const struct ember_dest *dest, u32 flags, struct ember_batch **ret_batch)
{
	struct ember_batch *batch = kvzalloc(sizeof(*batch), GFP_KERNEL);

	if (!batch)
		return -ENOMEM;
	if (ember_dest_is_pool(dest)) {
		batch->stock.pool = ember_pool_get(dest->pool);
		if (!batch->stock.pool)
			goto free_batch;
	}
	batch->hmm.wanted = batch->pages.wanted;
	batch->look.nid = batch->stock.nid = dest->nid;
	batch->look.pool = batch->stock.pool;
	batch->look.shared_ok = flags & EMBER_MIGRATE_SHARED;
	batch->look.off_lru_ok = true;
	batch->look.isolated_ok = flags & EMBER_MIGRATE_ISOLATED;
	batch->pairs.prefer_dma = flags & EMBER_MIGRATE_DMA;
	batch->stock.floor = flags & EMBER_MIGRATE_EXCHANGE ? WMARK_LOW : WMARK_HIGH;
	*ret_batch = batch;
	return 0;

free_batch:
	kvfree(batch);
	return -ENODEV;
}

/* Move only pages that lie in this pool, which the caller keeps alive. */
void ember_batch_only_from(struct ember_batch *batch, const struct ember_pool *pool)
{
	batch->look.from = pool;
}

/* NULL is nothing to free. */
void ember_batch_free(struct ember_batch *batch)
{
	if (!batch)
		return;
	ember_stock_return(&batch->stock);
	if (batch->stock.pool)
		ember_pool_put(batch->stock.pool);
	kvfree(batch);
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
	unsigned int nr = bitmap_weight(wanted, EMBER_REGION_PAGES), have;
	unsigned long page;

	have = ember_stock_fill(&batch->stock, nr);
	if (have >= nr)
		return;
	for_each_set_bit(page, wanted, EMBER_REGION_PAGES) {
		if (have) {
			have--;
			continue;
		}
		decide(batch, page, EMBER_OUTCOME_NO_MEMORY);
	}
}

/*
 * Does somebody but us, and the swap cache, hold a reference? Unmapped and locked, a page
 * gets no new user who writes to it. The kernel's own tests are not enough:
 * migrate_vma_check_page() grants device memory one reference more, of which coherent memory
 * has none, and folio_migrate_mapping() counts exactly, but after the copy. Whoever wrote
 * through that reference in between, and then dropped it, would write to the old page: an NFS
 * or 9p reply to a direct read, for which pages are not pinned.
 */
static bool is_held(const struct folio *src)
{
	bool held = folio_ref_count(src) > 1 + folio_test_swapcache(src);

	smp_rmb(); /* what the last holder wrote is copied: its put_page() is a release */
	return held;
}

/*
 * The last word on a page that is locked and unmapped now. New writeback would
 * need the folio lock, so this check holds; without it migrate_device_pages() runs
 * into BUG_ON(folio_test_writeback()). Pages of other kinds can only be here if
 * they were faulted in after the look.
 */
static u8 check_source(const struct ember_batch *batch, const struct folio *src)
{
	/* It broke after the look: neither the CPU nor an engine shall read it. */
	if (folio_test_hwpoison(src))
		return EMBER_OUTCOME_COPY_FAILED;
	if (folio_test_writeback(src))
		return EMBER_OUTCOME_WRITEBACK;
	if (!folio_test_anon(src) || folio_test_ksm(src) || folio_test_large(src) ||
	    ember_look_lies_there(&batch->look, src))
		return EMBER_OUTCOME_RACED;
	/* Of device memory, hmm_vma_migrate() takes ember's pools only. */
	if (batch->look.from && ember_pool_of(src) != batch->look.from)
		return EMBER_OUTCOME_RACED;
	return EMBER_OUTCOME_UNSPEC;
}

/* allocate() has made a spare for each page that stayed wanted. */
static void pair_up(struct ember_batch *batch, unsigned int entry, struct page *src)
{
	struct ember_pairs *pairs = &batch->pairs;

	batch->entry[pairs->nr] = entry;
	pairs->src[pairs->nr] = src;
	pairs->dst[pairs->nr++] = ember_stock_pick(&batch->stock);
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
		/* The second look will tell why: some references are soon gone. */
		if (is_held(page_folio(src)))
			continue;
		why = check_source(batch, page_folio(src));
		if (why)
			decide(batch, m->page[i], why);
		else
			pair_up(batch, i, src);
	}
}

/*
 * What was copied goes on, locked; a page that was not is a spare again, unless it is lost, or
 * broke since it was taken: whom it belongs to leaves it out when it comes back.
 */
static void use_copies(struct ember_batch *batch)
{
	struct ember_pairs *pairs = &batch->pairs;
	struct hmm_migrate *m = &batch->hmm;

	for (unsigned int i = 0; i < pairs->nr; i++) {
		struct page *dst = pairs->dst[i];
		bool broken = PageHWPoison(dst);

		if (test_bit(i, pairs->copied) && !broken) {
			lock_page(dst); /* nobody else knows it: it is free */
			m->dst[batch->entry[i]] = migrate_pfn(page_to_pfn(dst));
			continue;
		}
		decide(batch, m->page[batch->entry[i]], EMBER_OUTCOME_COPY_FAILED);
		if (test_bit(i, pairs->lost))
			continue;
		if (broken)
			put_page(dst);
		else
			ember_stock_unpick(&batch->stock, dst);
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

/* The longest that pages were unmapped, of all that the batch has moved. */
u64 ember_batch_longest_unmapped_ns(const struct ember_batch *batch)
{
	return batch->hmm.longest_ns;
}

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
 * ember_migrate_pages() - try to move the asked pages of one region, or a part of them
 * @batch: says where to
 * @mm: whose pages; the caller holds a reference (mm_users), and the mmap_lock for
 *	reading
 * @region: outcome is set for all asked pages in [@first, @last)
 * @first: page of the region
 * @last: end
 * @respect: of the threads of @mm's process, taken a moment ago; NULL: nobody is asked
 *
 * Return: the number of pages moved.
 */
unsigned int ember_migrate_pages(struct ember_batch *batch, struct mm_struct *mm,
				 struct ember_region *region, unsigned int first,
				 unsigned int last, const struct ember_respect *respect)
{
	bitmap_from_arr64(batch->pages.wanted, region->asked, EMBER_REGION_PAGES);
	bitmap_clear(batch->pages.wanted, 0, first);
	bitmap_clear(batch->pages.wanted, last, EMBER_REGION_PAGES - last);
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
