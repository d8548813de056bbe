/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan: what should move where, and why? Pure: levels, places, topology and limits in,
 * a list of moves with reasons out. Nothing is moved here, nothing is remembered here.
 */
#ifndef EMBER_PLAN_H
#define EMBER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calibrate.h"
#include "cooldown.h"
#include "hands.h"
#include "proc_id.h"
#include "mover_cost.h"
#include "region.h"
#include "topology.h"

enum ember_direction { EMBER_DEMOTE, EMBER_PROMOTE, EMBER_NR_DIRECTIONS };

static inline enum ember_direction ember_opposite(enum ember_direction direction)
{
	return direction == EMBER_PROMOTE ? EMBER_DEMOTE : EMBER_PROMOTE;
}

enum ember_mover {
	EMBER_MOVER_MODULE,        /* exclusive anonymous base pages */
	EMBER_MOVER_MODULE_SHARED, /* the module, too: shared ones, if a pool is one end of the way
				    */
	EMBER_MOVER_MOVE_PAGES,    /* huge pages, file, shmem */
	EMBER_MOVER_MOVE_SHARED,   /* the same call, for pages that several processes map */
	EMBER_NR_MOVERS,
};

static inline bool ember_mover_is_module(uint8_t mover)
{
	return mover == EMBER_MOVER_MODULE || mover == EMBER_MOVER_MODULE_SHARED;
}

/* Why a move is in the plan. Word and sentence are the same in logs, status and explain. */
#define EMBER_WHY(X)                                                                               \
	X(HOTTER, "hotter", "hotter than what gives way for it")                                   \
	X(FILL, "fill", "hot, and faster memory has room")                                         \
	X(NEARER, "nearer", "hot, and this node is nearer to the CPUs that use it")                \
	X(MAKE_ROOM, "make-room", "colder than what comes in its place")                           \
	X(RESERVE, "reserve", "the coldest, and the node is below its reserve")

enum ember_why {
#define X(name, word, sentence) EMBER_WHY_##name,
	EMBER_WHY(X)
#undef X
	    EMBER_NR_WHY,
};

/* Why a page that the levels wanted elsewhere is not in the plan. */
#define EMBER_WHY_NOT(X)                                                                           \
	X(PLACED, "placed", "already where it should be")                                          \
	X(GAP, "gap", "not enough hotter than what would give way")                                \
	X(TOO_COLD, "too-cold", "touched too rarely to pay for the move")                          \
	X(NEW, "new", "watched for too few rounds")                                                \
	X(NO_ROOM, "no-room", "no room, and nothing that could give way")                          \
	X(QUOTA, "quota", "the bandwidth of this round is used up")                                \
	X(COOLING, "cooling", "moved a short while ago")                                           \
	X(BACKOFF, "backoff", "refused by the mover a short while ago")                            \
	X(IN_FLIGHT, "in-flight", "an earlier move of its region is under way")                    \
	X(NOT_ALLOWED, "not-allowed",                                                              \
	  "a cpuset or memory policy of it leaves that node out, or it was denied the way there")  \
	X(MODULE_ONLY, "module-only",                                                              \
	  "of a kind that does not go to pools and restricted nodes (huge, shared, of a file)")    \
	X(BOUND, "bound", "its area, or one in its 2 MiB, has a memory policy (mbind)")            \
	X(BY_HAND, "placed-by-hand",                                                               \
	  "placed there a short while ago by move_pages(2) or the like")                           \
	X(SHARED_ELSEWHERE, "shared", "counted with another process that shares it")               \
	X(KIND, "kind", "a kind of memory that is not moved")                                      \
	X(HUGETLB, "hugetlb", "hugetlb pages, whose accessed bits are not read")                   \
	X(SHARED_LEFT, "shared-left", "the policy leaves shared memory where it is")               \
	X(SHARED_FILE, "shared-file", "of a file that other processes map as well")                \
	X(CLASSES, "classes", "more combinations of cpuset and home node than are planned")        \
	X(ISOLATED, "isolated", "its process runs on isolated CPUs")                               \
	X(IGNORED, "ignored", "the policy says so")                                                \
	X(UNKNOWN_PLACE, "unknown-place", "lies in a memory that is not known")

enum ember_why_not {
#define X(name, word, sentence) EMBER_WHY_NOT_##name,
	EMBER_WHY_NOT(X)
#undef X
	    EMBER_NR_WHY_NOT,
};

const char *ember_why_word(enum ember_why why);
const char *ember_why_sentence(enum ember_why why);
const char *ember_why_not_word(enum ember_why_not why);
const char *ember_why_not_sentence(enum ember_why_not why);

/* A process as the planner sees it. */
struct ember_plan_proc {
	struct ember_proc_id id;
	struct ember_regions *regions;   /* levels are brought up to date in place */
	const struct ember_hands *hands; /* placed by hand; NULL: nothing */
	uint32_t owner;                  /* user id: whose shared memory it can be */
	uint32_t weight;                 /* of its rule; 100 is neutral */
	uint16_t allowed;                /* bit i: may lie in memory i (cpuset, policy) */
	uint32_t nr_cpus;                /* that it ran on when it was scanned */
	uint64_t nr_hugetlb;             /* 4 KiB pages of hugetlb, which no region speaks of */
	uint8_t home;                    /* node of the CPUs that use it (EMBER_NO_NODE: any) */
	bool frozen;                     /* count it, do not move it */
	uint8_t frozen_why;              /* enum ember_why_not: IGNORED, say */
};

struct ember_plan_limits {
	uint64_t bytes[EMBER_NR_DIRECTIONS];      /* of this round */
	uint64_t reserve_bytes[EMBER_MAX_NODES];  /* kept free in addition to the high watermark */
	uint64_t inflight_bytes[EMBER_MAX_NODES]; /* on their way to this node */
	uint32_t max_regions_per_move;            /* 0: no bound */
	uint32_t max_pages_per_move;              /* the same, but for one region; 4 KiB pages */
	uint16_t restricted_nodes;                /* kept for ember: only the module goes there */
	uint64_t seed; /* of hashes: random, and the same for the life of the daemon */
	const struct ember_calibration *calibration; /* NULL: levels are taken at their word */
	uint32_t longest_wait_ns;                    /* of every move */
	bool isolated_too;
	bool by_dma;       /* wanted, and to be had: by the module then */
	bool leave_shared; /* never move what several processes map */
	bool split_huge;   /* what only the module can place is split first, if it is huge */
	const struct ember_mover_cost *mover_cost; /* NULL: nothing is known */
	void (*alive)(void *userdata); /* called before each pass over all regions; may be NULL */
	void *userdata;
};

/* Pages of one 2 MiB region that go to the same place. */
struct ember_move_region {
	uint64_t addr;
	uint64_t pages[EMBER_PLANE_WORDS];
	uint16_t nr_pages;
	uint8_t rank;  /* the hottest (promote) or coldest (demote) of them: order of execution */
	uint8_t src;   /* memory of the first of them */
	uint8_t order; /* enum ember_order_class, when it was last seen */
};

struct ember_move {
	struct ember_proc_id id;
	uint32_t proc;         /* index into the processes given */
	uint32_t first_region; /* into ember_plan.regions */
	uint32_t nr_regions;
	uint32_t nr_pages;
	uint32_t nr_cpus;         /* of the process */
	uint8_t dest;             /* memory: a node, or a pool */
	bool to_pool;             /* dest is a pool */
	bool isolated_too;        /* also if it runs on isolated CPUs */
	bool by_dma;              /* a DMA engine shall copy, also where that takes longer */
	uint32_t longest_wait_ns; /* that the module may cause; 0: no bound */
	bool is_base; /* exclusive anonymous base pages, which either mover could take */
	uint8_t direction;
	uint8_t mover;
	uint8_t why;
	bool restricted; /* so is the destination: its mover is the module */
	bool split;      /* large folios, which cannot go there whole */
};

struct ember_plan {
	struct ember_move *moves; /* in the order of execution: demotions first */
	uint32_t nr_moves;
	uint32_t nr_moves_alloc;
	struct ember_move_region *regions;
	uint32_t nr_regions;
	uint32_t nr_regions_alloc;
	struct ember_plan_work *work; /* scratch memory, reused */

	/* 4 KiB pages */
	uint64_t nr_planned[EMBER_NR_DIRECTIONS];
	uint64_t nr_why[EMBER_NR_WHY];
	uint64_t nr_why_not[EMBER_NR_WHY_NOT];
	uint64_t nr_on_tier[EMBER_MAX_TIERS]; /* tracked pages per tier, before the moves */
	uint64_t nr_wanted;                   /* promotions if there were no budget */
	uint8_t threshold_level;              /* where tier 0 is full: steers the sampling window */
	bool settled;                         /* next to nothing is wanted */
};

void ember_plan_init(struct ember_plan *plan);
void ember_plan_clear(struct ember_plan *plan);

/*
 * Make a plan. Demotions come first in the list; promotions count on their room, so hand
 * them to the movers after the demotions or at least not faster. @plan is overwritten (its memory
 * is reused). 0 or -ENOMEM (then it is empty). The caller hands the moves to the movers in order,
 * marks them with ember_account_submitted() and their results with ember_account_result().
 */
int ember_plan_make(struct ember_plan *plan, const struct ember_topology *topo,
		    const struct ember_plan_proc *procs, size_t nr_procs,
		    const struct ember_plan_limits *limits, const struct ember_cooldown *cooldown,
		    uint64_t now_ns);

#endif
