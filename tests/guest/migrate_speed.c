/* SPDX-License-Identifier: GPL-2.0-or-later */
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
 *
 * --busy N: the target is not idle, N threads of it read the area all the time.
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
} options = {.nr_pages = 16384, .rounds = 5, .dense = 1.5};

struct target {
	pid_t pid;
	struct ember_identity identity;
	char *area;
	size_t nr_pages;
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

static void be_target(struct target *target, int out)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	target->area = area_map(target->nr_pages);
	area_fill(target->area, target->nr_pages, 0, SEED);
	for (unsigned int i = 0; i < options.busy; i++)
		pthread_create(&thread, NULL, read_area, target);
	if (ember_nl_self(&target->identity) || write(out, target, sizeof(*target)) < 0)
		_exit(1);
	for (;;)
		pause();
}

static void start_target(struct target *ret_target, size_t nr_pages)
{
	struct target target = {.nr_pages = nr_pages};
	int fds[2];

	if (pipe(fds))
		fail("pipe: %s", strerror(errno));
	target.pid = fork();
	if (target.pid == 0)
		be_target(&target, fds[1]);
	close(fds[1]);
	if (read(fds[0], ret_target, sizeof(*ret_target)) != sizeof(*ret_target))
		fail("the target process failed");
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

static double by_move_pages(const struct target *target, size_t stride, int node)
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
	return (double)moved / used;
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

/* Median of ratios, each of two turns next to each other; who goes first alternates. */
static double compare_movers(struct ember_nl *nl, const char *name, size_t stride)
{
	double ratio[MAX_ROUNDS], module[MAX_ROUNDS], syscall[MAX_ROUNDS];
	struct target target;
	double result;
	int node = 1;

	start_target(&target, options.nr_pages * stride);
	by_module(nl, &target, stride, 1); /* warm-up of both */
	by_move_pages(&target, stride, 0);
	for (unsigned int i = 0; i < options.rounds; i++) {
		if (i % 2)
			syscall[i] = by_move_pages(&target, stride, node);
		else
			module[i] = by_module(nl, &target, stride, (uint32_t)node);
		node = !node;
		if (i % 2)
			module[i] = by_module(nl, &target, stride, (uint32_t)node);
		else
			syscall[i] = by_move_pages(&target, stride, node);
		node = !node;
		ratio[i] = module[i] / syscall[i];
		printf("       %s round %u: module %.0f pages/s, move_pages(2) %.0f pages/s, "
		       "ratio %.2f\n",
		       name, i, module[i], syscall[i], ratio[i]);
	}
	result = median(ratio, options.rounds);
	printf("%-16s module %8.0f pages/s  move_pages(2) %8.0f pages/s  median ratio %.2f\n", name,
	       median(module, options.rounds), median(syscall, options.rounds), result);
	fflush(stdout);
	kill(target.pid, SIGKILL);
	waitpid(target.pid, NULL, 0);
	return result;
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
	    {"pages", required_argument, NULL, 'p'},
	    {"rounds", required_argument, NULL, 'r'},
	    {"dense", required_argument, NULL, 'd'},
	    {"busy", required_argument, NULL, 'b'},
	    {0},
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
		else
			exit(2);
	}
	if (!options.rounds || options.rounds > MAX_ROUNDS || !options.nr_pages)
		fail("bad option");
}

int main(int argc, char **argv)
{
	struct ember_nl nl;
	double dense;

	parse_options(argc, argv);
	ember_nl_begin(&nl, NULL);
	/* The judged one last: a machine that has just booted is busy for a while. */
	compare_movers(&nl, "1-in-8", 8);
	compare_movers(&nl, "1-in-4", 4);
	dense = compare_movers(&nl, "dense", 1);
	expect(dense >= options.dense, "dense: want at least %.2f times move_pages(2), saw %.2f",
	       options.dense, dense);
	ember_nl_close(&nl);
	return expect_status();
}
