// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults, one in N.
 *
 * A fault shows the first touch of a page, long before the next scan of the accessed
 * bits would: it decides where to scan next, not how hot a page is.
 *
 * The daemon opens one software page-fault event per CPU with period N and attaches
 * this program. The kernel counts faults itself and calls the program on every Nth
 * of a CPU only, so the faults in between cost a few nanoseconds. Debian's kernels
 * with kernel.perf_event_paranoid=3 (the default) open such events for CAP_SYS_ADMIN
 * only, which ember does not have: there the daemon attaches ember_fault_traced
 * instead, which counts by itself.
 *
 * Terms: a *sample* is one such Nth fault; it stands for N faults.
 *
 * Guarantees: a sample of a tracked process is put into the ring or counted as lost.
 * A process that nobody tracks is reported after grow_samples samples, and again at
 * every doubling, so the daemon hears of growing processes without polling /proc.
 *
 * Limits: two processes that fault in step on one CPU share the period unevenly; the
 * counts of untracked processes are forgotten when too many fault at once.
 */
#include "ember.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

static __always_inline struct growth *growth_of(struct task_struct *task, __u32 tgid)
{
	struct growth fresh = {
		.start_boottime_ns = start_time(task),
		.self_exec_id = exec_id(task),
	};
	struct growth *known = bpf_map_lookup_elem(&growing, &tgid);

	if (known && known->start_boottime_ns == fresh.start_boottime_ns &&
	    known->self_exec_id == fresh.self_exec_id)
		return known;
	bpf_map_update_elem(&growing, &tgid, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&growing, &tgid);
}

/* True at grow_samples times a power of two. */
static __always_inline bool is_report_due(__u64 nr_samples)
{
	__u64 times = nr_samples / grow_samples;

	return nr_samples % grow_samples == 0 && (times & (times - 1)) == 0;
}

static __always_inline void count_growth(struct task_struct *task, __u32 tgid)
{
	struct growth *growth;
	__u64 nr_samples;

	if (!grow_samples)
		return;
	growth = growth_of(task, tgid);
	if (!growth)
		return;
	/* Threads on several CPUs: each number is seen by exactly one of them. */
	nr_samples = __sync_fetch_and_add(&growth->nr_samples, 1) + 1;
	if (is_report_due(nr_samples))
		emit(task, EMBER_EVENT_GROW, nr_samples);
}

static __always_inline void take_sample(__u64 addr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct ember_tracked *known = bpf_map_lookup_elem(&tracked, &tgid);

	count(EMBER_STAT_faults_sampled);
	if (known && is_same(task, known)) {
		emit(task, EMBER_EVENT_FAULT, addr);
		return;
	}
	if (known)
		count(EMBER_STAT_faults_stale);
	count_growth(task, tgid);
}

SEC("perf_event")
int ember_fault(struct bpf_perf_event_data *ctx)
{
	take_sample(ctx->addr);
	return 0;
}

/* Counts the faults of its CPU itself: 20 to 60 ns a fault, a few per cent of a minor fault. */
SEC("tp_btf/page_fault_user")
int BPF_PROG(ember_fault_traced, unsigned long addr)
{
	__u32 zero = 0;
	__u32 *nr = bpf_map_lookup_elem(&faults_since_sample, &zero);

	/* A fault within this program's own lookup cannot be: user faults do not nest. */
	if (!nr || ++*nr < fault_period)
		return 0;
	*nr = 0;
	take_sample(addr);
	return 0;
}
