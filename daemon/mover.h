/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The movers: one thread per direction, because both the module's answers and
 * move_pages(2) may take long, and a move that makes room must not wait behind one that waits
 * for it.
 */
#ifndef EMBER_MOVER_H
#define EMBER_MOVER_H

#include "genl.h"
#include "job.h"

struct ember_movers;

/*
 * Starts the threads, each with a client of the module. *ret_info as ember_genl_open(). 0 or
 * -errno of ember_genl_open().
 */
int ember_movers_new(struct ember_movers **ret, struct ember_genl_info *ret_info);

/* Cancels what is under way, ends the threads, frees all jobs. NULL is fine. Returns NULL. */
struct ember_movers *ember_movers_free(struct ember_movers *movers);

/* Takes @job over. Demotions and promotions keep their order among themselves. */
void ember_movers_submit(struct ember_movers *movers, struct ember_job *job);

/* Readable when jobs are done. */
int ember_movers_done_fd(const struct ember_movers *movers);

/* A finished job, now the caller's; NULL: no more for now. */
struct ember_job *ember_movers_take_done(struct ember_movers *movers);

/* Jobs of this direction so far: what ember_job.after of the other one counts. */
uint64_t ember_movers_nr_submitted(struct ember_movers *movers, enum ember_direction direction);

/* Jobs submitted and not yet taken back. */
uint32_t ember_movers_nr_open(struct ember_movers *movers);

#endif /* EMBER_MOVER_H */
