// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that several processes map is promoted as well. This program and two children map one
 * memfd, one child at another address; all touch the same hot part of it. With emberd
 * running, each of them must see the hot part on the fast node in the end, and the rest must not
 * have followed it.
 *
 *   shared_memory [--seconds N]     (shared_memory.py starts emberd and runs this)
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/expect.h"

#define NR_PAGES (64 * 256UL)  /* 64 MiB */
#define NR_HOT (8 * 256UL)     /* 8 MiB */
#define FIRST_HOT (40 * 256UL) /* in the middle of it */
#define NR_PROCS 3
#define FAST 0
#define SLOW 1

/* What each process sees, in pages on the fast node: of the hot ones and of the others. */
struct seen {
	atomic_size_t hot[NR_PROCS];
	atomic_size_t others[NR_PROCS];
};

/* Both of one moment: they are looked at while pages move, and while this is called. */
static void look(const char *area, unsigned int me, struct seen *seen)
{
	static int nodes[NR_PAGES];
	size_t hot = 0, others = 0;

	area_nodes(area, NR_PAGES, nodes);
	for (size_t i = 0; i < NR_PAGES; i++) {
		bool is_hot = i >= FIRST_HOT && i < FIRST_HOT + NR_HOT;

		hot += is_hot && nodes[i] == FAST;
		others += !is_hot && nodes[i] == FAST;
	}
	atomic_store(&seen->others[me], others);
	atomic_store(&seen->hot[me], hot);
}

static void touch_and_look(volatile char *area, unsigned int me, struct seen *seen)
{
	time_t last = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct timespec now;

		for (size_t i = 0; i < NR_HOT; i++)
			(void)area[(FIRST_HOT + i) * PAGE_BYTES];
		usleep(20000);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec == last)
			continue;
		last = now.tv_sec;
		look((const char *)area, me, seen);
	}
}

/* The processes see all of the hot part on the fast node, but for one page in 20. */
static bool arrived(const struct seen *seen)
{
	for (unsigned int i = 0; i < NR_PROCS; i++)
		if (atomic_load(&seen->hot[i]) * 20 < NR_HOT * 19)
			return false;
	return true;
}

static pid_t start(int fd, void *area, unsigned int me, struct seen *seen)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork: %m");
	if (pid)
		return pid;
	if (me == NR_PROCS - 1)
		area = mmap(NULL, NR_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		_exit(1);
	touch_and_look(area, me, seen);
	_exit(0);
}

int main(int argc, char **argv)
{
	int seconds = argc == 3 && !strcmp(argv[1], "--seconds") ? atoi(argv[2]) : 90;
	int fd = memfd_create("shared_memory", MFD_CLOEXEC);
	struct seen *seen =
	    mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[NR_PROCS];
	void *area;

	if (fd < 0 || ftruncate(fd, NR_PAGES * PAGE_BYTES) < 0 || seen == MAP_FAILED)
		fail("memfd: %m");
	area = mmap(NULL, NR_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		fail("mmap: %m");
	area_fill(area, NR_PAGES, SLOW, 1);
	expect(area_count(area, NR_PAGES, FAST) == 0, "at first nothing is on the fast node");
	for (unsigned int i = 0; i < NR_PROCS; i++)
		pids[i] = start(fd, area, i, seen);
	for (int s = 0; s < seconds && !arrived(seen); s++)
		sleep(1);
	for (unsigned int i = 0; i < NR_PROCS; i++) {
		size_t hot = atomic_load(&seen->hot[i]), others = atomic_load(&seen->others[i]);

		expect(hot * 20 >= NR_HOT * 19,
		       "process %u: want the %lu hot pages on node %d, sees %zu there", i, NR_HOT,
		       FAST, hot);
		expect(others <= NR_PAGES / 8, "process %u: of the other %lu, %zu are there", i,
		       NR_PAGES - NR_HOT, others);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	expect(area_check(area, NR_PAGES, 1) == 0, "the contents are what was written");
	return expect_status();
}
