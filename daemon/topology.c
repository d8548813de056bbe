// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ranking, by what is known best: the policy's override; the kernel's memory tiers, where they
 * tell nodes apart; firmware latency and bandwidth by the kernel's own formula, where all
 * nodes share one kernel tier; and last a guess: a node without CPUs is slower, as it is for
 * CXL, and the policy can say that it is not.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "topology.h"
#include "util/cleanup.h"
#include "util/open_at.h"

#define NODE_DIR "devices/system/node"
#define TIER_DIR "devices/virtual/memory_tiering"

/* The kernel's abstract distance is cut into chunks of 128 about DRAM's 512: a quarter. */
#define ADISTANCE_DRAM 512
#define ADISTANCE_CHUNK 128

#define X(name, word, sentence) [EMBER_CLAIM_##name] = {word, sentence},
static const char *const claims[][2] = {EMBER_CLAIMS(X)};
#undef X

const char *ember_claim_word(enum ember_claim claim)
{
	return claims[claim][0];
}

const char *ember_claim_sentence(enum ember_claim claim)
{
	return claims[claim][1];
}

/* ---- files ---- */

/* The number in a file that holds nothing else; 0 if there is none. */
static uint32_t read_number(const char *root, unsigned int node, const char *attr)
{
	_cleanup_fclose_ FILE *f = open_at(root, NODE_DIR "/node%u/%s", node, attr);
	uint32_t value = 0;

	return f && fscanf(f, "%" SCNu32, &value) == 1 ? value : 0;
}

/* Call @each for every number of a list such as "0-3,8". */
static void for_each_in_list(FILE *f, void (*each)(unsigned int n, void *arg), void *arg)
{
	unsigned int from, to;

	while (fscanf(f, "%u", &from) == 1) {
		int c = fgetc(f);

		to = from;
		if (c == '-') {
			if (fscanf(f, "%u", &to) != 1)
				return;
			c = fgetc(f);
		}
		for (unsigned int n = from; n <= to && n < 65536; n++)
			each(n, arg);
		if (c != ',')
			return;
	}
}

/* ---- what the files say ---- */

static int read_meminfo(const char *root, unsigned int node, struct ember_node *n)
{
	_cleanup_fclose_ FILE *f = open_at(root, NODE_DIR "/node%u/meminfo", node);
	char line[160], key[64];
	uint64_t kib;

	if (!f)
		return -errno;
	n->capacity_bytes = n->free_bytes = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %*u %63[^:]: %" SCNu64 " kB", key, &kib) != 2)
			continue;
		if (!strcmp(key, "MemTotal"))
			n->capacity_bytes = kib * 1024;
		else if (!strcmp(key, "MemFree"))
			n->free_bytes = kib * 1024;
	}
	return 0;
}

struct cpu_arg {
	struct ember_topology *topo;
	uint8_t node;
};

static void add_cpu(unsigned int cpu, void *arg)
{
	struct cpu_arg *a = arg;

	a->topo->nodes[a->node].nr_cpus++;
	if (cpu < sizeof(a->topo->cpu_node))
		a->topo->cpu_node[cpu] = a->node;
}

static void read_distances(const char *root, unsigned int node, const uint8_t *online,
			   unsigned int nr_online, struct ember_node *n)
{
	_cleanup_fclose_ FILE *f = open_at(root, NODE_DIR "/node%u/distance", node);
	unsigned int d;

	/* one number per online node, in the order of their ids: ids may have holes */
	for (unsigned int i = 0; f && i < nr_online && fscanf(f, "%u", &d) == 1; i++)
		if (online[i] < EMBER_MAX_NODES)
			n->distance[online[i]] = d < 255 ? d : 255;
}

/* Links to the nodes that HMAT names as the fastest way to this one. */
static uint16_t read_initiators(const char *root, unsigned int node)
{
	char path[PATH_MAX];
	_cleanup_closedir_ DIR *dir = NULL;
	uint16_t initiators = 0;
	struct dirent *d;
	unsigned int id;

	snprintf(path, sizeof(path), "%s/" NODE_DIR "/node%u/access0/initiators", root, node);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (sscanf(d->d_name, "node%u", &id) == 1 && id < EMBER_MAX_NODES)
			initiators |= 1U << id;
	return initiators;
}

struct online {
	uint8_t ids[256];
	unsigned int nr;
};

static void add_online(unsigned int node, void *arg)
{
	struct online *online = arg;

	if (online->nr < sizeof(online->ids))
		online->ids[online->nr++] = node < UINT8_MAX ? node : UINT8_MAX;
}

static int read_node(const char *root, unsigned int id, const struct online *online,
		     struct ember_topology *topo)
{
	struct ember_node *n = &topo->nodes[id];
	_cleanup_fclose_ FILE *cpus = open_at(root, NODE_DIR "/node%u/cpulist", id);
	struct cpu_arg arg = {.topo = topo, .node = id};
	int err = read_meminfo(root, id, n);

	if (err < 0)
		return err == -ENOENT ? 0 : err; /* went offline while we were reading */
	if (cpus)
		for_each_in_list(cpus, add_cpu, &arg);
	read_distances(root, id, online->ids, online->nr, n);
	n->read_latency_ns = read_number(root, id, "access0/initiators/read_latency");
	n->read_bandwidth_mbs = read_number(root, id, "access0/initiators/read_bandwidth");
	n->initiators = read_initiators(root, id);
	n->has_cpu = n->nr_cpus;
	n->has_memory = n->capacity_bytes;
	if (n->has_cpu)
		topo->cpu_nodes |= 1U << id;
	if (n->has_memory)
		topo->memory_nodes |= 1U << id;
	return 0;
}

static int find_online(const char *root, struct online *online)
{
	_cleanup_fclose_ FILE *f = open_at(root, NODE_DIR "/online");

	if (!f)
		return -errno;
	for_each_in_list(f, add_online, online);
	return 0;
}

static int read_nodes(const char *root, struct ember_topology *topo)
{
	struct online online = {0};
	int err = find_online(root, &online);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < online.nr; i++) {
		if (online.ids[i] >= EMBER_MAX_NODES) {
			topo->nr_ignored_nodes++;
			continue;
		}
		err = read_node(root, online.ids[i], &online, topo);
		if (err < 0)
			return err;
	}
	return 0;
}

struct tier_arg {
	struct ember_topology *topo;
	int tier;
};

static void set_kernel_tier(unsigned int node, void *arg)
{
	struct tier_arg *a = arg;

	if (node < EMBER_MAX_NODES)
		a->topo->nodes[node].kernel_tier = a->tier;
}

static void read_kernel_tiers(const char *root, struct ember_topology *topo)
{
	char path[PATH_MAX];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;

	snprintf(path, sizeof(path), "%s/" TIER_DIR, root);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		_cleanup_fclose_ FILE *f = NULL;
		struct tier_arg arg = {.topo = topo};

		if (sscanf(d->d_name, "memory_tier%d", &arg.tier) != 1)
			continue;
		f = open_at(root, TIER_DIR "/memory_tier%d/nodelist", arg.tier);
		if (f)
			for_each_in_list(f, set_kernel_tier, &arg);
	}
}

/* One zone of zoneinfo, in pages. */
struct zone {
	unsigned int node;
	uint64_t free;
	uint64_t high;
	uint64_t protection; /* kept from allocations that a higher zone could serve, as ours */
};

/* A protected zone that has nothing to give owes nothing: whoever may use it sees to it. */
static uint64_t zone_kept(const struct zone *z)
{
	if (!z->protection || z->high + z->protection < z->free)
		return z->high + z->protection;
	return z->free;
}

/* "(0, 947, 947)": for each zone that could serve the allocation instead. */
static uint64_t largest_in(const char *list)
{
	uint64_t largest = 0;

	for (const char *at = strchr(list, '('); at; at = strchr(at + 1, ',')) {
		uint64_t pages = strtoull(at + 1, NULL, 10);

		largest = pages > largest ? pages : largest;
	}
	return largest;
}

static void read_zone_line(struct zone *z, const char *line)
{
	/* "high:" with a colon belongs to the per-CPU lists */
	if (sscanf(line, " pages free %" SCNu64, &z->free) == 1 ||
	    sscanf(line, " high %" SCNu64, &z->high) == 1)
		return;
	if (strstr(line, "protection: ("))
		z->protection = largest_in(line);
}

static void add_zone(struct ember_topology *topo, const struct zone *z)
{
	if (z->node < EMBER_MAX_NODES)
		topo->nodes[z->node].high_watermark_bytes += zone_kept(z) * sysconf(_SC_PAGESIZE);
}

static int read_watermarks(const char *root, struct ember_topology *topo)
{
	_cleanup_fclose_ FILE *f = open_at(root, "zoneinfo");
	struct zone zone = {.node = EMBER_MAX_NODES};
	unsigned int node;
	char line[160];

	if (!f)
		return -errno;
	for (unsigned int i = 0; i < EMBER_MAX_NODES; i++)
		topo->nodes[i].high_watermark_bytes = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %u, zone", &node) == 1) {
			add_zone(topo, &zone);
			zone = (struct zone){.node = node};
		} else {
			read_zone_line(&zone, line);
		}
	}
	add_zone(topo, &zone);
	return 0;
}

/* ---- pools ---- */

#define POOL_DIR "kernel/ember"

static uint64_t pool_number(const char *root, unsigned int pool, const char *attr)
{
	_cleanup_fclose_ FILE *f = open_at(root, POOL_DIR "/pool%u/%s", pool, attr);
	int64_t value = 0; /* addresses are in hexadecimal */

	return f && fscanf(f, "%" SCNi64, &value) == 1 ? value : 0;
}

static bool pool_is_ready(const char *root, unsigned int pool)
{
	_cleanup_fclose_ FILE *f = open_at(root, POOL_DIR "/pool%u/state", pool);
	char state[16];

	return f && fscanf(f, "%15s", state) == 1 && !strcmp(state, "ready");
}

/* Of a pool that is being emptied, nothing is free. */
static void read_pool_room(const char *root, unsigned int pool, struct ember_node *n)
{
	uint64_t bytes = pool_number(root, pool, "bytes");
	uint64_t bad = pool_number(root, pool, "bad_bytes");
	uint64_t used = pool_number(root, pool, "used_bytes");

	n->capacity_bytes = bytes > bad ? bytes - bad : 0;
	n->free_bytes = n->capacity_bytes > used ? n->capacity_bytes - used : 0;
	if (!pool_is_ready(root, pool))
		n->free_bytes = 0;
}

/* One that is in use, of a node that we know by its number. */
static bool pool_counts(const char *root, unsigned int pool, uint64_t *ret_node)
{
	*ret_node = pool_number(root, pool, "node");
	return *ret_node < EMBER_MAX_NODES && pool_is_ready(root, pool);
}

/* Bit i: there is a pool i. */
static uint16_t find_pools(const char *root)
{
	char path[PATH_MAX];
	_cleanup_closedir_ DIR *dir = NULL;
	uint16_t pools = 0;
	struct dirent *d;
	unsigned int id;

	snprintf(path, sizeof(path), "%s/" POOL_DIR, root);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (sscanf(d->d_name, "pool%u", &id) == 1 && id < EMBER_MAX_NODES)
			pools |= 1U << id;
	return pools;
}

/* Near and far, fast and slow, it is as its node; that has CPUs if its own is not online. */
static void place_pool(const char *root, struct ember_topology *topo, unsigned int id,
		       unsigned int node)
{
	const struct ember_node *at = &topo->nodes[node];
	struct ember_node *pool = &topo->nodes[id];

	pool->pool_node = node;
	pool->pool_start = pool_number(root, id, "start");
	memcpy(pool->distance, at->distance, sizeof(pool->distance));
	for (unsigned int i = 0; i < EMBER_MAX_NODES; i++)
		topo->nodes[i].distance[id] = topo->nodes[i].distance[node]; /* its own, too */
	pool->initiators = at->initiators;
	if (at->has_cpu)
		return;
	pool->read_latency_ns = at->read_latency_ns;
	pool->read_bandwidth_mbs = at->read_bandwidth_mbs;
}

static void read_pools(const char *root, struct ember_topology *topo)
{
	/* A node of that number exists all the same: then it is no pool of this module's. */
	uint16_t pools = find_pools(root) & ~(topo->memory_nodes | topo->cpu_nodes);

	for (uint16_t left = pools; left; left &= left - 1) {
		unsigned int id = __builtin_ctz(left);
		uint64_t node;

		if (!pool_counts(root, id, &node))
			continue;
		topo->nodes[id].is_pool = topo->nodes[id].has_memory = true;
		read_pool_room(root, id, &topo->nodes[id]);
		place_pool(root, topo, id, node);
		topo->pools |= 1U << id;
	}
	topo->memory_nodes |= topo->pools;
}

/* Numbers are given again: a pool with another start or node is another pool. */
static bool is_other_pool(const char *root, const struct ember_topology *topo, unsigned int id)
{
	const struct ember_node *pool = &topo->nodes[id];

	return pool_number(root, id, "start") != pool->pool_start ||
	       pool_number(root, id, "node") != pool->pool_node;
}

static bool pools_have_changed(const char *root, const struct ember_topology *topo)
{
	uint16_t pools =
	    find_pools(root) & ~((topo->memory_nodes & ~topo->pools) | topo->cpu_nodes);
	uint64_t node;

	if (topo->pools & ~pools)
		return true;
	for (; pools; pools &= pools - 1) {
		unsigned int id = __builtin_ctz(pools);

		if (topo->pools & 1U << id ? is_other_pool(root, topo, id)
					   : pool_counts(root, id, &node))
			return true;
	}
	return false;
}

/* Memory that was not there, or whose node was offline: a CXL device comes when udev says so. */
static bool nodes_have_come(const char *root, const struct ember_topology *topo)
{
	struct online online = {0};

	if (find_online(root, &online) < 0)
		return false;
	for (unsigned int i = 0; i < online.nr; i++) {
		unsigned int id = online.ids[i];
		struct ember_node n = {0};

		if (id >= EMBER_MAX_NODES || (topo->memory_nodes & ~topo->pools & 1U << id))
			continue;
		if (!read_meminfo(root, id, &n) && n.capacity_bytes)
			return true;
	}
	return false;
}

/* ---- ranking ---- */

static bool kernel_tells_apart(const struct ember_topology *topo)
{
	int32_t first = -1;

	for (uint16_t left = topo->memory_nodes & ~topo->pools; left; left &= left - 1) {
		int32_t tier = topo->nodes[__builtin_ctz(left)].kernel_tier;

		if (tier < 0)
			return false;
		if (first >= 0 && tier != first)
			return true;
		first = tier;
	}
	return false;
}

/* A node with CPUs and HMAT figures, to which others are compared. */
static const struct ember_node *reference(const struct ember_topology *topo)
{
	for (uint16_t left = topo->memory_nodes & topo->cpu_nodes; left; left &= left - 1) {
		const struct ember_node *n = &topo->nodes[__builtin_ctz(left)];

		if (n->read_latency_ns && n->read_bandwidth_mbs)
			return n;
	}
	return NULL;
}

/* mm/memory-tiers.c: DRAM's distance times latency, divided by bandwidth, both relative to DRAM. */
static uint64_t adistance(const struct ember_node *n, const struct ember_node *dram)
{
	return ADISTANCE_DRAM * (uint64_t)n->read_latency_ns * dram->read_bandwidth_mbs /
	       dram->read_latency_ns / n->read_bandwidth_mbs;
}

static uint64_t natural_rank(const struct ember_topology *topo, struct ember_node *n,
			     bool by_kernel, const struct ember_node *dram)
{
	if (by_kernel && !n->is_pool) {
		n->claim = EMBER_CLAIM_KERNEL;
		return n->kernel_tier;
	}
	if (by_kernel && topo->nodes[n->pool_node].kernel_tier >= 0 &&
	    !topo->nodes[n->pool_node].has_cpu) {
		n->claim = EMBER_CLAIM_KERNEL; /* part of a node is a pool */
		return topo->nodes[n->pool_node].kernel_tier;
	}
	if (dram && !by_kernel && n->read_latency_ns && n->read_bandwidth_mbs) {
		n->claim = EMBER_CLAIM_HMAT;
		return adistance(n, dram) / ADISTANCE_CHUNK;
	}
	if (n->is_pool) {
		n->claim = EMBER_CLAIM_POOL;
		return 0;
	}
	n->claim = n->has_cpu || !topo->cpu_nodes ? EMBER_CLAIM_NONE : EMBER_CLAIM_DISTANCE;
	if (n->has_cpu && n->kernel_tier >= 0)
		n->claim = EMBER_CLAIM_KERNEL;
	return ADISTANCE_DRAM / ADISTANCE_CHUNK + (n->claim == EMBER_CLAIM_DISTANCE);
}

/* Ranks 0, 1, 2 … in the order of @keys: equal keys share one. */
static unsigned int compact(uint16_t nodes, const uint64_t keys[EMBER_MAX_NODES],
			    uint64_t ret[EMBER_MAX_NODES])
{
	unsigned int rank = 0;

	while (nodes) {
		uint64_t least = UINT64_MAX;

		for (uint16_t left = nodes; left; left &= left - 1)
			if (keys[__builtin_ctz(left)] < least)
				least = keys[__builtin_ctz(left)];
		for (uint16_t left = nodes; left; left &= left - 1)
			if (keys[__builtin_ctz(left)] == least) {
				ret[__builtin_ctz(left)] = rank;
				nodes &= ~(left & -left);
			}
		rank++;
	}
	return rank;
}

static void rank_nodes(struct ember_topology *topo, const struct ember_tier_override *overrides,
		       size_t nr_overrides)
{
	const struct ember_node *dram = reference(topo);
	bool by_kernel = kernel_tells_apart(topo);
	uint64_t keys[EMBER_MAX_NODES], ranks[EMBER_MAX_NODES];

	for (uint16_t left = topo->memory_nodes; left; left &= left - 1) {
		unsigned int i = __builtin_ctz(left);

		keys[i] = natural_rank(topo, &topo->nodes[i], by_kernel, dram);
	}
	compact(topo->memory_nodes, keys, ranks);
	/* an override goes before whatever had its rank by nature */
	for (uint16_t left = topo->memory_nodes; left; left &= left - 1)
		keys[__builtin_ctz(left)] = ranks[__builtin_ctz(left)] * 2 + 1;
	for (size_t o = 0; o < nr_overrides; o++)
		for (uint16_t left = overrides[o].nodes & topo->memory_nodes; left;
		     left &= left - 1) {
			keys[__builtin_ctz(left)] = (uint64_t)overrides[o].rank * 2;
			topo->nodes[__builtin_ctz(left)].claim = EMBER_CLAIM_POLICY;
		}
	topo->nr_tiers = compact(topo->memory_nodes, keys, ranks);
	for (uint16_t left = topo->memory_nodes; left; left &= left - 1) {
		unsigned int i = __builtin_ctz(left);

		topo->nodes[i].tier = ranks[i];
		topo->tiers[ranks[i]].nodes |= 1U << i;
		topo->tiers[ranks[i]].nr_nodes++;
	}
}

/* ---- questions ---- */

static unsigned int distance(const struct ember_topology *topo, uint8_t home, unsigned int node)
{
	unsigned int d;

	if (home >= EMBER_MAX_NODES)
		return 0;
	d = topo->nodes[home].distance[node];
	d = d ? d : 255;
	if (topo->nodes[node].initiators && !(topo->nodes[node].initiators & (1U << home)))
		d += 256;
	return d;
}

unsigned int ember_topology_nearest(const struct ember_topology *topo, uint8_t home, uint8_t tier,
				    uint16_t allowed, uint8_t ret[EMBER_MAX_NODES],
				    unsigned int *ret_nr_nearest)
{
	unsigned int nr = 0;

	*ret_nr_nearest = 0;
	if (tier >= topo->nr_tiers)
		return 0;
	for (uint16_t left = topo->tiers[tier].nodes & allowed; left; left &= left - 1) {
		uint8_t node = __builtin_ctz(left);
		unsigned int at = nr++;

		for (; at && distance(topo, home, ret[at - 1]) > distance(topo, home, node); at--)
			ret[at] = ret[at - 1];
		ret[at] = node;
	}
	while (*ret_nr_nearest < nr &&
	       distance(topo, home, ret[*ret_nr_nearest]) == distance(topo, home, ret[0]))
		(*ret_nr_nearest)++;
	return nr;
}

uint8_t ember_topology_tier_of(const struct ember_topology *topo, uint8_t mem)
{
	return mem < EMBER_MAX_NODES ? topo->nodes[mem].tier : EMBER_NO_TIER;
}

static void find_initiators(struct ember_topology *topo)
{
	for (unsigned int i = 0; i < EMBER_MAX_NODES; i++) {
		struct ember_node *n = &topo->nodes[i];

		n->initiator = EMBER_NO_NODE;
		if (!n->has_memory && !n->has_cpu)
			continue;
		for (uint16_t left = topo->cpu_nodes; left; left &= left - 1) {
			unsigned int cpu_node = __builtin_ctz(left);

			if (n->initiator == EMBER_NO_NODE ||
			    distance(topo, cpu_node, i) < distance(topo, n->initiator, i))
				n->initiator = cpu_node;
		}
	}
}

int ember_topology_read(const char *sys_root, const char *proc_root,
			const struct ember_tier_override *overrides, size_t nr_overrides,
			struct ember_topology *ret)
{
	struct ember_topology topo = {0};
	int err;

	memset(topo.cpu_node, EMBER_NO_NODE, sizeof(topo.cpu_node));
	for (unsigned int i = 0; i < EMBER_MAX_NODES; i++) {
		topo.nodes[i].tier = EMBER_NO_TIER;
		topo.nodes[i].kernel_tier = -1;
	}
	err = read_nodes(sys_root, &topo);
	if (err < 0)
		return err;
	if (!topo.memory_nodes)
		return -ENODEV;
	read_pools(sys_root, &topo);
	read_kernel_tiers(sys_root, &topo);
	err = read_watermarks(proc_root, &topo);
	if (err < 0)
		return err;
	find_initiators(&topo);
	rank_nodes(&topo, overrides, nr_overrides);
	*ret = topo;
	return 0;
}

int ember_topology_read_free(const char *sys_root, unsigned int node, uint64_t *ret_bytes)
{
	struct ember_node n;
	int r = read_meminfo(sys_root, node, &n);

	if (r < 0)
		return r;
	*ret_bytes = n.free_bytes;
	return 0;
}

uint64_t ember_topology_read_pool_free(const char *sys_root, unsigned int pool)
{
	struct ember_node n = {};

	read_pool_room(sys_root, pool, &n);
	return n.free_bytes;
}

int ember_topology_refresh(const char *sys_root, const char *proc_root, struct ember_topology *topo)
{
	if (pools_have_changed(sys_root, topo) || nodes_have_come(sys_root, topo))
		return -ESTALE;
	for (uint16_t left = topo->pools; left; left &= left - 1)
		read_pool_room(sys_root, __builtin_ctz(left), &topo->nodes[__builtin_ctz(left)]);
	for (uint16_t left = topo->memory_nodes & ~topo->pools; left; left &= left - 1) {
		unsigned int i = __builtin_ctz(left);
		int err = read_meminfo(sys_root, i, &topo->nodes[i]);

		if (err == -ENOENT) /* offline since: no room there */
			topo->nodes[i].capacity_bytes = topo->nodes[i].free_bytes = 0;
		else if (err < 0)
			return err;
	}
	return read_watermarks(proc_root, topo);
}
