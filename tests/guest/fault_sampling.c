// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Page faults are sampled one in N: of a tracked process each sample is an event with
 * the address, of an untracked one there is a report at every doubling, and nothing at
 * all when sampling is off. What does not fit into the ring is counted, exactly.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define PAGE 4096UL
#define BASE ((char *)0x300000000000UL)
#define PERIOD 16
#define NR_FAULTS 65536
#define GROW 8

static int nr_failures;

struct seen {
	struct ember_proc_id id;
	uint64_t nr_faults; /* of the process, with an address inside its area */
	uint64_t nr_outside;
	uint64_t nr_grows;
	uint64_t last_grow;
	uint64_t nr_in_order;
	uint64_t last_time_ns;
};

static void expect(const char *what, long low, long high, long seen)
{
	bool ok = seen >= low && seen <= high;

	printf("  %-58s expected %ld..%ld, saw %ld%s\n", what, low, high, seen,
	       ok ? "" : "  <-- FAIL");
	nr_failures += !ok;
}

static int keep(const struct ember_event *event, void *userdata)
{
	struct seen *seen = userdata;
	uint64_t base = (uintptr_t)BASE;

	if (event->tgid != seen->id.tgid ||
	    event->start_boottime_ns != seen->id.start_boottime_ns ||
	    event->self_exec_id != seen->id.self_exec_id)
		return 0;
	if (event->type == EMBER_EVENT_FAULT) {
		if (event->arg >= base && event->arg < base + NR_FAULTS * PAGE)
			seen->nr_faults++;
		else
			seen->nr_outside++;
	}
	if (event->type == EMBER_EVENT_GROW) {
		seen->nr_in_order += event->arg == (seen->last_grow ? 2 * seen->last_grow : GROW);
		seen->last_grow = event->arg;
		seen->nr_grows++;
	}
	return 0;
}

/* A child that waits for a byte, then takes NR_FAULTS faults, then waits again. */
struct child {
	pid_t pid;
	int go, done;
};

static void fault(void)
{
	char *area = mmap(BASE, NR_FAULTS * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	size_t i;

	if (area != BASE)
		abort();
	madvise(area, NR_FAULTS * PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < NR_FAULTS; i++) {
		area[i * PAGE] = 1;
		/* Give the memory back: the guest may be small. */
		if (i % 4096 == 4095)
			madvise(area + (i - 4095) * PAGE, 4096 * PAGE, MADV_DONTNEED);
	}
}

static struct child start(void)
{
	int go[2], done[2];
	struct child child;
	char byte = 0;

	if (pipe(go) < 0 || pipe(done) < 0)
		die("FAIL: pipe");
	fflush(stdout);
	child.pid = fork();
	if (child.pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(0);
		fault();
		if (write(done[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(go[0]);
	close(done[1]);
	child.go = go[1];
	child.done = done[0];
	return child;
}

static void run_faults(struct child *child)
{
	char byte = 0;

	if (write(child->go, &byte, 1) != 1 || read(child->done, &byte, 1) != 1)
		die("FAIL: the child does not answer");
}

static void end(struct child *child)
{
	close(child->go);
	close(child->done);
	waitpid(child->pid, NULL, 0);
}

static void check_tracked(void)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	struct child child = start();
	struct seen seen = {};
	struct ember_sampler_stats stats;
	struct ember_sampler *sampler;

	printf("tracked, 1 in %u of %u faults\n", PERIOD, NR_FAULTS);
	config.fault_period = PERIOD;
	config.ring_bytes = 1 << 20;
	sampler = start_sampler_with(&config);
	seen.id = identify(sampler, child.pid);
	if (ember_sampler_track(sampler, &seen.id) < 0)
		die("FAIL: track");
	run_faults(&child);
	ember_sampler_consume(sampler, keep, &seen);
	ember_sampler_stats(sampler, &stats);
	/* Others' faults on the same CPU shift the phase, and the last round may be short. */
	expect("fault events inside the area, within 2 %", NR_FAULTS / PERIOD * 98 / 100,
	       NR_FAULTS / PERIOD * 102 / 100, seen.nr_faults);
	expect("growth reports of a tracked process", 0, 0, seen.nr_grows);
	expect("lost", 0, 0, stats.counters[EMBER_STAT_lost_fault]);
	end(&child);
	ember_sampler_close(sampler);
}

static void check_untracked(void)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	struct child child = start();
	struct ember_sampler *sampler;
	struct seen seen = {};

	printf("untracked, 1 in %u of %u faults, reports from %u samples on\n", PERIOD, NR_FAULTS,
	       GROW);
	config.fault_period = PERIOD;
	config.grow_samples = GROW;
	sampler = start_sampler_with(&config);
	seen.id = identify(sampler, child.pid);
	run_faults(&child);
	ember_sampler_consume(sampler, keep, &seen);
	/* 4096 samples, give or take: 8, 16, ... 2048 for sure, 4096 perhaps. */
	expect("growth reports", 9, 10, seen.nr_grows);
	expect("of them at double the count before", seen.nr_grows, seen.nr_grows,
	       seen.nr_in_order);
	expect("fault events", 0, 0, seen.nr_faults + seen.nr_outside);
	end(&child);
	ember_sampler_close(sampler);
}

static void check_off(void)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	struct child child = start();
	struct ember_sampler_stats stats;
	struct ember_sampler *sampler;
	struct seen seen = {};

	printf("fault sampling off\n");
	config.fault_period = 0;
	sampler = start_sampler_with(&config);
	seen.id = identify(sampler, child.pid);
	if (ember_sampler_track(sampler, &seen.id) < 0)
		die("FAIL: track");
	run_faults(&child);
	ember_sampler_consume(sampler, keep, &seen);
	ember_sampler_stats(sampler, &stats);
	expect("events", 0, 0, seen.nr_faults + seen.nr_outside + seen.nr_grows);
	expect("samples", 0, 0, stats.counters[EMBER_STAT_faults_sampled]);
	end(&child);
	ember_sampler_close(sampler);
}

static void check_lost(void)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	struct child child = start();
	struct ember_sampler_stats stats;
	struct ember_sampler *sampler;
	struct seen seen = {};
	uint64_t *c = stats.counters;

	printf("a ring of one page that nobody empties\n");
	config.fault_period = PERIOD;
	config.ring_bytes = 4096;
	config.all_processes = false;
	config.grow_samples = 0;
	sampler = start_sampler_with(&config);
	seen.id = identify(sampler, child.pid);
	if (ember_sampler_track(sampler, &seen.id) < 0)
		die("FAIL: track");
	run_faults(&child);
	ember_sampler_stats(sampler, &stats);
	ember_sampler_consume(sampler, keep, &seen);
	/* 40 bytes and a header of 8 each. */
	expect("events that fit", 80, 86, seen.nr_faults + seen.nr_outside);
	expect("events that the counter says were sent", seen.nr_faults + seen.nr_outside,
	       seen.nr_faults + seen.nr_outside, c[EMBER_STAT_sent_fault]);
	expect("events lost, at least", 3900, 1 << 30, c[EMBER_STAT_lost_fault]);
	/* The samples of others are in the sum of samples only. */
	expect("sent and lost, within 2 % of 1 in 16", NR_FAULTS / PERIOD * 98 / 100,
	       NR_FAULTS / PERIOD * 102 / 100, c[EMBER_STAT_sent_fault] + c[EMBER_STAT_lost_fault]);
	expect("sent and lost, at most the samples taken", 0, c[EMBER_STAT_faults_sampled],
	       c[EMBER_STAT_sent_fault] + c[EMBER_STAT_lost_fault]);
	end(&child);
	ember_sampler_close(sampler);
}

/* Programs of ours that the kernel has loaded, whoever holds them. */
static int count_programs(void)
{
	__u32 id = 0;
	int nr = 0;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = {};
		__u32 bytes = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_prog_get_info_by_fd(fd, &info, &bytes) == 0)
			nr += strncmp(info.name, "ember_", strlen("ember_")) == 0;
		close(fd);
	}
	return nr;
}

static void check_gone(void)
{
	struct ember_sampler *sampler;
	pid_t child;
	int tries;

	printf("nothing stays in the kernel\n");
	sampler = start_sampler();
	expect("programs loaded", 6, 6, count_programs());
	ember_sampler_close(sampler);
	for (tries = 0; tries < 600 && count_programs() != 0; tries++)
		usleep(50000);
	expect("programs after closing", 0, 0, count_programs());
	fflush(stdout);
	child = fork();
	if (child == 0) {
		start_sampler();
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
	for (tries = 0; tries < 600 && count_programs() != 0; tries++)
		usleep(50000);
	expect("programs after a daemon was killed", 0, 0, count_programs());
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	check_tracked();
	check_untracked();
	check_off();
	check_lost();
	check_gone();
	printf(nr_failures ? "FAIL\n" : "PASS\n");
	return nr_failures ? 1 : 0;
}
