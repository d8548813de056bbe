// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run lengths of outcomes: the form in which a result goes over netlink.
 *
 * Only pages that were asked for appear, in ascending order, so that the counts
 * of a region add up to what was asked, whatever gaps lie between the pages.
 */
#include "result.h"

static int next_asked(const __u64 asked[8], int page)
{
	while (page < EMBER_REGION_PAGES && !(asked[page / 64] >> (page % 64) & 1))
		page++;
	return page;
}

/**
 * ember_runs_encode() - run lengths of the asked pages of a region
 * @asked: bit i of word w: page w * 64 + i was asked for
 * @outcome: by page; read only where @asked is set
 * @ret_runs: as many as ember_runs_count() says; NULL: only count them
 *
 * Return: the number of runs, 0 to 512.
 */
unsigned int ember_runs_encode(const __u64 asked[8], const __u8 outcome[EMBER_REGION_PAGES],
			       struct ember_run *ret_runs)
{
	unsigned int nr = 0;
	int page, last = -1;

	for (page = next_asked(asked, 0); page < EMBER_REGION_PAGES;
	     page = next_asked(asked, page + 1)) {
		if (last < 0 || outcome[page] != outcome[last]) {
			if (ret_runs)
				ret_runs[nr] = (struct ember_run){ .outcome = outcome[page] };
			nr++;
		}
		if (ret_runs)
			ret_runs[nr - 1].count++;
		last = page;
	}
	return nr;
}

/* The number of runs that ember_runs_encode() would write. */
unsigned int ember_runs_count(const __u64 asked[8], const __u8 outcome[EMBER_REGION_PAGES])
{
	return ember_runs_encode(asked, outcome, NULL);
}
