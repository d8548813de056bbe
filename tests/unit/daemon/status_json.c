// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "daemon/status_idl.h"
#include "daemon/status_json.h"

#define SECOND 1000000000ULL
#define MIB (1ULL << 20)

static const struct ember_status_viewer root = {.uid = 0};
static const struct ember_status_viewer alice = {.uid = 1000};
static const struct ember_status_viewer bob = {.uid = 1001};
static const struct ember_status_viewer watcher = {.uid = 1002, .sees_all = true};
static const struct ember_status_viewer nobody = {.uid = 65534};
static const struct ember_status_viewer alice_watching = {.uid = 1000, .sees_all = true};

static void add_proc(struct ember_status *s, uint32_t tgid, uint32_t uid, const char *comm)
{
	struct ember_status_proc *p = &s->procs[s->nr_listed++];

	p->tgid = s->tgids[s->nr_procs] = tgid;
	p->uid = uid;
	strncpy(p->comm, comm, sizeof(p->comm));
	strcpy(p->cgroup, "/system.slice/x\\x2dy.service");
	strcpy(p->rule, "big");
	p->rss_bytes = 300 * MIB;
	p->bytes_on_tier[0] = 200 * MIB;
	p->bytes_on_tier[1] = 100 * MIB;
	p->nr_areas = 1;
	p->areas[0] = (struct ember_status_area){0x7f0000000000, 0x7f000c800000, 5 * SECOND, true};
	s->nr_procs++;
}

static void add_memories(struct ember_status *s)
{
	struct ember_topology *t = &s->topology;

	t->nr_tiers = 2;
	t->memory_nodes = 3;
	t->cpu_nodes = 1;
	t->tiers[0] = (struct ember_tier){.nodes = 1, .nr_nodes = 1};
	t->tiers[1] = (struct ember_tier){.nodes = 2, .nr_nodes = 1};
	t->nodes[0] = (struct ember_node){.has_memory = true,
					  .has_cpu = true,
					  .tier = 0,
					  .claim = EMBER_CLAIM_KERNEL,
					  .kernel_tier = 4,
					  .nr_cpus = 2,
					  .capacity_bytes = 1024 * MIB,
					  .free_bytes = 256 * MIB};
	t->nodes[1] = (struct ember_node){.has_memory = true,
					  .tier = 1,
					  .claim = EMBER_CLAIM_DISTANCE,
					  .kernel_tier = -1,
					  .read_latency_ns = 200,
					  .capacity_bytes = 2048 * MIB,
					  .free_bytes = 1024 * MIB};
	s->tracked_on_tier[0] = 500 * MIB;
	s->tracked_on_tier[1] = 700 * MIB;
	s->reserve_bytes[0] = 32 * MIB;
	s->restricted_nodes = 1 << 1;
}

static int set_up(void **state)
{
	struct ember_status *s = calloc(1, sizeof(*s));
	struct ember_book *book = &s->account.books[EMBER_PROMOTE][EMBER_MOVER_MODULE];

	s->time_ns = 100 * SECOND;
	s->started_ns = 40 * SECOND;
	s->policy_loaded_ns = 90 * SECOND;
	add_memories(s);
	add_proc(s, 4711, 1000, "redis-server");
	add_proc(s, 4712, 1001, "evil\033[2J\xff");
	s->tgids[s->nr_procs++] = 4713; /* one that is not listed */
	s->nr_plans = 12;
	s->nr_cooldown_evicted = 34;
	s->placements_unnoticed = true;
	s->nr_why[EMBER_WHY_FILL] = 512;
	s->nr_why_not[EMBER_WHY_NOT_PLACED] = 99;
	book->tried = 1000;
	book->outcome[EMBER_FATE_MOVED] = 900;
	book->outcome[EMBER_FATE_BUSY] = 60;
	book->outcome[EMBER_FATE_PINNED] = 40;
	s->nr_split = 511;
	s->nr_unsplit = 512;
	s->cpu_share_bp = 123;
	s->numa_balancing = 0;
	s->numa_balancing_saved = 1;
	s->damon_stat = EMBER_DAMONSTAT_STEALS;
	s->damon_stat_held = true;
	s->copies_known = true;
	s->copies = (struct ember_copies){.channels = 2,
					  .cpu_pages = 500,
					  .dma_pages = 400,
					  .fallback_pages = 3,
					  .nr_timeouts = 1,
					  .leaked_pages = 5};
	s->copies.cpu_ns[0] = 1100;
	s->copies.cpu_ns[9] = 700;
	s->copies.dma_ns[9] = 900;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static sd_json_variant *json(const struct ember_status *s, const struct ember_status_viewer *viewer)
{
	sd_json_variant *v = NULL;

	assert_int_equal(ember_status_json(s, viewer, &v), 0);
	return v;
}

/* "processes/1/comm" */
static sd_json_variant *at(sd_json_variant *v, const char *path)
{
	char copy[128], *rest = copy;

	strcpy(copy, path);
	for (char *part; v && (part = strsep(&rest, "/"));)
		v = sd_json_variant_is_array(v) ? sd_json_variant_by_index(v, (size_t)atoi(part))
						: sd_json_variant_by_key(v, part);
	return v;
}

static void expect_number(sd_json_variant *v, const char *path, uint64_t expected)
{
	uint64_t seen = sd_json_variant_unsigned(at(v, path));

	print_message("%s: expects %llu, sees %llu\n", path, (unsigned long long)expected,
		      (unsigned long long)seen);
	assert_true(sd_json_variant_is_unsigned(at(v, path)));
	assert_int_equal(seen, expected);
}

static void expect_text(sd_json_variant *v, const char *path, const char *expected)
{
	assert_true(sd_json_variant_is_string(at(v, path)));
	assert_string_equal(sd_json_variant_string(at(v, path)), expected);
}

static void check_struct(sd_json_variant *v, const sd_varlink_symbol *symbol);
static const sd_varlink_symbol *find_symbol(const char *name);

static void figures_arrive(void **state)
{
	sd_json_variant *v = json(*state, &root);

	expect_number(v, "uptime_ns", 60 * SECOND);
	expect_number(v, "policy/age_ns", 10 * SECOND);
	expect_number(v, "tiers/0/capacity_bytes", 1024 * MIB);
	expect_number(v, "tiers/0/reserve_bytes", 32 * MIB);
	expect_number(v, "tiers/1/followed_bytes", 700 * MIB);
	expect_number(v, "tiers/1/nodes/0", 1);
	expect_number(v, "nodes/0/kernel_tier", 4);
	expect_number(v, "nodes/1/read_latency_ns", 200);
	assert_null(at(v, "nodes/1/kernel_tier"));
	expect_text(v, "nodes/1/claim", "distance");
	expect_number(v, "processes_followed", 3);
	expect_number(v, "processes_not_shown", 1);
	expect_number(v, "followed_pids/2", 4713);
	assert_int_equal(sd_json_variant_elements(at(v, "followed_pids")), 3);
	assert_false(sd_json_variant_boolean(at(v, "nodes/0/restricted")));
	assert_true(sd_json_variant_boolean(at(v, "nodes/1/restricted")));
	expect_number(v, "processes/0/tier_bytes/1", 100 * MIB);
	expect_number(v, "plan/why/0/pages", 512);
	expect_text(v, "plan/why/0/word", "fill");
	expect_text(v, "plan/why_not/0/word", "placed");
	expect_number(v, "split_pages", 511);
	expect_number(v, "unsplit_pages", 512);
	expect_number(v, "plan/cooldown_evicted", 34);
	assert_true(sd_json_variant_boolean(at(v, "plan/placements_unnoticed")));
	expect_number(v, "cost/cpu_share_bp", 123);
	expect_number(v, "numa_balancing/mode", 0);
	expect_number(v, "numa_balancing/saved_mode", 1);
	expect_text(v, "numa_balancing/reason", "pulls-to-cpu");
	expect_text(v, "damon_stat/reason", "steals");
	assert_true(sd_json_variant_boolean(at(v, "damon_stat/borrowed")));
	sd_json_variant_unref(v);
}

/* The second memory is a pool of the first one's node. */
static void pools_are_memories(void **state)
{
	struct ember_status *s = *state;
	sd_json_variant *v;

	v = json(s, &root);
	assert_null(at(v, "nodes/0/pool_of"));
	assert_null(at(v, "nodes/1/pool_of"));
	sd_json_variant_unref(v);
	s->topology.pools = 1 << 1;
	s->topology.nodes[1].is_pool = true;
	s->topology.nodes[1].pool_node = 0;
	s->topology.nodes[1].claim = EMBER_CLAIM_POOL;
	s->nr_why_not[EMBER_WHY_NOT_MODULE_ONLY] = 7;
	v = json(s, &root);
	assert_null(at(v, "nodes/0/pool_of"));
	expect_number(v, "nodes/1/pool_of", 0);
	expect_text(v, "nodes/1/claim", "pool");
	expect_number(v, "nodes/1/tier", 1);
	expect_text(v, "plan/why_not/1/word", "module-only");
	expect_number(v, "plan/why_not/1/pages", 7);
	check_struct(v, find_symbol("Status"));
	sd_json_variant_unref(v);
}

static void copies_are_told_by_engine(void **state)
{
	struct ember_status *s = *state;
	sd_json_variant *v = json(s, &nobody);

	assert_false(sd_json_variant_boolean(at(v, "copies/dma_wanted")));
	expect_number(v, "copies/channels", 2);
	expect_number(v, "copies/cpu_pages", 500);
	expect_number(v, "copies/dma_pages", 400);
	expect_number(v, "copies/fallback_pages", 3);
	expect_number(v, "copies/timeouts", 1);
	expect_number(v, "copies/leaked_pages", 5);
	assert_int_equal(sd_json_variant_elements(at(v, "copies/times")), 2);
	expect_number(v, "copies/times/0/batch_pages", 1);
	expect_number(v, "copies/times/0/cpu_ns", 1100);
	assert_null(at(v, "copies/times/0/dma_ns"));
	expect_number(v, "copies/times/1/batch_pages", 512);
	expect_number(v, "copies/times/1/cpu_ns", 700);
	expect_number(v, "copies/times/1/dma_ns", 900);
	check_struct(v, find_symbol("Status"));
	sd_json_variant_unref(v);
	s->dma_wanted = true;
	v = json(s, &root);
	assert_true(sd_json_variant_boolean(at(v, "copies/dma_wanted")));
	sd_json_variant_unref(v);
	s->copies_known = false;
	v = json(s, &root);
	assert_null(at(v, "copies"));
	check_struct(v, find_symbol("Status"));
	sd_json_variant_unref(v);
}

static void refusals_are_those_that_occurred(void **state)
{
	sd_json_variant *v = json(*state, &root);

	expect_text(v, "moves/0/direction", "promote");
	expect_text(v, "moves/0/mover", "module");
	expect_number(v, "moves/0/tried_pages", 1000);
	expect_number(v, "moves/0/applied_pages", 900);
	assert_int_equal(sd_json_variant_elements(at(v, "moves/0/refused")), 2);
	expect_text(v, "moves/0/refused/0/word", "busy");
	expect_number(v, "moves/0/refused/0/pages", 60);
	expect_number(v, "moves/0/refused/1/pages", 40);
	assert_int_equal(sd_json_variant_elements(at(v, "moves")), 8);
	expect_text(v, "moves/1/mover", "module_shared");
	expect_text(v, "moves/3/mover", "move_pages_all");
	assert_int_equal(sd_json_variant_elements(at(v, "moves/7/refused")), 0);
	sd_json_variant_unref(v);
}

static void hostile_names_are_escaped(void **state)
{
	sd_json_variant *v = json(*state, &root);

	expect_text(v, "processes/1/comm", "evil\\x1b[2J\\xff");
	expect_text(v, "processes/0/cgroup", "/system.slice/x\\\\x2dy.service");
	sd_json_variant_unref(v);
}

static void everybody_sees_what_he_may(void **state)
{
	static const struct {
		const struct ember_status_viewer *viewer;
		unsigned int nr_procs;
		bool areas[2];
	} table[] = {
	    {&root, 2, {true, true}}, {&alice, 1, {true}},
	    {&bob, 1, {true}},        {&watcher, 2, {false, false}},
	    {&nobody, 0, {false}},    {&alice_watching, 2, {true, false}},
	};
	struct ember_status *s = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		sd_json_variant *v = json(s, table[i].viewer), *procs = at(v, "processes");

		print_message("uid %u%s: expects %u processes, sees %zu\n", table[i].viewer->uid,
			      table[i].viewer->sees_all ? " in ember-view" : "", table[i].nr_procs,
			      sd_json_variant_elements(procs));
		assert_int_equal(sd_json_variant_elements(procs), table[i].nr_procs);
		expect_number(v, "processes_not_shown", 3 - table[i].nr_procs);
		/* who there is, only to those to whom all are shown */
		assert_int_equal(sd_json_variant_is_array(at(v, "followed_pids")),
				 table[i].nr_procs == 2);
		for (unsigned int p = 0; p < table[i].nr_procs; p++)
			assert_int_equal(sd_json_variant_is_array(sd_json_variant_by_key(
					     sd_json_variant_by_index(procs, p), "areas")),
					 table[i].areas[p]);
		/* totals of the machine are for everybody */
		expect_number(v, "tiers/0/followed_bytes", 500 * MIB);
		sd_json_variant_unref(v);
	}
}

static void policy_errors_quote_files_only_to_those_who_may_look(void **state)
{
	struct ember_status *s = *state;
	sd_json_variant *v;

	v = json(s, &root);
	assert_false(sd_json_variant_boolean(at(v, "policy/rejected")));
	assert_null(at(v, "policy/error"));
	sd_json_variant_unref(v);

	strcpy(s->policy_error, "50-x.json: /rules/0/comm: \"\033]0;x\" is no glob");
	v = json(s, &root);
	assert_true(sd_json_variant_boolean(at(v, "policy/rejected")));
	expect_text(v, "policy/error", "50-x.json: /rules/0/comm: \"\\x1b]0;x\" is no glob");
	sd_json_variant_unref(v);
	v = json(s, &watcher);
	assert_non_null(at(v, "policy/error"));
	sd_json_variant_unref(v);
	v = json(s, &bob);
	assert_true(sd_json_variant_boolean(at(v, "policy/rejected")));
	assert_null(at(v, "policy/error"));
	sd_json_variant_unref(v);
}

static void numbers_may_be_as_large_as_they_get(void **state)
{
	struct ember_status *s = *state;
	sd_json_variant *v;

	s->scan_ns = UINT64_MAX;
	s->silent_ns[EMBER_STAGE_MESSAGES] = UINT64_MAX; /* the first that is told */
	s->nr_listed = UINT32_MAX;                       /* more than there is room for */
	s->nr_procs = UINT32_MAX;
	s->procs[0].nr_areas = UINT32_MAX;
	memset(s->procs[0].cgroup, 0xff, sizeof(s->procs[0].cgroup));
	v = json(s, &root);
	expect_number(v, "cost/scan_ns", UINT64_MAX);
	assert_int_equal(sd_json_variant_elements(at(v, "cost/stages")), EMBER_NR_STAGES - 1);
	expect_number(v, "cost/stages/0/longest_ns", UINT64_MAX);
	assert_int_equal(sd_json_variant_elements(at(v, "processes")), EMBER_STATUS_MAX_PROCS);
	assert_int_equal(sd_json_variant_elements(at(v, "followed_pids")), EMBER_STATUS_MAX_TGIDS);
	assert_int_equal(sd_json_variant_elements(at(v, "processes/0/areas")),
			 EMBER_STATUS_MAX_AREAS);
	assert_int_equal(strlen(sd_json_variant_string(at(v, "processes/0/cgroup"))), 4 * 256);
	sd_json_variant_unref(v);
}

/* ---- the interface says what the object is, field by field ---- */

static void check_value(sd_json_variant *v, const sd_varlink_field *field)
{
	switch (field->field_type) {
	case SD_VARLINK_NAMED_TYPE:
		check_struct(v, field->symbol);
		break;
	case SD_VARLINK_INT:
		assert_true(sd_json_variant_is_unsigned(v));
		break;
	case SD_VARLINK_STRING:
		assert_true(sd_json_variant_is_string(v));
		break;
	case SD_VARLINK_BOOL:
		assert_true(sd_json_variant_is_boolean(v));
		break;
	default:
		fail_msg("%s has a type that this test does not know", field->name);
	}
}

static void check_field(sd_json_variant *v, const sd_varlink_field *field)
{
	print_message("%s\n", field->name);
	if (!v) {
		assert_true(field->field_flags & SD_VARLINK_NULLABLE);
		return;
	}
	if (!(field->field_flags & SD_VARLINK_ARRAY)) {
		check_value(v, field);
		return;
	}
	assert_true(sd_json_variant_is_array(v));
	for (size_t i = 0; i < sd_json_variant_elements(v); i++)
		check_value(sd_json_variant_by_index(v, i), field);
}

static void check_struct(sd_json_variant *v, const sd_varlink_symbol *symbol)
{
	size_t nr_present = 0;

	print_message("(%s)\n", symbol->name);
	assert_true(sd_json_variant_is_object(v));
	for (const sd_varlink_field *f = symbol->fields; f->name; f++) {
		if (f->field_type == _SD_VARLINK_FIELD_COMMENT)
			continue;
		check_field(sd_json_variant_by_key(v, f->name), f);
		nr_present += sd_json_variant_by_key(v, f->name) ? 2 : 0; /* key and value */
	}
	assert_int_equal(sd_json_variant_elements(v), nr_present); /* nothing else in it */
}

static const sd_varlink_symbol *find_symbol(const char *name)
{
	for (size_t i = 0; ember_status_interface.symbols[i]; i++)
		if (!strcmp(ember_status_interface.symbols[i]->name, name))
			return ember_status_interface.symbols[i];
	return NULL;
}

static void object_is_what_the_interface_says(void **state)
{
	struct ember_status *s = *state;
	sd_json_variant *v;

	strcpy(s->policy_error, "x");
	v = json(s, &root);
	check_struct(v, find_symbol("Status"));
	sd_json_variant_unref(v);
	v = json(s, &bob);
	check_struct(v, find_symbol("Status"));
	sd_json_variant_unref(v);
}

static void interface_is_what_the_file_says(void **state)
{
	static char file[65536];
	FILE *f = fopen("docs/varlink/io.ember.Daemon.varlink", "re");
	const char *begin;
	char *text = NULL;

	assert_non_null(f); /* the test runs at the top of the sources */
	file[fread(file, 1, sizeof(file) - 1, f)] = '\0';
	fclose(f);
	begin = strstr(file, "# emberd:"); /* behind the licence */
	assert_non_null(begin);
	assert_true(sd_varlink_idl_format(&ember_status_interface, &text) >= 0);
	if (strcmp(begin, text) != 0)
		print_message("the file should hold:\n%s", text);
	assert_string_equal(begin, text);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(figures_arrive, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(pools_are_memories, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(copies_are_told_by_engine, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(refusals_are_those_that_occurred, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(hostile_names_are_escaped, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(everybody_sees_what_he_may, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(policy_errors_quote_files_only_to_those_who_may_look,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(numbers_may_be_as_large_as_they_get, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(object_is_what_the_interface_says, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(interface_is_what_the_file_says, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
