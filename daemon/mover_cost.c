// SPDX-License-Identifier: GPL-2.0-or-later
#include "mover_cost.h"

/* One measurement counts an eighth. */
#define AVERAGE_SHIFT 3

/* A preempted mover tells nothing of the other: no measurement counts for more than so often. */
#define OUTLIER 4

/*
 * Where there is no average yet that could put a measurement in its place, the least of the first
 * few counts: whatever comes in between makes a mover slower, nothing makes it faster than it is.
 */
#define FIRST_JOBS 3

/* The other mover is tried after so many jobs of the better one until it has had its first few ...
 */
#define FIRST_PROBE 16
/* ... and then again. */
#define NEXT_PROBE 256

unsigned int ember_mover_runs(const uint64_t pages[EMBER_PLANE_WORDS])
{
	unsigned int nr = 0;
	uint64_t before = 0; /* the last page of the word before */

	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		nr += __builtin_popcountll(pages[w] & ~(pages[w] << 1 | before));
		before = pages[w] >> 63;
	}
	return nr;
}

struct ember_mover_case ember_mover_case_of(uint64_t nr_pages, uint64_t nr_runs, uint32_t nr_cpus)
{
	struct ember_mover_case at = {.cpus = nr_cpus < EMBER_CPU_CLASSES ? nr_cpus
									  : EMBER_CPU_CLASSES - 1};

	while (at.density + 1 < EMBER_DENSITIES && nr_pages >= nr_runs << (at.density + 1))
		at.density++;
	return at;
}

static uint32_t average(uint32_t old, uint32_t nr_jobs, uint64_t sample)
{
	if (nr_jobs < FIRST_JOBS)
		return nr_jobs && old < sample ? old : sample;
	if (sample > (uint64_t)old * OUTLIER)
		sample = (uint64_t)old * OUTLIER;
	return old + (((int64_t)sample - old) >> AVERAGE_SHIFT);
}

void ember_mover_cost_learn(struct ember_mover_cost *cost, enum ember_base_mover mover,
			    struct ember_mover_case at, uint64_t nr_asked, uint64_t nr_moved,
			    uint64_t time_ns)
{
	struct ember_mover_time *t = &cost->time[mover][at.cpus][at.density];
	uint64_t page_ns;

	/* It was tried, whatever came of it: what is refused today is not asked for in every plan.
	 */
	if (nr_asked >= EMBER_PROBE_PAGES)
		t->nr_others = 0;
	if (nr_moved < EMBER_PROBE_PAGES || nr_moved < nr_asked / 2 || !time_ns)
		return;
	page_ns = time_ns / nr_moved;
	if (page_ns > UINT32_MAX)
		page_ns = UINT32_MAX;
	t->page_ns = average(t->page_ns, t->nr_jobs, page_ns ? page_ns : 1);
	t->nr_jobs++;
	cost->time[!mover][at.cpus][at.density].nr_others++;
}

enum ember_base_mover ember_mover_cost_choose(const struct ember_mover_cost *cost,
					      struct ember_mover_case at)
{
	uint32_t module = cost->time[EMBER_BASE_MODULE][at.cpus][at.density].page_ns;
	uint32_t call = cost->time[EMBER_BASE_MOVE_PAGES][at.cpus][at.density].page_ns;

	return module && call && call < module ? EMBER_BASE_MOVE_PAGES : EMBER_BASE_MODULE;
}

bool ember_mover_cost_wants_probe(const struct ember_mover_cost *cost, struct ember_mover_case at)
{
	enum ember_base_mover best = ember_mover_cost_choose(cost, at);
	const struct ember_mover_time *other = &cost->time[!best][at.cpus][at.density];

	return other->nr_others >= (other->nr_jobs < FIRST_JOBS ? FIRST_PROBE : NEXT_PROBE);
}
