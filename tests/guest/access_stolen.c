// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What another reader of accessed bits takes from a scan. Each round a target touches known
 * pages once, a period of ember's length goes by, a scan says which it saw. In turns without and
 * with DAMON_STAT (the kernel's own, on by default in Debian's 7.3), on base pages and on huge
 * pages. Without it no touched page may be missing; with it some huge pages must be, or there
 * would be nothing that ember-helper(8) borrows it for. (Of base pages it takes so few that a short
 * run may see none.)
 *
 *   access_stolen [--rounds N] [--period-ms N]
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define DAMON_STAT "/sys/module/damon_stat/parameters/"
#define NR_TURNS 2 /* without and with, so often */

struct case_ {
	const char *name;
	struct target_config target;
	uint32_t nr_touched;
	bool must_miss; /* with DAMON_STAT */
};

struct sum {
	uint64_t nr_touched;
	uint64_t nr_missing;
	uint32_t nr_rounds_short; /* rounds in which any was missing */
	uint32_t nr_rounds;
};

static uint32_t nr_rounds = 20, period_ms = 1000;
static bool seen[TARGET_MAX_PAGES];
static bool touched[TARGET_MAX_PAGES];

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long value = -1;

	if (file && fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

static void set_damon_stat(bool on)
{
	FILE *file = fopen(DAMON_STAT "enabled", "we");

	if (!file || fputc(on ? 'Y' : 'N', file) == EOF || fclose(file) != 0)
		die("FAIL: DAMON_STAT cannot be switched %s: %s", on ? "on" : "off",
		    strerror(errno));
}

static void switch_on_again(void)
{
	set_damon_stat(true);
}

static void scan(struct ember_sampler *sampler, const struct ember_proc_id *id, uint32_t nr_pages)
{
	struct ember_scan_req req = {
	    .cursor = TARGET_BASE,
	    .end = TARGET_BASE + (uint64_t)nr_pages * 4096,
	    .flags = EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH,
	};
	const struct ember_region_rec *recs;
	bool more;

	memset(seen, 0, sizeof(seen));
	do {
		more = scan_part(sampler, id, &req, &recs);
		for (uint32_t i = 0; i < req.nr_recs; i++)
			mark_young(&recs[i], TARGET_BASE, seen);
	} while (more);
}

/* Other pages each round: what was missed once is not missed for the same reason again. */
static void one_round(struct ember_sampler *sampler, struct target *target, const struct case_ *c,
		      uint64_t seed, struct sum *sum)
{
	struct ember_proc_id id = identify(sampler, target_pid(target));
	uint32_t nr_missing = 0;

	target_touch(target, seed, c->nr_touched);
	usleep(period_ms * 1000);
	scan(sampler, &id, c->target.nr_pages);
	target_expected(target, seed, c->nr_touched, touched);
	for (uint32_t i = 0; i < c->target.nr_pages; i++)
		nr_missing += touched[i] && !seen[i];
	sum->nr_touched += c->nr_touched;
	sum->nr_missing += nr_missing;
	sum->nr_rounds_short += nr_missing > 0;
	sum->nr_rounds++;
}

static void turn(struct ember_sampler *sampler, struct target *target, const struct case_ *c,
		 bool on, struct sum *sum)
{
	static uint64_t seed;
	struct sum before = *sum;

	set_damon_stat(on);
	one_round(sampler, target, c, ++seed,
		  &(struct sum){}); /* clears what is left from before */
	for (uint32_t i = 0; i < nr_rounds; i++)
		one_round(sampler, target, c, ++seed, sum);
	printf(
	    "  DAMON_STAT %s: %llu of %llu touched pages missing, in %u of %u rounds; aggregation "
	    "interval %ld us\n",
	    on ? "on" : "off", (unsigned long long)(sum->nr_missing - before.nr_missing),
	    (unsigned long long)(sum->nr_touched - before.nr_touched),
	    sum->nr_rounds_short - before.nr_rounds_short, sum->nr_rounds - before.nr_rounds,
	    on ? read_number(DAMON_STAT "aggr_interval_us") : 0L);
}

static bool run_case(struct ember_sampler *sampler, const struct case_ *c)
{
	struct target *target = target_start(&c->target);
	struct sum off = {}, on = {};

	printf("%s: %u of %u pages touched, then %u ms, then a scan; expect none missing without "
	       "DAMON_STAT%s\n",
	       c->name, c->nr_touched, c->target.nr_pages, period_ms,
	       c->must_miss ? " and some with it" : "");
	for (int i = 0; i < NR_TURNS; i++) {
		turn(sampler, target, c, false, &off);
		turn(sampler, target, c, true, &on);
	}
	printf("  missing: off %.3f %%, on %.3f %%\n", 100.0 * off.nr_missing / off.nr_touched,
	       100.0 * on.nr_missing / on.nr_touched);
	target_stop(target);
	return off.nr_missing == 0 && (!c->must_miss || on.nr_missing > 0);
}

static const struct case_ cases[] = {
    {"base pages", {.nr_pages = 65536, .nr_threads = 1}, 1000, false},
    {"huge pages", {.nr_pages = 65536, .nr_threads = 1, .huge = true}, 100, true},
};

static void parse(int argc, char **argv)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{"period-ms", required_argument, NULL, 'p'},
						{}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			nr_rounds = atoi(optarg);
		else if (c == 'p')
			period_ms = atoi(optarg);
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	struct ember_sampler *sampler;
	bool ok = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	if (access(DAMON_STAT "enabled", F_OK) < 0) {
		printf("SKIP: this kernel has no DAMON_STAT\n");
		return 77;
	}
	atexit(switch_on_again);
	sampler = start_sampler();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok &= run_case(sampler, &cases[i]);
	ember_sampler_close(sampler);
	printf(ok ? "PASS\n" : "FAIL\n");
	return ok ? 0 : 1;
}
