// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Trees are written from tests/fixtures/topology/NAME.tree: "== PATH", then the content of that
 * file. Those named after a topology of the test bed were read from its guests.
 */
#include "check.h"

#include <errno.h>
#include <sys/stat.h>

#include "topology.h"

static char root[64], sys_root[80], proc_root[80];

static void make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
}

static void unpack(const char *name)
{
	char line[256], path[400];
	FILE *in, *out = NULL;

	snprintf(path, sizeof(path), "tests/fixtures/topology/%s.tree", name);
	in = fopen(path, "r");
	if (!in)
		fail_msg("%s: run this from the top of the source tree", path);
	while (fgets(line, sizeof(line), in)) {
		if (line[0] == '#')
			continue;
		if (strncmp(line, "== ", 3)) {
			assert_non_null(out);
			fputs(line, out);
			continue;
		}
		line[strcspn(line, "\n")] = 0;
		if (out)
			fclose(out);
		snprintf(path, sizeof(path), "%s/%s", root, line + 3);
		make_directories(path);
		out = fopen(path, "w");
		assert_non_null(out);
	}
	fclose(out);
	fclose(in);
}

static void write_file(const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_directories(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/ember-topology-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(sys_root, sizeof(sys_root), "%s/sys", root);
	snprintf(proc_root, sizeof(proc_root), "%s/proc", root);
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static struct ember_topology must_read(const char *name,
				       const struct ember_tier_override *overrides, size_t nr)
{
	struct ember_topology t;

	unpack(name);
	assert_int_equal(ember_topology_read(sys_root, proc_root, overrides, nr, &t), 0);
	for (unsigned int i = 0; i < EMBER_MAX_NODES; i++)
		if (t.nodes[i].has_memory)
			print_message("%s: node %u is in tier %u: %s\n", name, i, t.nodes[i].tier,
				      ember_claim_sentence(t.nodes[i].claim));
	return t;
}

/* Nodes of each tier as masks, fastest first, and where the ranks come from. */
static const struct {
	const char *name;
	uint16_t tiers[3];
	enum ember_claim claim; /* of the node with the highest id */
	uint16_t cpu_nodes;
} shapes[] = {
    {"cxl", {0x1, 0x2}, EMBER_CLAIM_KERNEL, 0x1},
    {"hbm", {0x2, 0x1}, EMBER_CLAIM_KERNEL, 0x1},
    {"2s-hbm", {0xc, 0x3}, EMBER_CLAIM_KERNEL, 0x3},
    {"3t", {0x2, 0x1, 0x4}, EMBER_CLAIM_KERNEL, 0x1},
    {"no-hmat", {0x1, 0x2}, EMBER_CLAIM_DISTANCE, 0x1},
    {"hmat-one-tier", {0x2, 0x1}, EMBER_CLAIM_HMAT, 0x1},
    {"one-node", {0x1}, EMBER_CLAIM_KERNEL, 0x1},
    {"holes", {0x1, 0x20}, EMBER_CLAIM_KERNEL, 0x5},
};

static void test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(shapes); i++) {
		struct ember_topology t = must_read(shapes[i].name, NULL, 0);
		unsigned int nr = 0, last;

		while (nr < 3 && shapes[i].tiers[nr])
			nr++;
		assert_int_equal(t.nr_tiers, nr);
		for (unsigned int tier = 0; tier < nr; tier++) {
			assert_int_equal(t.tiers[tier].nodes, shapes[i].tiers[tier]);
			assert_int_equal(t.tiers[tier].nr_nodes,
					 __builtin_popcount(shapes[i].tiers[tier]));
		}
		last = 31 - __builtin_clz(t.memory_nodes);
		assert_int_equal(t.nodes[last].claim, shapes[i].claim);
		assert_int_equal(t.cpu_nodes, shapes[i].cpu_nodes);
		teardown(NULL);
		assert_int_equal(setup(NULL), 0);
	}
}

static void test_figures(void **state)
{
	struct ember_topology t = must_read("3t", NULL, 0);

	(void)state;
	assert_int_equal(t.nodes[0].capacity_bytes, 1030456ULL * 1024);
	assert_int_equal(t.nodes[0].free_bytes, 913724ULL * 1024);
	assert_int_equal(t.nodes[0].high_watermark_bytes, (206 + 13722 + 32) * 4096ULL);
	assert_int_equal(t.nodes[1].high_watermark_bytes, (6973 + 32) * 4096ULL);
	assert_int_equal(t.nodes[2].read_latency_ns, 300);
	assert_int_equal(t.nodes[2].read_bandwidth_mbs, 8000);
	assert_int_equal(t.nodes[1].kernel_tier, 0);
	assert_int_equal(t.nodes[2].kernel_tier, 33);
	assert_int_equal(t.nodes[0].nr_cpus, 2);
	assert_true(t.nodes[0].has_cpu);
	assert_false(t.nodes[1].has_cpu);
	assert_int_equal(ember_topology_tier_of(&t, 1), 0);
	assert_int_equal(ember_topology_tier_of(&t, 3), EMBER_NO_TIER);
	assert_int_equal(ember_topology_tier_of(&t, EMBER_MEM_UNKNOWN), EMBER_NO_TIER);
}

static void test_holes(void **state)
{
	struct ember_topology t = must_read("holes", NULL, 0);

	(void)state;
	assert_int_equal(t.nr_ignored_nodes, 1); /* 17 */
	assert_int_equal(t.memory_nodes, 0x21);
	assert_false(t.nodes[2].has_memory);
	assert_int_equal(t.nodes[2].tier, EMBER_NO_TIER);
	assert_false(t.nodes[3].has_memory); /* offline */
	assert_int_equal(t.nodes[0].nr_cpus, 4);
	assert_int_equal(t.cpu_node[9], 0);
	assert_int_equal(t.cpu_node[2], 2);
	assert_int_equal(t.cpu_node[4], EMBER_NO_NODE);
	/* the third number of a line is the third node online */
	assert_int_equal(t.nodes[0].distance[5], 31);
	assert_int_equal(t.nodes[2].distance[5], 17);
	assert_int_equal(t.nodes[0].distance[3], 0);
	assert_int_equal(t.nodes[5].initiator, 2);
	/* per-CPU lists have a high mark of their own, which is none of the zone's */
	assert_int_equal(t.nodes[0].high_watermark_bytes, 1010 * 4096);
	assert_int_equal(t.nodes[5].high_watermark_bytes, 300 * 4096);
}

static void test_nearest(void **state)
{
	struct ember_topology t = must_read("2s-hbm", NULL, 0);
	uint8_t nodes[EMBER_MAX_NODES];
	unsigned int nearest;

	(void)state;
	for (uint8_t home = 0; home < 2; home++) {
		assert_int_equal(ember_topology_nearest(&t, home, 0, UINT16_MAX, nodes, &nearest),
				 2);
		assert_int_equal(nearest, 1);
		assert_int_equal(nodes[0], 2 + home);
		assert_int_equal(nodes[1], 3 - home);
		assert_int_equal(ember_topology_nearest(&t, home, 1, UINT16_MAX, nodes, &nearest),
				 2);
		assert_int_equal(nodes[0], home);
		assert_int_equal(nearest, 1);
		assert_int_equal(t.nodes[2 + home].initiator, home);
		assert_int_equal(t.cpu_node[home], home);
	}
	/* nobody's home: all are alike */
	assert_int_equal(ember_topology_nearest(&t, EMBER_NO_NODE, 0, UINT16_MAX, nodes, &nearest),
			 2);
	assert_int_equal(nearest, 2);
	assert_int_equal(ember_topology_nearest(&t, 0, 2, UINT16_MAX, nodes, &nearest), 0);
	assert_int_equal(nearest, 0);
}

static void test_overrides(void **state)
{
	static const struct {
		struct ember_tier_override o[2];
		size_t nr;
		uint16_t tiers[3];
	} cases[] = {
	    {{{0x4, 0}}, 1, {0x4, 0x2, 0x1}},      /* CXL first, the others as they were */
	    {{{0x2, 1}}, 1, {0x2, 0x1, 0x4}},      /* HBM before what has rank 1: no change */
	    {{{0x2, 2}}, 1, {0x1, 0x2, 0x4}},      /* HBM behind DDR */
	    {{{0x3, 0}}, 1, {0x3, 0x4}},           /* HBM and DDR together */
	    {{{0x1, 0}, {0x6, 1}}, 2, {0x1, 0x6}}, /* all ranks given */
	    {{{0x7, 5}}, 1, {0x7}},                /* everything in one */
	    {{{0x8, 0}}, 1, {0x2, 0x1, 0x4}},      /* a node that is not there */
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_topology t = must_read("3t", cases[i].o, cases[i].nr);

		for (unsigned int tier = 0; tier < 3; tier++)
			assert_int_equal(t.tiers[tier].nodes, cases[i].tiers[tier]);
		for (unsigned int n = 0; n < 3; n++)
			if ((cases[i].o[0].nodes | cases[i].o[1].nodes) & (1U << n))
				assert_int_equal(t.nodes[n].claim, EMBER_CLAIM_POLICY);
	}
}

static void test_refresh(void **state)
{
	struct ember_topology t = must_read("cxl", NULL, 0);

	(void)state;
	write_file("sys/devices/system/node/node0/meminfo",
		   "Node 0 MemTotal: 1000 kB\nNode 0 MemFree: 10 kB\n");
	write_file("proc/zoneinfo", "Node 0, zone DMA\n  pages free     50\n        high     3\n"
				    "        protection: (0, 20, 30, 30)\n"
				    "Node 0, zone DMA32\n  pages free     12\n        high     9\n"
				    "        protection: (0, 0, 5, 5)\n"
				    "Node 0, zone Normal\n  pages free     2\n        high     7\n"
				    "        protection: (0, 0, 0, 0)\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	assert_int_equal(t.nodes[0].capacity_bytes, 1000 * 1024);
	assert_int_equal(t.nodes[0].free_bytes, 10 * 1024);
	/* DMA keeps what it protects, DMA32 has nothing to give, Normal is in debt */
	assert_int_equal(t.nodes[0].high_watermark_bytes, (33 + 12 + 7) * 4096);
	assert_int_equal(t.nodes[1].high_watermark_bytes, 0);
	assert_int_equal(t.nodes[0].tier, 0); /* ranks stay */
}

/* A CXL device comes late; one that goes keeps its place, without room. */
static void test_nodes_come(void **state)
{
	struct ember_topology t;

	(void)state;
	unpack("cxl");
	write_file("sys/devices/system/node/online", "0\n");
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(t.memory_nodes, 0x1);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	write_file("sys/devices/system/node/online", "0-1\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), -ESTALE);
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(t.memory_nodes, 0x3);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	/* online, and still without memory: no news */
	write_file("sys/devices/system/node/online", "0-2\n");
	write_file("sys/devices/system/node/node2/meminfo", "Node 2 MemTotal: 0 kB\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
}

/* ---- pools ---- */

static void write_pool(unsigned int id, const char *attr, const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), "sys/kernel/ember/pool%u/%s", id, attr);
	write_file(name, text);
}

/* 256 MiB of @node, of which 64 MiB are used and 1 MiB is broken. */
static void make_pool(unsigned int id, const char *node, const char *state)
{
	write_pool(id, "node", node);
	write_pool(id, "start", "0x100000000\n");
	write_pool(id, "bytes", "268435456\n");
	write_pool(id, "used_bytes", "67108864\n");
	write_pool(id, "bad_bytes", "1048576\n");
	write_pool(id, "state", state);
}

static void drop_pool(unsigned int id)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -r '%s/sys/kernel/ember/pool%u'", root, id);
	assert_int_equal(system(command), 0);
}

#define POOL_BYTES (256ULL << 20)

static void test_pool_figures(void **state)
{
	struct ember_topology t;
	const struct ember_node *pool = &t.nodes[14];

	(void)state;
	make_pool(14, "3\n", "ready\n"); /* a part of the HBM of the second socket */
	t = must_read("2s-hbm", NULL, 0);
	assert_int_equal(t.pools, 1 << 14);
	assert_int_equal(t.memory_nodes, 0xf | 1 << 14);
	assert_int_equal(t.cpu_nodes, 0x3);
	assert_true(pool->has_memory && pool->is_pool && !pool->has_cpu);
	assert_int_equal(pool->pool_node, 3);
	assert_int_equal(pool->capacity_bytes, POOL_BYTES - (1 << 20));
	assert_int_equal(pool->free_bytes, POOL_BYTES - (65 << 20));
	assert_int_equal(pool->high_watermark_bytes, 0); /* nobody else allocates from it */
	assert_int_equal(pool->kernel_tier, -1);
	/* as near and far as its node */
	assert_int_equal(pool->initiator, 1);
	assert_int_equal(pool->initiators, 1 << 1);
	for (unsigned int n = 0; n < 4; n++) {
		assert_int_equal(t.nodes[n].distance[14], t.nodes[n].distance[3]);
		assert_int_equal(pool->distance[n], t.nodes[3].distance[n]);
	}
	assert_int_equal(pool->distance[14], 10);
}

/* Whose figures it has, and which tier it comes to: pool 14 of node @of. */
static const struct {
	const char *name, *of;
	uint16_t tiers[4];
	enum ember_claim claim;
	uint32_t read_latency_ns; /* those of a node with CPUs are of its own memory */
} pool_shapes[] = {
    {"cxl", "0\n", {0x4000, 0x1, 0x2}, EMBER_CLAIM_POOL, 0}, /* on-chip memory, say */
    {"cxl", "1\n", {0x1, 0x4002}, EMBER_CLAIM_KERNEL, 300},  /* a part of the CXL memory */
    {"hbm", "1\n", {0x4002, 0x1}, EMBER_CLAIM_KERNEL, 90},
    {"3t", "2\n", {0x2, 0x1, 0x4004}, EMBER_CLAIM_KERNEL, 300},
    {"hmat-one-tier", "1\n", {0x4002, 0x1}, EMBER_CLAIM_HMAT, 110},
    {"hmat-one-tier", "0\n", {0x4002, 0x1}, EMBER_CLAIM_POOL, 0},
    {"no-hmat", "1\n", {0x4000, 0x1, 0x2}, EMBER_CLAIM_POOL, 0},
    {"one-node", "0\n", {0x4000, 0x1}, EMBER_CLAIM_POOL, 0},
    {"one-node", "3\n", {0x4000, 0x1}, EMBER_CLAIM_POOL, 0}, /* its node is not online */
};

static void test_pool_ranks(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(pool_shapes); i++) {
		struct ember_topology t;

		make_pool(14, pool_shapes[i].of, "ready\n");
		t = must_read(pool_shapes[i].name, NULL, 0);
		for (unsigned int tier = 0; tier < 4; tier++)
			assert_int_equal(t.tiers[tier].nodes, pool_shapes[i].tiers[tier]);
		assert_int_equal(t.nodes[14].claim, pool_shapes[i].claim);
		assert_int_equal(t.nodes[14].read_latency_ns, pool_shapes[i].read_latency_ns);
		teardown(NULL);
		assert_int_equal(setup(NULL), 0);
	}
}

/* The kernel's tiers know no pool: they go on telling the nodes apart. */
static void test_pool_leaves_nodes_their_claims(void **state)
{
	struct ember_topology t;

	(void)state;
	make_pool(4, "0\n", "ready\n"); /* between them: they are looked at in turn */
	t = must_read("holes", NULL, 0);
	assert_int_equal(t.pools, 1 << 4);
	assert_int_equal(t.nodes[0].claim, EMBER_CLAIM_KERNEL);
	assert_int_equal(t.nodes[5].claim, EMBER_CLAIM_KERNEL);
	assert_int_equal(t.tiers[0].nodes, 1 << 4);
	assert_int_equal(t.tiers[1].nodes, 1 << 0);
	assert_int_equal(t.tiers[2].nodes, 1 << 5);
}

static void test_pool_override(void **state)
{
	static const struct {
		struct ember_tier_override o;
		uint16_t tiers[4];
	} cases[] = {
	    {{0x4000, 1}, {0x2, 0x4000, 0x1, 0x4}}, /* by nature it is with the HBM */
	    {{0x4001, 0}, {0x4001, 0x2, 0x4}},
	    {{0x4000, 14}, {0x2, 0x1, 0x4, 0x4000}},
	    {{0x2000, 0}, {0x4002, 0x1, 0x4}}, /* another pool, that is not there */
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_topology t;

		make_pool(14, "1\n", "ready\n");
		t = must_read("3t", &cases[i].o, 1);
		for (unsigned int tier = 0; tier < 4; tier++)
			assert_int_equal(t.tiers[tier].nodes, cases[i].tiers[tier]);
		assert_int_equal(t.nodes[14].claim == EMBER_CLAIM_POLICY,
				 cases[i].o.nodes >> 14 & 1);
	}
}

/* What is no memory yet, or no longer, or has a number that a node has. */
static void test_pools_left_out(void **state)
{
	struct ember_topology t;

	(void)state;
	make_pool(14, "0\n", "adding\n");
	make_pool(13, "0\n", "draining\n");
	make_pool(12, "0\n", "failed\n");
	make_pool(11, "15\n", "ready\n");
	make_pool(10, "-1\n", "ready\n");
	make_pool(15, "0\n", "ready\n"); /* beyond all numbers */
	make_pool(5, "0\n", "ready\n");  /* a node with memory has this number */
	make_pool(2, "0\n", "ready\n");  /* one with CPUs only */
	t = must_read("holes", NULL, 0);
	assert_int_equal(t.pools, 0);
	assert_int_equal(t.memory_nodes, 0x21);
	assert_false(t.nodes[5].is_pool || t.nodes[2].is_pool);
	for (unsigned int n = 10; n < EMBER_MAX_NODES; n++)
		assert_false(t.nodes[n].has_memory);
	/* and they are no news either */
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
}

static void test_bad_pool_numbers(void **state)
{
	struct ember_topology t;

	(void)state;
	make_pool(14, "0\n", "ready\n");
	write_pool(14, "used_bytes", "536870912\n"); /* more than there is */
	make_pool(13, "0\n", "ready\n");
	write_pool(13, "bad_bytes", "536870912\n");
	make_pool(12, "0\n", "ready\n");
	write_pool(12, "bytes", "many\n");
	t = must_read("one-node", NULL, 0);
	assert_int_equal(t.nodes[14].capacity_bytes, POOL_BYTES - (1 << 20));
	assert_int_equal(t.nodes[14].free_bytes, 0);
	assert_int_equal(t.nodes[13].capacity_bytes, 0);
	assert_int_equal(t.nodes[13].free_bytes, 0);
	assert_int_equal(t.nodes[12].capacity_bytes, 0);
	assert_int_equal(t.nodes[12].free_bytes, 0);
}

/* A topology with one pool is kept up to date until the pools are others. */
static void test_pools_come_and_go(void **state)
{
	struct ember_topology t;

	(void)state;
	make_pool(14, "1\n", "ready\n");
	t = must_read("hbm", NULL, 0);
	write_pool(14, "used_bytes", "134217728\n");
	write_pool(14, "bad_bytes", "2097152\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	assert_int_equal(t.nodes[14].capacity_bytes, POOL_BYTES - (2 << 20));
	assert_int_equal(t.nodes[14].free_bytes, POOL_BYTES - (130 << 20));
	assert_int_equal(t.nodes[14].high_watermark_bytes, 0);
	/* nothing goes to one that is being emptied; its pages are still known by it */
	write_pool(14, "state", "draining\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	assert_int_equal(t.nodes[14].free_bytes, 0);
	assert_int_equal(t.nodes[14].tier, 0);
	/* it could not be emptied */
	write_pool(14, "state", "ready\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	assert_int_equal(t.nodes[14].free_bytes, POOL_BYTES - (130 << 20));
	/* one more: not before it is ready */
	make_pool(13, "0\n", "adding\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	write_pool(13, "state", "ready\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), -ESTALE);
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(t.pools, 3 << 13);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	/* another one under the number of one that was removed: elsewhere, or another node's */
	write_pool(14, "start", "0x180000000\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), -ESTALE);
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
	write_pool(14, "node", "0\n");
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), -ESTALE);
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(t.nodes[14].pool_node, 0);
	/* one less */
	drop_pool(14);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), -ESTALE);
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(t.pools, 1 << 13);
	/* the module was unloaded */
	drop_pool(13);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), -ESTALE);
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), 0);
	assert_int_equal(t.pools, 0);
	assert_int_equal(t.memory_nodes, 0x3);
	assert_int_equal(ember_topology_refresh(sys_root, proc_root, &t), 0);
}

static void test_nothing_to_read(void **state)
{
	struct ember_topology t = {.nr_tiers = 77};

	(void)state;
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), -ENOENT);
	unpack("one-node");
	write_file("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 0 kB\n");
	assert_int_equal(ember_topology_read(sys_root, proc_root, NULL, 0, &t), -ENODEV);
	assert_int_equal(t.nr_tiers, 77); /* untouched */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_shapes),
	    TEST(test_figures),
	    TEST(test_holes),
	    TEST(test_nearest),
	    TEST(test_overrides),
	    TEST(test_refresh),
	    TEST(test_nodes_come),
	    TEST(test_nothing_to_read),
	    TEST(test_pool_figures),
	    TEST(test_pool_ranks),
	    TEST(test_pool_leaves_nodes_their_claims),
	    TEST(test_pool_override),
	    TEST(test_pools_left_out),
	    TEST(test_bad_pool_numbers),
	    TEST(test_pools_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
