// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accessed bits are exact: each round a target touches a known set of pages, and the
 * scan after it must say exactly these, none missing, none extra. For a quiet target, one
 * that is switched away from its CPU all the time, one that never leaves it, one with
 * threads on all CPUs, and one on huge pages (where a touched page means a touched region).
 *
 * Nobody else may clear accessed bits meanwhile; see docs/sampling.md on DAMON_STAT.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define NR_ROUNDS 10
#define NR_TOUCHED 1000

struct case_ {
	const char *name;
	struct target_config target;
	uint32_t nr_touched;
	uint32_t flags; /* EMBER_SCAN_* */
};

static bool seen[TARGET_MAX_PAGES];
static bool touched[TARGET_MAX_PAGES];

struct totals {
	uint64_t nr_flush_cpus;
	uint64_t nr_skipped;
	uint64_t ns;
	uint32_t nr_pmd_recs;
};

static void take_record(const struct ember_region_rec *rec, struct totals *totals)
{
	uint32_t nr = mark_young(rec, TARGET_BASE, seen);

	if (nr != rec->nr_young || rec->kind != EMBER_KIND_ANON || !(rec->flags & EMBER_REC_WHOLE))
		die("FAIL: record at %#llx: %u young in the plane, %u in the header, kind %u",
		    (unsigned long long)rec->addr, nr, rec->nr_young, rec->kind);
	if (rec->order_class == EMBER_ORDER_PMD)
		totals->nr_pmd_recs++;
}

static void scan(struct ember_sampler *sampler, const struct ember_proc_id *id, uint32_t nr_pages,
		 uint32_t flags, struct totals *totals)
{
	struct ember_scan_req req = {
	    .cursor = TARGET_BASE,
	    .end = TARGET_BASE + (uint64_t)nr_pages * 4096,
	    .flags = flags,
	};
	const struct ember_region_rec *recs;
	uint32_t i;
	bool more;

	memset(seen, 0, sizeof(seen));
	do {
		more = scan_part(sampler, id, &req, &recs);
		for (i = 0; i < req.nr_recs; i++)
			take_record(&recs[i], totals);
		totals->nr_flush_cpus += req.nr_flush_cpus;
		totals->nr_skipped += req.nr_skipped;
		totals->ns += req.ns;
	} while (more);
}

/* A touch of one page of a huge page is seen on all of it. */
static void widen(uint32_t nr_pages)
{
	uint32_t region, i;

	for (region = 0; region < nr_pages; region += EMBER_REGION_PAGES) {
		bool any = false;

		for (i = 0; i < EMBER_REGION_PAGES; i++)
			any |= touched[region + i];
		memset(&touched[region], any, EMBER_REGION_PAGES);
	}
}

static bool round_is_exact(uint32_t round, uint32_t nr_pages)
{
	uint32_t nr_touched = 0, nr_seen = 0, nr_missing = 0, nr_extra = 0, i;

	for (i = 0; i < nr_pages; i++) {
		nr_touched += touched[i];
		nr_seen += seen[i];
		nr_missing += touched[i] && !seen[i];
		nr_extra += seen[i] && !touched[i];
	}
	if (nr_missing == 0 && nr_extra == 0)
		return true;
	printf("  round %u: touched %u, seen %u, missing %u, extra %u\n", round, nr_touched,
	       nr_seen, nr_missing, nr_extra);
	return false;
}

/*
 * The same pages most of the time: entries that a missing flush leaves in the TLB would
 * hide just these. Others now and then, so that extra pages show.
 */
static uint64_t seed_of(uint32_t round)
{
	return round % 4 == 0 ? round : 1;
}

static uint32_t nr_exact_rounds(struct ember_sampler *sampler, struct target *target,
				const struct case_ *c, struct totals *totals)
{
	struct ember_proc_id id;
	uint32_t round, nr_exact = 0;

	id = identify(sampler, target_pid(target));
	scan(sampler, &id, c->target.nr_pages, c->flags, totals);
	for (round = 1; round <= NR_ROUNDS; round++) {
		target_touch(target, seed_of(round), c->nr_touched);
		scan(sampler, &id, c->target.nr_pages, c->flags, totals);
		target_expected(target, seed_of(round), c->nr_touched, touched);
		if (c->target.huge)
			widen(c->target.nr_pages);
		nr_exact += round_is_exact(round, c->target.nr_pages);
	}
	return nr_exact;
}

/* A spinning target has the last CPU to itself, so that nothing but a flush empties its TLB. */
static void stay_on_cpus(int nr)
{
	cpu_set_t cpus;
	int cpu;

	CPU_ZERO(&cpus);
	for (cpu = 0; cpu < nr; cpu++)
		CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		die("FAIL: affinity");
}

static bool run_case(struct ember_sampler *sampler, const struct case_ *c)
{
	struct target *target = target_start(&c->target);
	struct totals totals = {};
	uint32_t nr_exact;

	stay_on_cpus(c->target.spinning ? 1 : CPU_SETSIZE);
	printf("%s: %u pages of %u touched per round; expect %s\n", c->name, c->nr_touched,
	       c->target.nr_pages,
	       c->flags & EMBER_SCAN_FLUSH ? "all of them seen and no other, in every round"
					   : "some missing in some round");
	nr_exact = nr_exact_rounds(sampler, target, c, &totals);
	printf("  %u of %u rounds exact; %llu context switches, %llu CPUs flushed, %llu tables "
	       "skipped, %u huge records, %llu us in scans\n",
	       nr_exact, NR_ROUNDS, (unsigned long long)target_nr_switches(target),
	       (unsigned long long)totals.nr_flush_cpus, (unsigned long long)totals.nr_skipped,
	       totals.nr_pmd_recs, (unsigned long long)totals.ns / 1000);
	if (c->target.huge && totals.nr_pmd_recs == 0)
		die("FAIL: no huge page in the huge area");
	target_stop(target);
	stay_on_cpus(CPU_SETSIZE);
	return (nr_exact == NR_ROUNDS) == !!(c->flags & EMBER_SCAN_FLUSH);
}

#define FLUSHED (EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH)
#define AREA 16384 /* 64 MiB */

static const struct case_ cases[] = {
    {"quiet", {.nr_pages = AREA, .nr_threads = 1}, 1000, FLUSHED},
    {"quiet, full passes", {.nr_pages = AREA, .nr_threads = 1}, 1000, FLUSHED | EMBER_SCAN_FULL},
    {"quiet, few pages", {.nr_pages = AREA, .nr_threads = 1}, 5, FLUSHED},
    {"switching", {.nr_pages = AREA, .nr_threads = 1, .switching = true}, 1000, FLUSHED},
    {"threads", {.nr_pages = AREA, .nr_threads = 4}, 1000, FLUSHED},
    {"threads, switching", {.nr_pages = AREA, .nr_threads = 4, .switching = true}, 1000, FLUSHED},
    {"huge", {.nr_pages = AREA, .nr_threads = 2, .huge = true}, 8, FLUSHED},
    {"spinning", {.nr_pages = AREA, .nr_threads = 1, .spinning = true}, 100, FLUSHED},
    /* The opposite is expected: shows that the test sees what a flush is for. */
    {"spinning, no flush",
     {.nr_pages = AREA, .nr_threads = 1, .spinning = true},
     100,
     EMBER_SCAN_CLEAR},
};

int main(void)
{
	struct ember_sampler *sampler;
	bool ok = true;
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		die("FAIL: two CPUs are needed");
	stop_other_aging();
	sampler = start_sampler();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok &= run_case(sampler, &cases[i]);
	ember_sampler_close(sampler);
	printf(ok ? "PASS\n" : "FAIL\n");
	return ok ? 0 : 1;
}
