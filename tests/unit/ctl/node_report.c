// SPDX-License-Identifier: GPL-2.0-or-later
/* A machine in a directory, in which node 1 is kept for ember; then one thing is not as it should
 * be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/node_report.h"

#define KIB 1024ULL
#define MEMINFO "sys/devices/system/node/node1/meminfo"

static char top[64];
static char proc[80], sys[80], cgroup[80];
static const struct node_roots roots = {.proc = proc, .sys = sys, .cgroup = cgroup};

struct file {
	const char *path, *text;
};

static const struct file kept[] = {
    {"proc/zoneinfo", "Node 0, zone      DMA\n  pages free     3840\n        present  4096\n"
		      "Node 0, zone  Movable\n        present  0\n"
		      "Node 1, zone   Normal\n  pages free     0\n        present  0\n"
		      "Node 1, zone  Movable\n  pages free     60000\n        present  65536\n"},
    {"sys/devices/system/node/has_memory", "0-2,4\n"},
    {"sys/devices/system/node/node1/cpulist", "\n"},
    {MEMINFO, "Node 1 MemTotal:         262144 kB\nNode 1 MemFree:          240000 kB\n"
	      "Node 1 SwapCached:            8 kB\nNode 1 Unevictable:          12 kB\n"
	      "Node 1 FilePages:             8 kB\nNode 1 KernelStack:           0 kB\n"
	      "Node 1 PageTables:            0 kB\nNode 1 Slab:                  0 kB\n"},
    {"sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "0\n"},
    {"cgroup/cgroup.controllers", "cpuset memory\n"},
    {"cgroup/cgroup.procs", "0\n2\n3\n4\n"},
    {"cgroup/system.slice/cpuset.mems.effective", "0,2,4\n"},
    {"cgroup/init.scope/cpuset.mems.effective", "0\n"},
    {"cgroup/dev-mqueue.mount/cgroup.events", "populated 0\nfrozen 0\n"},
    {"cgroup/dev-mqueue.mount/cpuset.mems.effective", "0-4\n"},
    {"proc/2/stat", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0\n"},
    {"proc/2/numa_maps", ""},
    {"proc/3/stat", "3 (modprobe) S 2 0 0 0 -1 4194304 0 0 0\n"}, /* 4 has gone meanwhile */
    {"proc/1/stat", "1 (systemd) S 0 1 1 0 -1 4194560 0 0 0\n"},
    {"proc/100/comm", "hot\n"},
    {"proc/100/stat", "100 (hot) S 1 1 1 0 -1 4194304 0 0 0\n"},
    {"proc/100/cgroup", "0::/system.slice/hot.service\n"},
    {"proc/100/numa_maps", "7f0000000000 default anon=9 dirty=9 N0=4 N1=5 kernelpagesize_kB=4\n"
			   "7f0000200000 default file=/lib/x N11=7 N0=2 kernelpagesize_kB=4\n"},
    {"proc/200/comm", "cold\033[2J\n"},
    {"proc/200/stat", "200 (cold) x) S 1 1 1 0 -1 4194304 0 0 0\n"},
    {"proc/200/cgroup", "0::/user.slice/a\n"},
    {"proc/200/numa_maps", "7f0000000000 default anon=9 N0=4 kernelpagesize_kB=4\n"},
};

static const char status_text[] =
    "{ \"nodes\": [ { \"node\": 0, \"restricted\": false }, { \"node\": 1, \"restricted\": true } ],"
    "  \"followed_pids\": [ 100, 101 ] }";

static void put(const char *path, const char *text)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", top, path);
	for (char *slash = strchr(name + strlen(top) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(name, 0755);
		*slash = '/';
	}
	f = fopen(name, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(top, "/tmp/node-report-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(proc, sizeof(proc), "%s/proc", top);
	snprintf(sys, sizeof(sys), "%s/sys", top);
	snprintf(cgroup, sizeof(cgroup), "%s/cgroup", top);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		put(kept[i].path, kept[i].text);
	return 0;
}

static int tear_down(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

static sd_json_variant *parse(const char *text)
{
	sd_json_variant *v = NULL;

	assert_true(sd_json_parse(text, 0, &v, NULL, NULL) >= 0);
	return v;
}

static sd_json_variant *make(const char *with_status)
{
	sd_json_variant *status = with_status ? parse(with_status) : NULL, *report = NULL;

	assert_int_equal(node_report_make(&roots, 1, status, &report), 0);
	sd_json_variant_unref(status);
	return report;
}

static bool is_kept(sd_json_variant *report)
{
	return sd_json_variant_boolean(sd_json_variant_by_key(report, "kept"));
}

static uint64_t num(sd_json_variant *v, const char *key)
{
	return sd_json_variant_unsigned(sd_json_variant_by_key(v, key));
}

static const char *str(sd_json_variant *v, const char *key)
{
	const char *text = sd_json_variant_string(sd_json_variant_by_key(v, key));

	return text ? text : "";
}

/* The check or leak of this name. */
static sd_json_variant *find(sd_json_variant *report, const char *list, const char *key,
			     const char *word)
{
	sd_json_variant *array = sd_json_variant_by_key(report, list);

	for (size_t i = 0; i < sd_json_variant_elements(array); i++)
		if (!strcmp(str(sd_json_variant_by_index(array, i), key), word))
			return sd_json_variant_by_index(array, i);
	return NULL;
}

static void as_it_should_be(void **state)
{
	sd_json_variant *report = make(status_text), *checks;

	(void)state;
	assert_true(is_kept(report));
	checks = sd_json_variant_by_key(report, "checks");
	assert_int_equal(sd_json_variant_elements(checks), 5);
	for (size_t i = 0; i < 5; i++)
		assert_true(sd_json_variant_boolean(
		    sd_json_variant_by_key(sd_json_variant_by_index(checks, i), "holds")));
	assert_int_equal(sd_json_variant_elements(sd_json_variant_by_key(report, "leaks")), 0);
	assert_int_equal(num(report, "used_bytes"), 22144 * KIB);
	assert_int_equal(num(report, "followed_bytes"), 5 * 4 * KIB);
	assert_int_equal(num(report, "unevictable_bytes"), 12 * KIB);
	sd_json_variant_unref(report);
}

/* Which check fails then, and what it says. */
static void each_check_finds_what_it_is_for(void **state)
{
	static const struct {
		struct file file;
		const char *check, *detail, *advice;
	} cases[] = {
	    {{"sys/devices/system/node/node1/cpulist", "2-3\n"}, "no-cpus", "CPUs 2-3", "another"},
	    {{"proc/zoneinfo",
	      "Node 1, zone   Normal\n present 256\nNode 1, zone  Movable\n present 768\n"
	      "Node 2, zone   Normal\n present 999\n"},
	     "movable",
	     "1.0 of 4.0 MiB",
	     "online_movable"},
	    {{"cgroup/system.slice/cpuset.mems.effective", "0-1\n"},
	     "cpusets",
	     "open to what runs in: system.slice",
	     "AllowedMemoryNodes=0,2,4"},
	    /* a slice in which nothing runs yet, without the controller */
	    {{"cgroup/machine.slice/cgroup.events", "populated 0\n"},
	     "cpusets",
	     "machine.slice",
	     ""},
	    {{"cgroup/dev-mqueue.mount/cgroup.events", "populated 1\n"},
	     "cpusets",
	     "dev-mqueue.mount",
	     ""},
	    {{"cgroup/cgroup.procs", "2\n200\n"}, "root-cgroup", "200 (cold\\x1b[2J)", "slice"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sd_json_variant *report, *check;

		put(cases[i].file.path, cases[i].file.text);
		report = make(status_text);
		assert_false(is_kept(report));
		check = find(report, "checks", "check", cases[i].check);
		print_message("%s: %s (%s)\n", cases[i].check, str(check, "detail"),
			      str(check, "advice"));
		assert_false(sd_json_variant_boolean(sd_json_variant_by_key(check, "holds")));
		assert_non_null(strstr(str(check, "detail"), cases[i].detail));
		assert_non_null(strstr(str(check, "advice"), cases[i].advice));
		sd_json_variant_unref(report);
		tear_down(state);
		set_up(state);
	}
}

static void each_leak_is_named(void **state)
{
	static const struct {
		struct file file;
		const char *leak;
		uint64_t bytes;
	} cases[] = {
	    {{MEMINFO, "Node 1 MemTotal: 9 kB\nNode 1 SwapCached: 8 kB\nNode 1 FilePages: 20 kB\n"},
	     "page-cache",
	     12 * KIB},
	    {{MEMINFO, "Node 1 MemTotal: 9 kB\nNode 1 Slab: 4 kB\nNode 1 KernelStack: 16 kB\n"
		       "Node 1 PageTables: 8 kB\nNode 1 SecPageTables: 4 kB\n"},
	     "kernel",
	     32 * KIB},
	    {{"sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "3\n"},
	     "hugetlb",
	     3 * 2048 * KIB},
	    {{"proc/200/numa_maps",
	      "7f0000000000 default anon=9 N0=4 N1=5 kernelpagesize_kB=4\n"
	      "7f0000800000 default huge anon=1 N1=1 kernelpagesize_kB=2048\n"},
	     "process",
	     (5 * 4 + 2048) * KIB},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sd_json_variant *report, *leak;

		put(cases[i].file.path, cases[i].file.text);
		report = make(status_text);
		assert_false(is_kept(report));
		assert_int_equal(sd_json_variant_elements(sd_json_variant_by_key(report, "leaks")),
				 1);
		leak = find(report, "leaks", "leak", cases[i].leak);
		print_message("%s: %llu bytes, %s (%s)\n", cases[i].leak,
			      (unsigned long long)num(leak, "bytes"), str(leak, "sentence"),
			      str(leak, "advice"));
		assert_int_equal(num(leak, "bytes"), cases[i].bytes);
		assert_true(str(leak, "advice")[0]);
		sd_json_variant_unref(report);
		tear_down(state);
		set_up(state);
	}
}

static void a_leaking_process_is_named_safely(void **state)
{
	sd_json_variant *report, *leak;

	(void)state;
	put("proc/200/numa_maps", "7f0000000000 default anon=1 N1=1 kernelpagesize_kB=4\n");
	report = make(status_text);
	leak = find(report, "leaks", "leak", "process");
	assert_int_equal(num(leak, "pid"), 200);
	assert_string_equal(str(leak, "comm"), "cold\\x1b[2J");
	assert_string_equal(str(leak, "cgroup"), "/user.slice/a");
	sd_json_variant_unref(report);
}

static void the_policy_must_say_so(void **state)
{
	sd_json_variant *report = make(
	    "{ \"nodes\": [ { \"node\": 1, \"restricted\": false } ], \"followed_pids\": [] }");
	sd_json_variant *check = find(report, "checks", "check", "policy");

	(void)state;
	assert_false(is_kept(report));
	assert_non_null(strstr(str(check, "advice"), "\"restricted_nodes\": [1]"));
	assert_int_equal(num(find(report, "leaks", "leak", "process"), "pid"), 100);
	sd_json_variant_unref(report);
}

/* Else the advice would be "restricted_nodes": [15], which emberd refuses. */
static void nodes_that_ember_cannot_name(void **state)
{
	sd_json_variant *report = NULL;

	(void)state;
	assert_int_equal(node_report_make(&roots, 15, NULL, &report), -ERANGE);
	assert_int_equal(node_report_make(&roots, 14, NULL, &report), -ENXIO);
	assert_null(report);
}

static void errors_say_what_to_do(void **state)
{
	static const struct {
		int error;
		const char *text;
	} cases[] = {
	    {-ENXIO, "no node 20 with memory"},
	    {-ERANGE, "nodes 0 to 14"},
	    {-EACCES, "only root"},
	    {-EPERM, "only root"},
	    {-ENOTSUP, "no cgroup2 at"},
	    {-EPROTO, "systemctl restart emberd"},
	    {-EREMOTEIO, "systemctl restart emberd"},
	    {-EIO, "Input/output error"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");

		assert_non_null(out);
		node_report_explain(cases[i].error, &roots, 20, out);
		fclose(out);
		assert_non_null(strstr(text, cases[i].text));
		assert_int_equal(text[strlen(text) - 1], '\n');
	}
}

/* All else is right: not known. Something else is wrong already: not kept. */
static void without_emberd(void **state)
{
	sd_json_variant *report;

	(void)state;
	put("proc/100/numa_maps", "");
	report = make(NULL);
	assert_null(sd_json_variant_by_key(report, "kept"));
	assert_null(sd_json_variant_by_key(find(report, "checks", "check", "policy"), "holds"));
	sd_json_variant_unref(report);
	put("cgroup/system.slice/cpuset.mems.effective", "0-1\n");
	report = make(NULL);
	assert_non_null(sd_json_variant_by_key(report, "kept"));
	assert_false(is_kept(report));
	sd_json_variant_unref(report);
}

static void what_cannot_be_checked(void **state)
{
	sd_json_variant *report = NULL;

	(void)state;
	assert_int_equal(node_report_make(&roots, 3, NULL, &report), -ENXIO);
	put("sys/devices/system/node/node5/cpulist", "\n"); /* without memory */
	assert_int_equal(node_report_make(&roots, 5, NULL, &report), -ENXIO);
	snprintf(cgroup, sizeof(cgroup), "%s/sys", top); /* no cgroup2 */
	assert_int_equal(node_report_make(&roots, 1, NULL, &report), -ENOTSUP);
	assert_null(report);
}

static void as_text(void **state)
{
	static char text[4096];
	sd_json_variant *report;
	FILE *out;

	(void)state;
	put("cgroup/system.slice/cpuset.mems.effective", "0-1\n");
	put("proc/200/numa_maps", "7f0000000000 default anon=512 N1=512 kernelpagesize_kB=4\n");
	report = make(status_text);
	out = fmemopen(text, sizeof(text), "w");
	node_report_print(report, out);
	fclose(out);
	print_message("%s", text);
	assert_non_null(strstr(text, "node 1: not kept for ember\n"));
	assert_non_null(strstr(text, "  ok      has no CPUs\n"));
	assert_non_null(strstr(text, "  NOT SO  open to what runs in: system.slice\n"));
	assert_non_null(strstr(text, "AllowedMemoryNodes=0,2,4\n"));
	assert_non_null(strstr(
	    text, "        2.0 MiB  a process that emberd does not follow: 200 (cold\\x1b[2J), "
		  "/user.slice/a\n"));
	sd_json_variant_unref(report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(as_it_should_be),        TEST(each_check_finds_what_it_is_for),
	    TEST(each_leak_is_named),     TEST(a_leaking_process_is_named_safely),
	    TEST(the_policy_must_say_so), TEST(without_emberd),
	    TEST(what_cannot_be_checked), TEST(nodes_that_ember_cannot_name),
	    TEST(errors_say_what_to_do),  TEST(as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
