/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memories there are, and which is faster. Read from sysfs and procfs below
 * roots that the caller names, so that tests run on directories. A memory is a NUMA node, or a
 * pool of the module's, which has a number of the same space.
 */
#ifndef EMBER_TOPOLOGY_H
#define EMBER_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ember/sample.h"

#define EMBER_MAX_NODES EMBER_MEM_UNKNOWN /* node ids 0..14 are mem indices */
#define EMBER_MAX_TIERS EMBER_MAX_NODES
#define EMBER_NO_NODE 0xff
#define EMBER_NO_TIER 0xff

/* Where the rank of a node comes from; the sentence is printed by topo and status. */
#define EMBER_CLAIMS(X)                                                                            \
	X(NONE, "none", "nothing is known")                                                        \
	X(KERNEL, "kernel", "the kernel's memory tiers")                                           \
	X(HMAT, "hmat", "firmware latency and bandwidth (HMAT)")                                   \
	X(DISTANCE, "distance", "a node without CPUs, far by distance")                            \
	X(POOL, "pool", "a pool: set apart, so taken for the fastest")                             \
	X(POLICY, "policy", "the policy's tier override")

enum ember_claim {
#define X(name, word, sentence) EMBER_CLAIM_##name,
	EMBER_CLAIMS(X)
#undef X
	    EMBER_NR_CLAIMS,
};

struct ember_node {
	bool has_memory;
	bool has_cpu;
	uint8_t tier;                /* 0: fastest; EMBER_NO_TIER without memory */
	uint8_t claim;               /* enum ember_claim: source of .tier */
	int32_t kernel_tier;         /* N of memory_tierN, or -1 */
	uint32_t read_latency_ns;    /* HMAT access0; 0: unknown */
	uint32_t read_bandwidth_mbs; /* HMAT access0, MB/s; 0: unknown */
	uint32_t nr_cpus;
	uint64_t capacity_bytes;           /* MemTotal */
	uint64_t free_bytes;               /* MemFree */
	uint64_t high_watermark_bytes;     /* of its zones, and what these protect */
	uint8_t distance[EMBER_MAX_NODES]; /* SLIT; 0: unknown */
	uint16_t initiators;               /* HMAT: nodes whose CPUs reach it fastest; 0: unknown */
	uint8_t initiator;                 /* the nearest node with CPUs, or EMBER_NO_NODE */
	bool is_pool;                      /* device memory that the module owns */
	uint8_t pool_node;                 /* the node that a pool is accounted to */
	uint64_t pool_start;               /* its physical address */
};

struct ember_tier {
	uint16_t nodes; /* bit i: node i */
	uint8_t nr_nodes;
};

struct ember_topology {
	struct ember_node nodes[EMBER_MAX_NODES];
	struct ember_tier tiers[EMBER_MAX_TIERS]; /* [0] fastest */
	uint8_t nr_tiers;
	uint16_t memory_nodes; /* bit i; pools too */
	uint16_t cpu_nodes;
	uint16_t pools;           /* bit i: memory i is a pool */
	uint8_t nr_ignored_nodes; /* node ids that do not fit the mem index */
	uint8_t cpu_node[1024];   /* node of each CPU, EMBER_NO_NODE if offline or unknown */
};

/* From the policy: these nodes have this rank (0 fastest). */
struct ember_tier_override {
	uint16_t nodes;
	uint8_t rank;
};

/*
 * Read everything. @sys_root is what is mounted on /sys, @proc_root on /proc. Nodes that an
 * override names go before the nodes that have its rank by nature; nodes with the same
 * override rank share a tier. 0; -ENODEV: no node with memory; or the error of reading (a file
 * that only some machines have is no error). *ret is untouched on failure. One tier is no
 * error here: the caller decides.
 */
int ember_topology_read(const char *sys_root, const char *proc_root,
			const struct ember_tier_override *overrides, size_t nr_overrides,
			struct ember_topology *ret);

/* What is free on one node now, all its zones together. 0, or the error of reading. */
int ember_topology_read_free(const char *sys_root, unsigned int node, uint64_t *ret_bytes);

/* The same of a pool; 0 also if it is not there, or being emptied. */
uint64_t ember_topology_read_pool_free(const char *sys_root, unsigned int pool);

/*
 * Only what changes all the time: capacity, free, watermarks. -ESTALE: there are other
 * pools or more nodes with memory; read everything again.
 */
int ember_topology_refresh(const char *sys_root, const char *proc_root,
			   struct ember_topology *topo);

/* Rank of memory @mem (EMBER_NO_TIER for unknown ones). */
uint8_t ember_topology_tier_of(const struct ember_topology *topo, uint8_t mem);

/*
 * Nodes of tier @tier in @allowed by rising distance from @home (ties: lower id). What HMAT says of
 * a node's initiators outranks SLIT distances, which many machines leave at 10 and 20. Returns
 * their number and in @ret_nr_nearest how many share the smallest distance.
 */
unsigned int ember_topology_nearest(const struct ember_topology *topo, uint8_t home, uint8_t tier,
				    uint16_t allowed, uint8_t ret[EMBER_MAX_NODES],
				    unsigned int *ret_nr_nearest);

const char *ember_claim_word(enum ember_claim claim);
const char *ember_claim_sentence(enum ember_claim claim);

#endif
