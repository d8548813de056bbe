/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that ember builds for, found by probing what
 * the headers offer, never by version numbers; the probes are in Kbuild.
 */
#ifndef EMBER_COMPAT_H
#define EMBER_COMPAT_H

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

static inline bool ember_pte_is_device(pte_t pte)
{
	return softleaf_is_device_private(softleaf_from_pte(pte));
}
#else
static inline bool ember_pte_is_migration(pte_t pte)
{
	return is_migration_entry(pte_to_swp_entry(pte));
}

static inline bool ember_pte_is_device(pte_t pte)
{
	return is_device_private_entry(pte_to_swp_entry(pte));
}
#endif

#endif /* EMBER_COMPAT_H */
