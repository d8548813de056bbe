// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fork, exec and exit are reported with the right identity, exactly once, and threads
 * are no processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define MAX_EVENTS 4096
#define NR_THREADS 16
#define NR_RACES 200

static struct ember_event events[MAX_EVENTS];
static uint32_t nr_events;
static int nr_failures;

static int keep(const struct ember_event *event, void *userdata)
{
	if (nr_events < MAX_EVENTS)
		events[nr_events++] = *event;
	return 0;
}

static void collect(struct ember_sampler *sampler)
{
	nr_events = 0;
	ember_sampler_consume(sampler, keep, NULL);
}

static uint32_t count_events(uint32_t type, const struct ember_proc_id *id)
{
	uint32_t i, nr = 0;

	for (i = 0; i < nr_events; i++)
		nr += events[i].type == type && events[i].tgid == id->tgid &&
		      events[i].start_boottime_ns == id->start_boottime_ns &&
		      events[i].self_exec_id == id->self_exec_id;
	return nr;
}

static void expect(const char *what, long expected, long seen)
{
	printf("%-60s expected %ld, saw %ld%s\n", what, expected, seen,
	       expected == seen ? "" : "  <-- FAIL");
	nr_failures += expected != seen;
}

struct child {
	pid_t pid;
	int go[2];  /* the child waits until this is closed */
	int end[2]; /* a leader's last thread waits until this is closed; cat's input and output */
};

static int end_fd;

static void *end_thread(void *argument)
{
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[NR_THREADS];
	int i;

	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, end_thread, NULL);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Exec in a thread that is not the leader: it takes the leader's number over. */
static void *exec_thread(void *argument)
{
	dup2(end_fd, 0);
	dup2(end_fd, 1);
	execl("/bin/cat", "cat", NULL);
	abort();
}

static void *exit_thread(void *argument)
{
	usleep(20000);
	return NULL;
}

/* The thread that is left when the leader has ended. */
static void *last_thread(void *argument)
{
	char byte;

	if (read(end_fd, &byte, 1) < 0)
		abort();
	return NULL;
}

enum behaviour { EXIT, THREADS_THEN_EXIT, EXEC, EXEC_IN_THREAD, LEADER_FIRST, RACE };

static void behave(enum behaviour behaviour)
{
	pthread_t thread;

	switch (behaviour) {
	case EXIT:
		break;
	case THREADS_THEN_EXIT:
		run_threads();
		break;
	case EXEC:
		exec_thread(NULL);
		break;
	case EXEC_IN_THREAD:
		pthread_create(&thread, NULL, exec_thread, NULL);
		pause();
		break;
	case LEADER_FIRST:
		pthread_create(&thread, NULL, last_thread, NULL);
		pthread_exit(NULL);
	case RACE: /* all threads are killed at once, on all CPUs */
		for (int i = 0; i < NR_THREADS; i++)
			pthread_create(&thread, NULL, exit_thread, NULL);
		break;
	}
	_exit(0);
}

static struct child start(enum behaviour behaviour)
{
	struct child child;
	char byte;

	if (pipe2(child.go, O_CLOEXEC) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, child.end) < 0)
		die("FAIL: pipe");
	fflush(stdout);
	child.pid = fork();
	if (child.pid < 0)
		die("FAIL: fork");
	if (child.pid == 0) {
		close(child.go[1]);
		close(child.end[1]);
		end_fd = child.end[0];
		if (read(child.go[0], &byte, 1) < 0)
			abort();
		behave(behaviour);
	}
	close(child.go[0]);
	close(child.end[0]);
	if (behaviour == EXIT || behaviour == THREADS_THEN_EXIT || behaviour == RACE)
		close(child.end[1]);
	return child;
}

static void let_go(struct child *child)
{
	close(child->go[1]);
}

static void let_end(struct child *child)
{
	close(child->end[1]);
}

/* A process whose leader has ended and whose other threads have not is a zombie with threads. */
static void wait_for_end_of_leader(pid_t pid)
{
	char path[64], line[256];
	bool zombie = false;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	while (!zombie) {
		FILE *file = fopen(path, "re");

		if (!file)
			die("FAIL: %s", path);
		while (!zombie && fgets(line, sizeof(line), file))
			zombie = !strncmp(line, "State:\tZ", 8);
		fclose(file);
	}
}

static void check_fork_and_exit(struct ember_sampler *sampler)
{
	struct child child = start(THREADS_THEN_EXIT);
	struct ember_proc_id id = identify(sampler, child.pid);
	uint32_t i, nr_from_here = 0;

	collect(sampler);
	expect("fork is reported", 1, count_events(EMBER_EVENT_FORK, &id));
	for (i = 0; i < nr_events; i++)
		nr_from_here +=
		    events[i].type == EMBER_EVENT_FORK && events[i].arg == (__u64)getpid();
	expect("with the parent's number", 1, nr_from_here);
	expect("tracking it", 0, ember_sampler_track(sampler, &id));
	let_go(&child);
	waitpid(child.pid, NULL, 0);
	collect(sampler);
	expect("16 threads that start and end are not reported", 0,
	       count_events(EMBER_EVENT_FORK, &id));
	expect("its exit is, once", 1, count_events(EMBER_EVENT_EXIT, &id));
	expect("tracking it afterwards is refused", -ESRCH, ember_sampler_track(sampler, &id));
}

static void check_leader_first(struct ember_sampler *sampler)
{
	struct child child = start(LEADER_FIRST);
	struct ember_proc_id id = identify(sampler, child.pid);

	ember_sampler_track(sampler, &id);
	let_go(&child);
	wait_for_end_of_leader(child.pid);
	collect(sampler);
	expect("a leader that ends before its thread is no exit", 0,
	       count_events(EMBER_EVENT_EXIT, &id));
	let_end(&child);
	waitpid(child.pid, NULL, 0);
	collect(sampler);
	expect("the end of its last thread is", 1, count_events(EMBER_EVENT_EXIT, &id));
}

/* The new program repeats a byte: exec is over. */
static void wait_for_exec(struct ember_sampler *sampler, const struct child *child,
			  struct ember_proc_id *id)
{
	char byte = 0;

	if (write(child->end[1], &byte, 1) != 1 || read(child->end[1], &byte, 1) != 1)
		die("FAIL: the new program does not answer");
	*id = identify(sampler, id->tgid);
}

static void check_exec(struct ember_sampler *sampler, enum behaviour behaviour, const char *what)
{
	struct child child = start(behaviour);
	struct ember_proc_id old = identify(sampler, child.pid), new = old;
	struct ember_scan_req req = {.end = 1UL << 47};
	const struct ember_region_rec *recs;

	printf("%s\n", what);
	ember_sampler_track(sampler, &old);
	let_go(&child);
	wait_for_exec(sampler, &child, &new);
	collect(sampler);
	expect("  start time is kept", 1, old.start_boottime_ns == new.start_boottime_ns);
	expect("  exec id is another", 1, old.self_exec_id != new.self_exec_id);
	expect("  exec is reported with the new identity", 1, count_events(EMBER_EVENT_EXEC, &new));
	expect("  no exit is", 0,
	       count_events(EMBER_EVENT_EXIT, &old) + count_events(EMBER_EVENT_EXIT, &new));
	expect("  scanning the old identity is refused", -ESTALE,
	       ember_sampler_scan(sampler, &old, &req, &recs));
	expect("  tracking the old identity is refused", -ESTALE,
	       ember_sampler_track(sampler, &old));
	expect("  tracking the new one", 0, ember_sampler_track(sampler, &new));
	kill(child.pid, SIGKILL);
	let_end(&child);
	waitpid(child.pid, NULL, 0);
	collect(sampler);
	expect("  exit is reported", 1, count_events(EMBER_EVENT_EXIT, &new));
	expect("  scanning it afterwards is refused", -ESRCH,
	       ember_sampler_scan(sampler, &new, &req, &recs));
}

static uint64_t nr_missed(struct ember_sampler *sampler)
{
	struct ember_sampler_stats stats;

	if (ember_sampler_stats(sampler, &stats) < 0)
		die("FAIL: statistics");
	return stats.nr_missed;
}

static void check_races(struct ember_sampler *sampler)
{
	uint64_t missed_before = nr_missed(sampler);
	uint32_t nr_exits = 0, nr_twice = 0, i;

	for (i = 0; i < NR_RACES; i++) {
		struct child child = start(RACE);
		struct ember_proc_id id = identify(sampler, child.pid);

		ember_sampler_track(sampler, &id);
		let_go(&child);
		waitpid(child.pid, NULL, 0);
		collect(sampler);
		nr_exits += count_events(EMBER_EVENT_EXIT, &id) > 0;
		nr_twice += count_events(EMBER_EVENT_EXIT, &id) > 1;
	}
	expect("200 processes killed with 16 threads: no exit twice", 0, nr_twice);
	/* What was missed may also have been the end of a thread. */
	expect("each exit reported or counted as missed", 1,
	       nr_exits + (nr_missed(sampler) - missed_before) >= NR_RACES);
	printf("  %u of %u reported\n", nr_exits, NR_RACES);
}

static void check_untracked(struct ember_sampler *sampler)
{
	struct child child = start(EXIT);
	struct ember_proc_id id = identify(sampler, child.pid);
	struct ember_proc_id thread = id;

	ember_sampler_track(sampler, &id);
	expect("untracking", 0, ember_sampler_untrack(sampler, &id));
	expect("untracking again is no error", 0, ember_sampler_untrack(sampler, &id));
	let_go(&child);
	waitpid(child.pid, NULL, 0);
	collect(sampler);
	expect("exit of an untracked process is not reported", 0,
	       count_events(EMBER_EVENT_EXIT, &id));
	expect("no such process", -ESRCH, ember_sampler_identify(sampler, 4194303, &thread));
}

static void check_lost(struct ember_sampler *sampler)
{
	struct ember_sampler_stats stats;
	enum ember_stat stat;

	if (ember_sampler_stats(sampler, &stats) < 0)
		die("FAIL: statistics");
	for (stat = EMBER_STAT_lost_fork; stat <= EMBER_STAT_lost_grow; stat++)
		expect(ember_stat_name(stat), 0, stats.counters[stat]);
}

int main(void)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	struct ember_sampler *sampler;

	setvbuf(stdout, NULL, _IOLBF, 0);
	config.fault_period = 0;
	sampler = start_sampler_with(&config);
	check_fork_and_exit(sampler);
	check_leader_first(sampler);
	check_exec(sampler, EXEC, "exec");
	check_exec(sampler, EXEC_IN_THREAD, "exec in a thread that is not the leader");
	check_races(sampler);
	check_untracked(sampler);
	check_lost(sampler);
	ember_sampler_close(sampler);
	printf(nr_failures ? "FAIL\n" : "PASS\n");
	return nr_failures ? 1 : 0;
}
