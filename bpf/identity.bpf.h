/* SPDX-License-Identifier: GPL-2.0-only */
/* Who a task is: (tgid, start_boottime, self_exec_id), as docs/architecture.md has it. */
#ifndef EMBER_IDENTITY_BPF_H
#define EMBER_IDENTITY_BPF_H

#include "kernel.bpf.h"

/* Threads of a process share the id: exec ends all but the one that called it. */
static __always_inline __u32 exec_id(struct task_struct *task)
{
	return (__u32)task->self_exec_id;
}

/* The leader's: exec in another thread takes the leader's number and time over. */
static __always_inline __u64 start_time(struct task_struct *task)
{
	return task->group_leader->start_boottime;
}

#endif /* EMBER_IDENTITY_BPF_H */
