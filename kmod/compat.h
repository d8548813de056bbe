/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that ember builds for, found by probing what
 * the headers offer, never by version numbers; the probes are in Kbuild.
 */
#ifndef EMBER_COMPAT_H
#define EMBER_COMPAT_H

#include <linux/btf.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>

/*
 * Entries of page tables that are not present: swp_entry_t predicates became
 * softleaf_t ones in 6.19, in a header of their own. The old names are gone.
 */
#ifdef EMBER_HAVE_LEAFOPS
#include <linux/leafops.h>

static inline bool ember_pte_is_migration(pte_t pte)
{
	return softleaf_is_migration(softleaf_from_pte(pte));
}

static inline struct folio *ember_pte_migration_folio(pte_t pte)
{
	return softleaf_to_folio(softleaf_from_pte(pte));
}

static inline bool ember_pte_is_device(pte_t pte)
{
	return softleaf_is_device_private(softleaf_from_pte(pte));
}

static inline bool ember_pmd_is_migration(pmd_t pmd)
{
	return pmd_is_migration_entry(pmd);
}
#else
static inline bool ember_pte_is_migration(pte_t pte)
{
	return is_migration_entry(pte_to_swp_entry(pte));
}

static inline struct folio *ember_pte_migration_folio(pte_t pte)
{
	return pfn_swap_entry_folio(pte_to_swp_entry(pte));
}

static inline bool ember_pte_is_device(pte_t pte)
{
	return is_device_private_entry(pte_to_swp_entry(pte));
}

static inline bool ember_pmd_is_migration(pmd_t pmd)
{
	return is_pmd_migration_entry(pmd);
}
#endif

/* In 7.3 every kfunc takes trusted arguments only, and the flag of 6.12 is gone. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

/*
 * Is a folio mapped by more than one process? For small ones both names count
 * mappings; for large ones 6.12's guesses from the first page and may miss sharing,
 * 7.3's errs the other way.
 */
#ifdef EMBER_HAVE_FOLIO_MAYBE_MAPPED_SHARED
#define ember_folio_mapped_shared folio_maybe_mapped_shared
#else
#define ember_folio_mapped_shared folio_likely_mapped_shared
#endif

/*
 * Fills the NULL entries of array, returns how many entries at its start are not
 * NULL then. Renamed in 6.14, when the variant for lists went away.
 */
#ifdef alloc_pages_bulk_array_node
#define ember_alloc_pages_bulk alloc_pages_bulk_array_node
#else
#define ember_alloc_pages_bulk alloc_pages_bulk_node
#endif

/* Device memory: the field of struct page moved to the folio in 6.15. */
#ifdef EMBER_HAVE_PAGE_PGMAP
#define ember_page_pgmap page_pgmap
#else
static inline struct dev_pagemap *ember_page_pgmap(const struct page *page)
{
	return page->pgmap;
}
#endif

/* struct folio_batch: a header of its own since 7.0, and pagevec.h is gone. */
#ifdef EMBER_HAVE_FOLIO_BATCH_HEADER
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

/* The word of page flags got a type of its own in 6.18. */
#ifdef EMBER_HAVE_MEMDESC_FLAGS
#define ember_folio_flags(folio) (&(folio)->flags.f)
#else
#define ember_folio_flags(folio) (&(folio)->flags)
#endif

#endif /* EMBER_COMPAT_H */
