// SPDX-License-Identifier: GPL-2.0-or-later
#include "follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

/* A new process or area of this share of all tracked memory starts the sampling ladder again. */
#define WARM_UP_SHARE 8 /* one in 8 */

static void note_hand(struct ember_process *process, const struct ember_hand_event *event)
{
	if (ember_hands_note(&process->hands, event->start, event->end, event->time_ns) < 0)
		log_warning("no memory to note what is placed by hand in process %u",
			    process->id.tgid);
}

static struct ember_proc_id hand_of(const struct ember_hand_event *event)
{
	return (struct ember_proc_id){
	    .start_boottime_ns = event->start_boottime_ns,
	    .tgid = event->tgid,
	    .self_exec_id = event->self_exec_id,
	};
}

static void take_hand(const struct ember_hand_event *event, void *userdata)
{
	struct ember_engine *e = userdata;
	struct ember_proc_id id = hand_of(event);
	struct ember_process *process = ember_process_find_id(&e->processes, &id);

	if (process)
		note_hand(process, event);
	else
		e->early_hands[e->nr_early_hands++ % EMBER_MAX_EARLY_HANDS] = *event;
}

void ember_follow_take_hands(struct ember_engine *e)
{
	ember_hands_watch_consume(e->hands_watch, take_hand, e);
}

/* What @process placed before it was followed, oldest first. */
static void take_early_hands(struct ember_engine *e, struct ember_process *process)
{
	uint32_t nr = e->nr_early_hands, first;

	first = nr > EMBER_MAX_EARLY_HANDS ? nr - EMBER_MAX_EARLY_HANDS : 0;
	for (uint32_t i = first; i < nr; i++) {
		const struct ember_hand_event *event = &e->early_hands[i % EMBER_MAX_EARLY_HANDS];
		struct ember_proc_id id = hand_of(event);

		if (ember_proc_id_equal(&id, &process->id))
			note_hand(process, event);
	}
}

static void drop(struct ember_engine *e, struct ember_process *process)
{
	ember_sampler_untrack(e->sampler, &process->id);
	ember_process_remove(&e->processes, process);
}

void ember_follow_refresh(struct ember_engine *e, struct ember_process *process)
{
	struct ember_proc facts;

	if (ember_proc_read(e->config.proc_root, process->id.tgid, &facts) == 0)
		process->facts = facts;
	ember_process_note_home(process,
				ember_proc_home(e->config.proc_root, process->id.tgid, &e->topo));
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

void ember_follow_note_growth(struct ember_engine *e, uint64_t bytes)
{
	if (bytes * WARM_UP_SHARE > tracked_bytes(e) && ember_cadence_warm_up(&e->cadence))
		e->next_scan_ns = now_ns();
}

/* A process that began, executed or grew: follow it if a rule says so. */
static void consider(struct ember_engine *e, uint32_t tgid)
{
	struct ember_process *old = ember_process_find(&e->processes, tgid), *process;
	const struct ember_rule *rule;
	struct ember_proc facts;
	struct ember_proc_id id;

	if (tgid == (uint32_t)getpid() || ember_proc_read(e->config.proc_root, tgid, &facts) < 0 ||
	    !facts.rss_bytes)
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
	/* In this order: what waits in the ring is later, and decides where both name a range. */
	take_early_hands(e, process);
	ember_follow_take_hands(e);
	ember_process_note_home(process, ember_proc_home(e->config.proc_root, tgid, &e->topo));
	log_debug("following %u by rule \"%s\": %" PRIu64 " MiB", tgid, process->rule,
		  facts.rss_bytes >> 20);
	ember_follow_note_growth(e, facts.rss_bytes);
}

static void consider_each(uint32_t tgid, void *userdata)
{
	ember_engine_beat(userdata);
	consider(userdata, tgid);
}

bool ember_follow_gone(struct ember_engine *e, struct ember_process *process)
{
	uint32_t tgid = process->id.tgid;

	drop(e, process);
	consider(e, tgid);
	return ember_process_find(&e->processes, tgid);
}

void ember_follow_track_all(struct ember_engine *e)
{
	for (uint32_t i = 0; i < e->processes.nr;) {
		struct ember_process *process = e->processes.procs[i];

		if (ember_sampler_track(e->sampler, &process->id) < 0)
			drop(e, process);
		else
			i++;
	}
}

void ember_follow_search(struct ember_engine *e)
{
	ember_proc_for_each(e->config.proc_root, consider_each, e);
}

void ember_follow_apply_policy(struct ember_engine *e)
{
	for (uint32_t i = 0; i < e->processes.nr;) {
		struct ember_process *process = e->processes.procs[i];
		const struct ember_rule *rule = rule_for(e, &process->facts);

		if (!rule) {
			drop(e, process);
			continue;
		}
		process->weight = rule->weight;
		snprintf(process->rule, sizeof(process->rule), "%s", rule->name);
		i++;
	}
	ember_follow_search(e);
}

/* One event of a life; may drop processes. */
static void handle_event(struct ember_engine *e, const struct ember_event *event)
{
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
	}
}

static int take_event(const struct ember_event *event, void *userdata)
{
	struct ember_engine *e = userdata;
	struct ember_process *process;

	if (event->type != EMBER_EVENT_FAULT) {
		e->events[e->nr_events++] = *event;
		return e->nr_events < EMBER_MAX_EVENTS ? 0 : -ENOBUFS;
	}
	process = ember_process_find(&e->processes, event->tgid);
	if (process && !process->untrackable)
		/* What waited in the ring for the end of a plan has waited long enough. */
		ember_process_note_fault(process, event->arg, event->time_ns);
	return ++e->nr_faults < EMBER_MAX_FAULTS ? 0 : -ENOBUFS;
}

void ember_follow_take_events(struct ember_engine *e)
{
	/* What finds no room here waits in the ring: the handler ends the taking when full. */
	e->nr_faults = 0;
	if (e->nr_events < EMBER_MAX_EVENTS)
		ember_sampler_consume(e->sampler, take_event, e);
}

void ember_follow_handle_events(struct ember_engine *e)
{
	for (uint32_t i = 0; i < e->nr_events; i++) {
		ember_engine_beat(e);
		handle_event(e, &e->events[i]);
	}
	e->nr_events = 0;
}
