/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon tells about itself. The engine thread fills a snapshot once a round and
 * publishes it; the control thread answers from the last one, so that an answer never
 * waits for a scan or a move. Plain data: it is copied whole.
 *
 * Per-process entries carry totals only, no addresses but those of newly found areas, which
 * are for root and the process's own user.
 */
#ifndef EMBER_STATUS_H
#define EMBER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "copies.h"
#include "damonstat.h"
#include "heart.h"
#include "plan.h"
#include "topology.h"

#define EMBER_STATUS_MAX_PROCS 64   /* the largest; nr_procs counts all */
#define EMBER_STATUS_MAX_AREAS 8    /* latest per process */
#define EMBER_STATUS_MAX_TGIDS 4096 /* as many as the sampler tracks */

/* A range that no scan had seen before, and when the first scan read some of it (areas.h). */
struct ember_status_area {
	uint64_t start; /* [start, end) */
	uint64_t end;
	uint64_t first_scan_ns; /* CLOCK_MONOTONIC */
	bool by_fault;          /* found by fault samples, not by the regular scan */
};

struct ember_status_proc {
	uint32_t tgid;
	uint32_t uid;
	char comm[16];    /* as the kernel has it: may hold any byte but NUL */
	char cgroup[256]; /* the same; truncated */
	char rule[64];
	uint64_t rss_bytes;
	uint64_t bytes_on_tier[EMBER_MAX_TIERS];
	uint64_t metadata_bytes;
	uint64_t nr_scans;
	uint64_t nr_lost_scans; /* began but could not be completed: never read as cold */
	struct ember_status_area areas[EMBER_STATUS_MAX_AREAS];
	uint32_t nr_areas;
};

struct ember_status {
	/* Who and since when. */
	uint64_t time_ns;       /* CLOCK_MONOTONIC of this snapshot */
	uint64_t started_ns;    /* the same clock */
	bool observe_only;      /* nothing is moved */
	char policy_error[512]; /* empty: the policy on disk is the one in force */
	uint64_t policy_loaded_ns;

	/* Memories. */
	struct ember_topology topology;
	uint64_t tracked_on_tier[EMBER_MAX_TIERS]; /* bytes of followed processes */
	uint64_t reserve_bytes[EMBER_MAX_NODES];   /* high watermark and policy */
	uint16_t restricted_nodes;                 /* bit i: node i is kept for ember */

	/* Processes. */
	uint32_t nr_procs;
	uint32_t tgids[EMBER_STATUS_MAX_TGIDS]; /* of all, ascending */
	uint32_t nr_listed;
	struct ember_status_proc procs[EMBER_STATUS_MAX_PROCS];

	/* Decisions of the last plan, in 4 KiB pages. */
	uint64_t nr_plans;
	uint64_t nr_cooldown_evicted;
	uint64_t nr_why[EMBER_NR_WHY];
	uint64_t nr_why_not[EMBER_NR_WHY_NOT];
	uint8_t threshold_level;
	bool settled;
	bool
	    placements_unnoticed; /* by hand: the policy holds them, the kernel lets nobody watch */

	/* Books, since the start. */
	struct ember_account account;
	uint64_t nr_split;   /* 4 KiB pages that moved once their huge pages were split */
	uint64_t nr_unsplit; /* of huge pages that would not */

	/* What looking and moving costs, since the start unless said otherwise. */
	uint64_t period_ns;
	uint64_t stretched_ns; /* the period in force: longer if the CPU budget demands it */
	uint64_t window_ns;    /* in force */
	uint64_t nr_scans;     /* of all processes */
	uint64_t scan_ns;      /* inside the access-bit primitive */
	uint64_t last_scan_ns; /* the last scan of all processes */
	uint64_t nr_tables_read;
	uint64_t nr_tables_skipped;
	uint64_t nr_flush_cpus;       /* CPUs interrupted for TLB flushes */
	uint64_t cpu_ns;              /* user and system time of the daemon */
	uint64_t move_ns;             /* time the module spent moving */
	uint64_t longest_lock_ns;     /* that the module held an mmap_lock */
	uint64_t longest_unmapped_ns; /* that it had pages unmapped */
	uint32_t cpu_share_bp; /* daemon and module together, of one CPU, over the last minute */
	uint64_t nr_faults_sampled;
	uint64_t nr_events_lost;
	uint64_t metadata_bytes;
	uint64_t silent_ns[EMBER_NR_STAGES]; /* of each stage, the longest without a sign of life */

	/* Copies, as the module counts them. */
	bool copies_known; /* it answered */
	bool dma_wanted;   /* by the policy */
	struct ember_copies copies;

	/* Automatic NUMA balancing (docs/architecture.md). */
	int32_t numa_balancing;       /* kernel.numa_balancing now, or -1 */
	int32_t numa_balancing_saved; /* value to be put back, or -1: untouched */
	bool numa_balancing_conflict; /* it would undo what ember does */

	/* DAMON_STAT (docs/sampling.md). */
	enum ember_damonstat damon_stat; /* as it was found */
	bool damon_stat_held;            /* switched off by ember */
};

#endif /* EMBER_STATUS_H */
