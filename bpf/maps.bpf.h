/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every map. Weak, since several objects define them and are linked into one.
 */
#ifndef EMBER_MAPS_BPF_H
#define EMBER_MAPS_BPF_H

#include "kernel.bpf.h"

/*
 * Processes whose faults and life are reported.
 * Key: tgid. Owner: the daemon adds and removes; exit and exec remove, since a
 * number or an image that is gone must not be taken for the one that was meant.
 * Size: set by the daemon before load; preallocated, so that a lookup in a page
 * fault never meets the allocator.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ember_tracked);
} tracked __weak SEC(".maps");

/* Faults of a CPU until the next sample. Owner: fault.bpf.c. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} faults_left __weak SEC(".maps");

/*
 * Sampled faults of untracked processes.
 * Key: tgid. Owner: fault.bpf.c. The least recently faulting are forgotten, which
 * is what is wanted: who grows faults.
 */
struct growth {
	__u64 start_boottime_ns;
	__u64 nr_samples;
	__u32 self_exec_id;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct growth);
} growing __weak SEC(".maps");

/*
 * struct ember_event. Owner: sample.bpf.h writes, the daemon consumes.
 * Size: set by the daemon before load; when full, events are counted as lost.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events __weak SEC(".maps");

/* Counters, enum ember_stat. Owner: sample.bpf.h adds, the daemon reads. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EMBER_NR_STATS);
	__type(key, __u32);
	__type(value, __u64);
} stats __weak SEC(".maps");

/*
 * Records of the last scan. Owner: ember_scan() writes during a run of
 * access.bpf.c, the daemon reads its mapping after it: one scan at a time.
 * Size: just below 4 MiB, enough for 15 GiB of active memory in one call; a larger
 * process is scanned in several.
 */
#define SCAN_RECS 7936

struct scan_buffer {
	struct ember_region_rec recs[SCAN_RECS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scan_buffer);
} scan_buffer __weak SEC(".maps");

#endif /* EMBER_MAPS_BPF_H */
