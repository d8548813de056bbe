/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of two movers is the faster one, by what moves have taken so far.
 *
 * Exclusive anonymous base pages can go by the module or by move_pages(2). What a page costs
 * depends on how pages lie: the module sets up a migration for each run of neighbours, the call
 * for each list of addresses. Flushes of TLBs cost by the CPUs that the process runs on, and the
 * module needs one a page, the call one a list. So times are kept by density (the power of two of
 * the pages per run) and by the number of these CPUs: none, one, or more. Where one mover has no
 * measurements, the module is taken, which can pass where the call cannot (cpusets of restricted
 * nodes, exchange). Every now and then the other one is given a region, as machines change. Pure.
 */
#ifndef EMBER_MOVER_COST_H
#define EMBER_MOVER_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "ember/sample.h"

/* Jobs of fewer pages measure the overhead of one request. */
#define EMBER_PROBE_PAGES 64

#define EMBER_DENSITIES 10 /* 1, 2 to 3, 4 to 7, … 512 pages per run */

#define EMBER_CPU_CLASSES 3

/* How a job looks to a mover. */
struct ember_mover_case {
	uint8_t density; /* below EMBER_DENSITIES */
	uint8_t cpus;    /* below EMBER_CPU_CLASSES */
};

enum ember_base_mover {
	EMBER_BASE_MODULE,
	EMBER_BASE_MOVE_PAGES,
	EMBER_NR_BASE_MOVERS,
};

struct ember_mover_time {
	uint32_t page_ns; /* moving average from the fourth job on; 0: never measured */
	uint32_t nr_jobs;
	uint32_t nr_others; /* measurements of the other mover since this was tried last */
};

/* Zeroed: nothing is known. */
struct ember_mover_cost {
	struct ember_mover_time time[EMBER_NR_BASE_MOVERS][EMBER_CPU_CLASSES][EMBER_DENSITIES];
};

/* Runs of neighbours among @pages. */
unsigned int ember_mover_runs(const uint64_t pages[EMBER_PLANE_WORDS]);

/* @nr_runs > 0; @nr_cpus: that the process ran on when it was scanned. */
struct ember_mover_case ember_mover_case_of(uint64_t nr_pages, uint64_t nr_runs, uint32_t nr_cpus);

/*
 * A job of @nr_asked pages took @time_ns, @nr_moved of them moved. Jobs that are small or moved
 * little tell of something else: all they tell is that the mover was tried.
 */
void ember_mover_cost_learn(struct ember_mover_cost *cost, enum ember_base_mover mover,
			    struct ember_mover_case at, uint64_t nr_asked, uint64_t nr_moved,
			    uint64_t time_ns);

enum ember_base_mover ember_mover_cost_choose(const struct ember_mover_cost *cost,
					      struct ember_mover_case at);

/* It is time to measure the mover that is not chosen, too. */
bool ember_mover_cost_wants_probe(const struct ember_mover_cost *cost, struct ember_mover_case at);

#endif
