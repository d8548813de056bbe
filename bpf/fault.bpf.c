// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults, one in N.
 *
 * A fault shows the first touch of a page, long before the next scan of the accessed
 * bits would: it decides where to scan next, not how hot a page is.
 *
 * The program runs on every fault of user code and counts; every Nth of a CPU is a
 * *sample*, which stands for N faults. A software perf event would let the kernel do
 * the counting, but Debian's kernel.perf_event_paranoid=3 refuses perf_event_open()
 * to everyone without CAP_SYS_ADMIN, which the daemon shall not have.
 *
 * Guarantees: a sample of a tracked process, once the program has seen it, is put into
 * the ring or counted as lost. Faults at which the kernel did not run the program (it was
 * running on this CPU already) are in nobody's count of samples; the kernel counts them
 * as recursion misses of the program.
 * A process that nobody tracks is reported after grow_samples samples, and again at
 * every doubling, so the daemon hears of growing processes without polling /proc.
 *
 * Limits: faults that the kernel takes on behalf of a process (read(2) into untouched
 * memory) are not seen. Two processes that fault in step on one CPU share the period
 * unevenly. The counts of untracked processes are forgotten when too many fault at once.
 */
#include "ember.bpf.h"

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

/* Count down, so that the usual fault costs no division. */
static __always_inline bool is_sample(void)
{
	__u32 zero = 0;
	__u32 *left = bpf_map_lookup_elem(&faults_left, &zero);

	if (!left)
		return false;
	if (*left > 1) {
		(*left)--;
		return false;
	}
	*left = fault_period;
	return true;
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(ember_fault, unsigned long address)
{
	struct ember_tracked *known;
	struct task_struct *task;
	__u32 tgid;

	if (!is_sample())
		return 0;
	count(EMBER_STAT_faults_sampled);
	task = bpf_get_current_task_btf();
	tgid = task->tgid;
	known = bpf_map_lookup_elem(&tracked, &tgid);
	if (known && is_same(task, known)) {
		emit(task, EMBER_EVENT_FAULT, address);
		return 0;
	}
	if (known)
		count(EMBER_STAT_faults_stale);
	count_growth(task, tgid);
	return 0;
}
