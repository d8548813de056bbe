/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One move on its way from the plan through a mover thread to the books. */
#ifndef EMBER_JOB_H
#define EMBER_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "plan.h"

struct ember_job {
	struct ember_job *next; /* of the queue that owns it */
	struct ember_move move; /* first_region is 0: regions are the job's own */
	uint64_t after; /* do not start before that many jobs of the other direction are done */
	uint64_t floor_bytes; /* of the destination: stays free, or its kswapd has work */
	/* filled by the mover */
	struct ember_fate_run *runs;
	size_t nr_runs;
	uint64_t time_ns;         /* that the mover spent on it */
	uint64_t longest_lock_ns; /* by the module, as in ember_genl_result */
	uint64_t longest_unmapped_ns;
	uint64_t request; /* its id while the module has it */
	/* of a move that splits: split.h */
	struct ember_fate_run *first_runs; /* the module's first answer, while it has the second */
	size_t nr_first_runs;
	uint64_t split_ns;
	uint32_t nr_split; /* 4 KiB pages of huge pages that were split, and moved */
	uint32_t nr_unsplit;
	struct ember_move_region regions[]; /* ascending by address */
};

/* Returns NULL. */
struct ember_job *ember_job_free(struct ember_job *job);

/* A first-in first-out list that owns its jobs. Zeroed is empty. Not locked. */
struct ember_job_list {
	struct ember_job *first;
	struct ember_job **last;
	uint32_t nr;
};

void ember_job_push(struct ember_job_list *list, struct ember_job *job);
struct ember_job *ember_job_pop(struct ember_job_list *list); /* NULL: empty */

#endif /* EMBER_JOB_H */
