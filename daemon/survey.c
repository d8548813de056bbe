// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mix.h"
#include "score.h"
#include "survey.h"

struct ember_shared_seen {
	const struct ember_region *region; /* NULL: free */
	uint32_t proc;
	uint32_t owner;
	bool by_hand; /* one of those who share it has placed it by hand */
};

static uint8_t clamp_rank(int rank)
{
	if (rank < 1)
		return 1;
	return rank < EMBER_RANKS ? rank : EMBER_RANKS - 1;
}

uint8_t ember_survey_rank(const struct ember_survey *s, const struct ember_region_span *span,
			  uint8_t level)
{
	return clamp_rank(span->base + s->worth[span->size][level]);
}

bool ember_survey_too_cold(const struct ember_survey *s, const struct ember_region_span *span,
			   uint8_t level)
{
	return s->worth[span->size][level] <
	       (span->size == EMBER_PAGE_HUGE ? EMBER_WORTH_MIN_HUGE : EMBER_WORTH_MIN);
}

/* A rule's weight counts like so many times the touches; at most 6 octaves either way. */
static int bias_of(uint32_t weight)
{
	int bias;

	if (!weight)
		return -40;
	bias = ((ember_log2_q8(weight) - ember_log2_q8(100)) * EMBER_LEVELS_PER_OCTAVE) / 256;
	if (bias < -40)
		return -40;
	return bias > 40 ? 40 : bias;
}

static uint8_t find_class(struct ember_survey *s, const struct ember_plan_proc *proc,
			  enum ember_way way)
{
	uint16_t module_only = proc->allowed & s->module_only;
	struct ember_class want = {.home = proc->home, .allowed = proc->allowed};
	unsigned int c;

	want.not_yet = way == EMBER_WAY_NOT_YET;
	if (way == EMBER_WAY_NONE || way == EMBER_WAY_NOT_YET)
		want.withheld = module_only;
	else if (way == EMBER_WAY_BY_SPLIT)
		want.by_split = module_only;
	want.allowed &= ~want.withheld;
	for (c = 0; c < s->nr_classes; c++)
		if (s->classes[c].home == want.home && s->classes[c].allowed == want.allowed &&
		    s->classes[c].withheld == want.withheld &&
		    s->classes[c].by_split == want.by_split &&
		    s->classes[c].not_yet == want.not_yet)
			return c;
	if (c == EMBER_MAX_CLASSES)
		return EMBER_NO_CLASS;
	s->classes[c] = want;
	return s->nr_classes++;
}

/* File pages that others map too: what this process does tells nothing of what they do. */
static bool stays_when_shared(const struct ember_region *r)
{
	return r->kind == EMBER_KIND_FILE || r->kind == EMBER_KIND_MIXED;
}

static bool has_shared(const struct ember_region *r)
{
	return r->plane_mask & (1U << EMBER_PLANE_SHARED);
}

/* move_pages(2) reaches no pools, and no nodes that cpusets leave out; the module no huge pages. */
static enum ember_way way_of(const struct ember_survey *s, const struct ember_plan_proc *proc,
			     const struct ember_region *r)
{
	if (ember_region_is_plain(r) || !(proc->allowed & s->module_only))
		return EMBER_WAY_AS_THEY_ARE;
	/* the kernel splits nothing that others may map */
	if (!s->split_huge || r->kind != EMBER_KIND_ANON || has_shared(r))
		return EMBER_WAY_NONE;
	/* nobody puts a split page together again but khugepaged, if at all */
	return r->info < EMBER_SURVEY_KNOWN ? EMBER_WAY_NOT_YET : EMBER_WAY_BY_SPLIT;
}

static uint8_t class_of(struct ember_survey *s, const struct ember_plan_proc *proc,
			const struct ember_region *r)
{
	enum ember_way way = way_of(s, proc, r);
	uint8_t *class = &s->class_now[way];

	if (proc->frozen)
		return EMBER_NO_CLASS;
	if (*class == EMBER_NO_CLASS)
		*class = find_class(s, proc, way);
	return *class;
}

uint64_t ember_survey_hash(uint64_t seed, uint32_t owner, uint64_t addr)
{
	return ember_mix(ember_mix(seed ^ owner) ^ addr);
}

static struct ember_shared_seen *shared_slot(const struct ember_survey *s, uint32_t owner,
					     const struct ember_region *r)
{
	size_t i = ember_survey_hash(s->seed, owner, r->addr) & (s->nr_shared_alloc - 1);

	while (s->shared[i].region &&
	       (s->shared[i].owner != owner || s->shared[i].region->addr != r->addr ||
		s->shared[i].region->kind != r->kind))
		i = (i + 1) & (s->nr_shared_alloc - 1);
	return &s->shared[i];
}

static int grow_shared(struct ember_survey *s)
{
	struct ember_survey bigger = {.nr_shared_alloc = s->nr_shared_alloc * 2, .seed = s->seed};

	if (!bigger.nr_shared_alloc)
		bigger.nr_shared_alloc = 1024;
	bigger.shared = calloc(bigger.nr_shared_alloc, sizeof(*bigger.shared));
	if (!bigger.shared)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr_shared_alloc; i++)
		if (s->shared[i].region)
			*shared_slot(&bigger, s->shared[i].owner, s->shared[i].region) =
			    s->shared[i];
	free(s->shared);
	s->shared = bigger.shared;
	s->nr_shared_alloc = bigger.nr_shared_alloc;
	return 0;
}

static bool is_placed_by_hand(const struct ember_plan_proc *proc, const struct ember_region *r)
{
	return proc->hands && ember_hands_hold(proc->hands, r->addr);
}

/*
 * A region's shared pages are counted with the process that touches it most, so that nobody who
 * has ceased to use them takes them away from those who do.
 */
static int note_shared(struct ember_survey *s, uint32_t proc, uint32_t owner,
		       const struct ember_region *r, bool by_hand)
{
	struct ember_shared_seen *slot;
	int err;

	if (s->nr_shared * 2 >= s->nr_shared_alloc) {
		err = grow_shared(s);
		if (err < 0)
			return err;
	}
	slot = shared_slot(s, owner, r);
	by_hand |= slot->by_hand; /* false where the slot is free */
	if (slot->region && slot->region->level >= r->level) {
		slot->by_hand = by_hand;
		return 0;
	}
	s->nr_shared += !slot->region;
	*slot = (struct ember_shared_seen){
	    .region = r, .proc = proc, .owner = owner, .by_hand = by_hand};
	return 0;
}

static int note_all_shared(struct ember_survey *s, const struct ember_plan_proc *procs,
			   size_t nr_procs)
{
	int err = 0;

	for (size_t p = 0; p < nr_procs; p++) {
		struct ember_regions *rs = procs[p].regions;

		for (uint32_t i = 0; i < rs->nr && !err; i++) {
			struct ember_region *r = &rs->regions[i];

			ember_score_catch_up(rs, r);
			if (has_shared(r) && !stays_when_shared(r))
				err = note_shared(s, p, procs[p].owner, r,
						  is_placed_by_hand(&procs[p], r));
		}
	}
	return err;
}

/* Pages of @r that another process is counted with. */
static void shared_elsewhere(const struct ember_survey *s, uint32_t proc, uint32_t owner,
			     const struct ember_region *r, uint64_t ret[EMBER_PLANE_WORDS])
{
	const struct ember_shared_seen *slot = shared_slot(s, owner, r);
	uint64_t theirs[EMBER_PLANE_WORDS];

	if (slot->proc == proc) {
		memset(ret, 0, EMBER_PLANE_WORDS * sizeof(*ret));
		return;
	}
	ember_region_plane(slot->region, EMBER_PLANE_SHARED, theirs);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		ret[w] &= theirs[w];
}

enum ember_why_not ember_survey_left_out(const struct ember_survey *s, uint32_t proc,
					 uint32_t owner, const struct ember_region *r,
					 uint64_t ret[EMBER_PLANE_WORDS])
{
	memset(ret, 0, EMBER_PLANE_WORDS * sizeof(*ret));
	if (!has_shared(r))
		return EMBER_NR_WHY_NOT;
	ember_region_plane(r, EMBER_PLANE_SHARED, ret);
	if (stays_when_shared(r))
		return EMBER_WHY_NOT_SHARED_FILE;
	if (s->leave_shared)
		return EMBER_WHY_NOT_SHARED_LEFT;
	shared_elsewhere(s, proc, owner, r, ret);
	return EMBER_WHY_NOT_SHARED_ELSEWHERE;
}

/* By any of those who share it. */
static bool is_shared_by_hand(const struct ember_survey *s, uint32_t owner,
			      const struct ember_region *r)
{
	return has_shared(r) && !stays_when_shared(r) && shared_slot(s, owner, r)->by_hand;
}

static enum ember_why_not region_why_not(const struct ember_survey *s,
					 const struct ember_plan_proc *proc, uint8_t class,
					 const struct ember_region *r)
{
	if (proc->frozen)
		return proc->frozen_why;
	if (class == EMBER_NO_CLASS)
		return EMBER_WHY_NOT_CLASSES;
	if (r->kind == EMBER_KIND_HUGETLB)
		return EMBER_WHY_NOT_HUGETLB;
	if (r->kind == EMBER_KIND_UNSPEC)
		return EMBER_WHY_NOT_KIND;
	if (r->bound)
		return EMBER_WHY_NOT_BOUND;
	if (is_placed_by_hand(proc, r) || is_shared_by_hand(s, proc->owner, r))
		return EMBER_WHY_NOT_BY_HAND;
	if (r->nr_inflight)
		return EMBER_WHY_NOT_IN_FLIGHT;
	if (!r->info)
		return EMBER_WHY_NOT_NEW;
	return EMBER_NR_WHY_NOT;
}

/* Pages of @mask by level; returns their number. */
static unsigned int count_levels(const struct ember_region *r,
				 const uint64_t mask[EMBER_PLANE_WORDS], uint16_t ret[EMBER_LEVELS])
{
	unsigned int n = 0;

	memset(ret, 0, EMBER_LEVELS * sizeof(*ret));
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		n += __builtin_popcountll(mask[w]);
		for (uint64_t bits = mask[w]; r->heat && bits; bits &= bits - 1)
			ret[r->heat[w * 64 + __builtin_ctzll(bits)]]++;
	}
	if (!r->heat)
		ret[r->level] = n;
	return n;
}

static int counts_for(struct ember_survey *s, uint8_t mem, uint8_t class, struct ember_counts **ret)
{
	if (!s->counts[mem][class])
		s->counts[mem][class] = calloc(1, sizeof(struct ember_counts));
	*ret = s->counts[mem][class];
	return *ret ? 0 : -ENOMEM;
}

/* One region's pages on one memory: into the sums, and into @counts (may be NULL). */
static unsigned int add_pages(struct ember_survey *s, struct ember_region_span *span,
			      const struct ember_region *r, const uint64_t mask[EMBER_PLANE_WORDS],
			      struct ember_counts *counts)
{
	uint16_t levels[EMBER_LEVELS];
	unsigned int n = count_levels(r, mask, levels);

	for (unsigned int level = 0; level < EMBER_LEVELS; level++) {
		uint8_t rank;

		if (!levels[level])
			continue;
		rank = ember_survey_rank(s, span, level);
		s->all[rank] += levels[level];
		if (!counts)
			continue;
		counts->pages[rank] += levels[level];
		if (ember_survey_too_cold(s, span, level))
			counts->too_cold[rank] += levels[level];
		span->rank_max = rank > span->rank_max ? rank : span->rank_max;
		span->rank_min = rank < span->rank_min ? rank : span->rank_min;
	}
	return n;
}

/* All pages alike and in one place: most of a large space, so no masks are made for it. */
static unsigned int add_uniform(struct ember_survey *s, struct ember_region_span *span,
				const struct ember_region *r, struct ember_counts *counts)
{
	uint8_t rank = ember_survey_rank(s, span, r->level);

	s->all[rank] += r->nr_present;
	if (!counts)
		return r->nr_present;
	counts->pages[rank] += r->nr_present;
	if (ember_survey_too_cold(s, span, r->level))
		counts->too_cold[rank] += r->nr_present;
	span->rank_max = span->rank_min = rank;
	return r->nr_present;
}

static void add_sums(struct ember_survey *s, struct ember_plan *plan, uint8_t tier,
		     const struct ember_region *r, const struct ember_region_span *span,
		     unsigned int n)
{
	s->nr_pages += n;
	s->nr_huge += span->size == EMBER_PAGE_HUGE ? n : 0;
	s->nr_doubtful += r->info < EMBER_SURVEY_KNOWN ? n : 0;
	if (tier == EMBER_NO_TIER) {
		plan->nr_why_not[EMBER_WHY_NOT_UNKNOWN_PLACE] += n;
		return;
	}
	plan->nr_on_tier[tier] += n;
	if (span->why_not < EMBER_NR_WHY_NOT)
		plan->nr_why_not[span->why_not] += n;
}

/* The part of a region that lies on @mem. */
static int add_part(struct ember_survey *s, struct ember_plan *plan,
		    const struct ember_topology *topo, uint8_t mem, const struct ember_region *r,
		    struct ember_region_span *span, const uint64_t left_out[EMBER_PLANE_WORDS],
		    enum ember_why_not why_left_out)
{
	uint8_t tier = ember_topology_tier_of(topo, mem);
	struct ember_counts *counts = NULL;
	uint64_t mask[EMBER_PLANE_WORDS];
	unsigned int n;
	int err = 0;

	if (tier != EMBER_NO_TIER && span->why_not == EMBER_NR_WHY_NOT)
		err = counts_for(s, mem, span->class, &counts);
	if (err < 0)
		return err;
	if (!r->heat && !r->plane_mask) {
		n = add_uniform(s, span, r, counts);
	} else {
		ember_region_on_mem(r, mem, mask);
		for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
			if (mask[w] & left_out[w])
				plan->nr_why_not[why_left_out] +=
				    __builtin_popcountll(mask[w] & left_out[w]);
			mask[w] &= ~left_out[w];
		}
		n = add_pages(s, span, r, mask, counts);
	}
	add_sums(s, plan, tier, r, span, n);
	return 0;
}

static int add_region(struct ember_survey *s, struct ember_plan *plan,
		      const struct ember_topology *topo, const struct ember_plan_proc *procs,
		      uint32_t proc, const struct ember_region *r, struct ember_region_span *span)
{
	bool huge = r->order == EMBER_ORDER_PMD;
	uint64_t left_out[EMBER_PLANE_WORDS];
	enum ember_why_not why_left_out;
	int err = 0;

	*span = (struct ember_region_span){.rank_min = EMBER_RANKS - 1};
	span->base = (huge ? EMBER_RANK_BASE_HUGE : EMBER_RANK_BASE) + s->bias;
	span->size = huge ? EMBER_PAGE_HUGE : EMBER_PAGE_BASE;
	span->class = class_of(s, &procs[proc], r);
	span->why_not = region_why_not(s, &procs[proc], span->class, r);
	why_left_out = ember_survey_left_out(s, proc, procs[proc].owner, r, left_out);
	for (uint16_t mems = ember_region_mems(r); mems && !err; mems &= mems - 1)
		err = add_part(s, plan, topo, __builtin_ctz(mems), r, span, left_out, why_left_out);
	return err;
}

static int reserve(struct ember_survey *s, const struct ember_plan_proc *procs, size_t nr_procs)
{
	size_t nr = 0;

	for (size_t p = 0; p < nr_procs; p++)
		nr += procs[p].regions->nr;
	if (nr > s->nr_spans_alloc) {
		free(s->spans);
		s->nr_spans_alloc = 0;
		s->spans = calloc(nr + nr / 4, sizeof(*s->spans));
		if (!s->spans)
			return -ENOMEM;
		s->nr_spans_alloc = nr + nr / 4;
	}
	s->nr_spans = nr;
	return 0;
}

static void reset(struct ember_survey *s)
{
	for (unsigned int m = 0; m < EMBER_MAX_NODES; m++)
		for (unsigned int c = 0; c < s->nr_classes; c++)
			if (s->counts[m][c])
				memset(s->counts[m][c], 0, sizeof(*s->counts[m][c]));
	memset(s->all, 0, sizeof(s->all));
	if (s->nr_shared)
		memset(s->shared, 0, s->nr_shared_alloc * sizeof(*s->shared));
	s->nr_shared = s->nr_huge = s->nr_doubtful = s->nr_pages = 0;
	s->nr_classes = 0;
}

static void set_worth(struct ember_survey *s, const struct ember_calibration *calibration)
{
	if (calibration) {
		memcpy(s->worth, calibration->worth, sizeof(s->worth));
		return;
	}
	for (unsigned int size = 0; size < EMBER_NR_PAGE_SIZES; size++)
		for (unsigned int level = 0; level < EMBER_LEVELS; level++)
			s->worth[size][level] = level;
}

int ember_survey_take(struct ember_survey *s, struct ember_plan *plan,
		      const struct ember_topology *topo, const struct ember_plan_proc *procs,
		      size_t nr_procs, const struct ember_plan_limits *limits)
{
	struct ember_region_span *span;
	int err = reserve(s, procs, nr_procs);

	if (err < 0)
		return err;
	reset(s);
	s->seed = limits->seed;
	s->leave_shared = limits->leave_shared;
	s->split_huge = limits->split_huge;
	s->module_only = topo->pools | limits->restricted_nodes;
	set_worth(s, limits->calibration);
	err = note_all_shared(s, procs, nr_procs);
	if (err < 0)
		return err;
	span = s->spans;
	for (size_t p = 0; p < nr_procs; p++) {
		struct ember_regions *rs = procs[p].regions;

		memset(s->class_now, EMBER_NO_CLASS, sizeof(s->class_now));
		s->bias = bias_of(procs[p].weight);
		plan->nr_why_not[EMBER_WHY_NOT_HUGETLB] += procs[p].nr_hugetlb;
		for (uint32_t i = 0; i < rs->nr; i++) {
			err = add_region(s, plan, topo, procs, p, &rs->regions[i], span++);
			if (err < 0)
				return err;
		}
	}
	return 0;
}

void ember_survey_free(struct ember_survey *s)
{
	for (unsigned int m = 0; m < EMBER_MAX_NODES; m++)
		for (unsigned int c = 0; c < EMBER_MAX_CLASSES; c++)
			free(s->counts[m][c]);
	free(s->spans);
	free(s->shared);
	*s = (struct ember_survey){0};
}
