// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "daemon/numab.h"

struct node_spec {
	int kernel_tier; /* memory_tierN, -1: in none */
	bool memory, cpu;
	uint8_t tier; /* ember's */
};

struct machine {
	const char *name;
	uint8_t nr_tiers;
	struct node_spec nodes[4];
};

/* Kernel tier 4 is DRAM; smaller is faster. */
static const struct machine flat = {"one node", 1, {{4, true, true, 0}}};
static const struct machine two_sockets = {
    "two sockets, one tier", 1, {{4, true, true, 0}, {4, true, true, 0}}};
static const struct machine cxl = {
    "DRAM with CPUs, CXL without", 2, {{4, true, true, 0}, {22, true, false, 1}}};
static const struct machine hbm = {
    "DDR with CPUs, HBM without", 2, {{4, true, true, 1}, {2, true, false, 0}}};
static const struct machine hbm_same_tier = {
    "HBM that the kernel does not tell apart", 2, {{4, true, true, 1}, {4, true, false, 0}}};
static const struct machine hbm_no_tier = {
    "HBM in no tier of the kernel", 2, {{4, true, true, 1}, {-1, true, false, 0}}};
static const struct machine three = {
    "HBM, DDR with CPUs, CXL", 3, {{4, true, true, 1}, {2, true, false, 0}, {22, true, false, 2}}};
static const struct machine two_socket_hbm = {
    "two sockets, each with its HBM",
    2,
    {{4, true, true, 1}, {4, true, true, 1}, {2, true, false, 0}, {2, true, false, 0}}};
static const struct machine all_cpus = {
    "two tiers, CPUs in both", 2, {{4, true, true, 0}, {22, true, true, 1}}};
static const struct machine apart = {
    "CPUs on a node without memory",
    2,
    {{-1, false, true, EMBER_NO_TIER}, {2, true, false, 0}, {22, true, false, 1}}};

static struct ember_topology topology_of(const struct machine *m)
{
	struct ember_topology topo = {.nr_tiers = m->nr_tiers};

	for (unsigned int i = 0; i < 4; i++) {
		const struct node_spec *n = &m->nodes[i];

		topo.nodes[i].has_memory = n->memory;
		topo.nodes[i].has_cpu = n->cpu;
		topo.nodes[i].tier = n->tier;
		topo.nodes[i].kernel_tier = n->memory ? n->kernel_tier : -1;
		topo.memory_nodes |= n->memory << i;
		topo.cpu_nodes |= n->cpu << i;
	}
	return topo;
}

static void judged_by_table(void **state)
{
	static const struct {
		const struct machine *machine;
		int mode;
		enum ember_numab_reason reason;
		bool conflict;
	} table[] = {
	    {&cxl, -1, EMBER_NUMAB_UNKNOWN, false},
	    {&cxl, 0, EMBER_NUMAB_OFF, false},
	    {&cxl, 4, EMBER_NUMAB_OFF, false}, /* no bit that the kernel knows */
	    {&flat, 1, EMBER_NUMAB_ONE_TIER, false},
	    {&two_sockets, 1, EMBER_NUMAB_ONE_TIER, false},
	    {&two_sockets, 2, EMBER_NUMAB_ONE_TIER, false},
	    /* mode 1 pulls to the CPU */
	    {&cxl, 1, EMBER_NUMAB_PULLS_TO_CPU, true},
	    {&hbm, 1, EMBER_NUMAB_PULLS_TO_CPU, true},
	    {&hbm_same_tier, 1, EMBER_NUMAB_PULLS_TO_CPU, true},
	    {&three, 1, EMBER_NUMAB_PULLS_TO_CPU, true},
	    {&two_socket_hbm, 1, EMBER_NUMAB_PULLS_TO_CPU, true},
	    {&all_cpus, 1, EMBER_NUMAB_PULLS_ACROSS, true},
	    {&apart, 1, EMBER_NUMAB_NO_TARGET, false},
	    /* mode 2 looks below the slowest tier with CPUs */
	    {&cxl, 2, EMBER_NUMAB_COMPETES, true},
	    {&three, 2, EMBER_NUMAB_COMPETES, true},
	    {&hbm, 2, EMBER_NUMAB_ALL_TOP, false},
	    {&hbm_same_tier, 2, EMBER_NUMAB_ALL_TOP, false},
	    {&hbm_no_tier, 2, EMBER_NUMAB_ALL_TOP, false},
	    {&two_socket_hbm, 2, EMBER_NUMAB_ALL_TOP, false},
	    {&all_cpus, 2, EMBER_NUMAB_ALL_TOP, false},
	    {&apart, 2, EMBER_NUMAB_NO_TARGET, false},
	    /* both bits: the first decides */
	    {&hbm, 3, EMBER_NUMAB_PULLS_TO_CPU, true},
	    {&cxl, 3, EMBER_NUMAB_PULLS_TO_CPU, true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ember_topology topo = topology_of(table[i].machine);
		enum ember_numab_reason reason = ember_numab_judge(&topo, table[i].mode);

		print_message("%s, mode %d: expects %s, sees %s\n", table[i].machine->name,
			      table[i].mode, ember_numab_word(table[i].reason),
			      ember_numab_word(reason));
		assert_int_equal(reason, table[i].reason);
		assert_int_equal(ember_numab_conflict(reason), table[i].conflict);
	}
}

/* The kernel's balancing does not look at pools, wherever their node is. */
static void pools_are_passed_by(void **state)
{
	static const struct machine fast = {
	    "DDR with CPUs, a fast pool", 2, {{4, true, true, 1}, {-1, true, false, 0}}};
	static const struct machine slow = {
	    "DDR with CPUs, a pool of slow memory", 2, {{4, true, true, 0}, {22, true, false, 1}}};
	static const struct machine beside_hbm = {
	    "DDR with CPUs, a pool, HBM",
	    2,
	    {{4, true, true, 1}, {-1, true, false, 0}, {2, true, false, 0}}};
	static const struct machine beside_cxl = {
	    "DRAM with CPUs, a fast pool, CXL",
	    3,
	    {{4, true, true, 1}, {-1, true, false, 0}, {22, true, false, 2}}};
	static const struct {
		const struct machine *machine;
		int mode;
		enum ember_numab_reason reason;
	} table[] = {
	    {&fast, 1, EMBER_NUMAB_PULLS_ACROSS},
	    {&slow, 1, EMBER_NUMAB_PULLS_ACROSS},
	    {&beside_hbm, 1, EMBER_NUMAB_PULLS_TO_CPU},
	    {&fast, 2, EMBER_NUMAB_ALL_TOP},
	    {&slow, 2, EMBER_NUMAB_ALL_TOP},
	    {&beside_hbm, 2, EMBER_NUMAB_ALL_TOP},
	    {&beside_cxl, 2, EMBER_NUMAB_COMPETES},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ember_topology topo = topology_of(table[i].machine);
		enum ember_numab_reason reason;

		topo.pools = 1 << 1;
		topo.nodes[1].is_pool = true;
		reason = ember_numab_judge(&topo, table[i].mode);
		print_message("%s, mode %d: expects %s, sees %s\n", table[i].machine->name,
			      table[i].mode, ember_numab_word(table[i].reason),
			      ember_numab_word(reason));
		assert_int_equal(reason, table[i].reason);
	}
}

static void every_reason_has_words(void **state)
{
	for (unsigned int i = 0; i < EMBER_NR_NUMAB_REASONS; i++) {
		assert_true(strlen(ember_numab_word(i)) > 0);
		assert_true(strlen(ember_numab_sentence(i)) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judged_by_table),
	    cmocka_unit_test(pools_are_passed_by),
	    cmocka_unit_test(every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
