/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events and counters: what the three programs share. The only writer of the ring and
 * of the counters.
 */
#ifndef EMBER_SAMPLE_BPF_H
#define EMBER_SAMPLE_BPF_H

#include "kernel.bpf.h"
#include "identity.bpf.h"
#include "maps.bpf.h"

static __always_inline void count(__u32 stat)
{
	__u64 *value = bpf_map_lookup_elem(&stats, &stat);

	/* Of this CPU, but since 7.0 a program may be preempted by another of these. */
	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline bool is_same(struct task_struct *task, const struct ember_tracked *known)
{
	return known->start_boottime_ns == start_time(task) && known->self_exec_id == exec_id(task);
}

_Static_assert(EMBER_STAT_sent_grow - EMBER_STAT_sent_fork == EMBER_EVENT_GROW - EMBER_EVENT_FORK,
	       "sent_ counters follow the event types");
_Static_assert(EMBER_STAT_lost_grow - EMBER_STAT_lost_fork == EMBER_EVENT_GROW - EMBER_EVENT_FORK,
	       "lost_ counters follow the event types");

static __always_inline void emit(struct task_struct *task, __u32 type, __u64 arg)
{
	struct ember_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count(EMBER_STAT_lost_fork + (type - EMBER_EVENT_FORK));
		return;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->start_boottime_ns = start_time(task);
	event->arg = arg;
	event->self_exec_id = exec_id(task);
	event->tgid = task->tgid;
	event->type = type;
	event->cpu = bpf_get_smp_processor_id();
	bpf_ringbuf_submit(event, 0);
	count(EMBER_STAT_sent_fork + (type - EMBER_EVENT_FORK));
}

#endif /* EMBER_SAMPLE_BPF_H */
