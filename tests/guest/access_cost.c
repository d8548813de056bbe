// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A scan of idle memory is cheap: for 1 GiB of present pages that nobody touches it takes
 * less than 1/20 of the time that reading /proc/PID/pagemap for the same range takes. Both
 * are timed in turns and the medians compared. The cost of full passes and of active
 * memory is printed for the record.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define NR_TURNS 9
#define NR_TARGETS 4 /* of 256 MiB */
#define AREA TARGET_MAX_PAGES
#define LIMIT 20

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values)
{
	qsort(values, NR_TURNS, sizeof(*values), compare);
	return values[NR_TURNS / 2];
}

/* Adds up into *totals. */
static void scan_one(struct ember_sampler *sampler, struct target *target, uint32_t flags,
		     struct ember_scan_req *totals)
{
	const struct ember_region_rec *recs;
	struct ember_scan_req req = {
	    .cursor = TARGET_BASE,
	    .end = TARGET_BASE + AREA * 4096UL,
	    .flags = flags,
	};
	struct ember_proc_id id = identify(sampler, target_pid(target));
	bool more;

	do {
		more = scan_part(sampler, &id, &req, &recs);
		totals->nr_tables += req.nr_tables;
		totals->nr_skipped += req.nr_skipped;
		totals->nr_present += req.nr_present;
		totals->nr_young += req.nr_young;
		totals->ns += req.ns;
	} while (more);
}

/* Time seen by the caller, system calls included. */
static uint64_t time_scan(struct ember_sampler *sampler, struct target **targets, uint32_t flags,
			  struct ember_scan_req *ret)
{
	uint64_t start_ns = now_ns();
	int i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < NR_TARGETS; i++)
		scan_one(sampler, targets[i], flags, ret);
	return now_ns() - start_ns;
}

static void read_pagemap(pid_t pid)
{
	static uint64_t entries[32768];
	char path[64];
	size_t done;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("FAIL: %s cannot be opened", path);
	for (done = 0; done < AREA; done += sizeof(entries) / sizeof(entries[0]))
		if (pread(fd, entries, sizeof(entries), (TARGET_BASE / 4096 + done) * 8) !=
		    sizeof(entries))
			die("FAIL: short read of %s", path);
	close(fd);
}

static uint64_t time_pagemap(struct target **targets)
{
	uint64_t start_ns = now_ns();
	int i;

	for (i = 0; i < NR_TARGETS; i++)
		read_pagemap(target_pid(targets[i]));
	return now_ns() - start_ns;
}

static void print(const char *what, uint64_t ns, const struct ember_scan_req *req)
{
	printf("%-28s %8llu us; tables read %llu, skipped %llu; pages young %llu\n", what,
	       (unsigned long long)ns / 1000, (unsigned long long)req->nr_tables,
	       (unsigned long long)req->nr_skipped, (unsigned long long)req->nr_young);
}

static bool compare_idle(struct ember_sampler *sampler, struct target **targets)
{
	uint64_t scans[NR_TURNS], fulls[NR_TURNS], pagemaps[NR_TURNS];
	const uint32_t flags = EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH;
	struct ember_scan_req idle, full;
	int turn;

	for (turn = 0; turn < NR_TURNS; turn++) {
		scans[turn] = time_scan(sampler, targets, flags, &idle);
		fulls[turn] = time_scan(sampler, targets, flags | EMBER_SCAN_FULL, &full);
		pagemaps[turn] = time_pagemap(targets);
		if (idle.nr_young || full.nr_young || full.nr_present != NR_TARGETS * AREA)
			die("FAIL: the memory is not idle or not all there: young %llu, present "
			    "%llu",
			    (unsigned long long)(idle.nr_young + full.nr_young),
			    (unsigned long long)full.nr_present);
	}
	print("1 GiB idle:", median(scans), &idle);
	print("1 GiB idle, full pass:", median(fulls), &full);
	printf("%-28s %8llu us\n",
	       "1 GiB by pagemap:", (unsigned long long)median(pagemaps) / 1000);
	printf("pagemap takes %.1f times as long as a scan (expect more than %d), %.1f times as "
	       "long as a full pass\n",
	       (double)median(pagemaps) / median(scans), LIMIT,
	       (double)median(pagemaps) / median(fulls));
	return median(pagemaps) > LIMIT * median(scans);
}

int main(void)
{
	const struct target_config area = {.nr_pages = AREA, .nr_threads = 1};
	struct target *targets[NR_TARGETS];
	struct ember_sampler *sampler;
	struct ember_scan_req active;
	uint64_t ns;
	bool ok;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	stop_other_aging();
	sampler = start_sampler();
	for (i = 0; i < NR_TARGETS; i++)
		targets[i] = target_start(&area);
	ns = time_scan(sampler, targets, EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH, &active);
	print("1 GiB, all of it young:", ns, &active);
	/* The first looks find what the kernel itself touched while starting the targets. */
	time_scan(sampler, targets, EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH | EMBER_SCAN_FULL, &active);
	ok = compare_idle(sampler, targets);
	for (i = 0; i < NR_TARGETS; i++)
		target_stop(targets[i]);
	ember_sampler_close(sampler);
	printf(ok ? "PASS\n" : "FAIL\n");
	return ok ? 0 : 1;
}
