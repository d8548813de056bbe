// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking a pool away: while processes write to it, while requests fill it, with something in
 * the way, and with the module.
 *
 *	pool_remove START BYTES		a range that the kernel's command line sets apart
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/pool.h"

#define SEED 0x900dUL
#define NR 2048UL
#define NR_WRITERS 3

static struct ember_nl nl;
static struct ember_identity self;
static uint64_t start, bytes;

static long move(struct ember_nl *with, const void *area, size_t nr, uint32_t dest)
{
	static _Thread_local uint8_t outcome[16384];

	return ember_nl_move(with, &self, area, nr, NULL, dest, EMBER_MIGRATE_SHARED, outcome);
}

static size_t count_in(pid_t pid, const void *area, size_t nr)
{
	return pool_count(pid, area, nr, start, bytes);
}

/* ---- while processes write ---- */

struct board {
	_Atomic unsigned int nr_ready;
	_Atomic bool stop;
	_Atomic unsigned long nr_written;
};

/*
 * Counts in a word of each page of its own, without a pause, and looks at what it shares with
 * the others. The rest of its pages is as it was filled, so a lost write shows as well as a
 * wrong copy.
 */
static int writer(struct board *board, int pool, char *shared)
{
	char *area = area_map(NR);
	uint64_t count = 0;

	if (ember_nl_open(&nl) || ember_nl_self(&self))
		return 1;
	area_fill(area, NR, 0, SEED);
	if (move(&nl, area, NR, EMBER_NL_POOL(pool)) != (long)NR)
		return 2;
	board->nr_ready++;
	while (!board->stop) {
		for (size_t i = 0; i < NR; i++)
			*(volatile uint64_t *)(area + i * PAGE_BYTES + 64) += 1;
		board->nr_written++;
		count++;
		if (area_check(shared + count % NR * PAGE_BYTES, 1, SEED))
			return 3;
	}
	for (size_t i = 0; i < NR; i++)
		*(uint64_t *)(area + i * PAGE_BYTES + 64) -= count;
	if (area_check(area, NR, SEED) || area_check(shared, NR, SEED))
		return 4;
	return count_in(0, area, NR) || count_in(0, shared, NR) ? 5 : 0;
}

static void test_writers(void)
{
	struct board *board =
	    mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pool = pool_add(&nl, start, bytes), bad = 0;
	char *shared = area_map(NR);
	pid_t pids[NR_WRITERS];
	unsigned long written;
	bool gone;

	area_fill(shared, NR, 0, SEED);
	move(&nl, shared, NR, EMBER_NL_POOL(pool));
	for (int i = 0; i < NR_WRITERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(writer(board, pool, shared));
	}
	for (int i = 0; i < 3000 && board->nr_ready < NR_WRITERS; i++)
		usleep(20000);
	expect(pool_used_is(pool, (NR_WRITERS + 1) * NR),
	       "3 writers and what they share: want 8192 pages used, saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	written = board->nr_written;
	gone = pool_remove(&nl, pool);
	written = board->nr_written - written;
	expect(gone, "removed beneath them (%s, stuck: %s)", pool_file(pool, "state"),
	       pool_file(pool, "stuck"));
	expect(!pool_count_all(start, bytes), "nobody has a page there");
	expect(written > 0, "they wrote meanwhile: %lu rounds", written);
	board->stop = true;
	for (int i = 0; i < NR_WRITERS; i++) {
		int status = -1;

		waitpid(pids[i], &status, 0);
		if (status)
			printf("writer %d: status %#x\n", i, status);
		bad += status != 0;
	}
	expect(!bad && !area_check(shared, NR, SEED), "no write is lost, all contents intact");
	munmap(shared, NR * PAGE_BYTES);
	munmap(board, PAGE_BYTES);
	expect(pool_remove(&nl, pool_add(&nl, start, bytes)), "the range can be a pool again");
}

/* ---- while requests fill it ---- */

struct filler {
	size_t nr; /* pages that come and go at once */
	_Atomic bool stop;
	_Atomic int pool;
	_Atomic unsigned long nr_moved;
	_Atomic unsigned int nr_bad;
};

static void *fill(void *arg)
{
	struct filler *filler = arg;
	struct ember_nl mine;
	char *area = area_map(NR);

	if (ember_nl_open(&mine))
		fail("no second connection");
	area_fill(area, NR, 0, SEED);
	while (!filler->stop) {
		long moved = move(&mine, area, filler->nr, EMBER_NL_POOL(filler->pool));

		if (moved > 0)
			filler->nr_moved += (unsigned long)moved;
		else if (moved < 0 && moved != -ENODEV)
			filler->nr_bad++;
		if (moved == (long)filler->nr)
			move(&mine, area, filler->nr, 0);
	}
	filler->nr_bad += area_check(area, NR, SEED) != 0;
	munmap(area, NR * PAGE_BYTES);
	ember_nl_close(&mine);
	return NULL;
}

/*
 * A pool goes, and stays gone, however a removal meets the requests: in the middle of much that
 * has been taken, or when the first page is just being taken.
 */
static void test_fillers(size_t nr, unsigned int nr_threads)
{
	struct filler filler = {.nr = nr, .pool = pool_add(&nl, start, bytes)};
	unsigned int nr_gone = 0, nr_stayed = 0;
	time_t enough = time(NULL) + 8;
	pthread_t threads[2];

	for (unsigned int i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, fill, &filler))
			fail("pthread_create");
	for (int round = 0; round < 40 && (time(NULL) < enough || !nr_gone); round++) {
		usleep(1000 * (useconds_t)(round % 8));
		if (!pool_remove(&nl, filler.pool)) {
			nr_stayed++; /* one that takes long to let go: allowed, but not always */
			continue;
		}
		nr_gone++;
		filler.pool = pool_add(&nl, start, bytes);
	}
	filler.stop = true;
	for (unsigned int i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	expect(nr_gone && !filler.nr_bad,
	       "removals while %u fill it by %zu: some done and 0 errors; saw %u, %u refused, %u; "
	       "%lu pages moved in",
	       nr_threads, nr, nr_gone, nr_stayed, filler.nr_bad, filler.nr_moved);
	expect(pool_used_is(filler.pool, 0), "all back: want 0 used, saw %ld",
	       pool_number(filler.pool, "used_bytes"));
	expect(pool_remove(&nl, filler.pool), "removed");
}

static void run_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("sched_setaffinity: %s", strerror(errno));
}

/*
 * What is copied on a write in locked memory leaves the original in a list of that CPU, with a
 * reference. If the CPU has nothing more of that kind to do, it is there until somebody asks.
 */
static void test_left_behind(void)
{
	int pool = pool_add(&nl, start, bytes);
	char *area = area_map(NR);
	cpu_set_t before;
	pid_t child;
	bool gone;
	long used;

	sched_getaffinity(0, sizeof(before), &before);
	area_fill(area, NR, 0, SEED);
	if (mlock(area, NR * PAGE_BYTES))
		fail("mlock: %s", strerror(errno));
	move(&nl, area, NR, EMBER_NL_POOL(pool));
	run_on(0);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	run_on(1);
	area_fill(area, NR, 0, SEED);
	run_on(0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	used = pool_number(pool, "used_bytes") / 4096;
	gone = pool_remove(&nl, pool);
	expect(used > 0 && gone, "%ld of 2048 pages are left behind on a CPU: removed (%s)", used,
	       pool_file(pool, "stuck"));
	sched_setaffinity(0, sizeof(before), &before);
	munmap(area, NR * PAGE_BYTES);
}

/* What any user may map, and many programs do: address space without memory, here 64 TiB. */
static void test_reserved_space(void)
{
	const size_t size = 1UL << 46;
	int pool = pool_add(&nl, start, bytes);
	char *area = area_map(NR), *space;
	bool gone;

	space = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED || mprotect(space + size / 2, PAGE_BYTES, PROT_READ | PROT_WRITE))
		fail("64 TiB: %s", strerror(errno));
	space[size / 2] = 1; /* so that it is not passed by for having no memory at all */
	area_fill(area, NR, 0, SEED);
	move(&nl, area, NR, EMBER_NL_POOL(pool));
	gone = pool_remove(&nl, pool);
	expect(gone && !area_check(area, NR, SEED),
	       "removed from a process with 64 TiB of address space (%s)",
	       pool_file(pool, "stuck"));
	munmap(space, size);
	munmap(area, NR * PAGE_BYTES);
}

/* ---- with something in the way ---- */

/* 0 or errno; EAGAIN: in use. */
static int unload(void)
{
	return syscall(SYS_delete_module, "ember", O_NONBLOCK) ? errno : 0;
}

static void stays(int pool, const char *what, const char *stuck)
{
	bool gone = pool_remove(&nl, pool);

	expect(!gone && !strcmp(pool_file(pool, "state"), "ready") &&
		   pool_number(pool, "error") == -EBUSY,
	       "%s: want ready with %d, saw %s with %ld", what, -EBUSY, pool_file(pool, "state"),
	       pool_number(pool, "error"));
	expect(strstr(pool_file(pool, "stuck"), stuck), "it says \"%s\": %s", stuck,
	       pool_file(pool, "stuck"));
}

static void test_stuck(void)
{
	int pool = pool_add(&nl, start, bytes), ends[2];
	char *area = area_map(NR), expected[64];
	struct iovec iov = {area + 7 * PAGE_BYTES, PAGE_BYTES};

	area_fill(area, NR, 0, SEED);
	move(&nl, area, NR, EMBER_NL_POOL(pool));
	if (pipe(ends) || vmsplice(ends[1], &iov, 1, 0) != (ssize_t)PAGE_BYTES)
		fail("vmsplice: %s", strerror(errno));
	snprintf(expected, sizeof(expected), "pinned 1\nprocess %d", getpid());
	stays(pool, "a page in a pipe", expected);
	expect(count_in(0, area, NR) == 1 && pool_used_is(pool, 1),
	       "all others have moved out: want 1, saw %zu", count_in(0, area, NR));
	expect(move(&nl, area, NR, EMBER_NL_POOL(pool)) == (long)NR - 1, "it can be used again");
	expect(!area_check(area, NR, SEED), "contents");
	munmap(area, NR * PAGE_BYTES);
	expect(pool_used_is(pool, 1), "unmapped: want 1 used, saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	stays(pool, "the same, unmapped", "unmapped 1");
	expect(unload() == EAGAIN, "the module cannot be unloaded");
	close(ends[0]);
	close(ends[1]);
	expect(pool_used_is(pool, 0) && pool_remove(&nl, pool), "the pipe closed: removed");
}

/* ---- with the module ---- */

static bool wait_byte(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0;
}

static void test_unload(void)
{
	int pool = pool_add(&nl, start, bytes), stop[2], err;
	char *area = area_map(NR);
	pid_t child;

	area_fill(area, NR, 0, SEED);
	move(&nl, area, NR, EMBER_NL_POOL(pool));
	if (pipe(stop))
		fail("pipe: %s", strerror(errno));
	child = fork();
	if (!child) {
		close(stop[1]);
		_exit(wait_byte(stop[0]) && !area_check(area, NR, SEED) ? 0 : 1);
	}
	munmap(area, NR * PAGE_BYTES);
	expect(unload() == EAGAIN, "a child has pages: the module cannot be unloaded");
	expect(pool_exists(pool) && count_in(child, area, NR) == NR, "nothing has changed for it");
	close(stop[1]);
	waitpid(child, &err, 0);
	expect(!err && pool_used_is(pool, 0), "it ends, contents intact, pages back");
	ember_nl_close(&nl);
	expect(!unload(), "with an empty pool it can");
	expect(access("/sys/kernel/ember", F_OK) < 0, "no directory is left");
	ember_nl_begin(&nl, &self);
	expect(pool_remove(&nl, pool_add(&nl, start, bytes)), "loaded anew, the range is free");
}

/* Unloaded while a pool is being added, and while one is being removed. */
static void test_unload_early(void)
{
	for (int i = 0; i < 6; i++) {
		int pool = ember_nl_pool_add(&nl, start, bytes, -1);

		if (i % 2) {
			pool_settle(pool, "adding");
			ember_nl_pool_remove(&nl, (uint32_t)pool);
		}
		ember_nl_close(&nl);
		expect(!unload(), "unloaded while %s", i % 2 ? "removing" : "adding");
		ember_nl_begin(&nl, &self);
	}
	expect(pool_remove(&nl, pool_add(&nl, start, bytes)), "the range is free");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return 2;
	start = strtoull(argv[1], NULL, 0);
	bytes = strtoull(argv[2], NULL, 0);
	ember_nl_begin(&nl, &self);
	test_writers();
	test_fillers(NR, 2);
	test_fillers(1, 1);
	test_left_behind();
	test_reserved_space();
	test_stuck();
	test_unload();
	test_unload_early();
	return expect_status();
}
