// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fork, exec and exit.
 *
 * A process is (tgid, start_boottime, self_exec_id): the number alone is reused, and
 * exec keeps number and start time but replaces all memory.
 *
 * Guarantees: at most one EXIT for a tracked process, when its last thread leaves; no
 * event for threads. What is lost for want of room in the ring is counted, and so is
 * the run that the kernel leaves out: it does not start a program that is on this CPU
 * already, and where tracepoints can be preempted (7.3) that happens when two processes
 * end at once (recursion_misses of the program). A tracked process that left unheard is
 * found out by the next scan (EMBER_STOP_GONE, -ESRCH).
 */
#include "ember.bpf.h"

static __always_inline bool is_tracked(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct ember_tracked *known = bpf_map_lookup_elem(&tracked, &tgid);

	return known && is_same(task, known);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(ember_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid != child->tgid)
		return 0;
	if (all_processes || is_tracked(parent))
		emit(child, EMBER_EVENT_FORK, parent->tgid);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(ember_exec, struct task_struct *task)
{
	__u32 tgid = task->tgid;
	bool was_tracked = !bpf_map_delete_elem(&tracked, &tgid);

	if (all_processes || was_tracked)
		emit(task, EMBER_EVENT_EXEC, was_tracked);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ember_exit, struct task_struct *task)
{
	__u32 tgid = task->tgid;

	if (task->signal->live.counter)
		return 0;
	/* Two last threads may both come by here; removing succeeds for one. */
	if (!bpf_map_delete_elem(&tracked, &tgid))
		emit(task, EMBER_EVENT_EXIT, 0);
	return 0;
}
