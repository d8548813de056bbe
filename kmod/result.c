// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run lengths of outcomes: the form in which a result goes over netlink.
 *
 * Only pages that were asked for appear, in ascending order, so that the counts
 * of a region add up to what was asked, whatever gaps lie between the pages.
 */
#include "result.h"

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
	int last = -1;

	for (int w = 0; w < EMBER_REGION_PAGES / 64; w++) {
		for (__u64 left = asked[w]; left; left &= left - 1) {
			int page = w * 64 + __builtin_ctzll(left);

			if (last < 0 || outcome[page] != outcome[last]) {
				if (ret_runs) {
					ret_runs[nr].outcome = outcome[page];
					ret_runs[nr].count = 0;
				}
				nr++;
			}
			if (ret_runs)
				ret_runs[nr - 1].count++;
			last = page;
		}
	}
	return nr;
}

/* The number of runs that ember_runs_encode() would write. */
unsigned int ember_runs_count(const __u64 asked[8], const __u8 outcome[EMBER_REGION_PAGES])
{
	return ember_runs_encode(asked, outcome, NULL);
}
