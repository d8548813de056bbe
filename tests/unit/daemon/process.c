// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "process.h"

#define REGION EMBER_REGION_BYTES

static struct ember_rule rule = {.name = "a rule", .weight = 300};

static struct ember_process *add(struct ember_process_table *table, uint32_t tgid, uint32_t exec_id)
{
	struct ember_proc_id id = {
	    .tgid = tgid, .start_boottime_ns = tgid * 10, .self_exec_id = exec_id};
	struct ember_proc facts = {.comm = "x", .uid = tgid};
	struct ember_process *process = ember_process_add(table, &id, &facts, &rule);

	assert_non_null(process);
	return process;
}

static void test_table(void **state)
{
	static const uint32_t tgids[] = {50, 7, 4000000, 8, 49};
	struct ember_process_table table = {};
	struct ember_proc_id other;

	(void)state;
	assert_null(ember_process_find(&table, 7));
	for (size_t i = 0; i < NR(tgids); i++)
		add(&table, tgids[i], 1);
	for (size_t i = 0; i < NR(tgids); i++)
		assert_int_equal(ember_process_find(&table, tgids[i])->facts.uid, tgids[i]);
	for (uint32_t i = 1; i < table.nr; i++)
		assert_true(table.procs[i - 1]->id.tgid < table.procs[i]->id.tgid);
	assert_null(ember_process_find(&table, 9));
	assert_string_equal(ember_process_find(&table, 7)->rule, "a rule");
	assert_int_equal(ember_process_find(&table, 7)->weight, 300);
	other = ember_process_find(&table, 8)->id;
	assert_non_null(ember_process_find_id(&table, &other));
	other.self_exec_id = 2; /* exec replaced it */
	assert_null(ember_process_find_id(&table, &other));
	other.self_exec_id = 1;
	other.start_boottime_ns++; /* the number was given to another */
	assert_null(ember_process_find_id(&table, &other));
	ember_process_remove(&table, ember_process_find(&table, 7));
	ember_process_remove(&table, ember_process_find(&table, 4000000));
	assert_int_equal(table.nr, 3);
	assert_null(ember_process_find(&table, 7));
	assert_non_null(ember_process_find(&table, 50));
	ember_processes_clear(&table);
	assert_int_equal(table.nr, 0);
}

static void test_many(void **state)
{
	struct ember_process_table table = {};

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		add(&table, (i * 7919) % 1000 + 1, 1);
	assert_int_equal(table.nr, 1000);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(ember_process_find(&table, i)->id.tgid, i);
	ember_processes_clear(&table);
}

#define SECOND 1000000000ULL

/* 60 s, 120 s … 960 s, for that destination only; what was under way does not count again. */
static void test_denied_as_a_whole(void **state)
{
	static const unsigned int expected_s[] = {60, 120, 240, 480, 960, 960};
	struct ember_process_table table = {};
	struct ember_process *p = add(&table, 1, 1);
	uint64_t now = SECOND;

	(void)state;
	assert_int_equal(ember_process_denied(p, now), 0);
	for (size_t i = 0; i < NR(expected_s); i++) {
		uint64_t end = now + expected_s[i] * SECOND;

		ember_process_note_denied(p, 3, now);
		ember_process_note_denied(p, 3, now + SECOND);
		assert_int_equal(ember_process_denied(p, end - 1), 1 << 3);
		assert_int_equal(ember_process_denied(p, end), 0);
		now = end;
	}
	ember_process_note_denied(p, 0, now);
	ember_process_note_denied(p, 3, now);
	assert_int_equal(ember_process_denied(p, now), 1 << 3 | 1);
	ember_process_note_arrived(p, 3);
	assert_int_equal(ember_process_denied(p, now), 1);
	ember_process_note_denied(p, 3, now);
	assert_int_equal(ember_process_denied(p, now + 60 * SECOND), 0);
	ember_processes_clear(&table);
}

static void test_faults(void **state)
{
	static uint64_t ranges[EMBER_MAX_PENDING_FAULTS][2];
	struct ember_process_table table = {};
	struct ember_process *p = add(&table, 1, 1);
	uint64_t known = 100 * REGION;

	(void)state;
	assert_int_equal(ember_regions_insert(&p->regions, &known, 1), 0);
	assert_false(ember_process_note_fault(p, known + 5, 10));
	assert_int_equal(p->first_fault_ns, 0);
	assert_true(ember_process_note_fault(p, 20 * REGION + 4096, 11));
	assert_false(ember_process_note_fault(p, 20 * REGION + 8192, 12)); /* noted */
	assert_true(ember_process_note_fault(p, 40 * REGION, 13));
	assert_true(ember_process_note_fault(p, 25 * REGION, 14)); /* near the first */
	assert_int_equal(p->first_fault_ns, 11);
	assert_int_equal(ember_process_take_faults(p, ranges), 2);
	assert_int_equal(ranges[0][0], 20 * REGION);
	assert_int_equal(ranges[0][1], 26 * REGION);
	assert_int_equal(ranges[1][0], 40 * REGION);
	assert_int_equal(ranges[1][1], 41 * REGION);
	assert_int_equal(p->nr_faults, 0);
	assert_int_equal(p->first_fault_ns, 0);
	assert_int_equal(ember_process_take_faults(p, ranges), 0);
	ember_processes_clear(&table);
}

/* More than can be remembered: nothing between the outermost is left out. */
static void test_too_many_faults(void **state)
{
	static uint64_t ranges[EMBER_MAX_PENDING_FAULTS][2];
	struct ember_process_table table = {};
	struct ember_process *p = add(&table, 1, 1);
	uint64_t last = EMBER_MAX_PENDING_FAULTS * 20;

	(void)state;
	for (uint64_t i = 0; i <= last; i += 20) /* too far apart to be merged */
		assert_true(ember_process_note_fault(p, (1000 + i) * REGION, 1));
	assert_int_equal(ember_process_take_faults(p, ranges), 1);
	assert_int_equal(ranges[0][0], 1000 * REGION);
	assert_int_equal(ranges[0][1], (1000 + last + 1) * REGION);
	/* and then as before */
	ember_process_note_fault(p, 20 * REGION, 2);
	ember_process_note_fault(p, 40 * REGION, 2);
	assert_int_equal(ember_process_take_faults(p, ranges), 2);
	ember_processes_clear(&table);
}

/* A cpuset that leaves the restricted node out is no bar, a memory policy is one. */
static void test_allowed(void **state)
{
	struct ember_process p = {.nodes = 0x1, .policy_nodes = 0x7};

	(void)state;
	assert_int_equal(ember_process_allowed(&p, 0), 0x1);
	assert_int_equal(ember_process_allowed(&p, 0x2), 0x3);
	assert_int_equal(ember_process_allowed(&p, 0xa), 0x3);
	p.policy_nodes = 0x1;
	assert_int_equal(ember_process_allowed(&p, 0x2), 0x1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_denied_as_a_whole),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_too_many_faults),
	    cmocka_unit_test(test_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
