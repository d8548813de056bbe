/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A simulated machine for the pure half of the daemon: one process whose pages are touched at
 * known rates (Poisson), tiers of known size, movers of known speed. It makes the records that the
 * kernel side would make, runs cadence, score, plan and account on them as the daemon does,
 * carries out the moves, and knows the truth: the share of touches that hit fast memory, and
 * the best share that any placement could have.
 */
#ifndef EMBER_TEST_WORLD_H
#define EMBER_TEST_WORLD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "cadence.h"
#include "plan.h"
#include "score.h"

#define PAGES EMBER_REGION_PAGES
#define BASE_ADDR 0x7f0000000000ULL
#define MSEC 1000000ULL
#define SEC 1000000000ULL
#define MIB_PAGES 256

struct world_params {
	uint32_t nr_pages;
	uint32_t tier_pages[3]; /* fastest first; node of tier t is t */
	unsigned int nr_tiers;
	unsigned int
	    first_touch; /* tier that fills first; the others follow downwards, then upwards */
	uint64_t move_bytes_per_s; /* per direction */
	uint64_t period_ns;
	uint64_t scan_cost_ns;
	uint32_t cpu_budget_bp;
	uint32_t reserve_bp;
	bool huge;
	uint64_t seed;
};

struct world_chance {
	float rate;
	uint32_t scan;
	uint64_t young; /* of 2^32 */
};

struct world {
	struct world_params p;
	struct world_chance chance[1024];
	float *rate;    /* touches per second of each page */
	uint8_t *place; /* node of each page */
	uint64_t free_pages[3];
	uint64_t now;
	uint64_t rng;

	struct ember_regions regions;
	struct ember_topology topo;
	struct ember_cooldown cooldown;
	struct ember_cadence cadence;
	struct ember_calibration calibration;
	struct ember_account account;
	struct ember_plan plan;
	struct ember_region_rec *recs;

	/* moves under way: a queue per direction */
	struct world_move *queue[EMBER_NR_DIRECTIONS];
	unsigned int nr_queue[EMBER_NR_DIRECTIONS];
	unsigned int head[EMBER_NR_DIRECTIONS];
	uint64_t free_at[EMBER_NR_DIRECTIONS]; /* when the mover is free again */

	uint64_t last_scan;
	uint64_t nr_scans;
	uint64_t nr_moved[EMBER_NR_DIRECTIONS];
	uint64_t window_ns;
	uint64_t checksum; /* of everything that was planned */
};

struct world_move {
	struct ember_move move;
	struct ember_move_region *regions;
};

static inline uint64_t world_draw(struct world *w)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return w->rng * 0x2545f4914f6cdd1dULL;
}

static inline double world_uniform(struct world *w)
{
	return (world_draw(w) >> 11) * 0x1p-53;
}

static inline void world_first_touch(struct world *w)
{
	unsigned int order[3], nr = 0;

	for (unsigned int t = w->p.first_touch; t < w->p.nr_tiers; t++)
		order[nr++] = t;
	for (unsigned int t = w->p.first_touch; t-- > 0;)
		order[nr++] = t;
	for (uint32_t i = 0; i < w->p.nr_pages; i++)
		for (unsigned int k = 0; k < nr; k++) {
			/* the kernel leaves a node at about its watermark */
			if (w->free_pages[order[k]] <= w->p.tier_pages[order[k]] / 200)
				continue;
			w->place[i] = order[k];
			w->free_pages[order[k]]--;
			break;
		}
}

static inline void world_topology(struct world *w)
{
	memset(&w->topo, 0, sizeof(w->topo));
	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++)
		w->topo.nodes[n].tier = EMBER_NO_TIER;
	w->topo.nr_tiers = w->p.nr_tiers;
	for (unsigned int t = 0; t < w->p.nr_tiers; t++) {
		struct ember_node *n = &w->topo.nodes[t];

		n->has_memory = true;
		n->tier = t;
		n->capacity_bytes = (uint64_t)w->p.tier_pages[t] * 4096;
		n->high_watermark_bytes = n->capacity_bytes / 200;
		w->topo.tiers[t] = (struct ember_tier){.nodes = 1U << t, .nr_nodes = 1};
		w->topo.memory_nodes |= 1U << t;
	}
}

static inline void world_init(struct world *w, const struct world_params *p)
{
	struct ember_cadence_params cp = {.period_ns = p->period_ns,
					  .cpu_budget_bp = p->cpu_budget_bp};

	memset(w, 0, sizeof(*w));
	w->p = *p;
	w->rng = p->seed * 2 + 1;
	w->rate = calloc(p->nr_pages, sizeof(*w->rate));
	w->place = calloc(p->nr_pages, 1);
	w->recs = calloc(p->nr_pages / PAGES, sizeof(*w->recs));
	for (unsigned int t = 0; t < p->nr_tiers; t++)
		w->free_pages[t] = p->tier_pages[t];
	world_first_touch(w);
	world_topology(w);
	ember_regions_init(&w->regions);
	ember_cooldown_init(&w->cooldown, 1 << 18);
	ember_cadence_init(&w->cadence, &cp);
	ember_account_init(&w->account);
	ember_calibration_init(&w->calibration);
	ember_plan_init(&w->plan);
}

static inline void world_free(struct world *w)
{
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++) {
		for (unsigned int i = w->head[d]; i < w->nr_queue[d]; i++)
			free(w->queue[d][i].regions);
		free(w->queue[d]);
	}
	free(w->rate);
	free(w->place);
	free(w->recs);
	ember_regions_clear(&w->regions);
	ember_cooldown_destroy(&w->cooldown);
	ember_plan_clear(&w->plan);
}

/* ---- truth ---- */

static int world_hotter_first(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Share of touches that go to tiers 0 .. @tier. */
static inline double world_hit_share(const struct world *w, unsigned int tier)
{
	double all = 0, hit = 0;

	for (uint32_t i = 0; i < w->p.nr_pages; i++) {
		all += w->rate[i];
		hit += w->place[i] <= tier ? w->rate[i] : 0;
	}
	return hit / all;
}

static inline double world_oracle(const struct world *w, unsigned int tier)
{
	float *sorted = malloc(w->p.nr_pages * sizeof(*sorted));
	double all = 0, hit = 0;
	uint64_t capacity = 0;

	for (unsigned int t = 0; t <= tier; t++)
		capacity += w->p.tier_pages[t];
	memcpy(sorted, w->rate, w->p.nr_pages * sizeof(*sorted));
	qsort(sorted, w->p.nr_pages, sizeof(*sorted), world_hotter_first);
	for (uint32_t i = 0; i < w->p.nr_pages; i++) {
		all += sorted[i];
		hit += i < capacity ? sorted[i] : 0;
	}
	free(sorted);
	return hit / all;
}

/* ---- access patterns ---- */

/* @hot pages scattered over all, chosen by @salt, get @share of @touches per second; the rest goes
 * to all. */
static inline void world_hot_set(struct world *w, uint32_t hot, double share, double touches,
				 uint64_t salt)
{
	uint32_t n = w->p.nr_pages, unit = w->p.huge ? PAGES : 1,
		 *order = malloc(n * sizeof(*order));
	uint64_t saved = w->rng;

	w->rng = salt * 2 + 1;
	for (uint32_t i = 0; i < n / unit; i++) {
		uint32_t j = world_draw(w) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	w->rng = saved;
	for (uint32_t i = 0; i < n; i++)
		w->rate[i] = (1 - share) * touches / n;
	for (uint32_t i = 0; i < hot; i++)
		w->rate[order[i / unit] * unit + i % unit] += share * touches / hot;
	free(order);
}

/* In 64 steps per octave, so that there are few different rates. */
static inline double world_zipf_weight(uint32_t i, double s)
{
	return exp2(round(-s * log2(i + 1) * 64) / 64);
}

static inline void world_zipf(struct world *w, double s, double touches, uint64_t salt)
{
	double sum = 0;

	world_hot_set(w, w->p.nr_pages / 2, 0, touches, salt);
	for (uint32_t i = 0; i < w->p.nr_pages; i++)
		sum += world_zipf_weight(i, s);
	/* a permutation by multiplication: scattered, and no table */
	for (uint32_t i = 0; i < w->p.nr_pages; i++) {
		uint32_t at = ((uint64_t)i * 2654435761u + salt * 40503) % w->p.nr_pages;

		w->rate[at] = 0;
	}
	for (uint32_t i = 0; i < w->p.nr_pages; i++) {
		uint32_t at = ((uint64_t)i * 2654435761u + salt * 40503) % w->p.nr_pages;

		w->rate[at] += touches * world_zipf_weight(i, s) / sum;
	}
}

/* ---- movers ---- */

static inline void world_enqueue(struct world *w, const struct ember_move *move)
{
	const struct ember_move_region *from = w->plan.regions + move->first_region;
	struct world_move m = {.move = *move};
	unsigned int d = move->direction;

	m.regions = malloc(move->nr_regions * sizeof(*m.regions));
	memcpy(m.regions, from, move->nr_regions * sizeof(*m.regions));
	m.move.first_region = 0;
	w->queue[d] = realloc(w->queue[d], (w->nr_queue[d] + 1) * sizeof(m));
	w->queue[d][w->nr_queue[d]++] = m;
	ember_account_submitted(&w->account, &w->regions, &m.move, m.regions);
}

static inline void world_carry_out(struct world *w, struct world_move *m, uint64_t at)
{
	struct ember_fate_run *runs = malloc(m->move.nr_pages * sizeof(*runs));
	uint32_t nr = 0;

	for (uint32_t i = 0; i < m->move.nr_regions; i++)
		for (unsigned int page = 0; page < PAGES; page++) {
			uint32_t idx = (m->regions[i].addr - BASE_ADDR) / 4096 + page;
			uint8_t dest = m->move.dest;

			if (!((m->regions[i].pages[page / 64] >> (page % 64)) & 1))
				continue;
			runs[nr] = (struct ember_fate_run){EMBER_FATE_ALREADY, 1};
			if (w->place[idx] != dest && !w->free_pages[dest]) {
				runs[nr].outcome = EMBER_FATE_NO_MEMORY;
			} else if (w->place[idx] != dest) {
				runs[nr].outcome = EMBER_FATE_MOVED;
				w->free_pages[w->place[idx]]++;
				w->free_pages[dest]--;
				w->place[idx] = dest;
				w->nr_moved[m->move.direction]++;
			}
			nr++;
		}
	ember_account_result(&w->account, &w->regions, &w->cooldown, &m->move, m->regions, runs, nr,
			     at);
	free(m->regions);
	free(runs);
}

/* Let the movers work until @until. */
static inline void world_move_until(struct world *w, uint64_t until)
{
	for (;;) {
		int next = -1;
		uint64_t best = until + 1;

		for (int d = 0; d < EMBER_NR_DIRECTIONS; d++) {
			struct world_move *m = &w->queue[d][w->head[d]];
			uint64_t end;

			if (w->head[d] == w->nr_queue[d])
				continue;
			end = w->free_at[d] +
			      m->move.nr_pages * 4096ULL * SEC / w->p.move_bytes_per_s;
			if (end < best) {
				best = end;
				next = d;
			}
		}
		if (next < 0)
			break;
		world_carry_out(w, &w->queue[next][w->head[next]++], best);
		w->free_at[next] = best;
	}
	w->now = until;
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		if (w->head[d] == w->nr_queue[d]) {
			w->head[d] = w->nr_queue[d] = 0;
			w->free_at[d] = w->free_at[d] > until ? w->free_at[d] : until;
		}
}

/* ---- the daemon ---- */

/* Was a page with this rate touched since the last scan? Few rates are different: remember them. */
static inline bool world_is_young(struct world *w, float rate)
{
	uint32_t bits;
	struct world_chance *c;

	memcpy(&bits, &rate, sizeof(bits));
	c = &w->chance[bits * 2654435761u >> 22];
	if (c->rate != rate || c->scan != w->nr_scans + 1) {
		double x = rate * (w->p.huge ? PAGES : 1) * (w->now - w->last_scan) / 1e9;

		*c = (struct world_chance){rate, w->nr_scans + 1, -expm1(-x) * 0x1p32};
	}
	return (world_draw(w) >> 32) < c->young;
}

static inline void world_record(struct world *w, uint32_t region, struct ember_region_rec *rec)
{
	memset(rec, 0, sizeof(*rec));
	rec->addr = BASE_ADDR + (uint64_t)region * EMBER_REGION_BYTES;
	rec->version = EMBER_SAMPLE_VERSION;
	rec->kind = EMBER_KIND_ANON;
	rec->order_class = w->p.huge ? EMBER_ORDER_PMD : EMBER_ORDER_BASE;
	rec->nr_present = PAGES;
	for (unsigned int page = 0; page < PAGES; page++) {
		uint32_t idx = region * PAGES + page;
		uint64_t bit = 1ULL << (page % 64);

		rec->present[page / 64] |= bit;
		if (w->p.huge && page) {
			if (rec->young[0] & 1)
				rec->young[page / 64] |= bit;
		} else if (world_is_young(w, w->rate[idx]))
			rec->young[page / 64] |= bit;
		for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++)
			if (w->place[idx] & (1U << k))
				rec->mem[k][page / 64] |= bit;
	}
	for (int i = 0; i < EMBER_PLANE_WORDS; i++)
		rec->nr_young += __builtin_popcountll(rec->young[i]);
}

static inline void world_scan(struct world *w, const struct ember_cadence_step *step)
{
	struct ember_scan_info info = {.flags = step->scan_flags,
				       .prior_level = step->prior_level,
				       .calibration = &w->calibration,
				       .interval_ns = step->score ? w->now - w->last_scan : 0};
	bool cold = step->scan_flags & EMBER_SCAN_COLD;
	struct ember_score_pass pass;
	uint32_t nr = 0;

	for (uint32_t r = 0; r < w->p.nr_pages / PAGES; r++) {
		world_record(w, r, &w->recs[nr]);
		if (!w->recs[nr].nr_young)
			w->recs[nr].flags |= EMBER_REC_COLD;
		nr += cold || w->recs[nr].nr_young;
	}
	ember_score_begin(&pass, &w->regions, &info);
	ember_score_records(&pass, w->recs, nr);
	ember_score_end(&pass, true);
	ember_calibration_end_round(&w->calibration);
	w->last_scan = w->now;
	w->nr_scans++;
}

static inline void world_plan(struct world *w)
{
	struct ember_plan_proc proc = {.id = {.tgid = 1},
				       .regions = &w->regions,
				       .weight = 100,
				       .allowed = 0x7fff,
				       .home = EMBER_NO_NODE};
	struct ember_plan_limits limits = {.max_regions_per_move = 32,
					   .calibration = &w->calibration};

	for (unsigned int t = 0; t < w->p.nr_tiers; t++) {
		w->topo.nodes[t].free_bytes = w->free_pages[t] * 4096;
		limits.reserve_bytes[t] = w->topo.nodes[t].capacity_bytes / 10000 * w->p.reserve_bp;
		limits.inflight_bytes[t] = w->account.inflight_bytes[t];
	}
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++) {
		uint64_t queued = 0;

		for (unsigned int i = w->head[d]; i < w->nr_queue[d]; i++)
			queued += w->queue[d][i].move.nr_pages * 4096ULL;
		limits.bytes[d] = w->p.move_bytes_per_s * w->p.period_ns / SEC;
		limits.bytes[d] -= queued < limits.bytes[d] ? queued : limits.bytes[d];
	}
	ember_plan_make(&w->plan, &w->topo, &proc, 1, &limits, &w->cooldown, w->now);
	for (uint32_t i = 0; i < w->plan.nr_moves; i++) {
		const struct ember_move *m = &w->plan.moves[i];

		world_enqueue(w, m);
		w->checksum = w->checksum * 31 + m->nr_pages + m->dest;
	}
	for (uint32_t i = 0; i < w->plan.nr_regions; i++)
		for (int k = 0; k < EMBER_PLANE_WORDS; k++)
			w->checksum = w->checksum * 31 + w->plan.regions[i].pages[k];
}

/* Run to time @until; call @every_second for each full second. */
static inline void world_run(struct world *w, uint64_t until,
			     void (*every_second)(struct world *w, void *arg), void *arg)
{
	static const struct ember_cadence_obs none;
	struct ember_cadence_obs obs = none;
	uint64_t next = 0;

	if (w->now)
		next = w->last_scan;
	for (;;) {
		struct ember_cadence_step step = ember_cadence_next(&w->cadence, &obs);

		next = next + step.next_scan_in_ns;
		while (every_second && w->now / SEC < next / SEC && w->now < until) {
			world_move_until(w, (w->now / SEC + 1) * SEC);
			every_second(w, arg);
		}
		if (next >= until) {
			world_move_until(w, until);
			return;
		}
		world_move_until(w, next);
		world_scan(w, &step);
		w->window_ns = step.window_ns;
		obs = (struct ember_cadence_obs){.cost_ns = w->p.scan_cost_ns, .scan_ns = 0};
		if (step.plan) {
			world_plan(w);
			obs.planned = true;
			obs.threshold_level = w->plan.threshold_level;
			obs.settled = w->plan.settled;
		}
	}
}

#endif
