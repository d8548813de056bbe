/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * execute: turn a plan into jobs and hand them to the movers, one lane for each direction. A job
 * waits only for the jobs of the other lane whose room it needs, so that both work side by side:
 * an exchange between two nodes needs free room on one of them only. With observe_only the last
 * step is left out, and nothing else.
 */
#ifndef EMBER_EXECUTE_H
#define EMBER_EXECUTE_H

#include <stdint.h>

#include "account.h"
#include "job.h"
#include "mover.h"
#include "plan.h"

/* What is free on each node above its watermark. */
struct ember_execute_room {
	uint64_t bytes[EMBER_MAX_NODES];         /* above the reserve */
	uint64_t reserve_bytes[EMBER_MAX_NODES]; /* of the reserve: where nothing else helps */
	uint64_t floor_bytes[EMBER_MAX_NODES];   /* the watermark itself, not free room */
};

/*
 * For each move of @plan in order: how many of the plan's moves of the other direction must be done
 * before it may start. There is always an order in which all moves can start. @ret: nr_moves
 * numbers. Pure.
 */
void ember_execute_barriers(const struct ember_plan *plan, const struct ember_execute_room *room,
			    uint32_t *ret);

/*
 * Submit all moves of @plan and enter them in the books. @procs: those the plan was made of.
 * 0, or -ENOMEM: then nothing was submitted.
 */
int ember_execute_plan(const struct ember_plan *plan, const struct ember_plan_proc *procs,
		       const struct ember_execute_room *room, struct ember_movers *movers,
		       struct ember_account *account);

#endif /* EMBER_EXECUTE_H */
