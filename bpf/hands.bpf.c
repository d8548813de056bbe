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
 * Where the ranges are not known, or have no room in the ring, all memory of the process is told
 * of. The first entry of a list that cannot be read ends the reading: at an address that is not
 * mapped the kernel gives up as well, but a page of the list that only is not in memory now the
 * kernel reads in and goes on, and from here the two look the same. Either way the memory is the
 * caller's own or such as it may move.
 *
 * Limits: of a list, MAX_ADDRESSES are read; what comes after them is taken for one range up to
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

/* Of one call: 256 MiB of 4 KiB pages, and a bound for how long the program runs. */
#define MAX_ADDRESSES (1U << 16)
#define MAX_RANGES 256

/* A program that places page by page: the same range is told of once in so long. */
#define REPEAT_NS 100000000ULL

/*
 * Room for 10900 events, and how much of it one user may take until the daemon has read: what one
 * places without end must not push out what another one places. At worst, twice that lies in the
 * ring (struct share).
 */
#define RING_BYTES (512 * 1024)
#define MAX_PER_USER 2700

/* The daemon, whose moves are nobody's placement. Set between open and load. */
const volatile __u32 own_tgid;

/* Read by the daemon; they only grow. */
__u64 nr_lost;   /* ranges for which there was no room anywhere */
__u64 nr_unread; /* lists that could not be read to their end */

/*
 * struct ember_hand_event. Nobody is woken: the daemon looks before it plans, and who calls
 * very often shall not make it run very often. Apart from the other events, so that those
 * are not lost for it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} hand_events SEC(".maps");

/* Processes whose ranges found no room there: all their memory. Key: tgid. The daemon takes out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ember_hand_event);
} hand_overflows SEC(".maps");

/*
 * What was told of last. By the start, too: who places two arrays by turns, page by page, repeats
 * two ranges.
 */
struct told_key {
	__u64 start;
	__u32 tgid;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct told_key);
	__type(value, struct ember_hand_event);
} told SEC(".maps");

/*
 * Events of a user since the ring's position @since. It counts anew once the daemon has read
 * beyond that: then of this user no more than the nr_events counted so far are in the ring.
 */
struct share {
	__u64 since;
	__u64 nr_events;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32); /* uid */
	__type(value, struct share);
} shares SEC(".maps");

/* A walk over a list of addresses. */
struct walk {
	struct ember_hand_event now; /* .start and .end: the range under way; .end 0: none yet */
	__u64 list;                  /* in the caller's memory */
	__u32 nr_ranges;
	bool is_unread; /* an entry could not be read */
};

static __always_inline bool was_told(const struct told_key *key, const struct ember_hand_event *now)
{
	const struct ember_hand_event *last = bpf_map_lookup_elem(&told, key);

	return last && last->start_boottime_ns == now->start_boottime_ns &&
	       last->self_exec_id == now->self_exec_id && last->end >= now->end &&
	       now->time_ns - last->time_ns < REPEAT_NS;
}

/*
 * Of the caller. NULL: no memory for it, then nothing is counted. Threads of one user that get
 * here at once may begin to count anew twice: a few events too many.
 */
static __always_inline struct share *share_of_user(void)
{
	__u32 uid = (__u32)bpf_get_current_uid_gid();
	struct share *share = bpf_map_lookup_elem(&shares, &uid);

	if (!share) {
		struct share fresh = { .since = bpf_ringbuf_query(&hand_events, BPF_RB_PROD_POS) };

		bpf_map_update_elem(&shares, &uid, &fresh, BPF_NOEXIST);
		return bpf_map_lookup_elem(&shares, &uid);
	}
	if (bpf_ringbuf_query(&hand_events, BPF_RB_CONS_POS) > share->since) {
		share->since = bpf_ringbuf_query(&hand_events, BPF_RB_PROD_POS);
		share->nr_events = 0;
	}
	return share;
}

static __always_inline void tell_overflow(const struct ember_hand_event *now)
{
	struct ember_hand_event all = *now;

	all.start = 0;
	all.end = EMBER_HAND_NO_END;
	if (bpf_map_update_elem(&hand_overflows, &all.tgid, &all, BPF_ANY))
		__sync_fetch_and_add(&nr_lost, 1);
}

static __always_inline void tell(const struct ember_hand_event *now)
{
	struct told_key key = { .start = now->start, .tgid = now->tgid };
	struct ember_hand_event *event = NULL;
	struct share *share;

	if (was_told(&key, now))
		return;
	share = share_of_user();
	if (!share || share->nr_events < MAX_PER_USER)
		event = bpf_ringbuf_reserve(&hand_events, sizeof(*event), 0);
	if (!event) {
		tell_overflow(now);
		return;
	}
	*event = *now;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	/* Only what is in the ring: else nothing might ever move the position beyond @since. */
	if (share)
		__sync_fetch_and_add(&share->nr_events, 1);
	bpf_map_update_elem(&told, &key, now, BPF_ANY);
}

static __always_inline void begin(struct ember_hand_event *now, struct task_struct *whose)
{
	*now = (struct ember_hand_event){
		.time_ns = bpf_ktime_get_ns(),
		.start_boottime_ns = start_time(whose),
		.self_exec_id = exec_id(whose),
		.tgid = whose->tgid,
	};
}

static __always_inline void tell_range(struct task_struct *whose, __u64 start, __u64 end)
{
	struct ember_hand_event now;

	begin(&now, whose);
	now.start = start & ~(EMBER_REGION_BYTES - 1);
	now.end = (end + EMBER_REGION_BYTES - 1) & ~(EMBER_REGION_BYTES - 1);
	tell(&now);
}

static __always_inline void add_region(struct walk *walk, __u64 region)
{
	struct ember_hand_event *now = &walk->now;
	__u64 end = region + EMBER_REGION_BYTES;

	if (now->start <= region && end <= now->end)
		return;
	if (now->end && walk->nr_ranges < MAX_RANGES && region != now->end && end != now->start) {
		tell(now);
		walk->nr_ranges++;
		now->end = 0;
	}
	if (!now->end || region < now->start)
		now->start = region;
	if (end > now->end)
		now->end = end;
}

static long add_address(__u64 at, struct walk *walk)
{
	__u64 address;

	if (bpf_probe_read_user(&address, sizeof(address), (void *)(walk->list + at * 8))) {
		walk->is_unread = true;
		return 1; /* ends bpf_loop() */
	}
	/* What no user address can be the call refuses page by page; EMBER_HAND_NO_END is above. */
	if (!(address >> 57))
		add_region(walk, address & ~(EMBER_REGION_BYTES - 1));
	return 0;
}

static __always_inline void tell_list(struct task_struct *whose, __u64 list, __u64 nr)
{
	struct walk walk = { .list = list };

	begin(&walk.now, whose);
	bpf_loop(nr < MAX_ADDRESSES ? nr : MAX_ADDRESSES, add_address, &walk, 0);
	if (nr > MAX_ADDRESSES && !walk.is_unread) {
		walk.nr_ranges = MAX_RANGES;
		add_address(nr - 1, &walk);
	}
	if (walk.is_unread) {
		__sync_fetch_and_add(&nr_unread, 1);
		walk.now.start = 0;
		walk.now.end = EMBER_HAND_NO_END;
	}
	if (walk.now.end)
		tell(&walk.now);
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
