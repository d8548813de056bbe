// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test and clear the accessed bits of one region.
 *
 * None of the kernel's table walkers is exported, so the entry is locked the way
 * pte_offset_map_lock() and pmd_trans_huge_lock() do it, from inline parts. What
 * keeps the tables in place:
 *
 *  - the caller holds mmap_lock for reading and an area that covers part of the
 *    region, so free_pgtables() cannot take the tables (munmap() frees those of
 *    areas that it detached first, under the read lock too: never walk outside of
 *    an area);
 *  - a PTE table may still be taken away beneath us (retraction of file THPs; from
 *    7.x PT_RECLAIM): it is freed by RCU, and the PMD entry is compared again before
 *    its lock, which goes with it, is touched, and once more with the lock held;
 *  - a leaf entry is read and changed under the PMD lock.
 *
 * What is cleared here is handed on: page tables are not ember's alone. Reclaim
 * takes PG_young for an accessed bit that somebody else cleared, DAMON and idle
 * page tracking look at PG_idle. Both live in struct page, which is why it is
 * touched for young pages, and for them only.
 *
 * Only bit 5 of a present entry is ever changed, atomically, since the hardware
 * sets accessed and dirty bits of the same entry without any lock.
 */
#include <linux/mm.h>
#include <linux/page_idle.h>
#include <linux/rcupdate.h>

#include "compat.h"
#include "memory.h"
#include "region.h"

#ifndef CONFIG_X86_64
#error "Accessed bits are changed as x86-64 keeps them; other machines need their own helpers here."
#endif
#ifndef CONFIG_PAGE_IDLE_FLAG
#error "Without CONFIG_PAGE_IDLE_FLAG (PG_young) what ember clears would be lost to reclaim."
#endif

/* Entries that changed before they were locked, in a row, before the region counts as busy. */
#define ENTRY_TRIES 16

static void clear_young_pte(pte_t *pte)
{
	clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&pte->pte);
}

static void clear_young_pmd(pmd_t *pmd)
{
	clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&pmd->pmd);
}

static unsigned int plane_weight(const u64 *plane)
{
	unsigned int w, nr = 0;

	for (w = 0; w < EMBER_PLANE_WORDS; w++)
		nr += hweight64(plane[w]);
	return nr;
}

/* Mostly so already: what is young was so at the last scan, and a test spares an atomic. */
static void hand_on(struct folio *folio)
{
	if (!folio_test_young(folio))
		folio_set_young(folio);
	if (folio_test_idle(folio))
		folio_clear_idle(folio);
}

static void set_memory(struct ember_region_rec *rec, unsigned int w, u64 pages, unsigned int index)
{
	unsigned int k;

	for (k = 0; k < EMBER_MEM_PLANES; k++)
		if (index & (1u << k))
			rec->mem[k][w] |= pages;
}

/*
 * First look: which pages are present, which of them young or dirty. No struct page is
 * touched, and for a table in which nobody was active this is all that is done. What
 * pte_present(), pte_special(), pte_young() and pte_dirty() test, without a branch:
 * which page is young is as good as random, and this is most of the cost of a scan.
 */
static void read_table(pte_t *table, const u64 *pages, struct ember_region_rec *rec)
{
	unsigned int w, b;

	for (w = 0; w < EMBER_PLANE_WORDS; w++, table += 64) {
		u64 present = 0, young = 0, dirty = 0;

		for (b = 0; b < 64; b++) {
			u64 flags = native_pte_val(ptep_get(table + b));
			u64 seen = (flags >> _PAGE_BIT_PRESENT | flags >> _PAGE_BIT_PROTNONE) &
				   ~(flags >> _PAGE_BIT_SPECIAL) & 1;

			present |= seen << b;
			young |= (flags >> _PAGE_BIT_ACCESSED & seen) << b;
			dirty |= (flags & _PAGE_DIRTY_BITS ? seen : 0) << b;
		}
		rec->present[w] = present & pages[w];
		rec->young[w] = young & pages[w];
		rec->dirty[w] = dirty & pages[w];
	}
}

static void take_young(pte_t *pte, u32 flags, struct ember_region_rec *rec, unsigned int w, u64 bit)
{
	struct folio *folio = page_folio(pfn_to_page(pte_pfn(ptep_get(pte))));

	if (flags & EMBER_SCAN_CLEAR) {
		clear_young_pte(pte);
		hand_on(folio);
	}
	if (folio_test_large(folio))
		rec->order_class = EMBER_ORDER_MTHP;
	if (ember_folio_mapped_shared(folio))
		rec->shared[w] |= bit;
}

/* Where the present pages of one word lie. */
static void take_places(const struct ember_memory_table *memories, pte_t *table,
			struct ember_region_rec *rec, unsigned int w)
{
	u64 by_index[EMBER_MEM_UNKNOWN + 1] = {};
	unsigned int i;
	u64 left;

	for (left = rec->present[w]; left; left &= left - 1) {
		unsigned long pfn = pte_pfn(ptep_get(table + __ffs64(left)));

		by_index[ember_memory_index(memories, pfn)] |= left & -left;
	}
	for (i = 0; i <= EMBER_MEM_UNKNOWN; i++)
		if (by_index[i])
			set_memory(rec, w, by_index[i], i);
}

/* Second look, only at tables that go into a record. */
static void take_table(pte_t *table, u32 flags, struct ember_region_rec *rec)
{
	const struct ember_memory_table *memories = ember_memory_get();
	unsigned int w;

	for (w = 0; w < EMBER_PLANE_WORDS; w++, table += 64) {
		u64 left;

		take_places(memories, table, rec, w);
		for (left = rec->young[w]; left; left &= left - 1)
			take_young(table + __ffs64(left), flags, rec, w, left & -left);
	}
}

/* The hardware sets the accessed bit of the entry whenever it walks through it. */
static bool same_table(pmd_t a, pmd_t b)
{
	return !((pmd_val(a) ^ pmd_val(b)) & ~_PAGE_ACCESSED);
}

/*
 * A region that the range covers in part keeps its hint: it also speaks for the
 * pages left out.
 */
static bool may_clear_non_leaf(pmd_t pmdval, u32 flags, const struct ember_region_rec *rec)
{
	return (flags & EMBER_SCAN_CLEAR) && (rec->flags & EMBER_REC_WHOLE) && pmd_young(pmdval);
}

/*
 * The accessed bit of the entry itself is cleared before those of the table: a walk
 * from the top in between sets both again. The other way round, a page touched in
 * between would lie below a clear bit and be skipped. A CPU that has the entry in its
 * paging-structure caches does not walk from the top, and until the flush that follows
 * it sets the bits of the table only: such a page, if nobody touches the region after
 * the flush, is found by the next full pass.
 *
 * The table's lock and the comparison keep the bit of a migration entry, which means
 * something else, safe: whoever replaces a table below mmap_lock held for reading
 * (retraction, PT_RECLAIM) takes the table's lock too. What keeps that lock itself from
 * being freed is RCU, from a read of the entry on that was made under it; @pmdval was
 * not.
 *
 * Return: false if the entry changed before its table was locked; look again.
 */
static bool scan_table(struct mm_struct *mm, pmd_t *pmd, pmd_t pmdval, u32 flags, const u64 *pages,
		       struct ember_region_rec *rec)
{
	pte_t *table;
	spinlock_t *ptl; /* of the page table behind @pmdval */
	bool same = false;

	rcu_read_lock();
	if (!same_table(pmdval, pmdp_get_lockless(pmd)))
		goto unlock_rcu;
	ptl = pte_lockptr(mm, &pmdval);
	spin_lock(ptl);
	same = same_table(pmdval, pmdp_get_lockless(pmd));
	if (likely(same)) {
		if (may_clear_non_leaf(pmdval, flags, rec))
			clear_young_pmd(pmd);
		table = (pte_t *)pmd_page_vaddr(pmdval);
		read_table(table, pages, rec);
		if (plane_weight(rec->young) || (flags & EMBER_SCAN_COLD))
			take_table(table, flags, rec);
	}
	spin_unlock(ptl);
unlock_rcu:
	rcu_read_unlock();
	return same;
}

/*
 * The zero huge page has no owner and nothing to move. Its address is not
 * exported; of all that a leaf can map, it alone has no mapping.
 */
static bool is_zero_leaf(struct folio *folio)
{
	return !READ_ONCE(folio->mapping);
}

static void take_leaf(pmd_t *pmd, u32 flags, struct ember_region_rec *rec)
{
	bool young = pmd_young(*pmd);
	unsigned int w, index;
	struct folio *folio;

	/* A special entry may map what has no struct page. */
	if (pmd_special(*pmd))
		return;
	folio = page_folio(pmd_page(*pmd));
	if (is_zero_leaf(folio))
		return;
	index = ember_memory_index(ember_memory_get(), pmd_pfn(*pmd));
	for (w = 0; w < EMBER_PLANE_WORDS; w++) {
		rec->present[w] = ~0ULL;
		rec->young[w] = young ? ~0ULL : 0;
		rec->dirty[w] = pmd_dirty(*pmd) ? ~0ULL : 0;
		rec->shared[w] = young && ember_folio_mapped_shared(folio) ? ~0ULL : 0;
		set_memory(rec, w, ~0ULL, index);
	}
	rec->order_class = EMBER_ORDER_PMD;
	if (young && (flags & EMBER_SCAN_CLEAR)) {
		clear_young_pmd(pmd);
		hand_on(folio);
	}
}

static bool is_leaf(pmd_t pmdval)
{
	return pmd_present(pmdval) && pmd_leaf(pmdval);
}

/* Return: false if the entry is no leaf any more; look again. */
static bool scan_leaf(struct mm_struct *mm, pmd_t *pmd, u32 flags, struct ember_region_rec *rec)
{
	spinlock_t *ptl = pmd_lock(mm, pmd);
	bool leaf = is_leaf(*pmd);

	if (leaf) {
		rcu_read_lock();
		take_leaf(pmd, flags, rec);
		rcu_read_unlock();
	}
	spin_unlock(ptl);
	return leaf;
}

static bool is_table(pmd_t pmdval)
{
	return pmd_present(pmdval) && !pmd_leaf(pmdval) && !pmd_bad(pmdval);
}

static bool may_skip(pmd_t pmdval, u32 flags)
{
	return !(flags & (EMBER_SCAN_FULL | EMBER_SCAN_COLD)) && arch_has_hw_nonleaf_pmd_young() &&
	       !pmd_young(pmdval);
}

static void reset_planes(struct ember_region_rec *rec)
{
	memset_startat(rec, 0, young);
	rec->order_class = EMBER_ORDER_BASE;
}

static enum ember_region_result summarise(struct ember_region_rec *rec, u32 flags, u64 *nr_cleared)
{
	rec->nr_present = plane_weight(rec->present);
	rec->nr_young = plane_weight(rec->young);
	if (flags & EMBER_SCAN_CLEAR)
		*nr_cleared += rec->nr_young;
	return EMBER_REGION_READ;
}

/**
 * ember_region_scan - test, and clear if asked, the accessed bits of one region
 * @mm: owner; mmap_lock held, mm_users held
 * @pmd: entry of the region; an area of @mm covers part of the region
 * @flags: EMBER_SCAN_*
 * @window: pages to look at
 * @rec: (in) flags; (out) planes, counts and order class if entries were read. Must
 *       be the caller's own memory: what is read back from it decides which struct
 *       page is touched, so no user may have it mapped
 * @nr_cleared: (in/out) advanced by the pages whose bit was cleared
 *
 * Return: EMBER_REGION_BUSY if the entry was replaced each time before it could be
 * locked; nothing has been cleared then.
 */
enum ember_region_result ember_region_scan(struct mm_struct *mm, pmd_t *pmd, u32 flags,
					   const struct ember_region_window *window,
					   struct ember_region_rec *rec, u64 *nr_cleared)
{
	unsigned int try;

	for (try = 0; try < ENTRY_TRIES; try++) {
		pmd_t pmdval = pmdp_get_lockless(pmd);
		bool leaf = is_leaf(pmdval);

		if (!leaf && !is_table(pmdval))
			return EMBER_REGION_EMPTY;
		if (!leaf && may_skip(pmdval, flags))
			return EMBER_REGION_SKIPPED;
		reset_planes(rec);
		if (leaf ? scan_leaf(mm, pmd, flags, rec) :
			   scan_table(mm, pmd, pmdval, flags, window->pages, rec))
			return summarise(rec, flags, nr_cleared);
	}
	return EMBER_REGION_BUSY;
}
