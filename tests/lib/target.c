// SPDX-License-Identifier: GPL-2.0-or-later
#include "target.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define MAX_THREADS 8
#define NR_PARTNERS 2

/* Shared with the process; outside its area. */
struct control {
	_Atomic uint32_t round; /* counts up: a new round is to be touched */
	_Atomic uint32_t nr_done;
	_Atomic uint32_t ready;
	uint64_t seed;
	uint32_t nr;
};

struct target {
	struct target_config config;
	struct control *control;
	pid_t pid;
	pid_t partners[NR_PARTNERS];
};

struct worker {
	const struct target *target;
	uint32_t index;
};

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	exit(1);
}

#define DAMON_STAT "/sys/module/damon_stat/parameters/enabled"

static bool write_damon_stat(char value)
{
	FILE *file = fopen(DAMON_STAT, "we");

	if (!file)
		return false;
	fputc(value, file);
	return fclose(file) == 0;
}

static void restart_damon_stat(void)
{
	write_damon_stat('Y');
}

void stop_other_aging(void)
{
	FILE *file = fopen(DAMON_STAT, "re");
	int enabled;

	if (!file)
		return;
	enabled = fgetc(file);
	fclose(file);
	if (enabled != 'Y')
		return;
	if (!write_damon_stat('N'))
		die("FAIL: DAMON_STAT cannot be switched off");
	atexit(restart_damon_stat);
	printf("DAMON_STAT switched off: it clears accessed bits of pages it samples\n");
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The first nr entries of a permutation of all pages that the seed decides. */
static void choose(const struct target *target, uint64_t seed, uint32_t nr, uint32_t *pages)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15UL + 1;
	uint32_t i;

	for (i = 0; i < target->config.nr_pages; i++)
		pages[i] = i;
	for (i = 0; i < nr; i++) {
		uint32_t other = i + next_random(&state) % (target->config.nr_pages - i);
		uint32_t page = pages[other];

		pages[other] = pages[i];
		pages[i] = page;
	}
}

void target_expected(const struct target *target, uint64_t seed, uint32_t nr,
		     bool touched[static TARGET_MAX_PAGES])
{
	uint32_t *pages = calloc(TARGET_MAX_PAGES, sizeof(*pages));
	uint32_t i;

	choose(target, seed, nr, pages);
	memset(touched, 0, TARGET_MAX_PAGES * sizeof(*touched));
	for (i = 0; i < nr; i++)
		touched[pages[i]] = true;
	free(pages);
}

static void touch(uint32_t page, bool write)
{
	volatile uint64_t *word =
	    (volatile uint64_t *)(TARGET_BASE + (uint64_t)page * PAGE_BYTES + page % 64 * 64);

	if (write)
		*word = page;
	else
		(void)*word;
}

static void give_way(const struct target *target)
{
	if (target->config.spinning)
		return;
	usleep(target->config.switching ? 1 : 500);
}

static void *work(void *argument)
{
	const struct worker *worker = argument;
	const struct target *target = worker->target;
	struct control *control = target->control;
	uint32_t *pages = calloc(TARGET_MAX_PAGES, sizeof(*pages));
	uint32_t seen = 0, i;

	if (!pages)
		abort();
	memset(pages, 0xff, TARGET_MAX_PAGES * sizeof(*pages));
	for (;;) {
		while (control->round == seen)
			give_way(target);
		seen = control->round;
		choose(target, control->seed, control->nr, pages);
		for (i = worker->index; i < control->nr; i += target->config.nr_threads) {
			touch(pages[i], i & 1);
			if (target->config.switching && i % 8 == 0)
				give_way(target);
		}
		control->nr_done++;
	}
	return NULL;
}

static void map_area(const struct target_config *config)
{
	size_t bytes = (size_t)config->nr_pages * PAGE_BYTES;
	uint32_t page;

	if (mmap((void *)TARGET_BASE, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)TARGET_BASE)
		abort();
	madvise((void *)TARGET_BASE, bytes, config->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (page = 0; page < config->nr_pages; page++)
		touch(page, true);
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		die("FAIL: no CPU %d", cpu);
}

static void run_target(const struct target *target)
{
	struct worker workers[MAX_THREADS];
	pthread_t thread;
	uint32_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (target->config.spinning)
		pin(sysconf(_SC_NPROCESSORS_ONLN) - 1);
	map_area(&target->config);
	for (i = 0; i < target->config.nr_threads; i++)
		workers[i] = (struct worker){.target = target, .index = i};
	for (i = 1; i < target->config.nr_threads; i++)
		if (pthread_create(&thread, NULL, work, &workers[i]))
			abort();
	target->control->ready = 1;
	work(&workers[0]);
}

/* Takes a CPU whenever the process gives way there, with an address space of its own. */
static void run_partner(uint32_t index)
{
	pin(index % sysconf(_SC_NPROCESSORS_ONLN));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		sched_yield();
}

/* The target itself, or a partner if NULL. */
static pid_t start_child(const struct target *target, uint32_t partner)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("FAIL: fork");
	if (pid > 0)
		return pid;
	if (target)
		run_target(target);
	run_partner(partner);
	abort();
}

static void wait_until(_Atomic uint32_t *value, uint32_t wanted)
{
	uint32_t waited_ms;

	for (waited_ms = 0; *value != wanted; waited_ms++) {
		if (waited_ms > 120000)
			die("FAIL: the target does not answer");
		usleep(1000);
	}
}

struct target *target_start(const struct target_config *config)
{
	struct target *target = calloc(1, sizeof(*target));
	uint32_t i;

	if (!target || config->nr_threads > MAX_THREADS || config->nr_pages > TARGET_MAX_PAGES)
		die("FAIL: bad target");
	target->config = *config;
	target->control = mmap(NULL, sizeof(*target->control), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (target->control == MAP_FAILED)
		die("FAIL: no memory for the target");
	target->pid = start_child(target, 0);
	for (i = 0; config->switching && i < NR_PARTNERS; i++)
		target->partners[i] = start_child(NULL, i);
	wait_until(&target->control->ready, 1);
	return target;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void target_stop(struct target *target)
{
	uint32_t i;

	for (i = 0; target->config.switching && i < NR_PARTNERS; i++)
		end_child(target->partners[i]);
	end_child(target->pid);
	munmap(target->control, sizeof(*target->control));
	free(target);
}

pid_t target_pid(const struct target *target)
{
	return target->pid;
}

void target_touch(struct target *target, uint64_t seed, uint32_t nr)
{
	struct control *control = target->control;

	control->seed = seed;
	control->nr = nr;
	control->nr_done = 0;
	control->round++;
	wait_until(&control->nr_done, target->config.nr_threads);
}

uint64_t target_nr_switches(const struct target *target)
{
	unsigned long voluntary = 0, forced = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", target->pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "voluntary_ctxt_switches: %lu", &voluntary);
		sscanf(line, "nonvoluntary_ctxt_switches: %lu", &forced);
	}
	fclose(file);
	return voluntary + forced;
}
