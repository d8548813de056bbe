// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc.h"
#include "process.h"

#define TGID 42

static char root[32];

static void make_dirs(void)
{
	char path[128];

	strcpy(root, "/tmp/ember-proc-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/%d", root, TGID);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/task");
	assert_int_equal(mkdir(path, 0755), 0);
}

static void remove_dirs(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

/* As the kernel writes it; fields 3 to 52. */
static void stat_text(char *text, size_t size, const char *comm, unsigned int cpu,
		      unsigned long ticks)
{
	snprintf(text, size,
		 "43 (%s) R 1 43 43 0 -1 4194304 100 0 0 0 %lu 3 0 0 20 0 1 0 12345 1000 200 "
		 "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 %u 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		 comm, ticks - 3, cpu);
}

static void add_thread(unsigned int tid, const char *comm, unsigned int cpu, unsigned long ticks)
{
	char path[128], text[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/task/%u", root, TGID, tid);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/stat");
	f = fopen(path, "w");
	assert_non_null(f);
	stat_text(text, sizeof(text), comm, cpu, ticks);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

/* CPUs 0 and 1 on node 0, 2 and 3 on node 1, the others offline. */
static struct ember_topology two_sockets(void)
{
	struct ember_topology t = {.cpu_nodes = 3};

	memset(t.cpu_node, EMBER_NO_NODE, sizeof(t.cpu_node));
	for (unsigned int cpu = 0; cpu < 4; cpu++)
		t.cpu_node[cpu] = cpu / 2;
	return t;
}

static void test_stat_is_parsed(void **state)
{
	static const char *const comms[] = {"cat", "a) R 1 (b", ") ) )", "", "x y z"};
	struct ember_thread_time thread;
	char text[512];

	(void)state;
	for (size_t i = 0; i < NR(comms); i++) {
		stat_text(text, sizeof(text), comms[i], 5, 1234);
		assert_int_equal(ember_proc_parse_stat(text, &thread), 0);
		assert_int_equal(thread.cpu, 5);
		assert_int_equal(thread.ticks, 1234);
	}
	for (size_t len = 0; len < 90; len++) { /* cut short before the CPU */
		stat_text(text, sizeof(text), "cat", 5, 1234);
		text[len] = 0;
		assert_int_equal(ember_proc_parse_stat(text, &thread), -EINVAL);
	}
}

static void test_home_of_one_socket(void **state)
{
	struct ember_topology t = two_sockets();

	(void)state;
	make_dirs();
	add_thread(42, "main", 1, 10); /* started it and sleeps since */
	add_thread(43, "worker", 2, 500);
	add_thread(44, "worker", 3, 500);
	assert_int_equal(ember_proc_home(root, TGID, &t), 1);
	remove_dirs();
}

static void test_no_home_on_two_sockets(void **state)
{
	struct ember_topology t = two_sockets();

	(void)state;
	make_dirs();
	add_thread(42, "main", 1, 100);
	add_thread(43, "worker", 0, 500);
	add_thread(44, "worker", 2, 500);
	assert_int_equal(ember_proc_home(root, TGID, &t), EMBER_NO_NODE);
	remove_dirs();
}

static void test_no_home_without_threads_or_nodes(void **state)
{
	struct ember_topology t = two_sockets();

	(void)state;
	assert_int_equal(ember_proc_home("/nonexistent", TGID, &t), EMBER_NO_NODE);
	make_dirs();
	assert_int_equal(ember_proc_home(root, TGID, &t), EMBER_NO_NODE);
	add_thread(42, "main", 7, 100);      /* an offline CPU */
	add_thread(43, "main", 100000, 100); /* more CPUs than we know */
	assert_int_equal(ember_proc_home(root, TGID, &t), EMBER_NO_NODE);
	remove_dirs();
}

/* The first look counts at once, later ones when they agree. */
static void test_home_is_changed_by_two_looks(void **state)
{
	static const struct {
		uint8_t seen;
		uint8_t home;
	} looks[] = {{0, 0},
		     {1, 0},
		     {0, 0},
		     {1, 0},
		     {1, 1},
		     {EMBER_NO_NODE, 1},
		     {0, 1},
		     {EMBER_NO_NODE, 1},
		     {EMBER_NO_NODE, EMBER_NO_NODE},
		     {1, 1}};
	struct ember_process process = {.home = EMBER_NO_NODE, .home_seen = EMBER_NO_NODE};

	(void)state;
	for (size_t i = 0; i < NR(looks); i++) {
		ember_process_note_home(&process, looks[i].seen);
		assert_int_equal(process.home, looks[i].home);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stat_is_parsed),
	    cmocka_unit_test(test_home_of_one_socket),
	    cmocka_unit_test(test_no_home_on_two_sockets),
	    cmocka_unit_test(test_no_home_without_threads_or_nodes),
	    cmocka_unit_test(test_home_is_changed_by_two_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
