// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How fast do both movers move the same pages? Pages per second of the module (one
 * client, requests in flight up to the credits) and of one move_pages(2) call, for
 * dense, 1-in-4 and 1-in-8 selections of an area of an idle process, in turns.
 *
 * Times of an emulator mean nothing by themselves, so only ratios of the same boot
 * are judged: fails when the median ratio for dense selections is below --dense.
 * In a guest whose clock counts instructions (tests/vm/run --clock instructions)
 * the ratio is the same on any host, however busy.
 *
 *	migrate_speed [--pages N] [--rounds N] [--dense RATIO] [--busy N]
 *	migrate_speed --table [--pages N] [--rounds N]
 *
 * --busy N: the target is not idle, N threads of it read the area all the time.
 *
 * --table: dense, 1-in-4, 1-in-8 and huge pages, each with an idle target and with one and two
 * busy threads; and which mover emberd would take after these turns (daemon/mover_cost.c), which
 * must not be slower than 0.95 of the better one. Huge pages are moved whole, by move_pages(2).
 */
#include <errno.h>
#include <getopt.h>
#include <numaif.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "daemon/mover_cost.h"
#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

#define MAX_ROUNDS 64
#define SEED 0xfa57

static struct options {
	size_t nr_pages; /* pages to move per turn */
	unsigned int rounds;
	double dense; /* least ratio */
	unsigned int busy;
	bool table;
} options = {.nr_pages = 16384, .rounds = 5, .dense = 1.5};

struct target {
	pid_t pid;
	struct ember_identity identity;
	char *area;
	size_t nr_pages;
	bool huge;
};

/* Which pages of an area are moved. */
struct pattern {
	const char *name;
	size_t stride;
	bool huge; /* of huge pages, by one address each */
};

/* What both movers did in turns: pages per second; none by the module: it was not asked. */
struct rates {
	double module, syscall, ratio;
	enum ember_base_mover choice;
};

/* Reads the area for ever: keeps the mm loaded, its TLB entries warm. */
static void *read_area(void *arg)
{
	const struct target *target = arg;
	volatile const char *area = target->area;

	for (size_t i = 0;; i = (i + 1) % target->nr_pages)
		(void)area[i * PAGE_BYTES];
	return NULL;
}

/* Of this process. */
static size_t huge_bytes(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	size_t kib = 0;

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "AnonHugePages: %zu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib * 1024;
}

static void be_target(struct target *target, int out)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	target->area = area_map(target->nr_pages);
	if (target->huge)
		madvise(target->area, target->nr_pages * PAGE_BYTES, MADV_HUGEPAGE);
	area_fill(target->area, target->nr_pages, 0, SEED);
	for (unsigned int i = 0; i < options.busy; i++)
		pthread_create(&thread, NULL, read_area, target);
	if (target->huge && huge_bytes() < target->nr_pages * PAGE_BYTES)
		_exit(1);
	if (ember_nl_self(&target->identity) || write(out, target, sizeof(*target)) < 0)
		_exit(1);
	for (;;)
		pause();
}

static void start_target(struct target *ret_target, size_t nr_pages, bool huge)
{
	struct target target = {.nr_pages = nr_pages, .huge = huge};
	int fds[2];

	if (pipe(fds))
		fail("pipe: %s", strerror(errno));
	target.pid = fork();
	if (target.pid == 0)
		be_target(&target, fds[1]);
	close(fds[1]);
	if (read(fds[0], ret_target, sizeof(*ret_target)) != sizeof(*ret_target))
		fail("the target process failed, or has too few huge pages");
	close(fds[0]);
	ret_target->pid = target.pid;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Jobs that cover every stride-th page of the target's area. */
static size_t make_jobs(const struct target *target, size_t stride, uint32_t node,
			struct ember_nl_job **ret_jobs)
{
	const size_t slice = EMBER_MAX_REGIONS * REGION_PAGES;
	size_t nr_jobs = (target->nr_pages + slice - 1) / slice;
	struct ember_nl_job *jobs = calloc(nr_jobs, sizeof(*jobs));
	uint8_t *mask = calloc(slice, 1);

	if (!jobs || !mask)
		fail("out of memory");
	for (size_t i = 0; i < slice; i += stride)
		mask[i] = 1;
	for (size_t i = 0; i < nr_jobs; i++) {
		size_t left = target->nr_pages - i * slice;

		jobs[i].id = i + 1;
		jobs[i].target = target->identity;
		jobs[i].node = node;
		if (ember_nl_job_fill(&jobs[i], target->area + i * slice * PAGE_BYTES,
				      left < slice ? left : slice, mask))
			fail("a job does not fit");
	}
	free(mask);
	*ret_jobs = jobs;
	return nr_jobs;
}

static size_t take(struct ember_nl *nl, struct ember_nl_job *job)
{
	int err = ember_nl_wait(nl, job, 60000);

	if (!err)
		err = ember_nl_ack(nl, job->id);
	if (err)
		fail("result: %s", strerror(-err));
	return job->nr_moved;
}

/* Returns pages per second; all must move. */
static double by_module(struct ember_nl *nl, const struct target *target, size_t stride,
			uint32_t node)
{
	size_t nr_jobs, sent, taken, moved = 0, want = target->nr_pages / stride;
	struct ember_nl_job *jobs;
	double begin, used;
	int err;

	nr_jobs = make_jobs(target, stride, node, &jobs);
	begin = now_s();
	for (sent = taken = 0; taken < nr_jobs; taken++) {
		for (; sent < nr_jobs && sent < taken + EMBER_CREDITS; sent++) {
			err = ember_nl_migrate(nl, &jobs[sent]);
			if (err)
				fail("request: %s", strerror(-err));
		}
		moved += take(nl, &jobs[taken]);
	}
	used = now_s() - begin;
	free(jobs);
	if (moved < want * 99 / 100)
		fail("the module moved %zu of %zu pages", moved, want);
	return (double)moved / used;
}

/* @weight: pages of 4 KiB that each address stands for. */
static double by_move_pages(const struct target *target, size_t stride, size_t weight, int node)
{
	size_t nr = target->nr_pages / stride, moved = 0;
	void **pages = calloc(nr, sizeof(*pages));
	int *nodes = calloc(nr, sizeof(*nodes)), *status = calloc(nr, sizeof(*status));
	double begin, used;
	long err;

	if (!pages || !nodes || !status)
		fail("out of memory");
	for (size_t i = 0; i < nr; i++) {
		pages[i] = target->area + i * stride * PAGE_BYTES;
		nodes[i] = node;
	}
	begin = now_s();
	err = move_pages(target->pid, nr, pages, nodes, status, MPOL_MF_MOVE);
	used = now_s() - begin;
	if (err < 0)
		fail("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < nr; i++)
		moved += status[i] == node;
	if (moved < nr * 99 / 100)
		fail("move_pages(2) moved %zu of %zu pages", moved, nr);
	free(pages);
	free(nodes);
	free(status);
	return (double)(moved * weight) / used;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int nr)
{
	qsort(values, nr, sizeof(*values), compare);
	return nr % 2 ? values[nr / 2] : (values[nr / 2 - 1] + values[nr / 2]) / 2;
}

static struct ember_mover_case case_of(const struct pattern *pattern)
{
	size_t nr = EMBER_NL_REGION_PAGES / pattern->stride;

	return ember_mover_case_of(nr, pattern->stride == 1 ? 1 : nr, options.busy);
}

static void learn(struct ember_mover_cost *cost, const struct pattern *pattern,
		  enum ember_base_mover mover, double rate)
{
	ember_mover_cost_learn(cost, mover, case_of(pattern), 512, 512, (uint64_t)(512e9 / rate));
}

/* Medians; the ratio is that of two turns next to each other. Who goes first alternates. */
static struct rates compare_movers(struct ember_nl *nl, const struct pattern *pattern)
{
	double ratio[MAX_ROUNDS], module[MAX_ROUNDS] = {0}, syscall[MAX_ROUNDS];
	size_t stride = pattern->huge ? REGION_PAGES : pattern->stride;
	size_t weight = pattern->huge ? REGION_PAGES : 1;
	struct ember_mover_cost cost = {0};
	struct target target;
	struct rates rates;
	int node = 1;

	start_target(&target, options.nr_pages * pattern->stride, pattern->huge);
	by_move_pages(&target, stride, weight, 1); /* warm-up of both */
	if (!pattern->huge)
		by_module(nl, &target, stride, 0);
	else
		by_move_pages(&target, stride, weight, 0);
	for (unsigned int i = 0; i < 2 * options.rounds; i++) {
		if (i % 4 == 1 || i % 4 == 2 || pattern->huge) {
			syscall[i / 2] = by_move_pages(&target, stride, weight, node);
			learn(&cost, pattern, EMBER_BASE_MOVE_PAGES, syscall[i / 2]);
		} else {
			module[i / 2] = by_module(nl, &target, stride, (uint32_t)node);
			learn(&cost, pattern, EMBER_BASE_MODULE, module[i / 2]);
		}
		node = !node;
		ratio[i / 2] = module[i / 2] / syscall[i / 2];
	}
	rates.module = median(module, options.rounds);
	rates.syscall = median(syscall, options.rounds);
	rates.ratio = median(ratio, options.rounds);
	rates.choice = pattern->huge ? EMBER_BASE_MOVE_PAGES
				     : ember_mover_cost_choose(&cost, case_of(pattern));
	printf("%-8s module %8.0f pages/s  move_pages(2) %8.0f pages/s  median ratio %.2f (%.2f to "
	       "%.2f)\n",
	       pattern->name, rates.module, rates.syscall, rates.ratio, ratio[0],
	       ratio[options.rounds - 1]);
	fflush(stdout);
	kill(target.pid, SIGKILL);
	waitpid(target.pid, NULL, 0);
	return rates;
}

static const struct pattern patterns[] = {
    {"1-in-8", 8, false}, {"1-in-4", 4, false}, {"dense", 1, false}, {"2M", 1, true}};

static void print_row(const struct pattern *pattern, const struct rates *rates)
{
	double better = rates->module > rates->syscall ? rates->module : rates->syscall;
	double chosen = rates->choice == EMBER_BASE_MODULE ? rates->module : rates->syscall;

	expect(chosen >= 0.95 * better, "%s, %u busy: emberd takes %s, %.2f of the better mover",
	       pattern->name, options.busy,
	       rates->choice == EMBER_BASE_MODULE ? "the module" : "move_pages(2)",
	       chosen / better);
}

static void make_table(struct ember_nl *nl)
{
	for (options.busy = 0; options.busy <= 2; options.busy++)
		for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
			struct rates rates = compare_movers(nl, &patterns[i]);

			if (patterns[i].huge)
				printf("       2M: by move_pages(2) only, there is no choice\n");
			else
				print_row(&patterns[i], &rates);
		}
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
	    {"pages", required_argument, NULL, 'p'}, {"rounds", required_argument, NULL, 'r'},
	    {"dense", required_argument, NULL, 'd'}, {"busy", required_argument, NULL, 'b'},
	    {"table", no_argument, NULL, 't'},       {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'p')
			options.nr_pages = strtoul(optarg, NULL, 0);
		else if (option == 'r')
			options.rounds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 'd')
			options.dense = strtod(optarg, NULL);
		else if (option == 'b')
			options.busy = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 't')
			options.table = true;
		else
			exit(2);
	}
	if (!options.rounds || options.rounds > MAX_ROUNDS || !options.nr_pages)
		fail("bad option");
}

int main(int argc, char **argv)
{
	struct ember_nl nl;
	double ratio;

	parse_options(argc, argv);
	ember_nl_begin(&nl, NULL);
	if (options.table) {
		make_table(&nl);
	} else {
		/* The judged one last: a machine that has just booted is busy for a while. */
		compare_movers(&nl, &patterns[0]);
		compare_movers(&nl, &patterns[1]);
		ratio = compare_movers(&nl, &patterns[2]).ratio;
		expect(ratio >= options.dense,
		       "dense: want at least %.2f times move_pages(2), saw %.2f", options.dense,
		       ratio);
	}
	ember_nl_close(&nl);
	return expect_status();
}
