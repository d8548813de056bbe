// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capability.h"
#include "proc.h"

static void test_status(void **state)
{
	struct ember_proc proc;

	(void)state;
	assert_int_equal(
	    ember_proc_parse_status("Name:\tredis-server\nUmask:\t0077\nUid:\t107\t107\t107\t107\n"
				    "VmRSS:\t    2048 kB\nHugetlbPages:\t    8192 kB\n"
				    "Mems_allowed:\t00000000,00000003\n"
				    "Mems_allowed_list:\t0-1\n",
				    &proc),
	    0);
	assert_string_equal(proc.comm, "redis-server");
	assert_int_equal(proc.uid, 107);
	assert_int_equal(proc.rss_bytes, 2 << 20);
	assert_int_equal(proc.hugetlb_bytes, 8 << 20);
	assert_int_equal(proc.mems_allowed, 3);
	/* a kernel thread, and a kernel without cpusets */
	assert_int_equal(ember_proc_parse_status("Name:\tkthreadd\nUid:\t0\t0\t0\t0\n", &proc), 0);
	assert_int_equal(proc.rss_bytes, 0);
	assert_int_equal(proc.hugetlb_bytes, 0);
	assert_int_equal(proc.mems_allowed, UINT16_MAX);
	assert_int_equal(ember_proc_parse_status("Name:\tx\n", &proc), -EINVAL);
	assert_int_equal(ember_proc_parse_status("", &proc), -EINVAL);
}

/* What runs with more rights than its user belongs to root: nothing of it is told to him. */
static void test_owner(void **state)
{
	static const char *const mixed[] = {"1000\t0\t0\t0",       "1000\t1000\t0\t1000",
					    "1000\t1000\t1000\t0", "0\t1000\t1000\t1000",
					    "1000\t1000",          ""};
	struct ember_proc proc;
	char text[128];

	(void)state;
	for (size_t i = 0; i < NR(mixed); i++) {
		snprintf(text, sizeof(text), "Name:\tx\nUid:\t%s\n", mixed[i]);
		assert_int_equal(ember_proc_parse_status(text, &proc), 0);
		assert_int_equal(proc.uid, 0);
	}
}

static void test_cgroup(void **state)
{
	char path[16];

	(void)state;
	assert_int_equal(ember_proc_parse_cgroup("0::/a.slice\n", path, sizeof(path)), 0);
	assert_string_equal(path, "/a.slice");
	assert_int_equal(ember_proc_parse_cgroup("4:cpu:/v1\n0::/b\n", path, sizeof(path)), 0);
	assert_string_equal(path, "/b");
	assert_int_equal(ember_proc_parse_cgroup("4:cpu:/v1\n", path, sizeof(path)), -ENOENT);
	assert_int_equal(ember_proc_parse_cgroup("0::/23456789012345\n", path, sizeof(path)), 0);
	/* one more: cut off it would be another cgroup */
	path[0] = 0;
	assert_int_equal(ember_proc_parse_cgroup("0::/234567890123456\n", path, sizeof(path)),
			 -ENAMETOOLONG);
	assert_string_equal(path, "");
}

static void test_exe(void **state)
{
	static const struct {
		const char *link, *exe;
	} cases[] = {
	    {"/usr/bin/db", "/usr/bin/db"},
	    {"/usr/bin/db (deleted)", ""},
	    {"/usr/bin/(deleted)", "/usr/bin/(deleted)"},
	    {"/34567890123456789012345678901", "/34567890123456789012345678901"},
	    {"/345678901234567890123456789012", "/345678901234567890123456789012"},
	    {"/3456789012345678901234567890123", ""}, /* too long by one */
	};
	char exe[32];

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		ember_proc_parse_exe(cases[i].link, strlen(cases[i].link), exe, sizeof(exe));
		assert_string_equal(exe, cases[i].exe);
	}
	ember_proc_parse_exe("x", -1, exe, sizeof(exe));
	assert_string_equal(exe, "");
}

/* The real /proc: this process, a deleted program, a process that is gone. */
static void test_read(void **state)
{
	char copy[] = "/tmp/ember-proc.XXXXXX", command[128];
	struct ember_proc proc;
	int fd = mkstemp(copy);
	pid_t pid;

	(void)state;
	assert_int_equal(ember_proc_read("/proc", getpid(), &proc), 0);
	assert_string_equal(proc.comm, "proc");
	assert_non_null(strstr(proc.exe, "/tests/unit/daemon/proc"));
	assert_true(proc.rss_bytes > 100000);
	assert_true(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command), "cp /bin/sleep %s && chmod 755 %s", copy, copy);
	assert_int_equal(system(command), 0);
	pid = fork();
	if (!pid) {
		execl(copy, copy, "60", NULL);
		_exit(1);
	}
	do /* until exec */
		assert_int_equal(ember_proc_read("/proc", pid, &proc), 0);
	while (strcmp(proc.exe, copy));
	unlink(copy);
	assert_int_equal(ember_proc_read("/proc", pid, &proc), 0);
	assert_string_equal(proc.exe, "");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(ember_proc_read("/proc", pid, &proc), -ESRCH);
}

static void count(uint32_t tgid, void *userdata)
{
	*(unsigned int *)userdata += tgid == (uint32_t)getpid();
}

static void test_for_each(void **state)
{
	unsigned int nr = 0;

	(void)state;
	assert_int_equal(ember_proc_for_each("/proc", count, &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(ember_proc_for_each("/nonexistent", count, &nr), -ENOENT);
}

static void test_capabilities(void **state)
{
	char names[128], few[12];

	(void)state;
	ember_capability_missing(UINT64_MAX, names, sizeof(names));
	assert_string_equal(names, "");
	ember_capability_missing(UINT64_MAX & ~(1ULL << 39) & ~(1ULL << 23), names, sizeof(names));
	assert_string_equal(names, "CAP_BPF, CAP_SYS_NICE");
	ember_capability_missing(0, names, sizeof(names));
	assert_string_equal(names,
			    "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYS_NICE, CAP_NET_ADMIN");
	ember_capability_missing(0, few, sizeof(few)); /* cut, and no further */
	assert_string_equal(few, "CAP_BPF, CA");
	assert_true(ember_capability_parse("Name:\tx\nCapPrm:\t0\nCapEff:\t000000c000881000\n") ==
		    0xc000881000);
	assert_int_equal(ember_capability_parse("Name:\tx\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),       cmocka_unit_test(test_owner),
	    cmocka_unit_test(test_cgroup),       cmocka_unit_test(test_exe),
	    cmocka_unit_test(test_read),         cmocka_unit_test(test_for_each),
	    cmocka_unit_test(test_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
