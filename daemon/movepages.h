/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move_pages(2) as a mover: for what the module leaves alone (huge pages, files, shared
 * memory). The only file that makes the call. Placement is verified: a page counts as moved
 * when the kernel, asked afterwards, says it lies on the node.
 */
#ifndef EMBER_MOVEPAGES_H
#define EMBER_MOVEPAGES_H

#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "plan.h"

/*
 * Move the pages of @move. Blocks while pages move. A region whose pages would leave less than
 * @floor_bytes of the destination free is not tried: EMBER_FATE_NO_MEMORY. *ret_runs (malloc'ed,
 * the caller's) covers all selected pages. 0, -ENOMEM. That pages could not be moved is no error:
 * it stands in the runs.
 */
int ember_movepages_run(const struct ember_move *move, const struct ember_move_region *regions,
			uint64_t floor_bytes, struct ember_fate_run **ret_runs,
			size_t *ret_nr_runs);

/* What a status word of move_pages(2) means when @node was asked for. Pure. */
enum ember_fate ember_movepages_fate(int status, int node);

#endif /* EMBER_MOVEPAGES_H */
