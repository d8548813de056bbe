// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access-bit scans, run by the daemon with BPF_PROG_RUN.
 *
 * The program gives the module's kfunc (kmod/access.c) a buffer that the daemon has
 * mapped, and counts; the kfunc makes sure that the process is the one meant and reads
 * its tables. So a scan of any size costs the daemon one system call and no copy.
 */
#include "ember.bpf.h"

#define ENOENT 2
#define ESRCH 3
#define ESTALE 116

SEC("syscall")
int ember_access_scan(struct ember_scan_ctx *ctx)
{
	/* The verifier wants a kfunc's memory on the stack or in a map, not in the context. */
	struct ember_scan_ctx scan = *ctx;
	struct scan_buffer *buffer;
	__u32 zero = 0;
	int ret;

	buffer = bpf_map_lookup_elem(&scan_buffer, &zero);
	if (!buffer)
		return -ENOENT;
	ret = ember_scan(&scan, buffer, sizeof(*buffer));
	count(EMBER_STAT_scans);
	if (ret == -ESTALE)
		count(EMBER_STAT_scans_stale);
	ctx->req = scan.req;
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
