// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clients of the status socket that mean no good, against the running service: users that take
 * all connections they get, half requests, garbage, requests without end, requests as fast as
 * they can be sent. emberd stays the same process, its memory stays bounded, the number of its
 * answers too, and an honest client of another user is served all the while.
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/target.h"

#define SOCKET "/run/ember/daemon/status.sock"
#define ASK "{\"method\":\"io.ember.Daemon.GetStatus\"}"
#define NR_USERS 4
#define FIRST_UID 60001
#define NR_CONNECTIONS 40 /* that each user tries for */
#define ENDLESS_BYTES (16 << 20)
#define FLOOD_S 5

/* What emberd may grow by for all of them together. A request of 16 MiB in each connection that it
 * grants would be 512 MiB. */
#define MAX_GROWTH_KIB (32 << 10)

/* Answers per second and user that a flood may get: the daemon grants 20 and a burst of 20. */
#define MAX_ANSWERS_PER_S 40

struct shared {
	_Atomic uint64_t nr_answers;
	_Atomic uint64_t nr_sent;
	_Atomic uint32_t nr_granted;
	_Atomic uint32_t nr_cut_off;
};

static struct shared *shared;
static pid_t daemon_pid;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* ---- a connection ---- */

static int connect_to_daemon(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = SOCKET};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One whole answer is read and forgotten; false if the daemon hung up or took @timeout_ms. */
static bool read_answer(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	static char text[65536];

	while (poll(&p, 1, timeout_ms) == 1) {
		ssize_t n = recv(fd, text, sizeof(text), 0);

		if (n <= 0)
			return false;
		if (memchr(text, 0, n))
			return true;
	}
	return false;
}

static bool ask(int fd, int timeout_ms)
{
	return fd >= 0 && send(fd, ASK, sizeof(ASK), MSG_NOSIGNAL) == sizeof(ASK) &&
	       read_answer(fd, timeout_ms);
}

/* ---- the daemon, from outside ---- */

static long command_number(const char *command)
{
	FILE *pipe = popen(command, "re");
	long value = -1;

	if (pipe && fscanf(pipe, "%ld", &value) != 1)
		value = -1;
	if (pipe)
		pclose(pipe);
	return value;
}

static long status_kib(const char *key)
{
	char path[64], line[128];
	size_t len = strlen(key);
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", daemon_pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, len) && line[len] == ':')
			kib = strtol(line + len + 1, NULL, 10);
	fclose(file);
	return kib;
}

static void reset_peak(void)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", daemon_pid);
	file = fopen(path, "we");
	if (!file || fputs("5", file) == EOF || fclose(file) != 0)
		die("FAIL: %s: %s", path, strerror(errno));
}

/* User and system time of the control thread, in clock ticks. */
static long control_ticks(void)
{
	unsigned long user = 0, system = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", daemon_pid, daemon_pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &system) != 2)
		die("FAIL: no %s", path);
	fclose(file);
	return user + system;
}

/* ---- what a hostile user does; each in a process of its own ---- */

static void take_connections(int fds[static NR_CONNECTIONS])
{
	for (int i = 0; i < NR_CONNECTIONS; i++)
		fds[i] = connect_to_daemon();
}

static void hoard(void)
{
	int fds[NR_CONNECTIONS];

	take_connections(fds);
	for (int i = 0; i < NR_CONNECTIONS; i++)
		shared->nr_granted += ask(fds[i], 2000);
}

static void send_halves(void)
{
	int fds[NR_CONNECTIONS];

	take_connections(fds);
	for (int i = 0; i < NR_CONNECTIONS; i++)
		if (fds[i] >= 0 && send(fds[i], ASK, sizeof(ASK) / 2, MSG_NOSIGNAL) > 0)
			shared->nr_sent++;
}

static void send_garbage(void)
{
	static char block[4096];

	for (int i = 0; i < 200; i++) {
		int fd = connect_to_daemon();

		for (size_t at = 0; at < sizeof(block); at++)
			block[at] = rand();
		if (fd >= 0 && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
			shared->nr_sent++;
		close(fd);
	}
}

static void send_endless(void)
{
	static char block[65536];
	size_t sent[NR_CONNECTIONS] = {};
	int fds[NR_CONNECTIONS];
	bool any = true;

	memset(block, ' ', sizeof(block));
	take_connections(fds);
	while (any) {
		any = false;
		for (int i = 0; i < NR_CONNECTIONS; i++) {
			ssize_t n;

			if (fds[i] < 0 || sent[i] >= ENDLESS_BYTES - sizeof(block))
				continue;
			n = send(fds[i], block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN) {
				shared->nr_cut_off++;
				close(fds[i]);
				fds[i] = -1;
				continue;
			}
			any = true;
			if (n > 0) {
				sent[i] += n;
				shared->nr_sent += n;
			}
		}
		usleep(1000);
	}
}

static void flood(void)
{
	uint64_t end_ns = now_ns() + FLOOD_S * 1000000000ULL;
	int fds[8];

	for (int i = 0; i < 8; i++)
		fds[i] = connect_to_daemon();
	while (now_ns() < end_ns) {
		for (int i = 0; i < 8; i++)
			if (fds[i] >= 0)
				shared->nr_sent +=
				    send(fds[i], ASK, sizeof(ASK), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
		for (int i = 0; i < 8; i++)
			shared->nr_answers += fds[i] >= 0 && read_answer(fds[i], 100);
	}
}

/* A new connection for every request: nothing that is counted per connection stops it. */
static void flood_anew(void)
{
	uint64_t end_ns = now_ns() + FLOOD_S * 1000000000ULL;

	while (now_ns() < end_ns) {
		int fd = connect_to_daemon();

		shared->nr_sent++;
		shared->nr_answers += ask(fd, 100);
		close(fd);
	}
}

static void become(uid_t uid)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(2);
}

/* They hold what they have until they are killed; @done counts those that are through. */
static void start_users(void (*act)(void), pid_t pids[static NR_USERS], int done_fd)
{
	for (int i = 0; i < NR_USERS; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("FAIL: fork");
		if (pids[i] > 0)
			continue;
		become(FIRST_UID + i);
		act();
		if (write(done_fd, "d", 1) != 1)
			_exit(2);
		pause();
		_exit(0);
	}
}

struct phase {
	const char *name;
	void (*act)(void);
	bool is_flood;
};

/* Asks until all users are through, and once more; the number of times that it was not served. */
static unsigned int be_honest(int done_fd, unsigned int *ret_nr_asked)
{
	unsigned int nr_failed = 0, nr_done = 0;
	char bytes[NR_USERS];

	*ret_nr_asked = 0;
	for (;;) {
		struct pollfd p = {.fd = done_fd, .events = POLLIN};
		bool last = nr_done >= NR_USERS;
		int fd = connect_to_daemon();

		nr_failed += !ask(fd, 10000);
		(*ret_nr_asked)++;
		close(fd);
		if (last)
			return nr_failed;
		if (poll(&p, 1, 200) == 1)
			nr_done += read(done_fd, bytes, sizeof(bytes));
	}
}

static bool run_phase(const struct phase *phase)
{
	pid_t pids[NR_USERS];
	unsigned int nr_failed, nr_asked;
	long rss_kib, growth_kib, ticks = control_ticks();
	uint64_t start_ns = now_ns();
	double seconds, rate;
	bool ok;
	int done[2];

	memset(shared, 0, sizeof(*shared));
	if (pipe(done) < 0)
		die("FAIL: pipe");
	reset_peak();
	rss_kib = status_kib("VmRSS");
	start_users(phase->act, pids, done[1]);
	nr_failed = be_honest(done[0], &nr_asked);
	seconds = (now_ns() - start_ns) / 1e9;
	growth_kib = status_kib("VmHWM") - rss_kib;
	rate = shared->nr_answers / seconds / NR_USERS;
	ticks = control_ticks() - ticks;
	printf(
	    "%s: sent %llu, %u cut off, %u connections served; %llu answers, %.1f per user and second; "
	    "%.1f %% of a CPU in the control thread; peak %ld KiB more; honest: %u of %u not served\n",
	    phase->name, (unsigned long long)shared->nr_sent, shared->nr_cut_off,
	    shared->nr_granted, (unsigned long long)shared->nr_answers, rate,
	    100.0 * ticks / sysconf(_SC_CLK_TCK) / seconds, growth_kib, nr_failed, nr_asked);
	for (int i = 0; i < NR_USERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	close(done[0]);
	close(done[1]);
	ok = nr_failed == 0 && growth_kib >= 0 && growth_kib < MAX_GROWTH_KIB &&
	     (!phase->is_flood || (shared->nr_answers > 0 && rate <= MAX_ANSWERS_PER_S)) &&
	     kill(daemon_pid, 0) == 0;
	if (!ok)
		printf("FAIL: %s: expected all honest requests served, less than %d KiB more%s\n",
		       phase->name, MAX_GROWTH_KIB,
		       phase->is_flood ? ", no more answers than granted" : "");
	return ok;
}

static const struct phase phases[] = {
    {"many connections", hoard, false},
    {"half requests", send_halves, false},
    {"garbage", send_garbage, false},
    {"requests without end", send_endless, false},
    {"flood", flood, true},
    {"flood on new connections", flood_anew, true},
};

int main(void)
{
	bool ok = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (system("systemd-sysusers; systemctl daemon-reload; systemctl restart emberd") != 0)
		die("FAIL: emberd does not start");
	daemon_pid = command_number("systemctl show -P MainPID emberd");
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (daemon_pid <= 0 || shared == MAP_FAILED)
		die("FAIL: no emberd");
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		ok &= run_phase(&phases[i]);
	if (command_number("systemctl show -P MainPID emberd") != daemon_pid)
		ok = false, printf("FAIL: emberd was started again\n");
	if (system("systemctl stop emberd") != 0)
		ok = false;
	printf(ok ? "PASS\n" : "FAIL\n");
	return ok ? 0 : 1;
}
