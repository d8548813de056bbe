// SPDX-License-Identifier: GPL-2.0-or-later
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "log.h"
#include "util/cleanup.h"

static int by_rss(const void *a, const void *b)
{
	const struct ember_process *x = *(struct ember_process *const *)a;
	const struct ember_process *y = *(struct ember_process *const *)b;

	return (x->facts.rss_bytes < y->facts.rss_bytes) -
	       (x->facts.rss_bytes > y->facts.rss_bytes);
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
	for (uint32_t i = 0; i < e->processes.nr; i++) {
		status->metadata_bytes += ember_regions_bytes(&e->processes.procs[i]->regions);
		if (i < EMBER_STATUS_MAX_TGIDS)
			status->tgids[i] = e->processes.procs[i]->id.tgid;
	}
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

/* The samples lie one to four seconds apart. */
static struct cpu_sample oldest_of_a_minute(const struct ember_engine *e, uint64_t now)
{
	uint32_t first = e->nr_cpu > NR_CPU_SAMPLES ? e->nr_cpu - NR_CPU_SAMPLES : 0;
	uint32_t i = first;

	while (i + 1 < e->nr_cpu && e->cpu[i % NR_CPU_SAMPLES].time_ns + 60 * NSEC_PER_SEC < now)
		i++;
	return e->cpu[i % NR_CPU_SAMPLES];
}

/* Sums over this sampler and those before it. */
static void tell_counters(struct ember_engine *e)
{
	struct ember_sampler_stats stats;
	uint64_t lost = 0;

	if (ember_sampler_stats(e->sampler, &stats) < 0)
		return;
	for (int stat = EMBER_STAT_lost_fork; stat <= EMBER_STAT_lost_grow; stat++)
		lost += stats.counters[stat];
	e->status.nr_faults_sampled =
	    e->kept_faults_sampled + stats.counters[EMBER_STAT_faults_sampled];
	e->events_lost = e->kept_events_lost + lost + stats.nr_missed;
}

void ember_report_keep_counters(struct ember_engine *e)
{
	tell_counters(e);
	e->kept_faults_sampled = e->status.nr_faults_sampled;
	e->kept_events_lost = e->events_lost;
}

static void tell_cost(struct ember_engine *e)
{
	struct ember_status *status = &e->status;
	struct rusage usage;
	struct cpu_sample now;
	struct cpu_sample oldest;

	getrusage(RUSAGE_SELF, &usage);
	status->cpu_ns = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NSEC_PER_SEC +
			 (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
	now = (struct cpu_sample){now_ns(), status->cpu_ns + status->move_ns};
	if (!e->nr_cpu ||
	    now.time_ns - e->cpu[(e->nr_cpu - 1) % NR_CPU_SAMPLES].time_ns >= NSEC_PER_SEC)
		e->cpu[e->nr_cpu++ % NR_CPU_SAMPLES] = now;
	oldest = oldest_of_a_minute(e, now.time_ns);
	if (now.time_ns > oldest.time_ns)
		status->cpu_share_bp =
		    (now.cpu_ns - oldest.cpu_ns) * 10000 / (now.time_ns - oldest.time_ns);
	tell_counters(e);
	status->nr_events_lost =
	    e->events_lost + e->kept_hands_lost + ember_hands_watch_lost(e->hands_watch);
}

/* With a client of the engine's own: one belongs to one thread. */
static int ask_module(struct ember_engine *e, struct ember_genl_info *ret)
{
	int r = e->genl ? ember_genl_get_info(e->genl, ret) : ember_genl_open(&e->genl, ret);

	if (r < 0)
		e->genl = ember_genl_close(e->genl);
	return r;
}

static void tell_copies(struct ember_engine *e)
{
	struct ember_status *status = &e->status;
	struct ember_genl_info info;

	status->dma_wanted = e->policy->global.copy_engine == EMBER_COPY_DMA;
	status->copies_known = ask_module(e, &info) >= 0;
	if (!status->copies_known)
		return;
	status->copies = info.copies;
	switch (
	    ember_copies_notice(status->dma_wanted, info.copies.channels, &e->channel_missing)) {
	case EMBER_COPIES_NO_CHANNEL:
		log_warning("copy_engine is \"dma\", but the module holds no channel of a DMA "
			    "engine (its parameter dma_channels): CPUs copy");
		break;
	case EMBER_COPIES_CHANNELS:
		log_info("the module holds %u channels of DMA engines now: they copy",
			 info.copies.channels);
		break;
	case EMBER_COPIES_QUIET:
		break;
	}
}

void ember_report_publish(struct ember_engine *e)
{
	struct ember_status *status = &e->status;

	status->time_ns = now_ns();
	status->topology = e->topo;
	status->account = e->account;
	status->restricted_nodes = ember_policy_restricted(e->policy, &e->topo);
	status->period_ns = e->policy->global.period_ns;
	status->stretched_ns = e->step.period_ns;
	status->window_ns = e->step.window_ns;
	status->threshold_level = e->plan.threshold_level;
	status->settled = e->plan.settled;
	status->placements_unnoticed = e->policy->global.placed_by_hand_ns && !e->hands_watch;
	memcpy(status->nr_why, e->plan.nr_why, sizeof(status->nr_why));
	status->nr_cooldown_evicted = e->cooldown.nr_evicted;
	memcpy(status->nr_why_not, e->plan.nr_why_not, sizeof(status->nr_why_not));
	for (int node = 0; node < EMBER_MAX_NODES; node++)
		if (e->topo.nodes[node].has_memory)
			status->reserve_bytes[node] =
			    e->topo.nodes[node].high_watermark_bytes +
			    ember_policy_reserve_bytes(&e->policy->global, &e->topo.nodes[node]);
	memcpy(status->silent_ns, e->heart.silent_ns, sizeof(status->silent_ns));
	tell_processes(e);
	tell_cost(e);
	tell_copies(e);
	pthread_mutex_lock(&e->lock);
	e->published = *status;
	pthread_mutex_unlock(&e->lock);
}
