// SPDX-License-Identifier: GPL-2.0-or-later
#include "move.h"

#include <errno.h>
#include <stdlib.h>

#include "execute.h"
#include "follow.h"
#include "log.h"

/* Moves of one request of the module; a job is one request. */
#define REGIONS_PER_MOVE 16
/*
 * 4 MiB: several fit what is kept free on a node of 512 MiB (executor: what one move frees is
 * room for the next), and the work on one still outweighs its request by far.
 */
#define PAGES_PER_MOVE 1024

/* Before the first result: assume this rate of a mover. */
#define FIRST_RATE_BYTES_PER_S (64ULL << 20)

/* EMBER_NR_WHY_NOT: it may be moved. move_pages(2) would interrupt isolated CPUs as the module
 * would. */
static enum ember_why_not why_frozen(const struct ember_policy_global *policy,
				     const struct ember_process *process)
{
	if (process->untrackable)
		return EMBER_WHY_NOT_IGNORED;
	if (process->on_isolated && policy->isolated_cpus == EMBER_ISOLATED_LEAVE)
		return EMBER_WHY_NOT_ISOLATED;
	return EMBER_NR_WHY_NOT;
}

/* What was placed by hand, up to now. */
static void refresh_hands(struct ember_engine *e)
{
	uint64_t hold_ns = e->policy->global.placed_by_hand_ns, now = now_ns();
	struct ember_process *process;

	ember_follow_take_hands(e);
	ember_for_each_process (process, &e->processes)
		ember_hands_expire(&process->hands, hold_ns, now);
}

static int collect_plan_procs(struct ember_engine *e)
{
	uint16_t restricted = ember_policy_restricted(e->policy, &e->topo);
	struct ember_process *process;
	uint64_t now = now_ns();
	uint32_t nr = 0;

	if (e->nr_plan_procs_alloc < e->processes.nr) {
		void *grown = reallocarray(e->plan_procs, e->processes.nr, sizeof(*e->plan_procs));

		if (!grown)
			return -ENOMEM;
		e->plan_procs = grown;
		e->nr_plan_procs_alloc = e->processes.nr;
	}
	ember_for_each_process (process, &e->processes) {
		enum ember_why_not why = why_frozen(&e->policy->global, process);

		e->plan_procs[nr++] = (struct ember_plan_proc){
		    .id = process->id,
		    .regions = &process->regions,
		    .hands = &process->hands,
		    .owner = process->facts.uid,
		    .weight = process->weight,
		    .allowed = ember_process_allowed(process, restricted) &
			       ~ember_process_denied(process, now),
		    .nr_cpus = process->nr_cpus,
		    .nr_hugetlb = process->facts.hugetlb_bytes / PAGE_BYTES,
		    .home = process->home,
		    .frozen = why != EMBER_NR_WHY_NOT,
		    .frozen_why = why,
		};
	}
	return nr;
}

/* One plan spends what a period has earned, however long the period in force is. */
static uint64_t quota_available(struct ember_engine *e, int direction, uint64_t now)
{
	uint64_t bandwidth = e->policy->global.bandwidth_bytes_per_s;
	uint64_t period_ms = e->step.period_ns / NSEC_PER_MSEC;
	uint64_t burst = bandwidth * (period_ms > 1000 ? period_ms : 1000) / 1000;

	ember_quota_set(&e->quota[direction], bandwidth, burst, now);
	return ember_quota_available(&e->quota[direction], now);
}

/* What may still be handed to the movers of one direction: the quota, and about a period's work. */
static uint64_t direction_limit(struct ember_engine *e, int direction, uint64_t now)
{
	uint64_t quota = quota_available(e, direction, now);
	uint64_t rate = e->rate[direction] ? e->rate[direction] : FIRST_RATE_BYTES_PER_S;
	uint64_t work = rate * (e->step.period_ns / NSEC_PER_MSEC) / 1000;

	work = work > e->inflight[direction] ? work - e->inflight[direction] : 0;
	return quota < work ? quota : work;
}

static void alive(void *userdata)
{
	ember_engine_beat(userdata);
}

static void set_limits(struct ember_engine *e, struct ember_plan_limits *limits)
{
	uint64_t now = now_ns();

	*limits = (struct ember_plan_limits){
	    .max_regions_per_move = REGIONS_PER_MOVE,
	    .max_pages_per_move = PAGES_PER_MOVE,
	    .restricted_nodes = ember_policy_restricted(e->policy, &e->topo),
	    .calibration = &e->calibration,
	    .mover_cost = &e->mover_cost,
	    .longest_wait_ns = e->policy->global.longest_wait_ns,
	    .isolated_too = e->policy->global.isolated_cpus == EMBER_ISOLATED_INTERRUPT,
	    .by_dma = e->policy->global.copy_engine == EMBER_COPY_DMA && e->status.copies_known &&
		      e->status.copies.channels,
	    .leave_shared = e->policy->global.shared_memory == EMBER_SHARED_LEAVE,
	    .split_huge = e->policy->global.split_huge_pages,
	    .seed = e->config.seed,
	    .alive = alive,
	    .userdata = e};
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		limits->bytes[d] = direction_limit(e, d, now);
	for (int node = 0; node < EMBER_MAX_NODES; node++) {
		if (!e->topo.nodes[node].has_memory)
			continue;
		limits->reserve_bytes[node] =
		    ember_policy_reserve_bytes(&e->policy->global, &e->topo.nodes[node]);
		limits->inflight_bytes[node] = e->account.inflight_bytes[node];
	}
}

static bool make_plan(struct ember_engine *e, struct ember_plan_limits *limits)
{
	int nr;

	ember_engine_enter(e, EMBER_STAGE_MEMORIES);
	nr = ember_topology_refresh(e->config.sys_root, e->config.proc_root, &e->topo);
	if (nr == -ESTALE)
		ember_engine_memories_changed(e);
	if (nr < 0)
		return false;
	refresh_hands(e);
	nr = collect_plan_procs(e);
	if (nr < 0)
		return false;
	set_limits(e, limits);
	ember_engine_enter(e, EMBER_STAGE_PLAN);
	if (ember_plan_make(&e->plan, &e->topo, e->plan_procs, nr, limits, &e->cooldown, now_ns()) <
	    0) {
		log_warning("no memory for a plan, nothing moves in this round");
		return false;
	}
	e->obs.planned = true;
	e->obs.threshold_level = e->plan.threshold_level;
	e->obs.settled = e->plan.settled;
	e->status.nr_plans++;
	return true;
}

static void execute(struct ember_engine *e, const struct ember_plan_limits *limits)
{
	struct ember_execute_room room = {};

	if (e->config.observe_only || !e->plan.nr_moves)
		return;
	for (int node = 0; node < EMBER_MAX_NODES; node++) {
		const struct ember_node *n = &e->topo.nodes[node];
		uint64_t kept = n->high_watermark_bytes + limits->inflight_bytes[node], free;

		free = n->has_memory && n->free_bytes > kept ? n->free_bytes - kept : 0;
		room.floor_bytes[node] = n->high_watermark_bytes;
		room.reserve_bytes[node] =
		    free < limits->reserve_bytes[node] ? free : limits->reserve_bytes[node];
		room.bytes[node] = free - room.reserve_bytes[node];
	}
	if (ember_execute_plan(&e->plan, e->plan_procs, &room, e->movers, &e->account) < 0) {
		log_warning("no memory for moves, the plan is dropped");
		return;
	}
	for (uint32_t i = 0; i < e->plan.nr_moves; i++) {
		const struct ember_move *move = &e->plan.moves[i];

		ember_quota_take(&e->quota[move->direction], move->nr_pages * PAGE_BYTES);
		e->inflight[move->direction] += move->nr_pages * PAGE_BYTES;
	}
}

static void learn_rate(struct ember_engine *e, const struct ember_job *job, uint64_t bytes)
{
	uint64_t *rate = &e->rate[job->move.direction], now;

	/* Small requests measure the overhead of one request, not the rate. */
	if (!job->time_ns || bytes < 64 * PAGE_BYTES)
		return;
	now = bytes * NSEC_PER_SEC / (job->time_ns + job->split_ns);
	*rate = *rate ? (7 * *rate + now) / 8 : now;
}

static void note_waits(struct ember_engine *e, const struct ember_job *job)
{
	if (job->longest_lock_ns > e->status.longest_lock_ns)
		e->status.longest_lock_ns = job->longest_lock_ns;
	if (job->longest_unmapped_ns > e->status.longest_unmapped_ns)
		e->status.longest_unmapped_ns = job->longest_unmapped_ns;
}

/* Only what either mover could have taken. */
static void learn_cost(struct ember_engine *e, const struct ember_job *job, uint64_t nr_moved)
{
	uint64_t nr_runs = 0;

	if (!job->move.is_base || job->move.by_dma) /* that is an engine's time */
		return;
	for (uint32_t i = 0; i < job->move.nr_regions; i++)
		nr_runs += ember_mover_runs(job->regions[i].pages);
	ember_mover_cost_learn(&e->mover_cost,
			       job->move.mover == EMBER_MOVER_MODULE ? EMBER_BASE_MODULE
								     : EMBER_BASE_MOVE_PAGES,
			       ember_mover_case_of(job->move.nr_pages, nr_runs, job->move.nr_cpus),
			       job->move.nr_pages, nr_moved, job->time_ns);
}

static void learn_denied(struct ember_process *process, const struct ember_job *job,
			 uint64_t nr_moved)
{
	if (nr_moved)
		ember_process_note_arrived(process, job->move.dest);
	else if (ember_account_is_denied(&job->move, job->runs, job->nr_runs))
		ember_process_note_denied(process, job->move.dest, now_ns());
}

void ember_move_account(struct ember_engine *e)
{
	struct ember_job *job;

	while ((job = ember_movers_take_done(e->movers))) {
		struct ember_process *process = ember_process_find_id(&e->processes, &job->move.id);
		uint64_t asked = job->move.nr_pages * PAGE_BYTES, moved;
		uint64_t *inflight = &e->inflight[job->move.direction];

		ember_engine_beat(e);
		moved = ember_account_result(&e->account, process ? &process->regions : NULL,
					     &e->cooldown, &job->move, job->regions, job->runs,
					     job->nr_runs, now_ns()) *
			PAGE_BYTES;
		ember_quota_refund(&e->quota[job->move.direction], asked - moved);
		*inflight -= asked < *inflight ? asked : *inflight;
		if (process)
			learn_denied(process, job, moved / PAGE_BYTES);
		note_waits(e, job);
		e->status.nr_split += job->nr_split;
		e->status.nr_unsplit += job->nr_unsplit;
		learn_rate(e, job, moved);
		learn_cost(e, job, moved / PAGE_BYTES);
		if (ember_mover_is_module(job->move.mover))
			e->status.move_ns += job->time_ns;
		ember_job_free(job);
	}
}

void ember_move_plan(struct ember_engine *e)
{
	struct ember_plan_limits limits;

	if (!make_plan(e, &limits))
		return;
	ember_engine_enter(e, EMBER_STAGE_EXECUTE);
	execute(e, &limits);
}
