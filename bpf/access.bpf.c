// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access-bit scans, run by the daemon with BPF_PROG_RUN.
 *
 * The program decides *whose* bits are read: it finds the process and makes sure that
 * it is the one the daemon means, before and after. The kfunc of the module does the
 * reading (kmod/access.c). exec replaces the memory a moment before it counts
 * self_exec_id up, so a scan that falls into that moment reads the bits of the new
 * image; these are discarded here or with the EXEC event, and a cleared bit there
 * costs nothing but one scan's worth of evidence.
 */
#include "ember.bpf.h"

#define ESRCH 3
#define ESTALE 116

static __always_inline bool is_meant(struct task_struct *task, const struct ember_scan_ctx *ctx)
{
	return task->start_boottime == ctx->start_boottime_ns &&
	       exec_id(task) == ctx->self_exec_id && task->pid == task->tgid;
}

static __always_inline int scan_task(struct task_struct *task, struct ember_scan_ctx *ctx)
{
	struct ember_scan_req req = ctx->req;
	struct scan_buffer *buffer;
	__u32 zero = 0;
	int ret;

	buffer = bpf_map_lookup_elem(&scan_buffer, &zero);
	if (!buffer)
		return -ESRCH;
	ret = ember_scan(task, &req, buffer, sizeof(*buffer));
	ctx->req = req;
	return ret;
}

SEC("syscall")
int ember_access_scan(struct ember_scan_ctx *ctx)
{
	struct task_struct *task = bpf_task_from_pid(ctx->tgid);
	int ret = -ESTALE;

	count(EMBER_STAT_scans);
	if (!task)
		return -ESRCH;
	if (is_meant(task, ctx))
		ret = scan_task(task, ctx);
	if (!is_meant(task, ctx))
		ret = -ESTALE;
	if (ret == -ESTALE)
		count(EMBER_STAT_scans_stale);
	bpf_task_release(task);
	return ret;
}

/* Fill in start time and exec id of ctx->tgid. */
SEC("syscall")
int ember_access_identify(struct ember_scan_ctx *ctx)
{
	struct task_struct *task = bpf_task_from_pid(ctx->tgid);
	int ret = -ESRCH;

	if (!task)
		return ret;
	if (task->pid == task->tgid) {
		ctx->start_boottime_ns = task->start_boottime;
		ctx->self_exec_id = exec_id(task);
		ret = 0;
	}
	bpf_task_release(task);
	return ret;
}
