/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records that travel from the kernel side (module kfunc and BPF programs) to
 * the daemon. One header for three compilers: it needs nothing but <linux/types.h>
 * (or vmlinux.h on the BPF side, which defines the same __uN names).
 *
 * Two streams:
 *  - struct ember_region_rec: what one access-bit scan saw in one active 2 MiB
 *    region. Written by the kfunc ember_scan() into a memory-mapped array map.
 *  - struct ember_event: process life cycle and sampled page faults. Written by
 *    the tracing programs into a ring buffer.
 *
 * All addresses are user virtual addresses of the target, all times CLOCK_MONOTONIC
 * nanoseconds unless the name says boot. Ranges are [start, end).
 */
#ifndef EMBER_SAMPLE_H
#define EMBER_SAMPLE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define EMBER_SAMPLE_VERSION 2

#define EMBER_REGION_SHIFT 21
#define EMBER_REGION_BYTES (1UL << EMBER_REGION_SHIFT)
#define EMBER_REGION_PAGES 512 /* 4 KiB pages in a region */
#define EMBER_PLANE_WORDS 8    /* 512 bits */

/*
 * Memories ("mem index"): NUMA node ids and pools share one small index space so
 * that the place of a page takes EMBER_MEM_PLANES bits. Index i < EMBER_MEM_UNKNOWN
 * is NUMA node i; pools are given free indices by the module. Pages of a memory
 * beyond the space are reported as EMBER_MEM_UNKNOWN, never as a wrong one.
 */
#define EMBER_MEM_PLANES 4
#define EMBER_MEM_UNKNOWN 15

enum ember_region_kind {
	EMBER_KIND_UNSPEC = 0, /* 0 catches records nobody wrote */
	EMBER_KIND_ANON = 1,
	EMBER_KIND_FILE = 2,
	EMBER_KIND_SHMEM = 3,
	EMBER_KIND_HUGETLB = 4,
	EMBER_KIND_MIXED = 5, /* several areas of different kinds share the region */
};

/* Largest unit that maps part of the region. */
enum ember_order_class {
	EMBER_ORDER_BASE = 0, /* 4 KiB entries only, no large folio seen among young pages */
	EMBER_ORDER_MTHP = 1, /* 4 KiB entries, some belong to a large folio */
	EMBER_ORDER_PMD = 2,  /* one 2 MiB entry maps the whole region */
};

/* ember_region_rec.flags */
#define EMBER_REC_WHOLE (1u << 0) /* the scan covered every area of the region */
#define EMBER_REC_COLD (1u << 1)  /* reported by a full pass although nothing was young */
#define EMBER_REC_BOUND (1u << 2) /* the memory policy (mbind) of an area in it names its nodes */

/*
 * Bit i of a plane stands for the page at addr + i * 4096. Planes other than
 * present are valid only where present is set; shared is known only for young
 * pages (struct page of others is not touched). A 2 MiB entry sets all 512 bits.
 */
struct ember_region_rec {
	__u64 addr; /* 2 MiB aligned */
	__u8 version;
	__u8 kind;        /* enum ember_region_kind */
	__u8 order_class; /* enum ember_order_class */
	__u8 flags;
	__u16 nr_present;
	__u16 nr_young;
	__u64 young[EMBER_PLANE_WORDS];
	__u64 present[EMBER_PLANE_WORDS];
	__u64 dirty[EMBER_PLANE_WORDS];
	__u64 shared[EMBER_PLANE_WORDS];
	__u64 mem[EMBER_MEM_PLANES][EMBER_PLANE_WORDS]; /* bit k of the mem index */
};
_Static_assert(sizeof(struct ember_region_rec) == 16 + 8 * 64, "record layout is ABI");

/* ember_scan_req.flags */
#define EMBER_SCAN_CLEAR (1u << 0) /* test and clear (otherwise only look) */
#define EMBER_SCAN_FULL (1u << 1)  /* do not trust non-leaf bits; visit every table */
#define EMBER_SCAN_COLD (1u << 2)  /* also report regions in which nothing was young */
#define EMBER_SCAN_FLUSH (1u << 3) /* one TLB flush when the range is done */
#define EMBER_SCAN_ALL_FLAGS 0xfu

/*
 * Request, cursor and statistics of one bounded scan. The BPF program fills (in),
 * the kfunc advances (in/out) and fills (out). The scan is complete when cursor == end.
 */
struct ember_scan_req {
	__u64 cursor;       /* (in/out) next address to look at */
	__u64 end;          /* (in) */
	__u64 budget_ns;    /* (in) stop at the next table after this time; 0: no limit */
	__u32 flags;        /* (in) EMBER_SCAN_* */
	__u32 nr_recs;      /* (out) records written from the start of the buffer */
	__u64 nr_tables;    /* (out) page tables whose entries were read */
	__u64 nr_skipped;   /* (out) page tables skipped on their clear non-leaf bit */
	__u64 nr_present;   /* (out) present entries seen, in 4 KiB pages */
	__u64 nr_young;     /* (out) young entries seen, in 4 KiB pages */
	__u64 nr_unflushed; /* (in/out) pages cleared since the last TLB flush; begin with 0 */
	__u64 ns;           /* (out) time inside the kfunc */
	__u32 nodes;        /* (out) bit i: memory i suits the cpuset and policies of all threads */
	__u32 policy_nodes; /* (out) bit i: memory i suits their policies at least */
	__u32 stop;         /* (out) enum ember_scan_stop */
	__u32 nr_flush_cpus; /* (out) CPUs interrupted for the TLB flush */
	__u32 on_isolated;   /* (out) 1: it runs on a CPU that is isolated, or else 0 */
	__u32 reserved;      /* (out) 0 */
};
_Static_assert(sizeof(struct ember_scan_req) == 104, "request layout is ABI");

enum ember_scan_stop {
	EMBER_STOP_UNSPEC = 0,
	EMBER_STOP_DONE = 1,     /* cursor == end */
	EMBER_STOP_BUFFER = 2,   /* buffer full: consume and call again */
	EMBER_STOP_TIME = 3,     /* budget used up: call again */
	EMBER_STOP_LOCK = 4,     /* a lock of the process is contended: call again later */
	EMBER_STOP_GONE = 5,     /* the process left its memory meanwhile */
	EMBER_STOP_NOTIFIER = 6, /* secondary MMU (KVM): access bits mean nothing */
};

/*
 * Whom to scan, and what: context of the scanning program and argument of the kfunc.
 * Refused with -ESRCH if there is no such process, and with -ESTALE if tgid is another
 * process or another image by now.
 */
struct ember_scan_ctx {
	struct ember_scan_req req;
	__u64 start_boottime_ns; /* (in) (out: identify) */
	__u32 self_exec_id;      /* (in) (out: identify) low half of the kernel's counter */
	__u32 tgid;              /* (in) in the initial pid namespace */
};
_Static_assert(sizeof(struct ember_scan_ctx) == 120, "scan context layout is ABI");

/* Value of the map of tracked processes, under the tgid as key. */
struct ember_tracked {
	__u64 start_boottime_ns;
	__u32 self_exec_id;
	__u32 flags; /* must be 0 */
};
_Static_assert(sizeof(struct ember_tracked) == 16, "tracked layout is ABI");

enum ember_event_type {
	EMBER_EVENT_UNSPEC = 0,
	EMBER_EVENT_FORK = 1,  /* a new process, no thread; tgid: the child; arg: its parent */
	EMBER_EVENT_EXEC = 2,  /* with the new self_exec_id; arg: 1 if the old one was tracked */
	EMBER_EVENT_EXIT = 3,  /* the whole thread group of a tracked process is gone */
	EMBER_EVENT_FAULT = 4, /* sampled fault of a tracked process; arg: address */
	EMBER_EVENT_GROW = 5,  /* an untracked process keeps faulting; arg: sampled faults so far */
};

/* A process is (tgid, start_boottime_ns, self_exec_id); see docs/architecture.md. */
struct ember_event {
	__u64 time_ns;
	__u64 start_boottime_ns;
	__u64 arg;
	__u32 self_exec_id;
	__u32 tgid;
	__u32 type; /* enum ember_event_type */
	__u32 cpu;
};
_Static_assert(sizeof(struct ember_event) == 40, "event layout is ABI");

#define EMBER_NR_EVENT_TYPES 6

#endif /* EMBER_SAMPLE_H */
