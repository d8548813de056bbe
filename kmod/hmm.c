// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmm_vma_migrate(): the sequence of one migration.
 *
 * In 2016 alloc_and_copy and finalize_and_map were called from inside the kernel's
 * migration; since 5.4 they are the caller's code between migrate_vma_setup(),
 * migrate_vma_pages() and migrate_vma_finalize(). The set of pages may have gaps.
 * migrate_vma_setup() would unmap what lies in a gap, so it is called once per run
 * of wanted pages, each time with the next free part of one pair of arrays; copy,
 * migrate_device_pages() and migrate_device_finalize() then work on all runs
 * at once, as migrate_vma_pages() and _finalize() do on one.
 */
#include <linux/bitmap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/timekeeping.h>

#include "hmm.h"
#include "pool.h"

/* A run that cannot be set up leaves no entries: its pages stay where they are. */
static void collect_run(struct hmm_migrate *m, struct vm_area_struct *vma, unsigned int first,
			unsigned int last)
{
	struct migrate_vma args = {
		.vma = vma,
		.start = m->base + first * PAGE_SIZE,
		.end = m->base + last * PAGE_SIZE,
		.src = &m->src[m->nr],
		.dst = &m->dst[m->nr],
		.flags = MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_DEVICE_COHERENT,
		.pgmap_owner = ember_pool_owner,
	};

	if (migrate_vma_setup(&args))
		return;
	for (unsigned long i = 0; i < args.npages; i++)
		m->page[m->nr++] = first + i;
}

/**
 * hmm_vma_migrate() - migrate the wanted pages of a range
 * @vma: the area that contains the range; anonymous
 * @start: first address, not below @m->base
 * @end: end of the range, at most HMM_MIGRATE_PAGES pages above @m->base
 * @ops: what to do with the pages
 * @m: the set of pages; those outside the range are left alone
 *
 * The caller holds the mmap_lock for reading, from before it chose the pages until
 * this returns. What became of each page is told to @ops->finalize_and_map.
 */
void hmm_vma_migrate(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     const struct hmm_migrate_ops *ops, struct hmm_migrate *m)
{
	unsigned int first = (start - m->base) >> PAGE_SHIFT;
	unsigned int nr_pages = (end - m->base) >> PAGE_SHIFT;
	u64 begin_ns = ktime_get_ns();
	unsigned int last;

	mmap_assert_locked(vma->vm_mm);
	m->nr = 0;
	for_each_set_bitrange_from(first, last, m->wanted, nr_pages)
		collect_run(m, vma, first, last);
	if (!m->nr)
		return;

	ops->alloc_and_copy(m);
	migrate_device_pages(m->src, m->dst, m->nr);
	ops->finalize_and_map(m);
	migrate_device_finalize(m->src, m->dst, m->nr);
	m->longest_ns = max(m->longest_ns, ktime_get_ns() - begin_ns);
}
