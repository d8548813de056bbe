/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Placements by hand: what bpf/hands.bpf.c tells the daemon (daemon/watch_hands.c) through a
 * ring buffer of its own. Like sample.h it needs nothing but <linux/types.h>.
 */
#ifndef EMBER_HANDS_H
#define EMBER_HANDS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* End of a range that is all memory of a process (migrate_pages(2)). */
#define EMBER_HAND_NO_END (1ULL << 63)

/* Somebody asks the kernel to place [start, end) of the process, now. */
struct ember_hand_event {
	__u64 time_ns;           /* CLOCK_MONOTONIC */
	__u64 start_boottime_ns; /* whose memory it is: as in sample.h */
	__u32 self_exec_id;
	__u32 tgid;
	__u64 start; /* 2 MiB aligned, both */
	__u64 end;
};
_Static_assert(sizeof(struct ember_hand_event) == 40, "event layout is ABI");

#endif /* EMBER_HANDS_H */
