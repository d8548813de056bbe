// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placement by hand: who asks the kernel to move which range of whose memory?
 *
 * The programs stand at the entry of the system calls that do so, and see the range in
 * their arguments. So nothing is guessed from pages that changed their place; also what lies
 * where it is wanted already is told of; what the kernel moves by itself (reclaim's demotion,
 * NUMA balancing, compaction, cpuset changes) never comes by here; and as long as nobody
 * makes such a call, nothing runs. At the entry, not at the return: a call that moves
 * gigabytes takes seconds, in which ember would move back what it has placed.
 *
 *   mbind(2)          the caller's own memory, if MPOL_MF_MOVE or MPOL_MF_MOVE_ALL is given
 *   move_pages(2)     with a list of nodes (without one it only asks). With pid 0 at the entry
 *                     of the call; for a pid at security_task_movememory(): there the kernel
 *                     has found the task, in whatever pid namespace, and has made sure that the
 *                     caller may, else anybody could tell ember to leave anybody alone
 *   migrate_pages(2)  comes by the same place: all memory of the process
 *
 * Guarantees: a call of one of these is told of, or counted as lost. Ranges are rounded out to
 * 2 MiB; list entries that follow each other up or down are one range. Calls of the daemon
 * itself are passed over. A call that fails later tells of a range in which nothing moved:
 * the caller may move that memory, so it could as well have succeeded.
 *
 * Limits: lists that are not in memory at the entry (written out to swap since) are counted as
 * unread. Of a list, MAX_ADDRESSES are read; what comes after them is taken for one range up to
 * the last. More than MAX_RANGES separate ranges of a call: the rest of them become one.
 * 32-bit programs enter elsewhere: their mbind(2), and move_pages(2) with pid 0, are not seen;
 * with a pid, all memory of the process is told of.
 */
#include "kernel.bpf.h"
#include "identity.bpf.h"
#include <ember/hands.h>
#include <ember/sample.h>

char LICENSE[] SEC("license") = "GPL";

/* The entry of a system call, and its number as a task's saved registers have it. */
#if defined(__TARGET_ARCH_x86)
#define SYSCALL_ENTRY(name) "fentry/__x64_sys_" #name
#define NR_MOVE_PAGES 279
#define syscall_nr(regs) ((regs)->orig_ax)
#elif defined(__TARGET_ARCH_arm64)
#define SYSCALL_ENTRY(name) "fentry/__arm64_sys_" #name
#define NR_MOVE_PAGES 239
#define syscall_nr(regs) ((regs)->syscallno)
#else
#error "name the entries of system calls of this architecture"
#endif

/* linux/mempolicy.h */
#define MPOL_MF_MOVE (1 << 1)
#define MPOL_MF_MOVE_ALL (1 << 2)

/* Of one call: 4 GiB of 4 KiB pages, and a bound for how long the program runs. */
#define MAX_ADDRESSES (1U << 20)
#define MAX_RANGES 256

/* A program that places page by page: the same range is told of once in so long. */
#define REPEAT_NS 100000000ULL

/* The daemon, whose moves are nobody's placement. Set between open and load. */
const volatile __u32 own_tgid;

/* Read by the daemon; they only grow. */
__u64 nr_lost;   /* ranges for which there was no room */
__u64 nr_unread; /* addresses that could not be read */

/*
 * struct ember_hand_event. Nobody is woken: the daemon looks before it plans, and who calls
 * very often shall not make it run very often. Apart from the other events, so that those
 * are not lost for it. Room for 5400.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} hand_events SEC(".maps");

/* What was told last of a process. Key: tgid. */
struct last_told {
	__u64 time_ns;
	__u64 start_boottime_ns;
	__u64 start;
	__u64 end;
	__u32 self_exec_id;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct last_told);
} last_told SEC(".maps");

/* A walk over a list of addresses. */
struct walk {
	struct last_told whose; /* .start and .end: the range under way; .end 0: none yet */
	__u64 list;             /* in the caller's memory */
	__u32 tgid;
	__u32 nr_ranges;
};

static __always_inline bool was_told(__u32 tgid, const struct last_told *now)
{
	const struct last_told *last = bpf_map_lookup_elem(&last_told, &tgid);

	return last && last->start_boottime_ns == now->start_boottime_ns &&
	       last->self_exec_id == now->self_exec_id && last->start <= now->start &&
	       last->end >= now->end && now->time_ns - last->time_ns < REPEAT_NS;
}

static __always_inline void tell(__u32 tgid, const struct last_told *whose)
{
	struct ember_hand_event *event;

	if (was_told(tgid, whose))
		return;
	event = bpf_ringbuf_reserve(&hand_events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&nr_lost, 1);
		return;
	}
	event->time_ns = whose->time_ns;
	event->start_boottime_ns = whose->start_boottime_ns;
	event->self_exec_id = whose->self_exec_id;
	event->tgid = tgid;
	event->start = whose->start;
	event->end = whose->end;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	bpf_map_update_elem(&last_told, &tgid, whose, BPF_ANY);
}

static __always_inline void begin(struct walk *walk, struct task_struct *whose)
{
	*walk = (struct walk){
		.whose = {
			.time_ns = bpf_ktime_get_ns(),
			.start_boottime_ns = start_time(whose),
			.self_exec_id = exec_id(whose),
		},
		.tgid = whose->tgid,
	};
}

static __always_inline void tell_range(struct task_struct *whose, __u64 start, __u64 end)
{
	struct walk walk;

	begin(&walk, whose);
	walk.whose.start = start & ~(EMBER_REGION_BYTES - 1);
	walk.whose.end = (end + EMBER_REGION_BYTES - 1) & ~(EMBER_REGION_BYTES - 1);
	tell(walk.tgid, &walk.whose);
}

static __always_inline void add_region(struct walk *walk, __u64 region)
{
	struct last_told *range = &walk->whose;
	__u64 end = region + EMBER_REGION_BYTES;

	if (range->start <= region && end <= range->end)
		return;
	if (range->end && walk->nr_ranges < MAX_RANGES && region != range->end &&
	    end != range->start) {
		tell(walk->tgid, range);
		walk->nr_ranges++;
		range->end = 0;
	}
	if (!range->end || region < range->start)
		range->start = region;
	if (end > range->end)
		range->end = end;
}

static __always_inline bool read_region(const struct walk *walk, __u64 at, __u64 *region)
{
	__u64 address;

	if (bpf_probe_read_user(&address, sizeof(address), (void *)(walk->list + at * 8))) {
		__sync_fetch_and_add(&nr_unread, 1);
		return false;
	}
	/* What no user address can be the call refuses page by page; EMBER_HAND_NO_END is above. */
	*region = address & ~(EMBER_REGION_BYTES - 1);
	return !(address >> 57);
}

static long add_address(__u64 at, struct walk *walk)
{
	__u64 region;

	if (read_region(walk, at, &region))
		add_region(walk, region);
	return 0;
}

static __always_inline void tell_list(struct task_struct *whose, __u64 list, __u64 nr)
{
	struct walk walk;
	__u64 region;

	begin(&walk, whose);
	walk.list = list;
	bpf_loop(nr < MAX_ADDRESSES ? nr : MAX_ADDRESSES, add_address, &walk, 0);
	if (nr > MAX_ADDRESSES && read_region(&walk, nr - 1, &region)) {
		walk.nr_ranges = MAX_RANGES;
		add_region(&walk, region);
	}
	if (walk.whose.end)
		tell(walk.tgid, &walk.whose);
}

static __always_inline bool is_own(void)
{
	return bpf_get_current_pid_tgid() >> 32 == own_tgid;
}

SEC(SYSCALL_ENTRY(mbind))
int BPF_PROG(ember_mbind, const struct pt_regs *regs)
{
	__u64 start = PT_REGS_PARM1_SYSCALL(regs), bytes = PT_REGS_PARM2_SYSCALL(regs);
	__u64 flags = PT_REGS_PARM6_SYSCALL(regs);

	if (!(flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) || !bytes || is_own())
		return 0;
	if (start >> 57 || bytes >> 57) /* the kernel refuses it */
		return 0;
	tell_range(bpf_get_current_task_btf(), start, start + bytes);
	return 0;
}

/* With @pid 0; others are met in ember_movememory(). */
SEC(SYSCALL_ENTRY(move_pages))
int BPF_PROG(ember_move_pages, const struct pt_regs *regs)
{
	__u64 nr = PT_REGS_PARM2_SYSCALL(regs), nodes = PT_REGS_PARM4_SYSCALL(regs);

	if ((__u32)PT_REGS_PARM1_SYSCALL(regs) || !nodes || is_own())
		return 0;
	tell_list(bpf_get_current_task_btf(), PT_REGS_PARM3_SYSCALL(regs), nr);
	return 0;
}

/* The caller of move_pages(2) or migrate_pages(2) may move the memory of @whose. */
SEC("fentry/security_task_movememory")
int BPF_PROG(ember_movememory, struct task_struct *whose)
{
	const struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	if (is_own())
		return 0;
	if (syscall_nr(regs) != NR_MOVE_PAGES)
		tell_range(whose, 0, EMBER_HAND_NO_END);
	else if (PT_REGS_PARM4_SYSCALL(regs))
		tell_list(whose, PT_REGS_PARM3_SYSCALL(regs), PT_REGS_PARM2_SYSCALL(regs));
	return 0;
}
