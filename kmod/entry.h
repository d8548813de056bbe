/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding page tables.
 */
#ifndef EMBER_ENTRY_H
#define EMBER_ENTRY_H

#include <linux/mm_types.h>

pmd_t *ember_find_entry(struct mm_struct *mm, unsigned long addr, unsigned long *ret_next);

#endif /* EMBER_ENTRY_H */
