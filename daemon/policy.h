/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy: JSON files into one checked, immutable structure. Parsing is pure (names and
 * bytes in); policy_load.c finds and reads the files. All of the files or none: after an
 * error the caller keeps what it had.
 */
#ifndef EMBER_POLICY_H
#define EMBER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topology.h"

#define EMBER_POLICY_MAX_FILE_BYTES (1U << 20)
#define EMBER_POLICY_MAX_DEPTH 16

/* What to do about parts of the kernel that are in ember's way. */
enum ember_borrow {
	EMBER_BORROW_AUTO,  /* off where and while it is in the way, else as it is */
	EMBER_BORROW_LEAVE, /* never touched */
	EMBER_BORROW_OFF,   /* off while ember runs */
};

/* Memory that several processes map. */
enum ember_shared {
	EMBER_SHARED_MOVE,  /* by the needs of the process that touches it most */
	EMBER_SHARED_LEAVE, /* stays where it is */
};

/* Processes that run on CPUs which the kernel is told not to disturb. */
enum ember_isolated {
	EMBER_ISOLATED_LEAVE,     /* what they have stays where it is */
	EMBER_ISOLATED_INTERRUPT, /* their CPUs are interrupted for each page that moves */
};

/* Which engine of the module's copies pages. */
enum ember_copy_engine {
	EMBER_COPY_MEASURED, /* the one that the module has measured to be faster */
	EMBER_COPY_DMA,      /* a DMA engine, also where it takes longer: it keeps CPUs free */
};

enum ember_action { EMBER_ACTION_FOLLOW, EMBER_ACTION_IGNORE };

struct ember_policy_global {
	uint64_t period_ns;
	uint64_t bandwidth_bytes_per_s; /* per direction */
	uint32_t reserve_bp;            /* of a node's capacity, in 1/10000; or */
	uint64_t reserve_bytes;         /* absolute; one of the two is 0 */
	uint32_t cpu_budget_bp;         /* of one CPU */
	uint32_t fault_sampling;        /* one in N faults; 0: off */
	uint32_t numa_balancing;        /* enum ember_borrow */
	uint32_t damon_stat;            /* the same */
	uint32_t shared_memory;         /* enum ember_shared */
	uint32_t isolated_cpus;         /* enum ember_isolated */
	uint64_t longest_wait_ns;       /* of a page fault, because of the module */
	uint32_t copy_engine;           /* enum ember_copy_engine */
	uint64_t placed_by_hand_ns;     /* so long is left alone what was; 0: it is not */
	bool split_huge_pages;          /* that pools and restricted nodes cannot take whole */
};

struct ember_rule {
	char *name; /* never NULL: "FILE:/rules/N" if it has none */
	char *comm; /* glob, or NULL: any */
	char *exe;
	char *cgroup;
	int64_t uid; /* -1: any */
	uint64_t min_rss_bytes;
	uint32_t action; /* enum ember_action */
	uint32_t weight; /* 100 is neutral */
};

struct ember_policy {
	struct ember_policy_global global;
	struct ember_tier_override *tiers;
	size_t nr_tiers;
	uint16_t restricted_nodes; /* bit i: node i, as the files say */
	struct ember_rule *rules;  /* first match wins */
	size_t nr_rules;
};

struct ember_policy_file {
	const char *name;  /* for messages: "50-hbm.json" */
	const char *bytes; /* need not end in a NUL */
	size_t len;
};

struct ember_policy_error {
	char text[512]; /* one line: FILE: POINTER: what is wrong (what to write) */
};

/* What is known of a process when it is matched. NULL strings match only "any". */
struct ember_proc_facts {
	const char *comm;
	const char *exe;
	const char *cgroup; /* path below the cgroup root: "/system.slice/x.service" */
	uint32_t uid;
	uint64_t rss_bytes;
};

/* @files sorted by name. 0; -EINVAL with *ret_error filled; -ENOMEM. *ret untouched on failure. */
int ember_policy_parse(const struct ember_policy_file *files, size_t nr_files,
		       struct ember_policy **ret, struct ember_policy_error *ret_error);
void ember_policy_free(struct ember_policy *policy);
static inline void ember_policy_freep(struct ember_policy **p)
{
	ember_policy_free(*p);
}

/* The first rule that matches, or NULL (then the process is not followed). */
const struct ember_rule *ember_policy_match(const struct ember_policy *policy,
					    const struct ember_proc_facts *facts);

/* Of the nodes that the policy calls restricted, those that can be: with memory, without CPUs. */
uint16_t ember_policy_restricted(const struct ember_policy *policy,
				 const struct ember_topology *topo);

/* Bytes that the policy wants free on a node, in addition to the kernel's high watermark. */
uint64_t ember_policy_reserve_bytes(const struct ember_policy_global *global,
				    const struct ember_node *node);

#endif
