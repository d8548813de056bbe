/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Move: plan, hand the moves to the movers, account for what came back.
 */
#ifndef EMBER_MOVE_H
#define EMBER_MOVE_H

#include "engine_state.h"

/* Plan with what is known and start the moves. */
void ember_move_plan(struct ember_engine *e);

/* Take over the results that wait. */
void ember_move_account(struct ember_engine *e);

#endif /* EMBER_MOVE_H */
