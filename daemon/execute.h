/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * execute: turn a plan into jobs and hand them to the movers. Demote before promote holds job by
 * job: a promotion job waits only for the demotions whose room it needs, so that both
 * directions work side by side. With observe_only the last step is left out, and nothing else.
 */
#ifndef EMBER_EXECUTE_H
#define EMBER_EXECUTE_H

#include <stdint.h>

#include "account.h"
#include "job.h"
#include "mover.h"
#include "plan.h"

/*
 * For each move of @plan in order: how many of the plan's demotion moves must be done before it
 * may start (0 for demotions). @room_bytes: what is free on each node above its reserve.
 * @ret: nr_moves numbers. Pure.
 */
void ember_execute_barriers(const struct ember_plan *plan,
			    const uint64_t room_bytes[EMBER_MAX_NODES], uint32_t *ret);

/*
 * Submit all moves of @plan and enter them in the books. @procs: those the plan was made of.
 * Returns the number of moves submitted, from the first on: fewer than there are if memory ran out.
 */
uint32_t ember_execute_plan(const struct ember_plan *plan, const struct ember_plan_proc *procs,
			    const uint64_t room_bytes[EMBER_MAX_NODES], struct ember_movers *movers,
			    struct ember_account *account);

#endif /* EMBER_EXECUTE_H */
