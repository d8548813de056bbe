/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to scan, and over which window. A scan reads what was touched since the previous
 * one and clears it; so two scans a short window apart tell busy pages from very busy
 * ones, where a whole period would show all of them touched.
 *
 * The window follows the pages that matter: those at the threshold, where fast memory is full,
 * shall be young in about four readings of ten. Windows of one period or more need one
 * scan per period, shorter ones two: one that opens the window and one that reads it. At first
 * nothing is known of rates, so a ladder of windows from short to long is read within the first
 * second; while much is out of place more windows are read per period, as far as the
 * CPU budget allows. Pure.
 */
#ifndef EMBER_CADENCE_H
#define EMBER_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

struct ember_cadence_params {
	uint64_t period_ns;     /* policy: one plan per period */
	uint64_t min_window_ns; /* 0: 10 ms */
	uint32_t cpu_budget_bp; /* policy: share of one CPU, in 1/10000; 0: no bound */
	uint32_t full_every;    /* every Nth period reads in a full pass; 0: 8 */
};

/* What the last scan of all processes cost and what came of it. Zeroed before the first. */
struct ember_cadence_obs {
	uint64_t cost_ns;        /* CPU time of all that was done since the last call */
	uint64_t scan_ns;        /* wall time from the first to the last process of the scan */
	uint8_t threshold_level; /* of the last plan */
	bool planned;            /* there was a plan since the last call: the two others hold */
	bool settled;            /* of the last plan */
};

enum ember_scan_role {
	EMBER_SCAN_READING,  /* ends a window */
	EMBER_SCAN_CLEARING, /* opens one */
};

/* The next scan. */
struct ember_cadence_step {
	uint64_t next_scan_in_ns; /* from the start of the last one */
	uint64_t window_ns;       /* in force */
	uint64_t period_ns;       /* in force: the policy's, or longer for the CPU budget's sake */
	uint32_t scan_flags;      /* EMBER_SCAN_* */
	uint8_t role;             /* enum ember_scan_role */
	uint8_t prior_level;      /* for its ember_scan_info */
	bool score; /* false: its interval is too long to tell anything; learn places only
		       (interval_ns 0) */
	bool plan;  /* plan after it */
};

struct ember_cadence {
	struct ember_cadence_params params;
	uint64_t window_ns;
	uint64_t period_ns;    /* in force */
	uint64_t scan_cost_ns; /* of one scan with what follows it, averaged */
	uint64_t scan_wall_ns;
	uint32_t nr_periods;
	uint32_t nr_settled;     /* plans in a row */
	uint64_t ladder_debt_ns; /* time until the CPU budget allows another ladder */
	bool ladder_wanted;
	uint8_t warm; /* next step of the ladder */
	uint8_t left; /* readings left in this period */
	bool opened;  /* the window is open: the next scan reads */
};

void ember_cadence_init(struct ember_cadence *c, const struct ember_cadence_params *params);
/* New policy: keeps what was learnt. */
void ember_cadence_set(struct ember_cadence *c, const struct ember_cadence_params *params);
/*
 * Much of what is tracked is new: the ladder again, as soon as the budget allows. True if that is
 * with the next step, which then is due at once.
 */
bool ember_cadence_warm_up(struct ember_cadence *c);
/* Call when a scan of all processes is done (and once before the first, with a zeroed @obs). */
struct ember_cadence_step ember_cadence_next(struct ember_cadence *c,
					     const struct ember_cadence_obs *obs);

#endif
