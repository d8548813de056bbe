// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server in a child process, as it will be in the daemon; clients speak varlink by hand (JSON
 * and a NUL) or through varlinkctl. The tests that need other users need root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/allowance.h"
#include "daemon/status_server.h"

#define VIEW_GID 4242
#define ASK "{\"method\":\"io.ember.Daemon.GetStatus\"}"
#define MAX_REPLY (1 << 20)

static char dir[] = "/tmp/ember-status-XXXXXX";
static char path[64];
static pid_t server_pid;
static char reply[MAX_REPLY];

/* ---- the server ---- */

static int get_status(struct ember_status *ret, void *userdata)
{
	memset(ret, 0, sizeof(*ret));
	if (access(userdata, F_OK) == 0) /* a file in the directory makes it fail */
		return -EAGAIN;
	ret->topology.nr_tiers = 1;
	ret->nr_procs = ret->nr_listed = EMBER_STATUS_MAX_PROCS;
	for (unsigned int i = 0; i < EMBER_STATUS_MAX_PROCS; i++) {
		ret->procs[i].tgid = 100 + i;
		ret->procs[i].uid = i < 2 ? 1000 + i : 4000;
		memset(ret->procs[i].cgroup, 0xff, sizeof(ret->procs[i].cgroup));
		ret->procs[i].nr_areas = 1;
	}
	return 0;
}

static void serve(int ready_fd)
{
	struct ember_status_server *server = NULL;
	sd_event *event = NULL;
	char fail_file[80];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(fail_file, sizeof(fail_file), "%s/fail", dir);
	if (sd_event_default(&event) < 0 ||
	    ember_status_server_new(event, path, get_status, fail_file, &server) < 0)
		_exit(1);
	if (write(ready_fd, "r", 1) != 1)
		_exit(1);
	sd_event_loop(event);
	_exit(0);
}

/* A group of our own making, in a mount namespace of our own. */
static void add_view_group(void)
{
	char file[80];
	FILE *f;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	snprintf(file, sizeof(file), "%s/group", dir);
	f = fopen(file, "we");
	assert_non_null(f);
	fprintf(f, "root:x:0:\n%s:x:%d:\n", EMBER_VIEW_GROUP, VIEW_GID);
	fclose(f);
	assert_int_equal(mount(file, "/etc/group", NULL, MS_BIND, NULL), 0);
}

static int start_server(void **state)
{
	int ready[2];
	char byte;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/sock", dir);
	add_view_group();
	assert_int_equal(pipe(ready), 0);
	server_pid = fork();
	if (server_pid == 0)
		serve(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return 0;
}

static int stop_server(void **state)
{
	char command[128];

	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	if (geteuid() == 0)
		umount("/etc/group");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* ---- clients ---- */

static int connect_to_server(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One whole answer into reply[]; false if the server hung up or nothing came for 10 s. */
static bool read_reply(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t used = 0;

	while (used < sizeof(reply) && poll(&p, 1, 10000) == 1) {
		ssize_t n = read(fd, reply + used, 1);

		if (n != 1)
			return false;
		if (!reply[used++])
			return true;
	}
	return false;
}

static bool ask(int fd, const char *request)
{
	return send(fd, request, strlen(request) + 1, MSG_NOSIGNAL) > 0 && read_reply(fd);
}

static bool ask_once(const char *request)
{
	int fd = connect_to_server();
	bool answered = fd >= 0 && ask(fd, request);

	close(fd);
	return answered;
}

static unsigned int count(const char *what)
{
	unsigned int n = 0;

	for (const char *at = reply; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* Runs @check as another user; true if it says so. */
static bool as_user(uid_t uid, gid_t extra_group, bool (*check)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setgroups(extra_group ? 1 : 0, &extra_group) < 0 ||
		    setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(2);
		_exit(check() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("not root: other users cannot be played\n");
		skip();
	}
}

/* ---- tests ---- */

static void everybody_is_answered(void **state)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_true(ask_once(ASK));
	assert_true(count("\"status\":") == 1);
	assert_int_equal(count("\"error\":"), 0);
}

static bool sees_one_own(void)
{
	return ask_once(ASK) && count("\"pid\":") == 1 && count("\"areas\":") == 1;
}

static bool sees_none(void)
{
	return ask_once(ASK) && count("\"pid\":") == 0 && count("\"tiers\":") == 1;
}

static bool sees_all_without_addresses(void)
{
	return ask_once(ASK) && count("\"pid\":") == EMBER_STATUS_MAX_PROCS &&
	       count("\"areas\":") == 0;
}

static bool sees_all(void)
{
	return ask_once(ASK) && count("\"pid\":") == EMBER_STATUS_MAX_PROCS &&
	       count("\"areas\":") == EMBER_STATUS_MAX_PROCS;
}

static void peers_see_what_they_may(void **state)
{
	need_root();
	assert_true(sees_all());
	assert_true(as_user(1000, 0, sees_one_own));
	assert_true(as_user(1001, 0, sees_one_own));
	assert_true(as_user(1002, 0, sees_none));
	assert_true(as_user(1002, VIEW_GID, sees_all_without_addresses));
	assert_true(as_user(VIEW_GID, 0, sees_all_without_addresses)); /* as its first group */
}

static void the_interface_can_be_asked_for(void **state)
{
	char command[256];

	if (access("/usr/bin/varlinkctl", X_OK) != 0) {
		print_message("no varlinkctl (Debian 12?)\n");
		skip();
	}
	snprintf(command, sizeof(command),
		 "varlinkctl introspect %s io.ember.Daemon >%s/idl && "
		 "tail -n +2 docs/varlink/io.ember.Daemon.varlink | diff - %s/idl",
		 path, dir, dir);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "varlinkctl info %s | grep -q emberd", path);
	assert_int_equal(system(command), 0);
}

static void bad_requests_are_errors(void **state)
{
	static const struct {
		const char *request, *error;
	} table[] = {
	    {"{\"method\":\"io.ember.Daemon.Nothing\"}", "org.varlink.service.MethodNotFound"},
	    {"{\"method\":\"io.ember.Other.GetStatus\"}", "org.varlink.service.MethodNotFound"},
	    {"{\"method\":\"io.ember.Daemon.GetStatus\",\"parameters\":{\"x\":1}}",
	     "org.varlink.service.InvalidParameter"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_true(ask_once(table[i].request));
		print_message("expects %s, sees %s\n", table[i].error, reply);
		assert_int_equal(count(table[i].error), 1);
	}
}

static void garbage_is_cut_off(void **state)
{
	static const char *const garbage[] = {"",
					      "x",
					      "[]",
					      "{}",
					      "{\"method\":1}",
					      "{\"method\":\"io.ember.Daemon.GetStatus\"",
					      "\xff\xfe"};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		assert_false(ask_once(garbage[i]));
	assert_true(ask_once(ASK));
}

static void a_snapshot_that_fails_is_an_error(void **state)
{
	char file[80];

	snprintf(file, sizeof(file), "%s/fail", dir);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_true(ask_once(ASK));
	assert_int_equal(count("io.systemd.System"), 1);
	unlink(file);
	assert_true(ask_once(ASK));
	assert_int_equal(count("\"status\":"), 1);
}

static void one_connection_serves_many(void **state)
{
	int fd = connect_to_server();

	for (unsigned int i = 0; i < 20; i++)
		assert_true(ask(fd, ASK));
	close(fd);
}

/* Takes 40 connections and holds them. */
static bool hoards(void)
{
	unsigned int served = 0;

	for (unsigned int i = 0; i < 40; i++) {
		int fd = connect_to_server();

		served += fd >= 0 && ask(fd, ASK);
	}
	print_message("of 40 connections of one user expects 8 served, sees %u\n", served);
	return served == 8;
}

static void one_user_cannot_take_all_connections(void **state)
{
	int hold[2];
	pid_t hoarder;
	char byte;

	need_root();
	assert_int_equal(pipe(hold), 0);
	hoarder = fork();
	if (hoarder == 0) {
		bool ok;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setgroups(0, NULL) < 0 || setresgid(1005, 1005, 1005) < 0 ||
		    setresuid(1005, 1005, 1005) < 0)
			_exit(2);
		ok = hoards();
		if (write(hold[1], ok ? "y" : "n", 1) != 1)
			_exit(2);
		pause();
	}
	assert_int_equal(read(hold[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_true(as_user(1006, 0, sees_none)); /* another user is served meanwhile */
	kill(hoarder, SIGKILL);
	waitpid(hoarder, NULL, 0);
	close(hold[0]);
	close(hold[1]);
}

static long server_rss_kib(void)
{
	char file[64], line[128];
	long kib = -1;
	FILE *f;

	snprintf(file, sizeof(file), "/proc/%d/status", server_pid);
	f = fopen(file, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static void who_does_not_read_is_dropped(void **state)
{
	int fd = connect_to_server();
	unsigned int nr_sent = 0;
	long rss_kib = server_rss_kib();

	/* more answers than the server could ever hold, if it did not stop */
	while (nr_sent < 100000 && send(fd, ASK, sizeof(ASK), MSG_NOSIGNAL) == sizeof(ASK))
		nr_sent++;
	print_message("the server hung up after %u requests, %ld KiB more resident\n", nr_sent,
		      server_rss_kib() - rss_kib);
	assert_true(nr_sent < 100000);
	assert_true(server_rss_kib() - rss_kib < 16 << 10);
	close(fd);
	assert_true(ask_once(ASK));
}

static void a_request_without_end_is_cut_off(void **state)
{
	static char block[65536];
	int fd = connect_to_server();
	long rss_kib = server_rss_kib();
	size_t sent = 0;
	ssize_t n;

	memset(block, 'x', sizeof(block));
	while (sent < 256 << 20 && (n = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	print_message("cut off after %zu KiB, %ld KiB more resident\n", sent >> 10,
		      server_rss_kib() - rss_kib);
	assert_true(sent < 1 << 20); /* what the socket holds, and some */
	assert_true(server_rss_kib() - rss_kib < 1 << 10);
	close(fd);
	assert_true(ask_once(ASK));
}

/* However they come, requests are answered one by one. */
static void pieces_are_put_together(void **state)
{
	static const char two[] = ASK "\0" ASK;
	int fd = connect_to_server();

	/* byte by byte; two in one; one and a half */
	for (size_t i = 0; i < sizeof(ASK) - 1; i++)
		assert_int_equal(send(fd, ASK + i, 1, MSG_NOSIGNAL), 1);
	assert_true(ask(fd, ""));
	assert_int_equal(send(fd, two, sizeof(two), MSG_NOSIGNAL), sizeof(two));
	assert_true(read_reply(fd));
	assert_true(read_reply(fd));
	assert_int_equal(send(fd, two, sizeof(ASK) + 10, MSG_NOSIGNAL), sizeof(ASK) + 10);
	assert_true(read_reply(fd));
	assert_true(ask(fd, two + sizeof(ASK) + 10));
	/* half of it closed: the answer still comes */
	assert_int_equal(send(fd, ASK, sizeof(ASK), MSG_NOSIGNAL), sizeof(ASK));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(read_reply(fd));
	assert_false(read_reply(fd));
	close(fd);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* As a user whose answers are short: reading them must not take the time. */
static bool is_rationed(void)
{
	uint64_t start_ms = now_ms(), interval_ms = EMBER_ALLOWANCE_INTERVAL_NS / 1000000, granted;
	unsigned int nr = 0;
	int fds[2] = {connect_to_server(), connect_to_server()};

	for (; nr < 3 * EMBER_ALLOWANCE_BURST; nr++)
		if (!ask(fds[nr % 2], ASK))
			return false;
	granted = EMBER_ALLOWANCE_BURST + (now_ms() - start_ms) / interval_ms + 1;
	print_message("%u answers in %llu ms: expects at most %llu\n", nr,
		      (unsigned long long)(now_ms() - start_ms), (unsigned long long)granted);
	return nr <= granted;
}

static void answers_are_rationed(void **state)
{
	need_root();
	assert_true(as_user(1010, 0, is_rationed));
}

static void a_socket_left_behind_is_replaced(void **state)
{
	sd_event *event = NULL;
	struct ember_status_server *server = NULL;
	char old[80], other[80] = "";
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(old, sizeof(old), "%s/old", dir);
	strcpy(addr.sun_path, old);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd); /* the file stays */
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(ember_status_server_new(event, old, get_status, other, &server), 0);
	ember_status_server_free(server);
	assert_int_equal(access(old, F_OK), -1); /* leaves nothing behind itself */
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everybody_is_answered),
	    cmocka_unit_test(peers_see_what_they_may),
	    cmocka_unit_test(the_interface_can_be_asked_for),
	    cmocka_unit_test(bad_requests_are_errors),
	    cmocka_unit_test(garbage_is_cut_off),
	    cmocka_unit_test(a_snapshot_that_fails_is_an_error),
	    cmocka_unit_test(one_connection_serves_many),
	    cmocka_unit_test(one_user_cannot_take_all_connections),
	    cmocka_unit_test(who_does_not_read_is_dropped),
	    cmocka_unit_test(a_request_without_end_is_cut_off),
	    cmocka_unit_test(pieces_are_put_together),
	    cmocka_unit_test(answers_are_rationed),
	    cmocka_unit_test(a_socket_left_behind_is_replaced),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
