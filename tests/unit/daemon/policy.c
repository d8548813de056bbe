// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <errno.h>

#include "policy.h"

static int parse_two(const char *a, const char *b, struct ember_policy **ret,
		     struct ember_policy_error *error)
{
	struct ember_policy_file files[2] = {{"a.json", a, strlen(a)},
					     {"b.json", b, b ? strlen(b) : 0}};

	memset(error, 0, sizeof(*error));
	return ember_policy_parse(files, b ? 2 : 1, ret, error);
}

static struct ember_policy *must_parse(const char *text)
{
	struct ember_policy_error error;
	struct ember_policy *policy = NULL;
	int err = parse_two(text, NULL, &policy, &error);

	if (err)
		print_message("%s\n%s\n", text, error.text);
	assert_int_equal(err, 0);
	assert_non_null(policy);
	return policy;
}

static void test_defaults(void **state)
{
	struct ember_policy *p = must_parse("{\"version\": 1}");

	(void)state;
	assert_int_equal(p->global.period_ns, 1000000000);
	assert_int_equal(p->global.bandwidth_bytes_per_s, 200000000);
	assert_int_equal(p->global.reserve_bp, 200);
	assert_int_equal(p->global.reserve_bytes, 0);
	assert_int_equal(p->global.cpu_budget_bp, 200);
	assert_int_equal(p->global.fault_sampling, 64);
	assert_int_equal(p->global.numa_balancing, EMBER_BORROW_AUTO);
	assert_int_equal(p->global.damon_stat, EMBER_BORROW_AUTO);
	assert_int_equal(p->global.shared_memory, EMBER_SHARED_MOVE);
	assert_int_equal(p->global.isolated_cpus, EMBER_ISOLATED_LEAVE);
	assert_int_equal(p->global.longest_wait_ns, 10000000);
	assert_int_equal(p->global.copy_engine, EMBER_COPY_MEASURED);
	assert_int_equal(p->global.placed_by_hand_ns, 300000000000);
	assert_true(p->global.split_huge_pages);
	assert_int_equal(p->nr_rules, 0);
	assert_int_equal(p->nr_tiers, 0);
	assert_int_equal(p->restricted_nodes, 0);
	ember_policy_free(p);
}

/* Every key of global with a value that is not the default: fails for a key that is not read. */
static void test_every_global_key(void **state)
{
	struct ember_policy *p = must_parse(
	    "{\"$schema\": \"x\", \"//\": \"c\", \"version\": 1, \"global\": {\"//\": \"c\","
	    "\"period\": \"250ms\", \"bandwidth\": \"1.5GB/s\", \"reserve\": \"64MiB\","
	    "\"cpu_budget\": \"0.5%\", \"fault_sampling\": 7, \"numa_balancing\": \"off\","
	    "\"damon_stat\": \"leave\", \"shared_memory\": \"leave\","
	    "\"isolated_cpus\": \"interrupt\", \"longest_wait\": \"2ms\","
	    "\"copy_engine\": \"dma\","
	    "\"placed_by_hand\": \"90s\","
	    "\"split_huge_pages\": false}}");

	(void)state;
	assert_int_equal(p->global.period_ns, 250000000);
	assert_int_equal(p->global.bandwidth_bytes_per_s, 1500000000);
	assert_int_equal(p->global.reserve_bp, 0);
	assert_int_equal(p->global.reserve_bytes, 64 << 20);
	assert_int_equal(p->global.cpu_budget_bp, 50);
	assert_int_equal(p->global.fault_sampling, 7);
	assert_int_equal(p->global.numa_balancing, EMBER_BORROW_OFF);
	assert_int_equal(p->global.damon_stat, EMBER_BORROW_LEAVE);
	assert_int_equal(p->global.shared_memory, EMBER_SHARED_LEAVE);
	assert_int_equal(p->global.isolated_cpus, EMBER_ISOLATED_INTERRUPT);
	assert_int_equal(p->global.longest_wait_ns, 2000000);
	assert_int_equal(p->global.copy_engine, EMBER_COPY_DMA);
	assert_int_equal(p->global.placed_by_hand_ns, 90000000000);
	assert_false(p->global.split_huge_pages);
	ember_policy_free(p);
}

static void test_every_rule_key(void **state)
{
	struct ember_policy *p =
	    must_parse("{\"version\": 1, \"rules\": [{\"//\": \"c\", \"name\": \"n\", \"match\": "
		       "{\"//\": \"c\","
		       "\"comm\": \"redis*\", \"exe\": \"/usr/bin/*\", \"cgroup\": \"/a.slice/*\", "
		       "\"uid\": 1000,"
		       "\"min_rss\": \"3MiB\"}, \"action\": \"ignore\", \"weight\": 250},"
		       "{}]}");
	const struct ember_rule *r = &p->rules[0];

	(void)state;
	assert_int_equal(p->nr_rules, 2);
	assert_string_equal(r->name, "n");
	assert_string_equal(r->comm, "redis*");
	assert_string_equal(r->exe, "/usr/bin/*");
	assert_string_equal(r->cgroup, "/a.slice/*");
	assert_int_equal(r->uid, 1000);
	assert_int_equal(r->min_rss_bytes, 3 << 20);
	assert_int_equal(r->action, EMBER_ACTION_IGNORE);
	assert_int_equal(r->weight, 250);
	r = &p->rules[1];
	assert_string_equal(r->name, "a.json:/rules/1");
	assert_null(r->comm);
	assert_int_equal(r->uid, -1);
	assert_int_equal(r->action, EMBER_ACTION_FOLLOW);
	assert_int_equal(r->weight, 100);
	ember_policy_free(p);
}

static void test_tiers(void **state)
{
	struct ember_policy *p = must_parse("{\"version\": 1, \"tiers\": [{\"nodes\": [1, 3],"
					    "\"rank\": 0}, {\"nodes\": [14], \"rank\": 2}]}");

	(void)state;
	assert_int_equal(p->nr_tiers, 2);
	assert_int_equal(p->tiers[0].nodes, 0x0a);
	assert_int_equal(p->tiers[0].rank, 0);
	assert_int_equal(p->tiers[1].nodes, 1 << 14);
	assert_int_equal(p->tiers[1].rank, 2);
	ember_policy_free(p);
}

/* Of those named, the ones that can be kept for somebody: node 0 has CPUs, node 4 is not there. */
static void test_restricted_nodes(void **state)
{
	struct ember_topology topo = {.memory_nodes = 0x0f, .cpu_nodes = 0x01};
	struct ember_policy_error error;
	struct ember_policy *p = NULL;

	(void)state;
	assert_int_equal(parse_two("{\"version\": 1, \"restricted_nodes\": [0, 3]}",
				   "{\"version\": 1, \"restricted_nodes\": [1, 4]}", &p, &error),
			 0);
	assert_int_equal(p->restricted_nodes, 0x1b);
	assert_int_equal(ember_policy_restricted(p, &topo), 0x0a);
	ember_policy_free(p);
	p = NULL;
	assert_int_equal(parse_two("{\"version\": 1, \"restricted_nodes\": [3]}",
				   "{\"version\": 1, \"restricted_nodes\": [1, 3]}", &p, &error),
			 -EINVAL);
	assert_string_equal(error.text, "b.json: /restricted_nodes/1: node 3 is named twice");
}

/* In "global" the last file that has a key decides; rules queue up. */
static void test_files_add_up(void **state)
{
	struct ember_policy_error error;
	struct ember_policy *p = NULL;

	(void)state;
	assert_int_equal(
	    parse_two("{\"version\": 1, \"global\": {\"period\": \"2s\", \"reserve\": \"1MiB\"},"
		      "\"rules\": [{\"name\": \"a\"}]}",
		      "{\"version\": 1, \"global\": {\"reserve\": \"5%\"}, \"rules\": [{\"name\": "
		      "\"b\"}]}",
		      &p, &error),
	    0);
	assert_int_equal(p->global.period_ns, 2000000000);
	assert_int_equal(p->global.reserve_bp, 500);
	assert_int_equal(p->global.reserve_bytes, 0);
	assert_int_equal(p->nr_rules, 2);
	assert_string_equal(p->rules[0].name, "a");
	assert_string_equal(p->rules[1].name, "b");
	ember_policy_free(p);
}

#define V "{\"version\": 1, "
#define G(x) V "\"global\": {" x "}}"
#define R(x) V "\"rules\": [{}, {" x "}]}"
#define M(x) R("\"match\": {" x "}")

/* What is refused, and what the message must hold. */
static const struct {
	const char *text;
	const char *says[3];
} refused[] = {
    {"", {"a.json", "ends too early"}},
    {"[]", {"not an object"}},
    {"{}", {"has no key \"version\""}},
    {"{\"version\": 2}", {"a.json: /version", "version 1, not 2"}},
    {"{\"version\": \"1\"}", {"/version", "a string, not an integer"}},
    {"{\"version\": 1", {"ends too early"}},
    {"{\"version\": 1}}", {"text behind the end"}},
    {"{\"version\": 1} x", {"line 1, column", "text behind the end"}},
    {"{\"version\": 1,}", {"line 1"}},
    {"{\"version\": 1,\n \"global\": nul}", {"line 2"}},
    {"{'version': 1}", {"double quotes"}},
    {V "'global': {}}", {"double quotes"}},
    {V "\"//\": 'x'}", {"line 1"}},
    {"{\"version\": 01}", {"line 1"}},
    {"{\"version\": +1}", {"line 1"}},
    {"{\"version\": 1.}", {"a.json"}},
    {"{\"version\": 1.0}", {"/version", "a fraction, not an integer"}},
    {"{\"version\": NaN}", {"a.json"}},
    {"{\"version\": Infinity}", {"a.json"}},
    {"{\"version\": TRUE}", {"a.json"}},
    {"{\"version\": true}", {"/version", "true or false, not an integer"}},
    {V "\"rules\": [{},]}", {"line 1"}},
    {"{\"version\": 1 /* no */}", {"line 1"}},
    {V "\"version\": 1}", {"/version", "there twice"}},
    {V "\"vers\\u0069on\": 1}", {"/version", "there twice"}},
    {G("\"period\": \"1s\", \"period\": \"2s\""), {"/global/period", "there twice"}},
    {R("\"match\": {\"uid\": 1, \"uid\": 1}"), {"/rules/1/match/uid", "there twice"}},
    {V "\"rulez\": []}", {"/rulez", "unknown key", "rules"}},
    {G("\"perod\": \"1s\""), {"/global/perod", "unknown key", "period"}},
    {G("\"a/b~c\": 1"), {"/global/a~1b~0c", "unknown key"}},
    {V "\"global\": []}", {"/global", "an array, not an object"}},
    {V "\"global\": null}", {"/global", "null, not an object"}},
    {V "\"rules\": {}}", {"/rules", "an object, not an array"}},
    {V "\"rules\": [1]}", {"/rules/0", "an integer, not an object"}},
    {V "\"//\": 1}", {"/~1~1", "an integer, not a string"}},

    {G("\"period\": 1"), {"/global/period", "an integer, not a string", "\"1s\""}},
    {G("\"period\": \"1\""), {"/global/period", "has no unit", "write \"1s\""}},
    {G("\"period\": \"s\""), {"/global/period", "does not begin with a number"}},
    {G("\"period\": \"1h\""), {"/global/period", "unknown unit"}},
    {G("\"period\": \"1 s\""), {"/global/period", "unknown unit"}},
    {G("\"period\": \"-1s\""), {"/global/period", "does not begin with a number"}},
    {G("\"period\": \"0s\""), {"/global/period", "out of range", "100ms to 60min"}},
    {G("\"period\": \"99ms\""), {"/global/period", "out of range"}},
    {G("\"period\": \"61min\""), {"/global/period", "out of range"}},
    {G("\"period\": \"99999999999999999999s\""), {"/global/period", "too large"}},
    {G("\"period\": \"1.2345s\""), {"/global/period", "too many decimals"}},
    {G("\"bandwidth\": \"200\""), {"/global/bandwidth", "has no unit", "200MB/s"}},
    {G("\"bandwidth\": \"200MB\""), {"/global/bandwidth", "unknown unit"}},
    {G("\"bandwidth\": \"1kB/s\""), {"/global/bandwidth", "out of range"}},
    {G("\"reserve\": \"51%\""), {"/global/reserve", "out of range"}},
    {G("\"reserve\": \"64\""), {"/global/reserve", "has no unit"}},
    {G("\"reserve\": \"2000TiB\""), {"/global/reserve", "out of range"}},
    {G("\"reserve\": \"0.001%\""), {"/global/reserve", "too many decimals"}},
    {G("\"cpu_budget\": \"0%\""), {"/global/cpu_budget", "out of range"}},
    {G("\"cpu_budget\": \"101%\""), {"/global/cpu_budget", "out of range"}},
    {G("\"cpu_budget\": \"3\""), {"/global/cpu_budget", "has no unit"}},
    {G("\"fault_sampling\": 0"), {"/global/fault_sampling", "out of range", "\"off\""}},
    {G("\"fault_sampling\": \"on\""), {"/global/fault_sampling", "nor \"off\""}},
    {G("\"fault_sampling\": 1.5"), {"/global/fault_sampling", "neither an integer"}},
    /* json-c 0.18 refuses it, older ones hold it at the limit */
    {G("\"fault_sampling\": 99999999999999999999"), {"a.json"}},
    {G("\"damon_stat\": \"Y\""), {"/global/damon_stat", "none of", "\"leave\""}},
    {G("\"copy_engine\": \"cpu\""), {"/global/copy_engine", "none of", "\"measured\""}},
    {G("\"isolated_cpus\": \"move\""), {"/global/isolated_cpus", "none of", "\"leave\""}},
    {G("\"longest_wait\": \"2s\""), {"/global/longest_wait", "out of range (1ms to 1s)"}},
    {G("\"longest_wait\": \"0ms\""), {"/global/longest_wait", "out of range"}},
    {G("\"placed_by_hand\": \"999ms\""), {"/global/placed_by_hand", "out of range", "0s or 1s"}},
    {G("\"placed_by_hand\": \"1441min\""), {"/global/placed_by_hand", "out of range"}},
    {G("\"placed_by_hand\": \"5\""), {"/global/placed_by_hand", "has no unit", "5min"}},
    {G("\"placed_by_hand\": 0"), {"/global/placed_by_hand", "an integer, not a string"}},
    {G("\"split_huge_pages\": \"no\""), {"/global/split_huge_pages", "true or false"}},
    {G("\"split_huge_pages\": 0"), {"/global/split_huge_pages", "true or false"}},
    {G("\"shared_memory\": true"), {"/global/shared_memory"}},
    {G("\"shared_memory\": \"off\""), {"/global/shared_memory", "none of", "\"leave\""}},
    {G("\"numa_balancing\": \"on\""), {"/global/numa_balancing", "none of", "\"leave\""}},

    {V "\"tiers\": [{\"rank\": 0}]}", {"/tiers/0", "has no key \"nodes\""}},
    {V "\"tiers\": [{\"nodes\": [1]}]}", {"/tiers/0", "has no key \"rank\""}},
    {V "\"tiers\": [{\"nodes\": [], \"rank\": 0}]}", {"/tiers/0/nodes", "names no node"}},
    {V "\"tiers\": [{\"nodes\": [15], \"rank\": 0}]}", {"/tiers/0/nodes/0", "out of range"}},
    {V "\"tiers\": [{\"nodes\": [1, 1], \"rank\": 0}]}", {"/tiers/0/nodes/1", "named twice"}},
    {V "\"tiers\": [{\"nodes\": [\"1\"], \"rank\": 0}]}", {"/tiers/0/nodes/0", "a string"}},
    {V "\"tiers\": [{\"nodes\": [1], \"rank\": 15}]}", {"/tiers/0/rank", "out of range"}},
    {V "\"tiers\": [{\"nodes\": [1], \"rank\": 0}, {\"nodes\": [1], \"rank\": 1}]}",
     {"/tiers/1", "has a rank already"}},

    {V "\"restricted_nodes\": []}", {"/restricted_nodes", "names no node"}},
    {V "\"restricted_nodes\": 1}", {"/restricted_nodes", "not an array", "write [1]"}},
    {V "\"restricted_nodes\": [15]}", {"/restricted_nodes/0", "out of range (0 to 14)"}},
    {V "\"restricted_nodes\": [-1]}", {"/restricted_nodes/0", "out of range (0 to 14)"}},
    {V "\"restricted_nodes\": [\"1\"]}", {"/restricted_nodes/0", "a string, not an integer"}},

    {R("\"name\": \"\""), {"/rules/1/name", "1 to 256"}},
    {R("\"name\": \"a\\u0007\""), {"/rules/1/name", "control character"}},
    {R("\"action\": \"pin\""), {"/rules/1/action", "none of", "\"follow\""}},
    {R("\"weight\": 0"), {"/rules/1/weight", "out of range (1 to 10000)"}},
    {R("\"weight\": 10001"), {"/rules/1/weight", "out of range"}},
    {R("\"bandwidth\": \"10MB/s\""), {"/rules/1/bandwidth", "unknown key"}},
    {M("\"pid\": 1"), {"/rules/1/match/pid", "unknown key"}},
    {M("\"comm\": 1"), {"/rules/1/match/comm", "an integer, not a string"}},
    {M("\"comm\": \"sixteen-letters-\""), {"/rules/1/match/comm", "never matches"}},
    {M("\"exe\": \"redis\""), {"/rules/1/match/exe", "never matches"}},
    {M("\"cgroup\": \"a.slice\""), {"/rules/1/match/cgroup", "never matches"}},
    {M("\"uid\": -1"), {"/rules/1/match/uid", "out of range"}},
    {M("\"uid\": \"root\""), {"/rules/1/match/uid", "a string, not an integer"}},
    {M("\"uid\": 4294967295"), {"/rules/1/match/uid", "out of range"}},
    {M("\"min_rss\": \"64\""),
     {"a.json: /rules/1/match/min_rss: \"64\" has no unit (write \"64MiB\")"}},
    {V "\"//\": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", {"deeper than 16"}},
    {V "\"//\": \"\xff\"}", {"line 1"}},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(refused); i++) {
		struct ember_policy_error error;
		struct ember_policy *p = NULL;
		int err = parse_two(refused[i].text, NULL, &p, &error);

		if (err != -EINVAL)
			print_message("taken: %s\n", refused[i].text);
		assert_int_equal(err, -EINVAL);
		assert_null(p);
		assert_null(strchr(error.text, '\n'));
		for (size_t s = 0; s < 3 && refused[i].says[s]; s++) {
			if (!strstr(error.text, refused[i].says[s]))
				print_message("%s\nexpected: %s\nsaw: %s\n", refused[i].text,
					      refused[i].says[s], error.text);
			assert_non_null(strstr(error.text, refused[i].says[s]));
		}
	}
}

static void test_nul_byte_and_size(void **state)
{
	static char big[EMBER_POLICY_MAX_FILE_BYTES + 1];
	struct ember_policy_file file = {"big.json", big, sizeof(big)};
	struct ember_policy_error error;
	struct ember_policy *p = NULL;

	(void)state;
	memset(big, ' ', sizeof(big));
	memcpy(big, "{\"version\": 1}", 14);
	assert_int_equal(ember_policy_parse(&file, 1, &p, &error), -EINVAL);
	assert_non_null(strstr(error.text, "larger than 1 MiB"));
	file.len--;
	assert_int_equal(ember_policy_parse(&file, 1, &p, &error), 0);
	ember_policy_free(p);
	p = NULL;
	big[14] = 0;
	assert_int_equal(ember_policy_parse(&file, 1, &p, &error), -EINVAL);
	assert_non_null(strstr(error.text, "NUL"));
}

/* Each condition alone decides; the first rule that matches counts. */
static void test_match(void **state)
{
	struct ember_policy *p =
	    must_parse("{\"version\": 1, \"rules\": ["
		       "{\"name\": \"comm\", \"match\": {\"comm\": \"redis*\"}},"
		       "{\"name\": \"exe\", \"match\": {\"exe\": \"/opt/*\"}},"
		       "{\"name\": \"cgroup\", \"match\": {\"cgroup\": \"/a.slice/*\"}},"
		       "{\"name\": \"uid\", \"match\": {\"uid\": 0}},"
		       "{\"name\": \"both\", \"match\": {\"uid\": 7, \"comm\": \"x\"}},"
		       "{\"name\": \"big\", \"match\": {\"min_rss\": \"64MiB\"}}]}");
	static const struct {
		struct ember_proc_facts facts;
		const char *rule;
	} cases[] = {
	    {{"redis-server", "/opt/redis", "/a.slice/r", 0, 0}, "comm"},
	    {{"x", "/opt/deep/down/x", "/a.slice/r", 0, 0}, "exe"},
	    {{"x", NULL, "/a.slice/b/c", 0, 0}, "cgroup"},
	    {{"x", "/usr/bin/x", "/b.slice", 0, 0}, "uid"},
	    {{"x", NULL, NULL, 7, 0}, "both"},
	    {{"y", NULL, NULL, 7, 64 << 20}, "big"},
	    {{"y", NULL, NULL, 7, (64 << 20) - 1}, NULL},
	    {{NULL, NULL, NULL, 7, 0}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		const struct ember_rule *r = ember_policy_match(p, &cases[i].facts);

		print_message("case %zu: expected %s, saw %s\n", i,
			      cases[i].rule ? cases[i].rule : "none", r ? r->name : "none");
		if (cases[i].rule)
			assert_string_equal(r ? r->name : "none", cases[i].rule);
		else
			assert_null(r);
	}
	ember_policy_free(p);
}

static void test_reserve(void **state)
{
	struct ember_node node = {.capacity_bytes = 1000000000};
	struct ember_policy_global share = {.reserve_bp = 200}, size = {.reserve_bytes = 5};

	(void)state;
	assert_int_equal(ember_policy_reserve_bytes(&share, &node), 20000000);
	assert_int_equal(ember_policy_reserve_bytes(&size, &node), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),          cmocka_unit_test(test_every_global_key),
	    cmocka_unit_test(test_every_rule_key),    cmocka_unit_test(test_tiers),
	    cmocka_unit_test(test_files_add_up),      cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_nul_byte_and_size), cmocka_unit_test(test_match),
	    cmocka_unit_test(test_reserve),           cmocka_unit_test(test_restricted_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
