// SPDX-License-Identifier: GPL-2.0-only
/*
 * The books of one pool: which of its pages are free.
 *
 * A pool is device memory that the CPU reaches like any other (MEMORY_DEVICE_COHERENT).
 * Its pages are in no allocator of the kernel; they reach processes by migration only,
 * and come back when the last reference goes: the kernel calls folio_free() (page_free()
 * before 6.19) from wherever that happens, interrupts included. So giving a page back is
 * one atomic bit and takes no lock. Taking is for workers, who take turns.
 *
 * A page that somebody has holds the module (nr_used): code of ours must be there when
 * it comes back. So rmmod is refused while pages are in use, and never has to wait.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include "pool.h"

/*
 * A search that had to look at every bit would take milliseconds in a large pool that is nearly
 * full, which is how a fast tier mostly is. So free pages are counted by chunks as well. The
 * count of one may be behind its bits: a page is found a little later then.
 */
#define CHUNK_PAGES 32768UL /* 128 MiB: 4 KiB of bits */

/*
 * Page frames known to be broken. The flags of their pages go with the memory map when a pool
 * is removed, and must come back with the next pool there. Forgotten with the module.
 */
static DEFINE_XARRAY(bad_pfns);

/* Called with the module held: by the caller's own reference, or by the page given back. */
static void count_used(struct ember_pool *pool, long nr)
{
	if (nr > 0 && atomic_long_fetch_add(nr, &pool->nr_used) == 0)
		__module_get(THIS_MODULE);
	if (nr < 0 && atomic_long_add_return(nr, &pool->nr_used) == 0)
		module_put(THIS_MODULE);
}

static void set_free(struct ember_pool *pool, struct page *page)
{
	unsigned long at = page_to_pfn(page) - pool->first_pfn;

	smp_mb__before_atomic(); /* what the last user wrote is seen before the page is free */
	set_bit(at, pool->free);
	atomic_inc(&pool->chunk_free[at / CHUNK_PAGES]);
}

/*
 * munlock(2) passes by device memory, so a page that was locked when it moved here may
 * still say so, and be counted. The kernel puts that right for ordinary pages when it
 * frees them.
 */
static void forget_mlock(struct folio *folio)
{
	if (folio_test_clear_mlocked(folio))
		mod_zone_page_state(folio_zone(folio), NR_MLOCK, -1);
}

/*
 * What the page was to its last user (active, young, dirty, ...) must not rub off on the next:
 * migration only ever adds flags to its destination. So the flags go that go when the kernel
 * frees a page of its own; but device memory is always reserved. One atomic step: only the
 * flag for broken memory may be set by others now, and it stays.
 */
static void forget_flags(struct folio *folio)
{
	set_mask_bits(ember_folio_flags(folio), PAGE_FLAGS_CHECK_AT_PREP & ~BIT(PG_reserved), 0);
}

/* The last reference of a page is gone. Any context. */
static void pool_page_free(struct page *page)
{
	struct folio *folio = page_folio(page);
	struct ember_pool *pool;

	pool = container_of(ember_page_pgmap(page), struct ember_pool, pgmap);
	forget_mlock(folio);
	forget_flags(folio);
	if (PageHWPoison(page))
		atomic_long_inc(&pool->nr_bad);
	else
		set_free(pool, page);
	/* The module may be unloaded from now on; it waits for the pgmap, which we hold yet. */
	count_used(pool, -1);
}

/*
 * The kernel has met broken memory of a pool. It must not fall back on its handler for device
 * memory (-EOPNOTSUPP), which takes what an anonymous page has in its mapping field for a
 * file's (dax_lock_folio(), an oops). Any other error makes it kill whoever has just read the
 * page; others may have it until they do the same. It is left out when it comes back, or when
 * its turn comes to be taken.
 */
static int pool_memory_failure(struct dev_pagemap *pgmap, unsigned long pfn, unsigned long nr,
			       int flags)
{
	for (unsigned long i = 0; i < nr; i++) {
		if (xa_is_err(xa_store(&bad_pfns, pfn + i, xa_mk_value(0), GFP_KERNEL)))
			pr_warn("ember: no memory to remember that page frame 0x%lx is broken\n",
				pfn + i);
		SetPageHWPoison(pfn_to_page(pfn + i));
	}
	return -ENXIO;
}

#ifdef EMBER_HAVE_FOLIO_FREE
static void pool_folio_free(struct folio *folio)
{
	pool_page_free(&folio->page);
}
#endif

static const struct dev_pagemap_ops pool_ops = {
#ifdef EMBER_HAVE_FOLIO_FREE
	.folio_free = pool_folio_free,
#else
	.page_free = pool_page_free,
#endif
	.memory_failure = pool_memory_failure,
};

/**
 * ember_pool_books_init() - open the books: nothing can be taken yet
 * @pool: its range is set
 *
 * Return: 0 or -ENOMEM. A bit for each page: 32 KiB for each GiB.
 */
int ember_pool_books_init(struct ember_pool *pool)
{
	unsigned long nr_chunks;

	pool->first_pfn = PHYS_PFN(pool->start);
	pool->nr_pages = PHYS_PFN(pool->bytes);
	pool->free = vzalloc(BITS_TO_LONGS(pool->nr_pages) * sizeof(long));
	if (!pool->free)
		return -ENOMEM;
	nr_chunks = DIV_ROUND_UP(pool->nr_pages, CHUNK_PAGES);
	pool->chunk_free = kvcalloc(nr_chunks, sizeof(*pool->chunk_free), GFP_KERNEL);
	if (!pool->chunk_free)
		goto free_bits;
	bitmap_fill(pool->free, pool->nr_pages);
	for (unsigned long i = 0; i < nr_chunks; i++)
		atomic_set(&pool->chunk_free[i],
			   min(CHUNK_PAGES, pool->nr_pages - i * CHUNK_PAGES));
	pool->pgmap.type = MEMORY_DEVICE_COHERENT;
	pool->pgmap.owner = ember_pool_owner;
	pool->pgmap.ops = &pool_ops;
	pool->pgmap.nr_range = 1;
	pool->pgmap.range.start = pool->start;
	pool->pgmap.range.end = pool->start + pool->bytes - 1;
	return 0;

free_bits:
	vfree(pool->free);
	return -ENOMEM;
}

/**
 * ember_pool_leave_out_bad() - what broke in an earlier pool there is not given out
 * @pool: has its pages now, and nobody can take any yet
 */
void ember_pool_leave_out_bad(struct ember_pool *pool)
{
	unsigned long pfn, last_pfn = pool->first_pfn + pool->nr_pages - 1;
	void *entry;

	xa_for_each_range(&bad_pfns, pfn, entry, pool->first_pfn, last_pfn) {
		SetPageHWPoison(pfn_to_page(pfn));
		clear_bit(pfn - pool->first_pfn, pool->free);
		atomic_dec(&pool->chunk_free[(pfn - pool->first_pfn) / CHUNK_PAGES]);
		atomic_long_inc(&pool->nr_bad);
	}
}

/* With the last pool. */
void ember_pool_forget_bad(void)
{
	xa_destroy(&bad_pfns);
}

void ember_pool_books_exit(struct ember_pool *pool)
{
	kvfree(pool->chunk_free);
	vfree(pool->free);
}

/**
 * ember_pool_close() - give out no page any more
 * @pool: of which the caller has a reference
 *
 * When this returns, nobody is in the middle of taking: what was taken is counted as used.
 */
void ember_pool_close(struct ember_pool *pool)
{
	spin_lock(&pool->lock);
	pool->closed = true;
	spin_unlock(&pool->lock);
}

/* The opposite. */
void ember_pool_open(struct ember_pool *pool)
{
	spin_lock(&pool->lock);
	pool->closed = false;
	spin_unlock(&pool->lock);
}

/* One reference. The pool is not going away: whoever takes of it has a reference on it. */
static void begin_use(struct ember_pool *pool, struct page *page)
{
#ifdef EMBER_HAVE_FOLIO_FREE
	zone_device_page_init(page, &pool->pgmap, 0);
#else
	zone_device_page_init(page);
#endif
	/* It sets all flags anew, and may lose that of a page that breaks at that moment. */
	if (xa_load(&bad_pfns, page_to_pfn(page)))
		SetPageHWPoison(page);
	unlock_page(page);
}

/* Pages [@at, @end) of one chunk; the lock is held. */
static unsigned int take_between(struct ember_pool *pool, unsigned long at, unsigned long end,
				 unsigned int nr, struct page **ret_pages)
{
	unsigned int got = 0;
	struct page *page;

	while (got < nr && (at = find_next_bit(pool->free, end, at)) < end) {
		clear_bit(at, pool->free); /* only takers clear, and they hold the lock */
		smp_mb__after_atomic(); /* pairs with set_free() */
		atomic_dec(&pool->chunk_free[at / CHUNK_PAGES]);
		page = pfn_to_page(pool->first_pfn + at);
		pool->cursor = ++at;
		if (PageHWPoison(page)) /* it broke while nobody had it */
			atomic_long_inc(&pool->nr_bad);
		else
			ret_pages[got++] = page;
	}
	return got;
}

/* The lock is held for one chunk at a time: the search in it takes a microsecond at most. */
static unsigned int take_from_chunk(struct ember_pool *pool, unsigned long chunk,
				    unsigned long from, unsigned int nr, struct page **ret_pages)
{
	unsigned long end = min((chunk + 1) * CHUNK_PAGES, pool->nr_pages);
	unsigned int got = 0;

	if (atomic_read(&pool->chunk_free[chunk]) <= 0)
		return 0;
	spin_lock(&pool->lock);
	if (!pool->closed)
		got = take_between(pool, max(chunk * CHUNK_PAGES, from), end, nr, ret_pages);
	count_used(pool, got);
	spin_unlock(&pool->lock);
	return got;
}

/* From where the last taker ended, once round: the first chunk's beginning comes last. */
static unsigned int take_round(struct ember_pool *pool, unsigned int nr, struct page **ret_pages)
{
	unsigned long nr_chunks = DIV_ROUND_UP(pool->nr_pages, CHUNK_PAGES);
	unsigned long from = READ_ONCE(pool->cursor) % pool->nr_pages;
	unsigned long chunk = from / CHUNK_PAGES;
	unsigned int got = 0;

	for (unsigned long i = 0; i <= nr_chunks && got < nr; i++) {
		got += take_from_chunk(pool, chunk, i ? 0 : from, nr - got, ret_pages + got);
		chunk = (chunk + 1) % nr_chunks;
	}
	return got;
}

/**
 * ember_pool_take() - take free pages
 * @pool: with a reference
 * @nr: at most so many
 * @ret_pages: in the order in which they are best used from its end: neighbours stay so
 *
 * Each page has one reference, put_page() gives it back.
 * Return: how many.
 */
unsigned int ember_pool_take(struct ember_pool *pool, unsigned int nr, struct page **ret_pages)
{
	unsigned int i, got;

	/* Fails once rmmod has begun, which is allowed only while nothing is in use. */
	if (!try_module_get(THIS_MODULE))
		return 0;
	got = take_round(pool, nr, ret_pages);
	module_put(THIS_MODULE);
	for (i = 0; i < got; i++)
		begin_use(pool, ret_pages[i]);
	for (i = 0; i < got / 2; i++)
		swap(ret_pages[i], ret_pages[got - 1 - i]);
	return got;
}
