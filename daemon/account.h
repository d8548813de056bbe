/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account: what really happened? The books hold verified results, never wishes: a page
 * counts as moved, and changes its place, only when the mover said so for this page.
 */
#ifndef EMBER_ACCOUNT_H
#define EMBER_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cooldown.h"
#include "plan.h"
#include "region.h"

/*
 * What became of one page, whoever moved it. A superset of the module's outcomes
 * (include/uapi/linux/ember.h) and of what move_pages(2) says; the words are those of the
 * module where it has one.
 */
#define EMBER_FATES(X)                                                                             \
	X(UNKNOWN, "unknown", "no answer (lost)")                                                  \
	X(MOVED, "moved", "now on the node asked for")                                             \
	X(ALREADY, "already-there", "was on that node before")                                     \
	X(NOT_PRESENT, "not-present", "no page at this address any more")                          \
	X(BUSY, "busy", "locked or isolated by somebody else at that moment")                      \
	X(WRITEBACK, "writeback", "being written to swap")                                         \
	X(RACED, "raced", "changed between the look and the move")                                 \
	X(PINNED, "pinned", "held by I/O or a device")                                             \
	X(SHARED, "shared", "mapped by several processes")                                         \
	X(KIND, "kind", "a kind of page this mover does not move")                                 \
	X(LARGE, "large-folio", "part of a huge page, which the module leaves whole")              \
	X(UNSPLIT, "unsplit", "of a huge page that would not be split: in use, pinned or locked")  \
	X(UNSPLITTABLE, "unsplittable",                                                            \
	  "of a huge page in mlocked memory, or ember may not split")                              \
	X(NO_MEMORY, "no-memory", "no free page on that node")                                     \
	X(NO_DEST, "no-destination", "that memory is gone, or is being removed")                   \
	X(DENIED, "denied", "not permitted (cpuset, policy, capability)")                          \
	X(ISOLATED, "isolated", "its process runs on isolated CPUs")                               \
	X(GONE, "gone", "the process is gone or has another address space")                        \
	X(CANCELLED, "cancelled", "not tried: ember was stopping")                                 \
	X(FAILED, "failed", "another error")

enum ember_fate {
#define X(name, word, sentence) EMBER_FATE_##name,
	EMBER_FATES(X)
#undef X
	    EMBER_NR_FATES,
};

const char *ember_fate_word(enum ember_fate outcome);
const char *ember_fate_sentence(enum ember_fate outcome);

/* @nr_pages consecutive selected pages with the same outcome. */
struct ember_fate_run {
	uint32_t outcome; /* enum ember_fate */
	uint32_t nr_pages;
};

/* 4 KiB pages, since the start. */
struct ember_book {
	uint64_t tried;
	uint64_t outcome[EMBER_NR_FATES]; /* their sum is .tried */
};

struct ember_account {
	struct ember_book books[EMBER_NR_DIRECTIONS][EMBER_NR_MOVERS];
	uint64_t inflight_bytes[EMBER_MAX_NODES]; /* by destination */
	uint64_t nr_moves_submitted;
	uint64_t nr_moves_done;
};

void ember_account_init(struct ember_account *acct);

/* @move was handed to its mover. @rs: regions of its process (NULL if the process is gone). */
void ember_account_submitted(struct ember_account *acct, struct ember_regions *rs,
			     const struct ember_move *move,
			     const struct ember_move_region *regions);

/*
 * The result of @move: run lengths over its selected pages in ascending order of address, region by
 * region as in @regions. Pages beyond the last run count as EMBER_FATE_UNKNOWN; runs beyond
 * the last page are ignored. @rs NULL: the process is gone, only the books are kept.
 * Returns the number of pages that moved. If all were denied the cool-down is not told: it
 * remembers pages, and a large process would fill it.
 */
uint64_t ember_account_result(struct ember_account *acct, struct ember_regions *rs,
			      struct ember_cooldown *cooldown, const struct ember_move *move,
			      const struct ember_move_region *regions,
			      const struct ember_fate_run *runs, size_t nr_runs, uint64_t now_ns);

/* Every page of @move was denied: that is about its process and the destination, not the pages. */
bool ember_account_is_denied(const struct ember_move *move, const struct ember_fate_run *runs,
			     size_t nr_runs);

/* Sum over movers. */
void ember_account_sum(const struct ember_account *acct, enum ember_direction direction,
		       struct ember_book *ret);

#endif
