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

static void write_file(const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
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
	    TEST(test_shapes),          TEST(test_figures),   TEST(test_holes),
	    TEST(test_nearest),         TEST(test_overrides), TEST(test_refresh),
	    TEST(test_nothing_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
