// SPDX-License-Identifier: GPL-2.0-or-later
#include "scan.h"

#include <errno.h>

#include "areas.h"
#include "follow.h"
#include "log.h"

/* Addresses of user space end below this on x86-64 with four page-table levels. */
#define USER_END (1ULL << 47)

/*
 * From the first fault sample in unknown memory to the look at it: long enough for a burst of
 * first touches to gather, short against the period.
 */
#define EARLY_LOOK_NS (40 * NSEC_PER_MSEC)

/* One call of the kernel side; in between the thread can be told to stop. */
#define SCAN_BUDGET_NS (20 * NSEC_PER_MSEC)

/* A scan that finds the mmap_lock taken tries again so often, with so long between. */
#define LOCK_TRIES 5
#define LOCK_WAIT_NS (2 * NSEC_PER_MSEC)

static void note_new_areas(struct ember_process *process, const struct ember_region_rec *recs,
			   uint32_t nr, uint64_t now, bool by_fault)
{
	struct ember_status_area piece = {.first_scan_ns = now, .by_fault = by_fault};

	for (uint32_t i = 0; i < nr; i++) {
		if (ember_regions_find(&process->regions, recs[i].addr))
			continue;
		piece.start = recs[i].addr;
		piece.end = recs[i].addr + EMBER_REGION_BYTES;
		ember_areas_note(process->areas, &process->nr_areas, &piece);
	}
}

static void count_scan(struct ember_status *status, const struct ember_scan_req *req)
{
	status->scan_ns += req->ns;
	status->nr_tables_read += req->nr_tables;
	status->nr_tables_skipped += req->nr_skipped;
	status->nr_flush_cpus += req->nr_flush_cpus;
}

static void take_records(struct ember_process *process, struct ember_score_pass *pass,
			 const struct ember_region_rec *recs, uint32_t nr)
{
	note_new_areas(process, recs, nr, now_ns(), pass->info.part);
	if (ember_score_records(pass, recs, nr) < 0)
		log_warning("no memory for the history of process %u, its heat is stale",
			    process->id.tgid);
}

/*
 * Scan [start, end) of @process into @pass. Returns true if all of it was seen; -ESRCH and
 * -ESTALE set *ret_gone.
 */
static bool scan_range(struct ember_engine *e, struct ember_process *process, uint64_t start,
		       uint64_t end, struct ember_score_pass *pass, bool *ret_gone)
{
	struct ember_scan_req req = {
	    .cursor = start, .end = end, .flags = pass->info.flags, .budget_ns = SCAN_BUDGET_NS};
	const struct ember_region_rec *recs;
	int tries = 0, r;

	while (!atomic_load(&e->stop)) {
		ember_engine_beat(e);
		r = ember_sampler_scan(e->sampler, &process->id, &req, &recs);
		if (r < 0 || req.stop == EMBER_STOP_GONE) {
			*ret_gone = r == -ESRCH || r == -ESTALE || r == 0;
			return false;
		}
		if (req.stop != EMBER_STOP_LOCK) { /* perhaps in the middle of an exec */
			process->nodes = req.nodes;
			process->policy_nodes = req.policy_nodes;
		}
		if (req.nr_flush_cpus > process->nr_cpus)
			process->nr_cpus = req.nr_flush_cpus;
		process->on_isolated |= req.on_isolated;
		count_scan(&e->status, &req);
		take_records(process, pass, recs, req.nr_recs);
		/* A scan of a large process takes longer than new memory shall wait. */
		if (!pass->info.part)
			ember_scan_early(e);
		switch (req.stop) {
		case EMBER_STOP_DONE:
			return true;
		case EMBER_STOP_BUFFER:
		case EMBER_STOP_TIME:
			tries = 0;
			break;
		case EMBER_STOP_LOCK:
			if (++tries == LOCK_TRIES)
				return false;
			nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_NS}, NULL);
			break;
		default: /* a secondary MMU */
			process->untrackable = true;
			return false;
		}
	}
	return false;
}

/* One scan of one process. Returns false if the process is gone. */
static bool sample_process(struct ember_engine *e, struct ember_process *process,
			   const struct ember_cadence_step *step)
{
	uint64_t start_ns = now_ns();
	bool first = !process->nr_scans, gone = false, complete;
	struct ember_scan_info info = {
	    .interval_ns =
		step->score && process->last_scan_ns ? start_ns - process->last_scan_ns : 0,
	    /* A process that nobody has looked at yet: all of it, wherever it lies. */
	    .flags = step->scan_flags | (first ? EMBER_SCAN_FULL | EMBER_SCAN_COLD : 0),
	    .prior_level = step->prior_level,
	    .calibration = &e->calibration,
	};
	struct ember_score_pass pass;

	process->nr_cpus = 0;
	process->on_isolated = false;
	ember_score_begin(&pass, &process->regions, &info);
	complete = scan_range(e, process, 0, USER_END, &pass, &gone);
	ember_score_end(&pass, complete);
	process->last_scan_ns = start_ns;
	process->nr_scans++;
	process->nr_lost_scans += !complete;
	return !gone;
}

/* Look, without clearing, at what fault samples named: where pages lie, before the next round. */
static void look_early(struct ember_engine *e, struct ember_process *process)
{
	uint64_t ranges[EMBER_MAX_PENDING_FAULTS][2];
	uint32_t nr = ember_process_take_faults(process, ranges), before = process->regions.nr;
	struct ember_scan_info info = {
	    .part = true, .flags = EMBER_SCAN_COLD, .prior_level = e->step.prior_level};
	struct ember_score_pass pass;
	bool gone = false;

	ember_score_begin(&pass, &process->regions, &info);
	for (uint32_t i = 0; i < nr && !gone; i++)
		scan_range(e, process, ranges[i][0], ranges[i][1], &pass, &gone);
	ember_score_end(&pass, /* complete= */ true);
	ember_follow_note_growth(e, (process->regions.nr - before) * (uint64_t)EMBER_REGION_BYTES);
}

/* The earliest time at which an early look is due; UINT64_MAX: none. */
uint64_t ember_scan_early_due(const struct ember_engine *e)
{
	uint64_t due = UINT64_MAX;
	struct ember_process *process;

	ember_for_each_process (process, &e->processes)
		if (process->first_fault_ns && process->first_fault_ns + EARLY_LOOK_NS < due)
			due = process->first_fault_ns + EARLY_LOOK_NS;
	return due;
}

void ember_scan_early(struct ember_engine *e)
{
	uint64_t now = now_ns();
	struct ember_process *process;

	ember_follow_take_events(e);
	ember_for_each_process (process, &e->processes)
		if (process->first_fault_ns && process->first_fault_ns + EARLY_LOOK_NS <= now)
			look_early(e, process);
}

void ember_scan_round(struct ember_engine *e)
{
	uint64_t start_ns = now_ns();
	bool full = e->step.scan_flags & EMBER_SCAN_FULL;

	e->last_scan_ns = start_ns;
	/* Growth is reported by fault samples; without them somebody has to go and look. */
	if (full && !e->fault_period)
		ember_follow_search(e);
	for (uint32_t i = 0; i < e->processes.nr && !atomic_load(&e->stop);) {
		struct ember_process *process = e->processes.procs[i];

		if (full)
			ember_follow_refresh(e, process);
		/*
		 * What goes by its number now is for the next round: a process that is
		 * being torn down may look alive and end every scan for a long time.
		 */
		if (process->untrackable || sample_process(e, process, &e->step) ||
		    ember_follow_gone(e, process))
			i++;
	}
	ember_calibration_end_round(&e->calibration);
	e->status.nr_scans++;
	e->status.last_scan_ns = now_ns() - start_ns;
	e->obs.scan_ns = e->status.last_scan_ns;
}
