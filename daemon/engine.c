// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cadence.h"
#include "cooldown.h"
#include "execute.h"
#include "log.h"
#include "mover.h"
#include "plan.h"
#include "process.h"
#include "quota.h"
#include "score.h"
#include "util/cleanup.h"

#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC 1000000000ULL
#define PAGE_BYTES 4096ULL

/* Addresses of user space end below this on x86-64 with four page-table levels. */
#define USER_END (1ULL << 47)

/*
 * From the first fault sample in unknown memory to the look at it: long enough for a burst of
 * first touches to gather, short against the period.
 */
#define EARLY_LOOK_NS (40 * NSEC_PER_MSEC)

/* The control thread takes a thread that is silent for longer than 20 s for stuck. */
#define MAX_WAIT_NS (5 * NSEC_PER_SEC)

/* One call of the kernel side; in between the thread can be told to stop. */
#define SCAN_BUDGET_NS (20 * NSEC_PER_MSEC)

/* A scan that finds the mmap_lock taken tries again so often, with so long between. */
#define LOCK_TRIES 5
#define LOCK_WAIT_NS (2 * NSEC_PER_MSEC)

/* Pages that are cooling down: 4 Mi pages would be 16 GiB of moves within their times. */
#define COOLDOWN_ENTRIES (1U << 20)

/* A new process or area of this share of all tracked memory starts the sampling ladder again. */
#define WARM_UP_SHARE 8 /* one in 8 */

/* Moves of one request of the module; a job is one request. */
#define REGIONS_PER_MOVE 16

/* Before the first result: assume this rate of a mover. */
#define FIRST_RATE_BYTES_PER_S (64ULL << 20)

/* CPU share is told over the last minute. */
#define NR_CPU_SAMPLES 61

struct cpu_sample {
	uint64_t time_ns;
	uint64_t cpu_ns; /* daemon and module */
};

struct ember_engine {
	struct ember_engine_config config;
	pthread_t thread;
	int wake_fd;  /* messages for the thread */
	int ended_fd; /* the thread ended by itself */
	atomic_bool stop;
	_Atomic uint64_t heartbeat_ns;

	pthread_mutex_t lock;
	struct ember_policy *new_policy; /* under lock */
	struct ember_status published;	 /* under lock */

	/* Below: the thread's own. */
	struct ember_policy *policy;
	struct ember_topology topo;
	struct ember_sampler *sampler;
	struct ember_movers *movers;
	struct ember_process_table processes;
	struct ember_cadence cadence;
	struct ember_calibration calibration;
	struct ember_cadence_obs obs;
	struct ember_cadence_step step;
	struct ember_plan plan;
	struct ember_plan_proc *plan_procs;
	uint32_t nr_plan_procs_alloc;
	struct ember_account account;
	struct ember_cooldown cooldown;
	struct ember_quota quota[EMBER_NR_DIRECTIONS];
	uint64_t rate[EMBER_NR_DIRECTIONS]; /* bytes/s that movers achieve, averaged */
	uint64_t inflight[EMBER_NR_DIRECTIONS]; /* bytes */
	uint64_t last_scan_ns; /* start of the last scan of all processes */
	uint64_t next_scan_ns;
	struct cpu_sample cpu[NR_CPU_SAMPLES];
	uint32_t nr_cpu;
	struct ember_status status; /* under construction */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* --- who is followed ---------------------------------------------------------------------- */

static void drop(struct ember_engine *e, struct ember_process *process)
{
	ember_sampler_untrack(e->sampler, &process->id);
	ember_process_remove(&e->processes, process);
}

static void refresh_facts(struct ember_engine *e, struct ember_process *process)
{
	struct ember_proc facts;

	if (ember_proc_read(e->config.proc_root, process->id.tgid, &facts) == 0)
		process->facts = facts;
	process->home = ember_proc_home(e->config.proc_root, process->id.tgid, &e->topo);
}

static const struct ember_rule *rule_for(const struct ember_engine *e,
					 const struct ember_proc *facts)
{
	const struct ember_proc_facts query = {
	    .comm = facts->comm,
	    .exe = facts->exe[0] ? facts->exe : NULL,
	    .cgroup = facts->cgroup[0] ? facts->cgroup : NULL,
	    .uid = facts->uid,
	    .rss_bytes = facts->rss_bytes,
	};
	const struct ember_rule *rule = ember_policy_match(e->policy, &query);

	return rule && rule->action == EMBER_ACTION_FOLLOW ? rule : NULL;
}

/* Memory of followed processes as of the last plan. */
static uint64_t tracked_bytes(const struct ember_engine *e)
{
	uint64_t bytes = 0;

	for (int tier = 0; tier < e->topo.nr_tiers; tier++)
		bytes += e->plan.nr_on_tier[tier] * PAGE_BYTES;
	return bytes;
}

/* A process that began, executed or grew: follow it if a rule says so. */
static void consider(struct ember_engine *e, uint32_t tgid)
{
	struct ember_process *old = ember_process_find(&e->processes, tgid), *process;
	const struct ember_rule *rule;
	struct ember_proc facts;
	struct ember_proc_id id;

	if (tgid == (uint32_t)getpid() ||
	    ember_proc_read(e->config.proc_root, tgid, &facts) < 0 || !facts.rss_bytes)
		return;
	rule = rule_for(e, &facts);
	if (!rule || ember_sampler_identify(e->sampler, tgid, &id) < 0)
		return;
	if (old && ember_proc_id_equal(&old->id, &id))
		return;
	if (old)
		drop(e, old);
	/* Between the two it may have executed something else: the next event says so. */
	if (ember_sampler_track(e->sampler, &id) < 0)
		return;
	process = ember_process_add(&e->processes, &id, &facts, rule);
	if (!process) {
		ember_sampler_untrack(e->sampler, &id);
		return;
	}
	process->home = ember_proc_home(e->config.proc_root, tgid, &e->topo);
	log_debug("following %u by rule \"%s\": %" PRIu64 " MiB", tgid, process->rule,
		  facts.rss_bytes >> 20);
	if (facts.rss_bytes * WARM_UP_SHARE > tracked_bytes(e))
		ember_cadence_warm_up(&e->cadence);
	e->next_scan_ns = now_ns();
}

static void consider_each(uint32_t tgid, void *userdata)
{
	consider(userdata, tgid);
}

static struct ember_cadence_params cadence_params(const struct ember_engine *e)
{
	return (struct ember_cadence_params){.period_ns = e->policy->global.period_ns,
					     .cpu_budget_bp = e->policy->global.cpu_budget_bp};
}

static void apply_policy(struct ember_engine *e)
{
	const struct ember_policy_global *g = &e->policy->global;
	struct ember_cadence_params params = cadence_params(e);
	struct ember_process *process;

	ember_cadence_set(&e->cadence, &params);
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		ember_quota_set(&e->quota[d], g->bandwidth_bytes_per_s, g->bandwidth_bytes_per_s,
				now_ns());
	for (uint32_t i = 0; i < e->processes.nr;) {
		const struct ember_rule *rule;

		process = e->processes.procs[i];
		rule = rule_for(e, &process->facts);
		if (!rule) {
			drop(e, process);
			continue;
		}
		process->weight = rule->weight;
		snprintf(process->rule, sizeof(process->rule), "%s", rule->name);
		i++;
	}
	ember_proc_for_each(e->config.proc_root, consider_each, e);
}

static int on_event(const struct ember_event *event, void *userdata)
{
	struct ember_engine *e = userdata;
	struct ember_process *process = ember_process_find(&e->processes, event->tgid);

	switch (event->type) {
	case EMBER_EVENT_FORK:
	case EMBER_EVENT_GROW:
		consider(e, event->tgid);
		break;
	case EMBER_EVENT_EXEC:
	case EMBER_EVENT_EXIT:
		if (process && process->id.start_boottime_ns == event->start_boottime_ns)
			drop(e, process);
		if (event->type == EMBER_EVENT_EXEC)
			consider(e, event->tgid);
		break;
	case EMBER_EVENT_FAULT:
		if (process)
			ember_process_note_fault(process, event->arg, now_ns());
		break;
	}
	return 0;
}

/* --- sample and score ---------------------------------------------------------------------- */

static void note_new_areas(struct ember_process *process, const struct ember_region_rec *recs,
			   uint32_t nr, uint64_t now, bool by_fault)
{
	for (uint32_t i = 0; i < nr; i++)
		if (!ember_regions_find(&process->regions, recs[i].addr))
			ember_process_note_area(process, recs[i].addr,
						recs[i].addr + EMBER_REGION_BYTES, now, by_fault);
}

static void count_scan(struct ember_status *status, const struct ember_scan_req *req)
{
	status->scan_ns += req->ns;
	status->nr_tables_read += req->nr_tables;
	status->nr_tables_skipped += req->nr_skipped;
	status->nr_flush_cpus += req->nr_flush_cpus;
}

/*
 * Scan [start, end) of @process into @pass. Returns true if all of it was seen; -ESRCH and
 * -ESTALE set *ret_gone.
 */
static bool scan_range(struct ember_engine *e, struct ember_process *process, uint64_t start,
		       uint64_t end, uint32_t flags, struct ember_score_pass *pass, bool by_fault,
		       bool *ret_gone)
{
	struct ember_scan_req req = {
	    .cursor = start, .end = end, .flags = flags, .budget_ns = SCAN_BUDGET_NS};
	const struct ember_region_rec *recs;
	int tries = 0, r;

	while (!atomic_load(&e->stop)) {
		atomic_store(&e->heartbeat_ns, now_ns());
		r = ember_sampler_scan(e->sampler, &process->id, &req, &recs);
		if (r < 0 || req.stop == EMBER_STOP_GONE) {
			*ret_gone = r == -ESRCH || r == -ESTALE || r == 0;
			return false;
		}
		count_scan(&e->status, &req);
		note_new_areas(process, recs, req.nr_recs, now_ns(), by_fault);
		if (ember_score_records(pass, recs, req.nr_recs) < 0)
			log_warning("no memory for the history of process %u, its heat is stale",
				    process->id.tgid);
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
	    .interval_ns = step->score && process->last_scan_ns ? start_ns - process->last_scan_ns
								: 0,
	    /* A process that nobody has looked at yet: all of it, wherever it lies. */
	    .flags = step->scan_flags | (first ? EMBER_SCAN_FULL | EMBER_SCAN_COLD : 0),
	    .prior_level = step->prior_level,
	    .calibration = &e->calibration,
	};
	struct ember_score_pass pass;

	ember_score_begin(&pass, &process->regions, &info);
	complete = scan_range(e, process, 0, USER_END, info.flags, &pass, false, &gone);
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
	struct ember_scan_info info = {.flags = EMBER_SCAN_COLD,
				       .prior_level = e->step.prior_level};
	struct ember_score_pass pass;
	bool gone = false;

	ember_score_begin(&pass, &process->regions, &info);
	for (uint32_t i = 0; i < nr && !gone; i++)
		scan_range(e, process, ranges[i][0], ranges[i][1], info.flags, &pass, true, &gone);
	ember_score_end(&pass, /* complete= */ false);
	if ((process->regions.nr - before) * WARM_UP_SHARE > before)
		ember_cadence_warm_up(&e->cadence);
}

/* The earliest time at which an early look is due; UINT64_MAX: none. */
static uint64_t early_look_due(const struct ember_engine *e)
{
	uint64_t due = UINT64_MAX;
	struct ember_process *process;

	ember_for_each_process (process, &e->processes)
		if (process->first_fault_ns && process->first_fault_ns + EARLY_LOOK_NS < due)
			due = process->first_fault_ns + EARLY_LOOK_NS;
	return due;
}

static void look_early_where_due(struct ember_engine *e)
{
	uint64_t now = now_ns();
	struct ember_process *process;

	ember_for_each_process (process, &e->processes)
		if (process->first_fault_ns && process->first_fault_ns + EARLY_LOOK_NS <= now)
			look_early(e, process);
}

static void sample_and_score(struct ember_engine *e)
{
	uint64_t start_ns = now_ns();
	bool full = e->step.scan_flags & EMBER_SCAN_FULL;

	e->last_scan_ns = start_ns;
	/* Growth is reported by fault samples; without them somebody has to go and look. */
	if (full && !e->policy->global.fault_sampling)
		ember_proc_for_each(e->config.proc_root, consider_each, e);
	for (uint32_t i = 0; i < e->processes.nr && !atomic_load(&e->stop);) {
		struct ember_process *process = e->processes.procs[i];

		if (full)
			refresh_facts(e, process);
		if (!process->untrackable && !sample_process(e, process, &e->step))
			drop(e, process);
		else
			i++;
	}
	ember_calibration_end_round(&e->calibration);
	e->status.nr_scans++;
	e->status.last_scan_ns = now_ns() - start_ns;
	e->obs.scan_ns = e->status.last_scan_ns;
}

/* --- plan ------------------------------------------------------------------------------------ */

static int collect_plan_procs(struct ember_engine *e)
{
	struct ember_process *process;
	uint32_t nr = 0;

	if (e->nr_plan_procs_alloc < e->processes.nr) {
		void *grown = reallocarray(e->plan_procs, e->processes.nr, sizeof(*e->plan_procs));

		if (!grown)
			return -ENOMEM;
		e->plan_procs = grown;
		e->nr_plan_procs_alloc = e->processes.nr;
	}
	ember_for_each_process (process, &e->processes)
		e->plan_procs[nr++] = (struct ember_plan_proc){
		    .id = process->id,
		    .regions = &process->regions,
		    .weight = process->weight,
		    .allowed = process->facts.mems_allowed,
		    .home = process->home,
		    .frozen = process->untrackable,
		    .frozen_why = EMBER_WHY_NOT_IGNORED,
		};
	return nr;
}

/* What may still be handed to the movers of one direction: the quota, and about a period's work. */
static uint64_t direction_limit(struct ember_engine *e, int direction, uint64_t now)
{
	uint64_t quota = ember_quota_available(&e->quota[direction], now);
	uint64_t rate = e->rate[direction] ? e->rate[direction] : FIRST_RATE_BYTES_PER_S;
	uint64_t work = rate * (e->policy->global.period_ns / NSEC_PER_MSEC) / 1000;

	work = work > e->inflight[direction] ? work - e->inflight[direction] : 0;
	return quota < work ? quota : work;
}

static void set_limits(struct ember_engine *e, struct ember_plan_limits *limits)
{
	uint64_t now = now_ns();

	*limits = (struct ember_plan_limits){.max_regions_per_move = REGIONS_PER_MOVE,
					     .calibration = &e->calibration};
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

	if (ember_topology_refresh(e->config.sys_root, e->config.proc_root, &e->topo) < 0)
		return false;
	nr = collect_plan_procs(e);
	if (nr < 0)
		return false;
	set_limits(e, limits);
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

/* --- execute and account --------------------------------------------------------------------- */

static void execute(struct ember_engine *e, const struct ember_plan_limits *limits)
{
	uint64_t room[EMBER_MAX_NODES] = {};

	if (e->config.observe_only || !e->plan.nr_moves)
		return;
	for (int node = 0; node < EMBER_MAX_NODES; node++) {
		const struct ember_node *n = &e->topo.nodes[node];
		uint64_t kept = n->high_watermark_bytes + limits->reserve_bytes[node] +
				limits->inflight_bytes[node];

		room[node] = n->has_memory && n->free_bytes > kept ? n->free_bytes - kept : 0;
	}
	for (uint32_t i = 0; i < e->plan.nr_moves; i++) {
		const struct ember_move *move = &e->plan.moves[i];

		ember_quota_take(&e->quota[move->direction], move->nr_pages * PAGE_BYTES);
		e->inflight[move->direction] += move->nr_pages * PAGE_BYTES;
	}
	if (ember_execute_plan(&e->plan, e->plan_procs, room, e->movers, &e->account) < 0)
		log_warning("no memory for moves, the rest of the plan is dropped");
}

static void learn_rate(struct ember_engine *e, const struct ember_job *job, uint64_t bytes)
{
	uint64_t *rate = &e->rate[job->move.direction], now;

	/* Small requests measure the overhead of one request, not the rate. */
	if (!job->time_ns || bytes < 64 * PAGE_BYTES)
		return;
	now = bytes * NSEC_PER_SEC / job->time_ns;
	*rate = *rate ? (7 * *rate + now) / 8 : now;
}

static void account(struct ember_engine *e)
{
	struct ember_job *job;

	while ((job = ember_movers_take_done(e->movers))) {
		struct ember_process *process = ember_process_find_id(&e->processes, &job->move.id);
		uint64_t asked = job->move.nr_pages * PAGE_BYTES, moved;
		uint64_t *inflight = &e->inflight[job->move.direction];

		moved = ember_account_result(&e->account, process ? &process->regions : NULL,
					     &e->cooldown, &job->move, job->regions, job->runs,
					     job->nr_runs, now_ns()) *
			PAGE_BYTES;
		ember_quota_refund(&e->quota[job->move.direction], asked - moved);
		*inflight -= asked < *inflight ? asked : *inflight;
		learn_rate(e, job, moved);
		if (job->move.mover == EMBER_MOVER_MODULE)
			e->status.move_ns += job->time_ns;
		ember_job_free(job);
	}
}

/* --- what is told ---------------------------------------------------------------------------- */

static int by_rss(const void *a, const void *b)
{
	const struct ember_process *x = *(struct ember_process *const *)a;
	const struct ember_process *y = *(struct ember_process *const *)b;

	return (x->facts.rss_bytes < y->facts.rss_bytes) - (x->facts.rss_bytes > y->facts.rss_bytes);
}

static void tell_process(struct ember_engine *e, const struct ember_process *process,
			 struct ember_status_proc *ret)
{
	uint64_t nr_pages[EMBER_MEM_UNKNOWN + 1] = {};

	*ret = (struct ember_status_proc){
	    .tgid = process->id.tgid,
	    .uid = process->facts.uid,
	    .rss_bytes = process->facts.rss_bytes,
	    .metadata_bytes = ember_regions_bytes(&process->regions),
	    .nr_scans = process->nr_scans,
	    .nr_lost_scans = process->nr_lost_scans,
	    .nr_areas = process->nr_areas,
	};
	snprintf(ret->comm, sizeof(ret->comm), "%s", process->facts.comm);
	snprintf(ret->cgroup, sizeof(ret->cgroup), "%s", process->facts.cgroup);
	snprintf(ret->rule, sizeof(ret->rule), "%s", process->rule);
	memcpy(ret->areas, process->areas, sizeof(ret->areas));
	ember_regions_count_mem(&process->regions, nr_pages);
	for (int mem = 0; mem < EMBER_MAX_NODES; mem++) {
		uint8_t tier = ember_topology_tier_of(&e->topo, mem);

		if (tier != EMBER_NO_TIER)
			ret->bytes_on_tier[tier] += nr_pages[mem] * PAGE_BYTES;
	}
}

static void tell_processes(struct ember_engine *e)
{
	_cleanup_free_ struct ember_process **sorted = NULL;
	struct ember_status *status = &e->status;

	status->nr_procs = e->processes.nr;
	status->nr_listed = 0;
	status->metadata_bytes = 0;
	memset(status->tracked_on_tier, 0, sizeof(status->tracked_on_tier));
	for (uint32_t i = 0; i < e->processes.nr; i++)
		status->metadata_bytes += ember_regions_bytes(&e->processes.procs[i]->regions);
	for (int tier = 0; tier < e->topo.nr_tiers; tier++)
		status->tracked_on_tier[tier] = e->plan.nr_on_tier[tier] * PAGE_BYTES;
	sorted = calloc(e->processes.nr + 1, sizeof(*sorted));
	if (!sorted)
		return;
	memcpy(sorted, e->processes.procs, e->processes.nr * sizeof(*sorted));
	qsort(sorted, e->processes.nr, sizeof(*sorted), by_rss);
	for (uint32_t i = 0; i < e->processes.nr && i < EMBER_STATUS_MAX_PROCS; i++)
		tell_process(e, sorted[i], &status->procs[status->nr_listed++]);
}

static void tell_cost(struct ember_engine *e)
{
	struct ember_status *status = &e->status;
	struct ember_sampler_stats stats;
	struct rusage usage;
	struct cpu_sample now;
	const struct cpu_sample *oldest;

	getrusage(RUSAGE_SELF, &usage);
	status->cpu_ns = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NSEC_PER_SEC +
			 (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
	now = (struct cpu_sample){now_ns(), status->cpu_ns + status->move_ns};
	if (!e->nr_cpu || now.time_ns - e->cpu[(e->nr_cpu - 1) % NR_CPU_SAMPLES].time_ns >= NSEC_PER_SEC)
		e->cpu[e->nr_cpu++ % NR_CPU_SAMPLES] = now;
	oldest = &e->cpu[e->nr_cpu > NR_CPU_SAMPLES ? e->nr_cpu % NR_CPU_SAMPLES : 0];
	if (now.time_ns > oldest->time_ns)
		status->cpu_share_bp = (now.cpu_ns - oldest->cpu_ns) * 10000 /
				       (now.time_ns - oldest->time_ns);
	if (ember_sampler_stats(e->sampler, &stats) == 0) {
		status->nr_faults_sampled = stats.counters[EMBER_STAT_faults_sampled];
		status->nr_events_lost =
		    stats.counters[EMBER_STAT_lost_fork] + stats.counters[EMBER_STAT_lost_exec] +
		    stats.counters[EMBER_STAT_lost_exit] + stats.counters[EMBER_STAT_lost_fault] +
		    stats.counters[EMBER_STAT_lost_grow] + stats.nr_missed;
	}
}

static void publish(struct ember_engine *e)
{
	struct ember_status *status = &e->status;

	status->time_ns = now_ns();
	status->topology = e->topo;
	status->account = e->account;
	status->period_ns = e->policy->global.period_ns;
	status->window_ns = e->step.window_ns;
	status->threshold_level = e->plan.threshold_level;
	status->settled = e->plan.settled;
	memcpy(status->nr_why, e->plan.nr_why, sizeof(status->nr_why));
	memcpy(status->nr_why_not, e->plan.nr_why_not, sizeof(status->nr_why_not));
	for (int node = 0; node < EMBER_MAX_NODES; node++)
		if (e->topo.nodes[node].has_memory)
			status->reserve_bytes[node] =
			    e->topo.nodes[node].high_watermark_bytes +
			    ember_policy_reserve_bytes(&e->policy->global, &e->topo.nodes[node]);
	tell_processes(e);
	tell_cost(e);
	pthread_mutex_lock(&e->lock);
	e->published = *status;
	pthread_mutex_unlock(&e->lock);
}

/* --- the loop -------------------------------------------------------------------------------- */

/* The product on one screen: sample -> score -> plan -> execute -> account. */
static void run_round(struct ember_engine *e)
{
	uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct ember_plan_limits limits;

	e->obs = (struct ember_cadence_obs){};
	sample_and_score(e);
	account(e);
	if (e->step.plan && make_plan(e, &limits))
		execute(e, &limits);
	e->obs.cost_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	if (e->step.plan)
		publish(e);
	e->step = ember_cadence_next(&e->cadence, &e->obs);
	e->next_scan_ns = e->last_scan_ns + e->step.next_scan_in_ns;
}

static void take_messages(struct ember_engine *e)
{
	struct ember_policy *policy;
	uint64_t count;

	if (read(e->wake_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&e->lock);
	policy = TAKE_PTR(e->new_policy);
	pthread_mutex_unlock(&e->lock);
	if (!policy)
		return;
	ember_policy_free(e->policy);
	e->policy = policy;
	apply_policy(e);
}

/* Sleep until @until_ns or until there is something to do; a sign of life now and then. */
static int wait_for_work(struct ember_engine *e, uint64_t until_ns)
{
	struct pollfd fds[] = {{.fd = e->wake_fd, .events = POLLIN},
			       {.fd = ember_sampler_event_fd(e->sampler), .events = POLLIN},
			       {.fd = ember_movers_done_fd(e->movers), .events = POLLIN}};
	uint64_t now = now_ns(), wait_ns = until_ns > now ? until_ns - now : 0;
	struct timespec timeout;

	wait_ns = wait_ns < MAX_WAIT_NS ? wait_ns : MAX_WAIT_NS;
	timeout = (struct timespec){wait_ns / NSEC_PER_SEC, wait_ns % NSEC_PER_SEC};
	if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), &timeout, NULL) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static void *engine_main(void *arg)
{
	struct ember_engine *e = arg;
	uint64_t one = 1;
	int r = 0;

	apply_policy(e);
	e->step = ember_cadence_next(&e->cadence, &e->obs);
	e->next_scan_ns = now_ns() + e->step.next_scan_in_ns;
	while (!atomic_load(&e->stop) && r >= 0) {
		uint64_t due = early_look_due(e);

		r = wait_for_work(e, due < e->next_scan_ns ? due : e->next_scan_ns);
		atomic_store(&e->heartbeat_ns, now_ns());
		take_messages(e);
		ember_sampler_consume(e->sampler, on_event, e);
		account(e);
		look_early_where_due(e);
		if (now_ns() >= e->next_scan_ns)
			run_round(e);
	}
	if (r < 0 && write(e->ended_fd, &one, sizeof(one)) < 0)
		log_err("cannot tell that the engine ended: %m");
	return NULL;
}

static struct ember_engine *destroy(struct ember_engine *e)
{
	if (!e)
		return NULL;
	ember_movers_free(e->movers);
	ember_sampler_close(e->sampler);
	ember_processes_clear(&e->processes);
	ember_plan_clear(&e->plan);
	free(e->plan_procs);
	ember_cooldown_destroy(&e->cooldown);
	ember_policy_free(e->policy);
	ember_policy_free(e->new_policy);
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	if (e->ended_fd >= 0)
		close(e->ended_fd);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

static void destroyp(struct ember_engine **e)
{
	destroy(*e);
}

static int open_topology(struct ember_engine *e, enum ember_engine_reason *ret_reason)
{
	int r = ember_topology_read(e->config.sys_root, e->config.proc_root, e->policy->tiers,
				    e->policy->nr_tiers, &e->topo);

	*ret_reason = EMBER_ENGINE_TOPOLOGY;
	if (r < 0)
		return r;
	*ret_reason = EMBER_ENGINE_ONE_TIER;
	return e->topo.nr_tiers < 2 ? -ENODEV : 0;
}

static int open_kernel_side(struct ember_engine *e, enum ember_engine_reason *ret_reason,
			    enum ember_sampler_reason *ret_sampler_reason)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	struct ember_genl_info info;
	int r = ember_movers_new(&e->movers, &info);

	*ret_reason = r == -ENOENT   ? EMBER_ENGINE_NO_MODULE
		      : r == -EPROTO ? EMBER_ENGINE_OTHER_MODULE
				     : EMBER_ENGINE_SYSTEM;
	if (r < 0)
		return r;
	log_info("module version %s, ABI %u", info.version, info.abi);
	config.fault_period = e->policy->global.fault_sampling;
	*ret_reason = EMBER_ENGINE_SAMPLER;
	return ember_sampler_open(&config, &e->sampler, ret_sampler_reason);
}

static int init_state(struct ember_engine *e)
{
	struct ember_cadence_params params = cadence_params(e);
	uint64_t bandwidth = e->policy->global.bandwidth_bytes_per_s;

	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->wake_fd < 0 || e->ended_fd < 0)
		return -errno;
	ember_cadence_init(&e->cadence, &params);
	ember_plan_init(&e->plan);
	ember_account_init(&e->account);
	ember_calibration_init(&e->calibration);
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		ember_quota_init(&e->quota[d], bandwidth, bandwidth, now_ns());
	e->status.started_ns = now_ns();
	e->status.observe_only = e->config.observe_only;
	atomic_store(&e->heartbeat_ns, now_ns());
	return ember_cooldown_init(&e->cooldown, COOLDOWN_ENTRIES);
}

int ember_engine_start(const struct ember_engine_config *config, struct ember_policy *policy,
		       struct ember_engine **ret, enum ember_engine_reason *ret_reason,
		       enum ember_sampler_reason *ret_sampler_reason)
{
	_cleanup_(destroyp) struct ember_engine *e = calloc(1, sizeof(*e));
	int r;

	*ret_reason = EMBER_ENGINE_SYSTEM;
	if (!e) {
		ember_policy_free(policy);
		return -ENOMEM;
	}
	e->config = *config;
	e->policy = policy;
	e->wake_fd = e->ended_fd = -1;
	pthread_mutex_init(&e->lock, NULL);
	r = open_topology(e, ret_reason);
	if (r < 0)
		return r;
	*ret_reason = EMBER_ENGINE_SYSTEM;
	r = init_state(e);
	if (r < 0)
		return r;
	r = open_kernel_side(e, ret_reason, ret_sampler_reason);
	if (r < 0)
		return r;
	*ret_reason = EMBER_ENGINE_SYSTEM;
	publish(e); /* whoever asks before the first round sees the machine at least */
	r = -pthread_create(&e->thread, NULL, engine_main, e);
	if (r < 0)
		return r;
	pthread_setname_np(e->thread, "ember-engine");
	*ret_reason = EMBER_ENGINE_OK;
	*ret = TAKE_PTR(e);
	return 0;
}

static void wake(struct ember_engine *engine)
{
	uint64_t one = 1;

	if (write(engine->wake_fd, &one, sizeof(one)) < 0)
		log_warning("eventfd of the engine: %m, ignoring");
}

struct ember_engine *ember_engine_stop(struct ember_engine *engine)
{
	if (!engine)
		return NULL;
	atomic_store(&engine->stop, true);
	wake(engine);
	pthread_join(engine->thread, NULL);
	return destroy(engine);
}

void ember_engine_set_policy(struct ember_engine *engine, struct ember_policy *policy)
{
	pthread_mutex_lock(&engine->lock);
	ember_policy_free(engine->new_policy);
	engine->new_policy = policy;
	pthread_mutex_unlock(&engine->lock);
	wake(engine);
}

void ember_engine_status(struct ember_engine *engine, struct ember_status *ret)
{
	pthread_mutex_lock(&engine->lock);
	*ret = engine->published;
	pthread_mutex_unlock(&engine->lock);
}

uint64_t ember_engine_heartbeat_ns(struct ember_engine *engine)
{
	return atomic_load(&engine->heartbeat_ns);
}

int ember_engine_ended_fd(const struct ember_engine *engine)
{
	return engine->ended_fd;
}
