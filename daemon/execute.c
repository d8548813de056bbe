// SPDX-License-Identifier: GPL-2.0-or-later
#include "execute.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define PAGE_BYTES 4096ULL

void ember_execute_barriers(const struct ember_plan *plan,
			    const uint64_t room_bytes[EMBER_MAX_NODES], uint32_t *ret)
{
	uint64_t wanted[EMBER_MAX_NODES] = {}, freed[EMBER_MAX_NODES] = {};
	uint32_t nr_demotions = 0, next = 0; /* demotions counted into freed: [0, next) */

	while (nr_demotions < plan->nr_moves && plan->moves[nr_demotions].direction == EMBER_DEMOTE)
		ret[nr_demotions++] = 0;
	for (uint32_t i = nr_demotions; i < plan->nr_moves; i++) {
		const struct ember_move *move = &plan->moves[i];

		wanted[move->dest] += move->nr_pages * PAGE_BYTES;
		while (next < nr_demotions &&
		       wanted[move->dest] > room_bytes[move->dest] + freed[move->dest]) {
			const struct ember_move *demotion = &plan->moves[next++];

			for (uint32_t k = 0; k < demotion->nr_regions; k++) {
				const struct ember_move_region *region =
				    &plan->regions[demotion->first_region + k];

				if (region->src < EMBER_MAX_NODES)
					freed[region->src] += region->nr_pages * PAGE_BYTES;
			}
		}
		ret[i] = next;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct ember_move_region *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static struct ember_job *new_job(const struct ember_plan *plan, const struct ember_move *move)
{
	struct ember_job *job =
	    calloc(1, sizeof(*job) + move->nr_regions * sizeof(job->regions[0]));

	if (!job)
		return NULL;
	job->move = *move;
	job->move.first_region = 0;
	memcpy(job->regions, plan->regions + move->first_region,
	       move->nr_regions * sizeof(job->regions[0]));
	qsort(job->regions, move->nr_regions, sizeof(job->regions[0]), by_address);
	return job;
}

uint32_t ember_execute_plan(const struct ember_plan *plan, const struct ember_plan_proc *procs,
			    const uint64_t room_bytes[EMBER_MAX_NODES], struct ember_movers *movers,
			    struct ember_account *account)
{
	_cleanup_free_ uint32_t *barriers = calloc(plan->nr_moves + 1, sizeof(*barriers));
	uint64_t demotions_before = 0;

	if (!barriers)
		return 0;
	ember_execute_barriers(plan, room_bytes, barriers);
	for (uint32_t i = 0; i < plan->nr_moves; i++) {
		struct ember_job *job = new_job(plan, &plan->moves[i]);

		if (!job)
			return i;
		job->seq = ember_movers_next_seq(movers, job->move.direction);
		if (i == 0)
			demotions_before = job->move.direction == EMBER_DEMOTE ? job->seq - 1 : 0;
		if (barriers[i])
			job->after_demotion = demotions_before + barriers[i];
		ember_account_submitted(account, procs[job->move.proc].regions, &job->move,
					job->regions);
		ember_movers_submit(movers, job);
	}
	return plan->nr_moves;
}
