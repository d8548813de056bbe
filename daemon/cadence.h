/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to scan, and over which window. A scan reads what was touched since the previous
 * one and clears it; so two scans a short window apart tell busy pages from very busy
 * ones, where a whole period would show all of them touched. Pure.
 */
#ifndef EMBER_CADENCE_H
#define EMBER_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

struct ember_cadence_params {
	uint64_t period_ns;     /* policy: one plan per period */
	uint64_t min_window_ns; /* 0: default */
	uint32_t cpu_budget_bp; /* policy: share of one CPU, in 1/10000 */
	uint32_t full_every;    /* every Nth reading is a full pass; 0: default */
};

/* What the last scan of all processes cost and what came of it. */
struct ember_cadence_obs {
	uint64_t now_ns;
	uint64_t cost_ns;        /* CPU time of scan, score and plan since the last call */
	uint64_t scan_ns;        /* wall time from the first to the last process of the scan */
	uint8_t threshold_level; /* of the last plan */
	bool settled;            /* of the last plan */
	bool surprised;          /* score saw pages behave unlike their levels */
};

enum ember_cadence_role {
	EMBER_SCAN_READING,  /* its records end a window: score, then plan if .plan */
	EMBER_SCAN_CLEARING, /* it opens a window: score it too if .score, it costs no more */
};

struct ember_cadence_step {
	uint64_t next_scan_in_ns;
	uint64_t window_ns;  /* the window in force */
	uint32_t scan_flags; /* EMBER_SCAN_* for the next scan */
	uint8_t role;        /* enum ember_cadence_role of the next scan */
	bool score;          /* hand its records to score (else discard them) */
	bool plan;           /* plan after it */
	uint8_t prior_level; /* for ember_scan_info of the next scan */
};

struct ember_cadence {
	struct ember_cadence_params params;
	uint64_t window_ns;
	uint64_t period_ns;      /* in force: params.period_ns stretched to keep the budget */
	uint64_t cost_ns;        /* of one period, averaged */
	uint64_t period_cost_ns; /* so far in this period */
	uint64_t last_read_ns;
	uint32_t nr_readings;
	uint8_t warm; /* warm-up rounds left */
	uint8_t role; /* of the scan just asked for */
};

void ember_cadence_init(struct ember_cadence *c, const struct ember_cadence_params *params);
/* New policy: keeps what was learnt. */
void ember_cadence_set(struct ember_cadence *c, const struct ember_cadence_params *params);
/* A big process is new: quick rounds again. */
void ember_cadence_warm_up(struct ember_cadence *c);
/* Called when a scan of all processes is done (and first with a zeroed observation). */
struct ember_cadence_step ember_cadence_next(struct ember_cadence *c,
					     const struct ember_cadence_obs *obs);

#endif
