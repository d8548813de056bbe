// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding page tables. Above the PMD entries they stay while an area covers the address and the
 * mmap_lock is held: munmap() frees them after its areas are gone.
 */
#include <linux/align.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "entry.h"

/**
 * ember_find_entry() - the PMD entry of an address
 * @mm: its mmap_lock is held for reading
 * @addr: an area covers it
 * @ret_next: the first address behind @addr that has another entry, or may have one
 *
 * Return: NULL if there is none.
 */
pmd_t *ember_find_entry(struct mm_struct *mm, unsigned long addr, unsigned long *ret_next)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud, pudval;

	*ret_next = ALIGN(addr + 1, PGDIR_SIZE);
	if (!pgd_present(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	*ret_next = ALIGN(addr + 1, P4D_SIZE);
	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	pudval = READ_ONCE(*pud);
	*ret_next = ALIGN(addr + 1, PUD_SIZE);
	if (!pud_present(pudval) || pud_leaf(pudval))
		return NULL;
	*ret_next = ALIGN(addr + 1, PMD_SIZE);
	return pmd_offset(pud, addr);
}
