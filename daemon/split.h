/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * split: huge pages into base pages, which are all that the module moves. The only file that
 * calls process_madvise(2).
 *
 * The module is asked first and again afterwards, and what it finds in the page tables is what
 * counts: its first answer says which pages belong to large folios now, and that isolated CPUs,
 * cpusets and memory policies do not stand against the move, so that nothing is split behind their
 * back; its second says which of them have become base pages. It is silent on what else may be in
 * the way of a large folio (writeback, pins, other processes): the kernel refuses to split some of
 * these, and where it does split, the second answer tells.
 */
#ifndef EMBER_SPLIT_H
#define EMBER_SPLIT_H

#include <stdbool.h>

#include "job.h"

/* Is @job one that may split, has the module answered once, and found large folios? */
bool ember_split_is_due(const struct ember_job *job);

/*
 * Ask the kernel to split them. True: it did what it could, ask the module again, whose first
 * answer is kept in @job. False: it comes to nothing, and the runs of @job say why (no room at the
 * destination, no right, gone).
 */
bool ember_split_run(struct ember_job *job);

/* Join the second answer with the first: @job->runs is then the result, page by page. */
void ember_split_settle(struct ember_job *job);

/*
 * Which pages of @region, of which @large belong to large folios, to name to the kernel so that
 * each of these folios is hit: one of each 2 MiB page, or one of each group of four. Pure.
 */
void ember_split_choose(const struct ember_move_region *region,
			const uint64_t large[EMBER_PLANE_WORDS], uint64_t ret[EMBER_PLANE_WORDS]);

#endif /* EMBER_SPLIT_H */
