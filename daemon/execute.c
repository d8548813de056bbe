// SPDX-License-Identifier: GPL-2.0-or-later
#include "execute.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define PAGE_BYTES 4096ULL

/* Both lanes of a plan, walked through in an order in which every move finds its room. */
struct walk {
	const struct ember_plan *plan;
	uint32_t first[EMBER_NR_DIRECTIONS]; /* moves of a direction: [first, end) */
	uint32_t next[EMBER_NR_DIRECTIONS];
	uint32_t end[EMBER_NR_DIRECTIONS];
	int64_t room[EMBER_MAX_NODES];
	int64_t reserve[EMBER_MAX_NODES];                    /* the rest of what is free */
	int64_t freed[EMBER_NR_DIRECTIONS][EMBER_MAX_NODES]; /* part of room, by whom */
};

static bool at_end(const struct walk *w, enum ember_direction d)
{
	return w->next[d] == w->end[d];
}

static bool fits(const struct walk *w, enum ember_direction d)
{
	const struct ember_move *move = &w->plan->moves[w->next[d]];

	return !at_end(w, d) && w->room[move->dest] >= (int64_t)(move->nr_pages * PAGE_BYTES);
}

/* Does the next move of @d find room only because of the moves of the other lane? */
static bool owes_room(const struct walk *w, enum ember_direction d)
{
	const struct ember_move *move = &w->plan->moves[w->next[d]];

	return w->room[move->dest] - w->freed[ember_opposite(d)][move->dest] <
	       (int64_t)(move->nr_pages * PAGE_BYTES);
}

static void take_step(struct walk *w, enum ember_direction d, uint32_t *ret)
{
	uint32_t i = w->next[d], before = i > w->first[d] ? ret[i - 1] : 0;
	const struct ember_move *move = &w->plan->moves[i];

	ret[i] =
	    owes_room(w, d) ? w->next[ember_opposite(d)] - w->first[ember_opposite(d)] : before;
	w->next[d]++;
	w->room[move->dest] -= move->nr_pages * PAGE_BYTES;
	for (uint32_t k = 0; k < move->nr_regions; k++) {
		const struct ember_move_region *region = &w->plan->regions[move->first_region + k];

		if (region->src >= EMBER_MAX_NODES)
			continue;
		w->room[region->src] += region->nr_pages * PAGE_BYTES;
		w->freed[d][region->src] += region->nr_pages * PAGE_BYTES;
	}
}

/* Let pages pass through what is kept free where the next promotion goes. */
static bool open_reserve(struct walk *w)
{
	uint8_t dest;

	if (at_end(w, EMBER_PROMOTE))
		return false;
	dest = w->plan->moves[w->next[EMBER_PROMOTE]].dest;
	w->room[dest] += w->reserve[dest];
	w->reserve[dest] = 0;
	return fits(w, EMBER_PROMOTE);
}

/*
 * Promotions as far as there is room, then the demotion that makes some. Where the slower node is
 * full, it is the first promotions that make room, out of the reserve: not sooner, for it also
 * covers what is freed and not yet to be had (per-CPU lists). Where neither lane fits even then,
 * the next demotion tries its luck: the mover refuses pages for which there is no room.
 */
static enum ember_direction next_lane(struct walk *w)
{
	if (fits(w, EMBER_PROMOTE) || at_end(w, EMBER_DEMOTE))
		return EMBER_PROMOTE;
	if (fits(w, EMBER_DEMOTE))
		return EMBER_DEMOTE;
	return open_reserve(w) ? EMBER_PROMOTE : EMBER_DEMOTE;
}

void ember_execute_barriers(const struct ember_plan *plan, const struct ember_execute_room *room,
			    uint32_t *ret)
{
	uint32_t nr = plan->nr_moves, nr_demotions = 0;
	struct walk w = {.plan = plan};

	while (nr_demotions < nr && plan->moves[nr_demotions].direction == EMBER_DEMOTE)
		nr_demotions++;
	w.end[EMBER_DEMOTE] = nr_demotions;
	w.first[EMBER_PROMOTE] = w.next[EMBER_PROMOTE] = nr_demotions;
	w.end[EMBER_PROMOTE] = nr;
	for (int n = 0; n < EMBER_MAX_NODES; n++) {
		w.room[n] = room->bytes[n];
		w.reserve[n] = room->reserve_bytes[n];
	}
	while (!at_end(&w, EMBER_PROMOTE) || !at_end(&w, EMBER_DEMOTE))
		take_step(&w, next_lane(&w), ret);
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

/* All jobs of the plan or none: a move waits for moves of the other lane, so all must come. */
static int make_jobs(const struct ember_plan *plan, struct ember_job_list *ret)
{
	for (uint32_t i = 0; i < plan->nr_moves; i++) {
		struct ember_job *job = new_job(plan, &plan->moves[i]);

		if (!job) {
			while (ret->nr)
				ember_job_free(ember_job_pop(ret));
			return -ENOMEM;
		}
		ember_job_push(ret, job);
	}
	return 0;
}

int ember_execute_plan(const struct ember_plan *plan, const struct ember_plan_proc *procs,
		       const struct ember_execute_room *room, struct ember_movers *movers,
		       struct ember_account *account)
{
	_cleanup_free_ uint32_t *barriers = calloc(plan->nr_moves + 1, sizeof(*barriers));
	uint64_t before[EMBER_NR_DIRECTIONS];
	struct ember_job_list jobs = {};

	if (!barriers || make_jobs(plan, &jobs) < 0)
		return -ENOMEM;
	ember_execute_barriers(plan, room, barriers);
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		before[d] = ember_movers_nr_submitted(movers, d);
	for (uint32_t i = 0; i < plan->nr_moves; i++) {
		struct ember_job *job = ember_job_pop(&jobs);

		if (barriers[i])
			job->after = before[ember_opposite(job->move.direction)] + barriers[i];
		job->floor_bytes = room->floor_bytes[job->move.dest];
		ember_account_submitted(account, procs[job->move.proc].regions, &job->move,
					job->regions);
		ember_movers_submit(movers, job);
	}
	return 0;
}
