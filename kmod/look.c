// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is mapped, may it move, and if not, why?
 *
 * migrate_vma_setup() takes whatever it finds and reports a failure as a zero. So
 * we look first, under the page-table lock, and hand it only pages that we know
 * are plain: it would split huge pages, unmap pages of files that it cannot move,
 * and count holes. Afterwards we look again at those that failed, for the reason.
 * In between anything may happen that does not need the mmap_lock for writing:
 * faults, MADV_DONTNEED, reclaim. A look is knowledge of the past; what makes the
 * move safe is checked again with the folio locked (migrate.c).
 *
 * Locks: the caller holds the mmap_lock for reading, which keeps areas, and keeps
 * khugepaged's anonymous collapse away. Page tables may be freed under it all the
 * same (MADV_DONTNEED with PT_RECLAIM): hence RCU, and two more reads of the PMD, one
 * before the table's lock is touched and one with it held. pte_offset_map_lock() does
 * just this, but is not exported.
 */
#include <linux/mm.h>
#include <linux/hugetlb_inline.h>
#include <linux/huge_mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>

#include "compat.h"
#include "entry.h"
#include "isolated.h"
#include "look.h"
#include "pool.h"
#include "result.h"

#define MAY_MOVE EMBER_OUTCOME_UNSPEC

static u8 look_at_vma(const struct ember_look *look, struct vm_area_struct *vma)
{
	if (!vma)
		return EMBER_OUTCOME_NO_AREA;
	if (is_vm_hugetlb_page(vma) || (vma->vm_flags & VM_SPECIAL))
		return EMBER_OUTCOME_SPECIAL;
	if (!vma_is_anonymous(vma))
		return EMBER_OUTCOME_NOT_ANON;
	if (!look->isolated_ok && ember_runs_isolated(vma->vm_mm))
		return EMBER_OUTCOME_ISOLATED;
	if (look->respect && !ember_respect_allows(look->respect, vma, look->nid))
		return EMBER_OUTCOME_NOT_ALLOWED;
	return MAY_MOVE;
}

/*
 * Pages that were faulted in or put back a moment ago wait in a per-CPU batch for
 * their place on an LRU list, and cannot be isolated from there.
 * migrate_vma_setup() then drains the batches of all CPUs, with the mmap_lock and
 * folios locked: the caller decides how often that is worth it. Nothing of what the
 * drain waits for takes those locks, so it ends; but not before a kworker has run on
 * every CPU whose batch is not empty, and there a real-time task may be in its way.
 * Draining before any lock is taken would be better; lru_add_drain_all() is not exported.
 */
static u8 look_at_off_lru(struct ember_look *look)
{
	if (!look->off_lru_ok)
		return EMBER_OUTCOME_BUSY;
	look->nr_off_lru++;
	return MAY_MOVE;
}

/*
 * A page that failed has just been put back, so it may be in a per-CPU batch,
 * which holds a reference; its mappings and the swap cache hold theirs.
 */
static bool has_extra_refs(const struct folio *folio)
{
	int expected = folio_mapcount(folio) + folio_test_swapcache(folio);

	/* Pages of pools are never in such a batch. */
	if (!folio_test_lru(folio) && !folio_is_zone_device(folio))
		expected++;
	return folio_ref_count(folio) > expected;
}

/**
 * ember_look_lies_there() - is a folio at the destination?
 * @look: says where that is
 * @folio: with a reference, or mapped by a table whose lock is held
 *
 * A pool's pages belong to a node too, and lie in other memory all the same.
 */
bool ember_look_lies_there(const struct ember_look *look, const struct folio *folio)
{
	if (look->pool)
		return ember_pool_of(folio) == look->pool;
	return folio_nid(folio) == look->nid && !folio_is_zone_device(folio);
}

/*
 * folio_maybe_dma_pinned() counts mappings as well, and takes a page that a thousand
 * processes map for pinned.
 */
static bool is_pinned(const struct folio *folio)
{
	/* Signed: between the two reads another process may fork, or unmap. */
	return folio_ref_count(folio) - folio_mapcount(folio) >= (int)GUP_PIN_COUNTING_BIAS;
}

static u8 look_at_folio(struct ember_look *look, struct folio *folio)
{
	const struct ember_pool *pool = ember_pool_of(folio);

	if (folio_is_zone_device(folio) && !pool)
		return EMBER_OUTCOME_SPECIAL;
	if (ember_look_lies_there(look, folio) || (look->from && pool != look->from))
		return EMBER_OUTCOME_ALREADY_THERE;
	/*
	 * Broken memory of a pool stays mapped (pool_memory_failure()). Unmapping it for a move
	 * would take it away from all others who map it, for good.
	 */
	if (folio_test_hwpoison(folio))
		return EMBER_OUTCOME_COPY_FAILED;
	if (folio_test_ksm(folio))
		return EMBER_OUTCOME_KSM;
	if (!folio_test_anon(folio))
		return EMBER_OUTCOME_NOT_ANON;
	if (folio_test_large(folio))
		return EMBER_OUTCOME_LARGE_FOLIO;
	if (folio_test_writeback(folio))
		return EMBER_OUTCOME_WRITEBACK;
	if (is_pinned(folio))
		return EMBER_OUTCOME_PINNED;
	if (look->failed)
		return has_extra_refs(folio) ? EMBER_OUTCOME_PINNED : EMBER_OUTCOME_BUSY;
	if (folio_mapcount(folio) > 1 && !look->shared_ok)
		return EMBER_OUTCOME_SHARED;
	/* Pages of pools are on no list. */
	if (!pool && !folio_test_lru(folio))
		return look_at_off_lru(look);
	return MAY_MOVE;
}

/*
 * Somebody is moving it. While its entry is there, under the table's lock, the page is locked
 * and in use by who moves it, and so is its pool.
 */
static u8 look_at_moving(const struct ember_look *look, pte_t pte)
{
	if (look->from && ember_pool_of(ember_pte_migration_folio(pte)) != look->from)
		return EMBER_OUTCOME_ALREADY_THERE;
	return EMBER_OUTCOME_BUSY;
}

static u8 look_at_pte(struct ember_look *look, pte_t pte)
{
	if (pte_none(pte))
		return EMBER_OUTCOME_NOT_PRESENT;
	if (!pte_present(pte)) {
		if (ember_pte_is_migration(pte))
			return look_at_moving(look, pte);
		if (ember_pte_is_device(pte))
			return EMBER_OUTCOME_SPECIAL;
		return EMBER_OUTCOME_NOT_PRESENT;
	}
	/* In an anonymous area without VM_SPECIAL only the zero page is special. */
	if (pte_special(pte))
		return EMBER_OUTCOME_ZERO_PAGE;
	return look_at_folio(look, page_folio(pte_page(pte)));
}

static u8 look_at_huge(struct ember_look *look, pmd_t pmd)
{
	struct folio *folio;

	if (!pmd_present(pmd))
		return ember_pmd_is_migration(pmd) ? EMBER_OUTCOME_BUSY : EMBER_OUTCOME_SPECIAL;
	folio = page_folio(pmd_page(pmd));
	if (!folio_test_anon(folio))
		return EMBER_OUTCOME_ZERO_PAGE; /* the huge one */
	if (ember_look_lies_there(look, folio) || look->from)
		return EMBER_OUTCOME_ALREADY_THERE; /* pools have no huge pages */
	return EMBER_OUTCOME_LARGE_FOLIO;
}

/* What failed was movable once. If it is anything else now, it has changed since. */
static u8 why_failed(u8 what)
{
	switch (what) {
	case EMBER_OUTCOME_PINNED:
	case EMBER_OUTCOME_BUSY:
	case EMBER_OUTCOME_WRITEBACK:
	case EMBER_OUTCOME_COPY_FAILED:
		return what;
	default:
		return EMBER_OUTCOME_RACED;
	}
}

/* Outcome of one wanted page; clears its bit unless it may move. */
static void set_outcome(const struct ember_look *look, unsigned long page, u8 what,
			struct ember_pages *pages)
{
	pages->outcome[page] = look->failed ? why_failed(what) : what;
	if (pages->outcome[page] != MAY_MOVE)
		__clear_bit(page, pages->wanted);
}

static void set_outcomes(const struct ember_look *look, unsigned long first, unsigned long last,
			 u8 what, struct ember_pages *pages)
{
	unsigned long page = first;

	for_each_set_bit_from(page, pages->wanted, last)
		set_outcome(look, page, what, pages);
}

/*
 * The PMD is read once more under RCU before anything of the table is touched: a table
 * that is taken away after that read is freed after our unlock, but one that was taken
 * away between @pmdval and RCU's beginning may be gone, and its lock with it.
 *
 * Returns false when the table went away before its lock was taken.
 */
static bool look_at_table(struct ember_look *look, struct mm_struct *mm, pmd_t *pmd, pmd_t pmdval,
			  unsigned long first, unsigned long last, struct ember_pages *pages)
{
	unsigned long page = first, end;
	bool same = false;
	spinlock_t *ptl;
	pte_t *table;

	rcu_read_lock();
	if (!pmd_same(pmdval, pmdp_get_lockless(pmd)))
		goto unlock_rcu;
	ptl = pte_lockptr(mm, &pmdval);
	spin_lock(ptl);
	same = pmd_same(pmdval, pmdp_get_lockless(pmd));
	if (same) {
		table = (pte_t *)pmd_page_vaddr(pmdval);
		for_each_set_bitrange_from(page, end, pages->wanted, last)
			for (; page < end; page++)
				set_outcome(look, page, look_at_pte(look, ptep_get(table + page)),
					    pages);
	}
	spin_unlock(ptl);
unlock_rcu:
	rcu_read_unlock();
	return same;
}

/* Returns false when somebody changed the PMD meanwhile: look again. */
static bool look_at_pmd(struct ember_look *look, struct mm_struct *mm, pmd_t *pmd,
			unsigned long first, unsigned long last, struct ember_pages *pages)
{
	pmd_t pmdval = pmdp_get_lockless(pmd);
	spinlock_t *ptl;
	bool same;
	u8 what;

	if (pmd_none(pmdval)) {
		set_outcomes(look, first, last, EMBER_OUTCOME_NOT_PRESENT, pages);
		return true;
	}
	if (pmd_present(pmdval) && !pmd_leaf(pmdval))
		return look_at_table(look, mm, pmd, pmdval, first, last, pages);

	ptl = pmd_lock(mm, pmd);
	same = pmd_same(pmdval, *pmd);
	what = same ? look_at_huge(look, pmdval) : MAY_MOVE;
	spin_unlock(ptl);
	if (same)
		set_outcomes(look, first, last, what, pages);
	return same;
}

/**
 * ember_look_area() - sort out the wanted pages of one area in one 2 MiB region
 * @look: what may move
 * @vma: the area; NULL: there is none
 * @start: of it
 * @end: of it, at most the end of the same 2 MiB region as @start
 * @pages: of the region; of those in [@start, @end) only the ones that may move
 *	stay wanted, the others get their outcome. With @look->failed all get it.
 *
 * The caller holds the mmap_lock for reading.
 */
void ember_look_area(struct ember_look *look, struct vm_area_struct *vma, unsigned long start,
		     unsigned long end, struct ember_pages *pages)
{
	unsigned long first = pte_index(start), last = pte_index(end - 1) + 1;
	u8 what = look_at_vma(look, vma);
	unsigned long next;
	pmd_t *pmd;

	if (what != MAY_MOVE) {
		set_outcomes(look, first, last, what, pages);
		return;
	}
	pmd = ember_find_entry(vma->vm_mm, start, &next);
	if (!pmd) {
		set_outcomes(look, first, last, EMBER_OUTCOME_NOT_PRESENT, pages);
		return;
	}
	while (!look_at_pmd(look, vma->vm_mm, pmd, first, last, pages))
		cpu_relax();
}
