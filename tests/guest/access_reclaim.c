// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looking does not blind reclaim: a process whose memory does not fit its cgroup has not
 * more than 1.05 times the anonymous refaults while its accessed bits are read and cleared
 * every 250 ms as without.
 *
 * The process does a fixed number of accesses per turn, 9 of 10 of them to a hot third of
 * its memory. Turns with and without scans alternate (off on on off ...) inside one boot,
 * and each pair repeats the same accesses; the sums are compared. Were the bits cleared
 * and not handed on, reclaim would evict hot pages as readily as cold ones.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define CGROUP "/sys/fs/cgroup/ember-reclaim"
#define BASE ((char *)0x400000000000UL)
#define PAGE 4096UL
#define NR_PAGES (192 * 256UL)   /* 192 MiB */
#define NR_HOT (64 * 256UL)      /* at the start of the area */
#define MEMORY_MAX "134217728\n" /* 128 MiB */
#define NR_ACCESSES 600000
#define NR_PAIRS 6   /* of turns, in one series */
#define MAX_SERIES 3 /* a series varies by some percent: too much is looked at again */
#define SCAN_PERIOD_US 250000
#define MIN_REFAULTS 20000
#define LIMIT 1.05

struct control {
	_Atomic uint32_t round;
	_Atomic uint32_t done;
	uint64_t seed;
};

static struct control *control;
static uint64_t nr_scans, nr_young;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("FAIL: %s cannot be written", path);
	close(fd);
}

static void start_swap(void)
{
	if (system("modprobe zram && echo 512M >/sys/block/zram0/disksize && "
		   "mkswap -q /dev/zram0 >/dev/null && swapon /dev/zram0") != 0)
		die("FAIL: no swap on zram");
}

static void stop_swap(void)
{
	if (system("swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset") != 0)
		printf("swap stays on\n");
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Contents that compress, but not to nothing. */
static void access_page(uint64_t page, uint64_t value)
{
	*(volatile uint64_t *)(BASE + page * PAGE + value % 64 * 64) = value;
}

static void do_accesses(uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15UL + 1;
	uint32_t i;

	for (i = 0; i < NR_ACCESSES; i++) {
		uint64_t random = next_random(&state);
		uint64_t pages = random % 10 ? NR_HOT : NR_PAGES;

		access_page((random >> 16) % pages, random);
	}
}

static void run_target(void)
{
	uint32_t seen = 0;
	uint64_t page;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mmap(BASE, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != BASE)
		abort();
	madvise(BASE, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
	for (page = 0; page < NR_PAGES; page++)
		access_page(page, page);
	for (;;) {
		control->done = seen;
		while (control->round == seen)
			usleep(1000);
		seen = control->round;
		do_accesses(control->seed);
	}
}

static pid_t start_target(void)
{
	char text[32];
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("FAIL: fork");
	if (pid == 0) {
		snprintf(text, sizeof(text), "%d", getpid());
		write_file(CGROUP "/cgroup.procs", text);
		run_target();
	}
	return pid;
}

static uint64_t nr_refaults(void)
{
	FILE *file = fopen(CGROUP "/memory.stat", "re");
	unsigned long long value = 0;
	char line[256];

	if (!file)
		die("FAIL: no memory.stat");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "workingset_refault_anon %llu", &value) == 1)
			break;
	fclose(file);
	return value;
}

static void scan(struct ember_sampler *sampler, const struct ember_proc_id *id)
{
	struct ember_scan_req req = {
	    .end = 1UL << 47,
	    .budget_ns = 5000000,
	    .flags = EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH,
	};
	const struct ember_region_rec *recs;

	do {
		if (ember_sampler_scan(sampler, id, &req, &recs) < 0)
			die("FAIL: scan");
		nr_young += req.nr_young;
		if (req.stop == EMBER_STOP_LOCK)
			usleep(1000);
	} while (req.stop != EMBER_STOP_DONE);
	nr_scans++;
}

/* Refaults of one turn. */
static uint64_t run_turn(struct ember_sampler *sampler, const struct ember_proc_id *id,
			 uint64_t seed, bool on)
{
	uint64_t before = nr_refaults();
	uint32_t waited_us, round;

	control->seed = seed;
	round = ++control->round;
	for (waited_us = 0; control->done != round; waited_us += 10000) {
		if (on && waited_us % SCAN_PERIOD_US == 0)
			scan(sampler, id);
		if (waited_us > 300000000)
			die("FAIL: the target does not finish its turn");
		usleep(10000);
	}
	return nr_refaults() - before;
}

struct sums {
	uint64_t off;
	uint64_t on;
};

static void run_series(struct ember_sampler *sampler, const struct ember_proc_id *id,
		       uint32_t series, struct sums *sums)
{
	uint32_t pair;

	for (pair = series * NR_PAIRS; pair < (series + 1) * NR_PAIRS; pair++) {
		bool on_first = pair & 1;
		uint64_t first = run_turn(sampler, id, pair, on_first);
		uint64_t second = run_turn(sampler, id, pair, !on_first);
		uint64_t off = on_first ? second : first, on = on_first ? first : second;

		printf("pair %u: refaults without scans %llu, with %llu\n", pair,
		       (unsigned long long)off, (unsigned long long)on);
		sums->off += off;
		sums->on += on;
	}
}

static void remove_cgroup(pid_t pid)
{
	int tries;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (tries = 0; tries < 100 && rmdir(CGROUP) < 0; tries++)
		usleep(50000);
}

static pid_t start_target_and_wait(void)
{
	pid_t pid;

	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	write_file(CGROUP "/memory.max", MEMORY_MAX);
	control =
	    mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (control == MAP_FAILED)
		die("FAIL: no memory");
	control->done = ~0U;
	pid = start_target();
	while (control->done != 0)
		usleep(10000);
	return pid;
}

int main(void)
{
	struct ember_sampler *sampler;
	struct ember_proc_id id;
	struct sums sums = {};
	uint32_t series;
	pid_t pid;
	bool ok;

	setvbuf(stdout, NULL, _IOLBF, 0);
	stop_other_aging();
	start_swap();
	sampler = start_sampler();
	pid = start_target_and_wait();
	id = identify(sampler, pid);
	run_turn(sampler, &id, 1000, false); /* to settle; counts for neither side */
	for (series = 0; series < MAX_SERIES; series++) {
		run_series(sampler, &id, series, &sums);
		if (sums.on <= LIMIT * sums.off)
			break;
	}
	remove_cgroup(pid);
	stop_swap();
	ember_sampler_close(sampler);
	printf("%llu scans found %llu young pages\n", (unsigned long long)nr_scans,
	       (unsigned long long)nr_young);
	printf("refaults without scans %llu (expect at least %u), with scans %llu: ratio %.3f "
	       "(expect at most %.2f)\n",
	       (unsigned long long)sums.off, MIN_REFAULTS, (unsigned long long)sums.on,
	       (double)sums.on / sums.off, LIMIT);
	ok = sums.off >= MIN_REFAULTS && nr_scans >= 2 * NR_PAIRS && sums.on <= LIMIT * sums.off;
	printf(ok ? "PASS\n" : "FAIL\n");
	return ok ? 0 : 1;
}
