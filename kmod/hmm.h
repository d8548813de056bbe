/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The migration contract of Jérôme Glisse's HMM v13 ("mm/hmm/migrate: new memory
 * migration helper for use with device memory"), on top of today's migrate_vma_*.
 */
#ifndef EMBER_HMM_H
#define EMBER_HMM_H

#include <linux/bitmap.h>
#include <linux/mm_types.h>
#include <linux/types.h>

#define HMM_MIGRATE_PAGES 512 /* most pages of one migration: one page table */

struct hmm_migrate;

struct hmm_migrate_ops {
	/*
	 * The pages of m->src are locked, isolated and unmapped: nobody can reach
	 * them. For each entry i < m->nr that has both MIGRATE_PFN_MIGRATE and a
	 * page, either copy it to a new page, locked and with one reference, and
	 * set m->dst[i] to its migrate_pfn(); or leave m->dst[i] 0, and the page
	 * stays. Entries without a page are holes and must stay 0: filling them is
	 * not supported. Must not change m->src.
	 */
	void (*alloc_and_copy)(struct hmm_migrate *m);
	/*
	 * m->src[i] has MIGRATE_PFN_MIGRATE exactly where the new page takes over;
	 * both pages are still locked. After this the new pages are mapped, all
	 * pages unlocked and their references dropped.
	 */
	void (*finalize_and_map)(struct hmm_migrate *m);
};

/* One migration: a set of pages, and its state. */
struct hmm_migrate {
	unsigned long base;	     /* (in) address of page 0 */
	const unsigned long *wanted; /* (in) HMM_MIGRATE_PAGES bits by page */
	unsigned int nr;       /* entries of the arrays, ascending by address */
	unsigned long src[HMM_MIGRATE_PAGES]; /* MIGRATE_PFN_* */
	unsigned long dst[HMM_MIGRATE_PAGES];
	u64 longest_ns; /* (in/out) that pages were unmapped, the longest so far */
	u16 page[HMM_MIGRATE_PAGES]; /* entry i is the page at base + page[i] * PAGE_SIZE */
};

void hmm_vma_migrate(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     const struct hmm_migrate_ops *ops, struct hmm_migrate *m);

#endif /* EMBER_HMM_H */
