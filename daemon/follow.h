/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follow: which processes are tracked, from the events of their lives and from /proc.
 *
 * Events are taken from the ring at any time, also in the middle of a scan, so that fault
 * samples are known at once; those that change the table of processes wait in a queue until
 * nobody holds a process.
 */
#ifndef EMBER_FOLLOW_H
#define EMBER_FOLLOW_H

#include "engine_state.h"

/* Note fault samples, queue the rest. */
void ember_follow_take_events(struct ember_engine *e);

/* Handle what is queued: processes come and go. */
void ember_follow_handle_events(struct ember_engine *e);

/* Drop whom the policy in force does not name any more, then search. */
void ember_follow_apply_policy(struct ember_engine *e);

/* The sampler is a new one: it shall report the same processes. */
void ember_follow_track_all(struct ember_engine *e);

/* So much memory is new: if it is a large part of all, its heat is to be learnt quickly. */
void ember_follow_note_growth(struct ember_engine *e, uint64_t bytes);

/* Go through /proc for processes that the policy names. */
void ember_follow_search(struct ember_engine *e);

/* Read facts and home of a process anew. */
void ember_follow_refresh(struct ember_engine *e, struct ember_process *process);

/*
 * A scan did not find @process any more. If its end was an exec of which nobody heard, it is
 * followed anew. Frees @process. True if a process of its number is followed now.
 */
bool ember_follow_gone(struct ember_engine *e, struct ember_process *process);

/*
 * Note what was placed by hand: by a process that is followed in its books, by another one for
 * the case that it is followed soon.
 */
void ember_follow_take_hands(struct ember_engine *e);

#endif /* EMBER_FOLLOW_H */
