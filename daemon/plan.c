// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One plan: take a survey, then for every node from the fastest tier down find how much to
 * exchange (exchange.c) and name the pages. Terms: a *candidate* lies below the node, or on a
 * node of its tier that is farther from the CPUs that use it, and may come to it; a *victim* lies
 * on it and may go down; an *item* is a part of one region that is to move, before items are sorted
 * and bundled into moves. To those that use it a page of a *stranger*, for whom another node of
 * the tier is nearer, is a victim that counts for less than its heat.
 *
 * Numbers come before names: pages that the cool-down holds back are counted first and left
 * out of the exchange, or victims would be demoted for candidates that cannot come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "plan.h"
#include "survey.h"

#define PAGE_SHIFT 12
#define FILTER_ROUNDS 3

/* Settled: at most one known page in 1024 is wanted elsewhere, one in eight is little known. */
#define SETTLED_ONE_IN 1024
#define DOUBTFUL_ONE_IN 8

/* Order of execution: what differs by less than two octaves goes in one bundle. */
#define BUNDLE_RANKS (2 * EMBER_LEVELS_PER_OCTAVE)

/*
 * A stranger's page gives way to one that is as hot: where two processes lie on each other's near
 * node and both nodes are full, none would ever be hotter by the gap than the other.
 */
#define STRANGER_RANKS EMBER_EXCHANGE_GAP

struct item {
	struct ember_move_region region;
	uint32_t proc;
	uint32_t next; /* item of the same region, + 1; 0: none */
	uint8_t dest;
	uint8_t direction;
	uint8_t mover;
	uint8_t why;
	bool is_base;  /* see ember_move */
	uint8_t order; /* tiers: which exchange goes first */
};

struct ember_plan_work {
	struct ember_survey survey;
	struct item *items;
	uint32_t nr_items;
	uint32_t nr_items_alloc;
	int64_t room[EMBER_MAX_NODES];      /* above watermark and reserve */
	int64_t transient[EMBER_MAX_NODES]; /* above the watermark */
	int64_t accept[EMBER_MAX_NODES];    /* may be sent down to it: what is free, or gets free */
	uint64_t demand[EMBER_MAX_NODES];
	uint64_t budget[EMBER_NR_DIRECTIONS];
	struct ember_mover_cost mover_cost;
	bool probed[EMBER_CPU_CLASSES][EMBER_DENSITIES]; /* in this plan */
	bool by_dma;
	uint16_t near[EMBER_MAX_TIERS]
		     [EMBER_MAX_CLASSES]; /* of a tier's nodes that are allowed, the nearest */
};

/* What one exchange is about. */
struct exchange_ctx {
	const struct ember_topology *topo;
	const struct ember_plan_proc *procs;
	size_t nr_procs;
	const struct ember_cooldown *cooldown;
	uint64_t now_ns;
	struct ember_plan *plan;
	struct ember_plan_work *w;
	const struct ember_plan_limits *plan_limits;
	uint8_t node;
	uint8_t tier;
	uint16_t lower;                         /* nodes of slower tiers */
	uint16_t giving;                        /* of these, where candidates lie */
	uint16_t from_mems[EMBER_MAX_CLASSES];  /* where candidates lie; 0: members may not come */
	uint8_t victim_less[EMBER_MAX_CLASSES]; /* ranks that its victims count for less */
	uint16_t down_to[EMBER_MAX_CLASSES];    /* where members may go below it */
	struct ember_exchange_limits limits;
	struct ember_exchange ex;
	uint64_t candidates[EMBER_RANKS];
	uint64_t victims[EMBER_RANKS];
	uint64_t nr_too_cold; /* left out of the candidates */
};

/* Pages of one direction that pass the cut. */
struct picker {
	enum ember_direction direction;
	uint8_t rank;
	uint64_t at_left;
	uint64_t left;     /* in all */
	uint64_t *blocked; /* only count, by rank, what the cool-down holds back */
	uint64_t nr_blocked;
	bool passing[EMBER_LEVELS]; /* levels that pass, for spans of this class, base and size */
	bool passing_known;
	uint8_t passing_class;
	uint8_t passing_base;
	uint8_t passing_size;
};

#define X(name, word, sentence) [EMBER_WHY_##name] = {word, sentence},
static const char *const whys[][2] = {EMBER_WHY(X)};
#undef X
#define X(name, word, sentence) [EMBER_WHY_NOT_##name] = {word, sentence},
static const char *const why_nots[][2] = {EMBER_WHY_NOT(X)};
#undef X

const char *ember_why_word(enum ember_why why)
{
	return whys[why][0];
}

const char *ember_why_sentence(enum ember_why why)
{
	return whys[why][1];
}

const char *ember_why_not_word(enum ember_why_not why)
{
	return why_nots[why][0];
}

const char *ember_why_not_sentence(enum ember_why_not why)
{
	return why_nots[why][1];
}

static unsigned int weight(const uint64_t mask[EMBER_PLANE_WORDS])
{
	unsigned int n = 0;

	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		n += __builtin_popcountll(mask[w]);
	return n;
}

void ember_plan_init(struct ember_plan *plan)
{
	*plan = (struct ember_plan){0};
}

void ember_plan_clear(struct ember_plan *plan)
{
	if (plan->work) {
		ember_survey_free(&plan->work->survey);
		free(plan->work->items);
		free(plan->work);
	}
	free(plan->moves);
	free(plan->regions);
	ember_plan_init(plan);
}

/* Room for one more element in a growing array. */
static int grow(void *array, uint32_t nr, uint32_t *nr_alloc, size_t size)
{
	uint32_t want = *nr_alloc ? *nr_alloc * 2 : 256;
	void *bigger;

	if (nr < *nr_alloc)
		return 0;
	bigger = reallocarray(*(void **)array, want, size);
	if (!bigger)
		return -ENOMEM;
	*(void **)array = bigger;
	*nr_alloc = want;
	return 0;
}

/* ---- numbers ---- */

/* Each pass is over in a second, many of them in a row need not be. */
static void show_life(const struct ember_plan_limits *limits)
{
	if (limits->alive)
		limits->alive(limits->userdata);
}

static void prepare_rooms(struct ember_plan_work *w, const struct ember_topology *topo,
			  const struct ember_plan_limits *limits)
{
	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++) {
		const struct ember_node *node = &topo->nodes[n];
		int64_t bytes = node->free_bytes - node->high_watermark_bytes;

		bytes -= limits->inflight_bytes[n];
		w->transient[n] = bytes >> PAGE_SHIFT;
		w->accept[n] = bytes > 0 ? bytes >> PAGE_SHIFT : 0;
		w->room[n] = (bytes - (int64_t)limits->reserve_bytes[n]) >> PAGE_SHIFT;
		w->demand[n] = 0;
	}
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		w->budget[d] = limits->bytes[d] >> PAGE_SHIFT;
	w->mover_cost = limits->mover_cost ? *limits->mover_cost : (struct ember_mover_cost){0};
	memset(w->probed, 0, sizeof(w->probed));
	w->by_dma = limits->by_dma;
}

/* Memories that take pages of the class as they are. */
static uint16_t takes_whole(const struct ember_class *class)
{
	return class->allowed & ~class->by_split;
}

static uint16_t nearest(const struct ember_topology *topo, uint8_t home, uint8_t tier,
			uint16_t allowed)
{
	uint8_t nodes[EMBER_MAX_NODES];
	unsigned int nr_nearest;
	uint16_t near = 0;

	ember_topology_nearest(topo, home, tier, allowed, nodes, &nr_nearest);
	for (unsigned int i = 0; i < nr_nearest; i++)
		near |= 1U << nodes[i];
	return near;
}

/* A huge page is split only for a tier that has no memory that takes it whole. */
static void prepare_classes(struct ember_plan_work *w, const struct ember_topology *topo)
{
	for (unsigned int t = 0; t < topo->nr_tiers; t++)
		for (unsigned int c = 0; c < w->survey.nr_classes; c++) {
			const struct ember_class *class = &w->survey.classes[c];

			w->near[t][c] = nearest(topo, class->home, t, takes_whole(class));
			if (!w->near[t][c])
				w->near[t][c] = nearest(topo, class->home, t, class->by_split);
		}
}

static enum ember_why_not why_not_there(const struct ember_class *class,
					const struct ember_topology *topo)
{
	if (!(class->withheld & topo->tiers[0].nodes))
		return EMBER_WHY_NOT_NOT_ALLOWED;
	return class->not_yet ? EMBER_WHY_NOT_NEW : EMBER_WHY_NOT_MODULE_ONLY;
}

/*
 * Pages that could not come to the fastest tier: all of it is outside their cpuset, or only the
 * module goes there, which does not move their kind, or not as long as little is known of them.
 */
static void count_not_allowed(struct ember_plan *plan, const struct ember_topology *topo)
{
	const struct ember_plan_work *w = plan->work;

	for (unsigned int c = 0; c < w->survey.nr_classes; c++) {
		enum ember_why_not why_not = why_not_there(&w->survey.classes[c], topo);

		if (w->near[0][c])
			continue;
		for (uint16_t mems = topo->memory_nodes & ~topo->tiers[0].nodes; mems;
		     mems &= mems - 1) {
			const struct ember_counts *counts =
			    w->survey.counts[__builtin_ctz(mems)][c];

			for (unsigned int r = 0; counts && r < EMBER_RANKS; r++)
				plan->nr_why_not[why_not] += counts->pages[r];
		}
	}
}

/* Nodes below that a page of class @c may go to: they have room, or will when they have given. */
static uint16_t nodes_below(const struct exchange_ctx *x, unsigned int c)
{
	uint16_t nodes = x->lower & takes_whole(&x->w->survey.classes[c]);

	for (uint16_t left = nodes & ~x->giving; left; left &= left - 1)
		if (x->w->accept[__builtin_ctz(left)] <= 0)
			nodes &= ~(left & -left);
	return nodes;
}

static void add_candidates(struct exchange_ctx *x, uint8_t mem, const struct ember_counts *counts)
{
	uint64_t nr = 0;

	for (int r = 0; counts && r < EMBER_RANKS; r++) {
		x->candidates[r] += counts->pages[r] - counts->too_cold[r];
		x->nr_too_cold += counts->too_cold[r];
		nr += counts->pages[r] - counts->too_cold[r];
	}
	if (nr)
		x->giving |= x->lower & 1U << mem;
}

static uint8_t victim_rank(const struct exchange_ctx *x, unsigned int c, int rank)
{
	return rank > x->victim_less[c] ? rank - x->victim_less[c] : 0;
}

static void add_victims(struct exchange_ctx *x, unsigned int c)
{
	const struct ember_counts *counts = x->w->survey.counts[x->node][c];

	for (int r = 0; counts && r < EMBER_RANKS; r++)
		x->victims[victim_rank(x, c, r)] += counts->pages[r];
}

/* Who may come, and from where; who may go; and whose pages count for less here. */
static void set_class(struct exchange_ctx *x, unsigned int c)
{
	uint16_t near = x->w->near[x->tier][c], bit = 1U << x->node;

	x->from_mems[c] = 0;
	if (near & bit)
		x->from_mems[c] = x->lower | (x->topo->tiers[x->tier].nodes & ~near);
	if (bit & x->w->survey.classes[c].by_split) /* to be nearer is not worth a split */
		x->from_mems[c] &= x->lower;
	x->victim_less[c] = near & bit ? 0 : STRANGER_RANKS;
}

static void sum_up(struct exchange_ctx *x)
{
	struct ember_survey *s = &x->w->survey;
	uint16_t lower = 0;

	for (unsigned int c = 0; c < s->nr_classes; c++) {
		set_class(x, c);
		for (uint16_t mems = x->from_mems[c]; mems; mems &= mems - 1)
			add_candidates(x, __builtin_ctz(mems), s->counts[__builtin_ctz(mems)][c]);
	}
	for (unsigned int c = 0; c < s->nr_classes; c++) {
		uint16_t below = nodes_below(x, c);

		x->down_to[c] = below;
		lower |= below;
		if (below)
			add_victims(x, c);
	}
	for (; lower; lower &= lower - 1)
		if (x->w->accept[__builtin_ctz(lower)] > 0)
			x->limits.lower_room += x->w->accept[__builtin_ctz(lower)];
}

/* ---- names ---- */

static uint64_t page_addr(const struct ember_region *r, unsigned int page)
{
	return r->addr + ((uint64_t)page << PAGE_SHIFT);
}

static bool passes_cut(const struct picker *p, uint8_t rank)
{
	return p->direction == EMBER_PROMOTE ? rank >= p->rank : rank <= p->rank;
}

static bool is_restricted(const struct exchange_ctx *x, uint8_t node)
{
	return x->plan_limits->restricted_nodes >> node & 1;
}

/* Not to be had for this exchange: not counted in it, and @why_not says why, once. */
static void block(const struct exchange_ctx *x, struct picker *p, uint8_t rank, unsigned int nr,
		  enum ember_why_not why_not)
{
	if (!p->blocked)
		return;
	p->blocked[rank] += nr;
	p->nr_blocked += nr;
	x->plan->nr_why_not[why_not] += nr;
}

/*
 * Of those who map a shared page some may not be followed: nobody has said that they may have
 * memory on a restricted node. Is it left with nowhere to go in this exchange?
 */
static bool shared_is_stuck(const struct exchange_ctx *x, const struct picker *p, uint8_t class)
{
	if (p->direction == EMBER_PROMOTE)
		return is_restricted(x, x->node);
	return !(x->down_to[class] & ~x->plan_limits->restricted_nodes);
}

/*
 * A page of @nr pages of 4 KiB. Pages that other processes map too cool down
 * in both directions: see decisions.md.
 */
static bool held_back(const struct exchange_ctx *x, struct picker *p, uint64_t addr, uint32_t proc,
		      uint8_t class, uint8_t rank, unsigned int nr, bool sideways, bool shared)
{
	enum ember_cooldown_move move = sideways                        ? EMBER_COOL_SIDEWAYS
					: p->direction == EMBER_PROMOTE ? EMBER_COOL_UP
									: EMBER_COOL_DOWN;
	enum ember_cooldown_state state;

	if (shared && shared_is_stuck(x, p, class)) {
		block(x, p, rank, nr, EMBER_WHY_NOT_MODULE_ONLY);
		return true;
	}
	state = ember_cooldown_look(x->cooldown, &x->procs[proc].id, addr, move, x->now_ns);
	if (state == EMBER_COOL_FREE || (state == EMBER_COOL_AGAIN && !shared))
		return false;
	block(x, p, rank, nr,
	      state == EMBER_COOL_REFUSED ? EMBER_WHY_NOT_BACKOFF : EMBER_WHY_NOT_COOLING);
	return true;
}

/* At the cut's rank there are so many places, beyond it one for each page. */
static bool has_place(const struct picker *p, uint8_t rank, unsigned int nr)
{
	return p->left >= nr && (rank != p->rank || p->at_left >= nr);
}

static void take_place(struct picker *p, uint8_t rank, unsigned int nr)
{
	p->left -= nr;
	if (rank == p->rank)
		p->at_left -= nr;
}

/* Pages of the region that the exchange is about: in the right place, not planned, ours. */
static void eligible(const struct exchange_ctx *x, const struct picker *p, uint32_t proc,
		     const struct ember_region *r, const struct ember_region_span *span,
		     uint64_t ret[EMBER_PLANE_WORDS])
{
	uint16_t mems = p->direction == EMBER_PROMOTE ? x->from_mems[span->class] : 1U << x->node;
	uint64_t mask[EMBER_PLANE_WORDS];

	memset(ret, 0, sizeof(mask));
	for (mems &= ember_region_mems(r); mems; mems &= mems - 1) {
		ember_region_on_mem(r, __builtin_ctz(mems), mask);
		for (int w = 0; w < EMBER_PLANE_WORDS; w++)
			ret[w] |= mask[w];
	}
	ember_survey_left_out(&x->w->survey, proc, x->procs[proc].owner, r, mask);
	for (uint32_t i = span->first_item; i; i = x->w->items[i - 1].next)
		for (int w = 0; w < EMBER_PLANE_WORDS; w++)
			mask[w] |= x->w->items[i - 1].region.pages[w];
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		ret[w] &= ~mask[w];
}

static uint8_t page_rank(const struct exchange_ctx *x, const struct ember_region *r,
			 const struct ember_region_span *span, unsigned int page)
{
	return ember_survey_rank(&x->w->survey, span, ember_region_page_level(r, page));
}

/* The rank of a level in this exchange. */
static uint8_t level_rank(const struct exchange_ctx *x, const struct picker *p,
			  const struct ember_region_span *span, uint8_t level)
{
	uint8_t rank = ember_survey_rank(&x->w->survey, span, level);

	if (p->direction == EMBER_PROMOTE)
		return rank;
	return victim_rank(x, span->class, rank);
}

static uint8_t exchange_rank(const struct exchange_ctx *x, const struct picker *p,
			     const struct ember_region *r, const struct ember_region_span *span,
			     unsigned int page)
{
	return level_rank(x, p, span, ember_region_page_level(r, page));
}

static bool level_passes(const struct exchange_ctx *x, const struct picker *p,
			 const struct ember_region_span *span, uint8_t level)
{
	if (p->direction == EMBER_PROMOTE && ember_survey_too_cold(&x->w->survey, span, level))
		return false;
	return passes_cut(p, level_rank(x, p, span, level));
}

/* Worked out once for regions alike: nearly all of a process. */
static const bool *passing_levels(const struct exchange_ctx *x, struct picker *p,
				  const struct ember_region_span *span)
{
	if (p->passing_known && p->passing_class == span->class && p->passing_base == span->base &&
	    p->passing_size == span->size)
		return p->passing;
	for (unsigned int level = 0; level < EMBER_LEVELS; level++)
		p->passing[level] = level_passes(x, p, span, level);
	p->passing_known = true;
	p->passing_class = span->class;
	p->passing_base = span->base;
	p->passing_size = span->size;
	return p->passing;
}

/* Leave in @mask the pages whose level passes: most do not, so this comes first. */
static void narrow_to_passing(const struct ember_region *r, const bool passing[EMBER_LEVELS],
			      uint64_t mask[EMBER_PLANE_WORDS])
{
	if (!r->heat) {
		if (!passing[r->level])
			memset(mask, 0, EMBER_PLANE_WORDS * sizeof(*mask));
		return;
	}
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++) {
		const uint8_t *heat = r->heat + (size_t)w * 64;
		uint64_t passed = 0;

		for (uint64_t bits = mask[w]; bits; bits &= bits - 1)
			passed |= (uint64_t)passing[heat[__builtin_ctzll(bits)]]
				  << __builtin_ctzll(bits);
		mask[w] = passed;
	}
}

/* From another node of the same tier. */
static bool sideways(const struct exchange_ctx *x, const struct picker *p,
		     const struct ember_region *r, unsigned int page)
{
	return p->direction == EMBER_PROMOTE &&
	       !(x->lower & (1U << ember_region_page_mem(r, page)));
}

/* A huge page moves whole or not at all. */
static void pick_huge(const struct exchange_ctx *x, struct picker *p, uint32_t proc,
		      const struct ember_region *r, const struct ember_region_span *span,
		      uint64_t mask[EMBER_PLANE_WORDS])
{
	uint8_t rank = exchange_rank(x, p, r, span, 0);
	uint64_t shared[EMBER_PLANE_WORDS];

	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	if (weight(mask) == r->nr_present && has_place(p, rank, r->nr_present) &&
	    !held_back(x, p, r->addr, proc, span->class, rank, r->nr_present, sideways(x, p, r, 0),
		       shared[0] & 1))
		take_place(p, rank, r->nr_present);
	else
		memset(mask, 0, EMBER_PLANE_WORDS * sizeof(*mask));
}

/* Narrow @mask down to what passes. */
static void pick(const struct exchange_ctx *x, struct picker *p, uint32_t proc,
		 const struct ember_region *r, const struct ember_region_span *span,
		 uint64_t mask[EMBER_PLANE_WORDS])
{
	uint64_t shared[EMBER_PLANE_WORDS];

	narrow_to_passing(r, passing_levels(x, p, span), mask);
	if (r->order == EMBER_ORDER_PMD) {
		pick_huge(x, p, proc, r, span, mask);
		return;
	}
	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++)
		for (uint64_t bits = mask[w]; bits; bits &= bits - 1) {
			unsigned int page = w * 64 + __builtin_ctzll(bits);
			uint8_t rank = exchange_rank(x, p, r, span, page);

			if (has_place(p, rank, 1) &&
			    !held_back(x, p, page_addr(r, page), proc, span->class, rank, 1,
				       sideways(x, p, r, page), shared[w] & (bits & -bits)))
				take_place(p, rank, 1);
			else
				mask[w] &= ~(bits & -bits);
		}
}

static bool worth_a_look(const struct exchange_ctx *x, const struct picker *p,
			 const struct ember_region_span *span)
{
	uint8_t class = span->class;
	bool up = p->direction == EMBER_PROMOTE;
	uint8_t best;

	if (class == EMBER_NO_CLASS || span->why_not != EMBER_NR_WHY_NOT)
		return false;
	best = up ? span->rank_max : victim_rank(x, class, span->rank_min);
	return (up ? x->from_mems[class] : x->down_to[class]) && passes_cut(p, best) &&
	       has_place(p, best, 1);
}

/* Take @mask of @r out of the counts, so that slower tiers do not plan it again. */
static void uncount(struct exchange_ctx *x, const struct ember_region *r,
		    const struct ember_region_span *span, const uint64_t mask[EMBER_PLANE_WORDS])
{
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++)
		for (uint64_t bits = mask[w]; bits; bits &= bits - 1) {
			unsigned int page = w * 64 + __builtin_ctzll(bits);
			uint8_t mem = ember_region_page_mem(r, page);

			struct ember_counts *counts = x->w->survey.counts[mem][span->class];
			uint8_t rank = page_rank(x, r, span, page);

			counts->pages[rank]--;
			if (ember_survey_too_cold(&x->w->survey, span,
						  ember_region_page_level(r, page)))
				counts->too_cold[rank]--;
		}
}

static int add_item(struct exchange_ctx *x, struct ember_region_span *span, const struct item *item)
{
	struct ember_plan_work *w = x->w;
	int err = grow(&w->items, w->nr_items, &w->nr_items_alloc, sizeof(*w->items));

	if (err < 0)
		return err;
	w->items[w->nr_items] = *item;
	w->items[w->nr_items].next = span->first_item;
	span->first_item = ++w->nr_items;
	return 0;
}

static void add_room(struct ember_plan_work *w, uint8_t node, int64_t nr)
{
	w->accept[node] += nr;
	w->transient[node] += nr;
	w->room[node] += nr;
}

/* Pages that leave slower nodes (@sign 1): what goes down in this round may take their places. */
static void leave_room(struct exchange_ctx *x, const struct ember_region *r,
		       const uint64_t mask[EMBER_PLANE_WORDS], int sign)
{
	uint64_t leaving[EMBER_PLANE_WORDS];

	for (uint16_t mems = ember_region_mems(r) & x->lower; mems; mems &= mems - 1) {
		ember_region_on_mem(r, __builtin_ctz(mems), leaving);
		for (int w = 0; w < EMBER_PLANE_WORDS; w++)
			leaving[w] &= mask[w];
		add_room(x->w, __builtin_ctz(mems), sign * (int64_t)weight(leaving));
	}
}

/* The nearest node of @among in the next tier down that can take @n pages; EMBER_NO_NODE: none. */
static uint8_t node_below_for(const struct exchange_ctx *x, uint8_t class, uint16_t among,
			      int64_t n)
{
	uint16_t below = among & x->lower & takes_whole(&x->w->survey.classes[class]);
	uint8_t nodes[EMBER_MAX_NODES];
	unsigned int nr, nr_nearest;

	for (unsigned int t = x->tier + 1; t < x->topo->nr_tiers; t++) {
		nr = ember_topology_nearest(x->topo, x->w->survey.classes[class].home, t, below,
					    nodes, &nr_nearest);
		for (unsigned int i = 0; i < nr; i++)
			if (x->w->accept[nodes[i]] >= n)
				return nodes[i];
	}
	return EMBER_NO_NODE;
}

static void keep_first(uint64_t mask[EMBER_PLANE_WORDS], unsigned int n)
{
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		while ((unsigned int)__builtin_popcountll(mask[w]) > n)
			mask[w] &= ~(1ULL << (63 - __builtin_clzll(mask[w])));
		n -= __builtin_popcountll(mask[w]);
	}
}

/* Where all of @mask may go, or a part of it: shared pages not to restricted nodes. */
static uint16_t open_to(const struct exchange_ctx *x, const struct ember_region *r,
			const uint64_t mask[EMBER_PLANE_WORDS])
{
	uint64_t shared[EMBER_PLANE_WORDS], exclusive[EMBER_PLANE_WORDS];

	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		exclusive[w] = mask[w] & ~shared[w];
	if (r->order == EMBER_ORDER_PMD ? weight(exclusive) == weight(mask) : weight(exclusive))
		return UINT16_MAX;
	return ~x->plan_limits->restricted_nodes;
}

/* Those that go elsewhere, or not at all, are a matter of the next plan. */
static void leave_shared_out(const struct ember_region *r, uint64_t mask[EMBER_PLANE_WORDS])
{
	uint64_t shared[EMBER_PLANE_WORDS];

	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		mask[w] &= ~shared[w];
}

/* Where all of @mask may go, or a part of it, to which it is narrowed: a huge page stays whole. */
static uint8_t demote_to(struct exchange_ctx *x, const struct ember_region *r,
			 const struct ember_region_span *span, uint64_t mask[EMBER_PLANE_WORDS])
{
	unsigned int n = weight(mask);
	uint16_t among = open_to(x, r, mask);
	uint8_t dest = node_below_for(x, span->class, among, n);

	if (dest == EMBER_NO_NODE && r->order != EMBER_ORDER_PMD)
		dest = node_below_for(x, span->class, among, 1);
	if (dest == EMBER_NO_NODE)
		return dest;
	if (is_restricted(x, dest)) {
		leave_shared_out(r, mask);
		n = weight(mask);
	}
	if (x->w->accept[dest] < n)
		n = x->w->accept[dest];
	keep_first(mask, n);
	add_room(x->w, dest, -(int64_t)n);
	x->w->demand[dest] += n;
	return dest;
}

/* Pages whose way only the module can go: from a pool, to one, or to a restricted node. */
static void by_module_only(const struct exchange_ctx *x, uint8_t dest, const struct ember_region *r,
			   uint64_t ret[EMBER_PLANE_WORDS])
{
	uint64_t mask[EMBER_PLANE_WORDS];

	memset(ret, x->w->survey.module_only >> dest & 1 ? 0xff : 0, sizeof(mask));
	for (uint16_t mems = ember_region_mems(r) & x->topo->pools; mems; mems &= mems - 1) {
		ember_region_on_mem(r, __builtin_ctz(mems), mask);
		for (int w = 0; w < EMBER_PLANE_WORDS; w++)
			ret[w] |= mask[w];
	}
}

/*
 * A measurement of the other mover costs one region of a plan at most. Who wants CPUs kept free has
 * no use for move_pages(2), which copies with one, however fast it is.
 */
static enum ember_base_mover choose_mover(struct ember_plan_work *w, uint32_t nr_cpus,
					  const uint64_t pages[EMBER_PLANE_WORDS])
{
	unsigned int n = weight(pages);
	enum ember_base_mover best;
	struct ember_mover_case at;

	if (!n || w->by_dma)
		return EMBER_BASE_MODULE;
	at = ember_mover_case_of(n, ember_mover_runs(pages), nr_cpus);
	best = ember_mover_cost_choose(&w->mover_cost, at);
	if (n < EMBER_PROBE_PAGES || w->probed[at.cpus][at.density] ||
	    !ember_mover_cost_wants_probe(&w->mover_cost, at))
		return best;
	w->probed[at.cpus][at.density] = true;
	return !best;
}

/*
 * Whatever goes to a pool or comes from one, or goes to a restricted node, goes by the module; else
 * exclusive anonymous base pages by the faster one, and the rest by move_pages(2). Shared ones
 * apart, because only those may be taken from others who map them: where it is not known (never
 * seen young here) the mover shall refuse, or what is cold here would be demoted under who needs
 * it.
 */
static void split_by_mover(const struct exchange_ctx *x, uint32_t proc, uint8_t dest,
			   const struct ember_region *r, const uint64_t mask[EMBER_PLANE_WORDS],
			   uint64_t ret[EMBER_NR_MOVERS][EMBER_PLANE_WORDS],
			   uint64_t free_choice[EMBER_PLANE_WORDS])
{
	uint64_t shared[EMBER_PLANE_WORDS], pooled[EMBER_PLANE_WORDS];
	enum ember_base_mover base;

	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	by_module_only(x, dest, r, pooled);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		free_choice[w] = ember_region_is_plain(r) ? mask[w] & ~shared[w] & ~pooled[w] : 0;
	base = choose_mover(x->w, x->procs[proc].nr_cpus, free_choice);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		uint64_t module = pooled[w] | (base == EMBER_BASE_MODULE ? free_choice[w] : 0);

		ret[EMBER_MOVER_MODULE][w] = mask[w] & module & ~shared[w];
		ret[EMBER_MOVER_MODULE_SHARED][w] = mask[w] & module & shared[w];
		ret[EMBER_MOVER_MOVE_PAGES][w] = mask[w] & ~module & ~shared[w];
		ret[EMBER_MOVER_MOVE_SHARED][w] = mask[w] & ~module & shared[w];
	}
}

static enum ember_why why(const struct exchange_ctx *x, enum ember_direction direction,
			  bool sideways)
{
	if (sideways)
		return EMBER_WHY_NEARER;
	if (direction == EMBER_PROMOTE)
		return x->ex.nr_down ? EMBER_WHY_HOTTER : EMBER_WHY_FILL;
	return x->ex.nr_up ? EMBER_WHY_MAKE_ROOM : EMBER_WHY_RESERVE;
}

static bool is_within(const uint64_t part[EMBER_PLANE_WORDS],
		      const uint64_t whole[EMBER_PLANE_WORDS])
{
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		if (part[w] & ~whole[w])
			return false;
	return true;
}

/* Items of pages that come or go for the same reason. */
static int add_alike(struct exchange_ctx *x, const struct picker *p, uint32_t proc,
		     const struct ember_region *r, struct ember_region_span *span, uint8_t dest,
		     const uint64_t mask[EMBER_PLANE_WORDS], bool sideways)
{
	uint64_t by_mover[EMBER_NR_MOVERS][EMBER_PLANE_WORDS], free_choice[EMBER_PLANE_WORDS];
	int err = 0;

	split_by_mover(x, proc, dest, r, mask, by_mover, free_choice);
	for (unsigned int m = 0; m < EMBER_NR_MOVERS && !err; m++) {
		struct item item = {.proc = proc, .dest = dest, .mover = m};
		unsigned int n = weight(by_mover[m]), first = 0;

		if (!n)
			continue;
		while (!by_mover[m][first])
			first++;
		item.is_base = is_within(by_mover[m], free_choice);
		item.direction = p->direction;
		item.why = why(x, p->direction, sideways);
		item.order = p->direction == EMBER_DEMOTE ? UINT8_MAX - x->tier : x->tier;
		item.region.addr = r->addr;
		item.region.order = r->order;
		item.region.nr_pages = n;
		item.region.rank = p->direction == EMBER_PROMOTE ? span->rank_max : span->rank_min;
		item.region.src =
		    ember_region_page_mem(r, first * 64 + __builtin_ctzll(by_mover[m][first]));
		memcpy(item.region.pages, by_mover[m], sizeof(item.region.pages));
		err = add_item(x, span, &item);
	}
	return err;
}

/* Those that come from the same tier, and those that change tiers. */
static int add_items(struct exchange_ctx *x, const struct picker *p, uint32_t proc,
		     const struct ember_region *r, struct ember_region_span *span, uint8_t dest,
		     const uint64_t mask[EMBER_PLANE_WORDS])
{
	uint16_t peers = x->topo->tiers[x->tier].nodes & ~(1U << x->node);
	uint64_t side[EMBER_PLANE_WORDS] = {0}, rest[EMBER_PLANE_WORDS];
	int err;

	for (peers &= ember_region_mems(r); peers; peers &= peers - 1) {
		ember_region_on_mem(r, __builtin_ctz(peers), rest);
		for (int w = 0; w < EMBER_PLANE_WORDS; w++)
			side[w] |= rest[w] & mask[w];
	}
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		rest[w] = mask[w] & ~side[w];
	err = add_alike(x, p, proc, r, span, dest, side, true);
	return err < 0 ? err : add_alike(x, p, proc, r, span, dest, rest, false);
}

static struct picker picker_of(const struct exchange_ctx *x, enum ember_direction direction)
{
	if (direction == EMBER_PROMOTE)
		return (struct picker){.direction = direction,
				       .rank = x->ex.up_rank,
				       .at_left = x->ex.up_at,
				       .left = x->ex.nr_up};
	return (struct picker){.direction = direction,
			       .rank = x->ex.down_rank,
			       .at_left = x->ex.down_at,
			       .left = x->ex.nr_down};
}

/* Everything that passes @p becomes items; returns the number of pages, or an error. */
static int64_t name_pages(struct exchange_ctx *x, struct picker *p)
{
	struct ember_region_span *span = x->w->survey.spans;
	int64_t taken = 0;

	show_life(x->plan_limits);
	for (uint32_t proc = 0; proc < x->nr_procs; proc++) {
		const struct ember_regions *rs = x->procs[proc].regions;

		for (uint32_t i = 0; i < rs->nr && p->left; i++) {
			const struct ember_region *r = &rs->regions[i];
			uint64_t mask[EMBER_PLANE_WORDS];
			uint8_t dest = x->node;
			int err;

			if (!worth_a_look(x, p, &span[i]))
				continue;
			eligible(x, p, proc, r, &span[i], mask);
			pick(x, p, proc, r, &span[i], mask);
			if (!weight(mask))
				continue;
			if (p->direction == EMBER_DEMOTE)
				dest = demote_to(x, r, &span[i], mask);
			if (dest == EMBER_NO_NODE)
				continue;
			if (p->direction == EMBER_PROMOTE)
				leave_room(x, r, mask, 1);
			uncount(x, r, &span[i], mask);
			err = add_items(x, p, proc, r, &span[i], dest, mask);
			if (err < 0)
				return err;
			taken += weight(mask);
		}
		span += rs->nr;
	}
	return taken;
}

/* Count by rank what the cool-down holds back on this side of the cut. */
static uint64_t count_held_back(struct exchange_ctx *x, enum ember_direction direction,
				uint64_t blocked[EMBER_RANKS])
{
	struct picker p = picker_of(x, direction);
	struct ember_region_span *span = x->w->survey.spans;

	show_life(x->plan_limits);
	p.blocked = blocked;
	memset(blocked, 0, EMBER_RANKS * sizeof(*blocked));
	for (uint32_t proc = 0; proc < x->nr_procs; proc++) {
		const struct ember_regions *rs = x->procs[proc].regions;

		for (uint32_t i = 0; i < rs->nr && p.left; i++) {
			uint64_t mask[EMBER_PLANE_WORDS];

			if (!worth_a_look(x, &p, &span[i]))
				continue;
			eligible(x, &p, proc, &rs->regions[i], &span[i], mask);
			pick(x, &p, proc, &rs->regions[i], &span[i], mask);
		}
		span += rs->nr;
	}
	return p.nr_blocked;
}

static void subtract(uint64_t from[EMBER_RANKS], const uint64_t what[EMBER_RANKS],
		     uint64_t ret[EMBER_RANKS])
{
	for (int r = 0; r < EMBER_RANKS; r++)
		ret[r] = from[r] > what[r] ? from[r] - what[r] : 0;
}

/*
 * The exchange among those that may move. Holding some back widens the cut, behind which there
 * may be more to be held back: repeated until nothing changes, or a few times.
 */
static void find_exchange(struct exchange_ctx *x)
{
	uint64_t up[EMBER_RANKS], down[EMBER_RANKS], held[EMBER_NR_DIRECTIONS][EMBER_RANKS];
	uint64_t cooling = x->plan->nr_why_not[EMBER_WHY_NOT_COOLING];
	uint64_t backoff = x->plan->nr_why_not[EMBER_WHY_NOT_BACKOFF];
	uint64_t module_only = x->plan->nr_why_not[EMBER_WHY_NOT_MODULE_ONLY];
	uint64_t nr = 0, nr_before;

	x->ex = ember_exchange_find(x->candidates, x->victims, &x->limits);
	memcpy(up, x->candidates, sizeof(up));
	memcpy(down, x->victims, sizeof(down));
	for (int i = 0; i < FILTER_ROUNDS && x->ex.nr_up + x->ex.nr_down; i++) {
		x->plan->nr_why_not[EMBER_WHY_NOT_COOLING] = cooling;
		x->plan->nr_why_not[EMBER_WHY_NOT_BACKOFF] = backoff;
		x->plan->nr_why_not[EMBER_WHY_NOT_MODULE_ONLY] = module_only;
		nr_before = nr;
		nr = count_held_back(x, EMBER_PROMOTE, held[EMBER_PROMOTE]);
		nr += count_held_back(x, EMBER_DEMOTE, held[EMBER_DEMOTE]);
		if (nr == nr_before)
			break;
		subtract(x->candidates, held[EMBER_PROMOTE], up);
		subtract(x->victims, held[EMBER_DEMOTE], down);
		x->ex = ember_exchange_find(up, down, &x->limits);
	}
	memcpy(x->candidates, up, sizeof(up));
	memcpy(x->victims, down, sizeof(down));
}

static void drop_promotion(struct exchange_ctx *x, struct item *item)
{
	const struct ember_region *r =
	    ember_regions_find(x->procs[item->proc].regions, item->region.addr);

	leave_room(x, r, item->region.pages, -1);
	item->region.nr_pages = 0;
}

static void drop_demotion(struct exchange_ctx *x, struct item *item)
{
	add_room(x->w, item->dest, item->region.nr_pages);
	x->w->demand[item->dest] -= item->region.nr_pages;
	item->region.nr_pages = 0;
}

/* Of [first, end) so many pages or a few more, the last named first; returns how many. */
static int64_t drop_promotions(struct exchange_ctx *x, uint32_t first, uint32_t end,
			       int64_t nr_pages, bool sideways_only)
{
	int64_t nr = 0;

	for (uint32_t i = end; i > first && nr < nr_pages; i--) {
		struct item *item = &x->w->items[i - 1];

		if (!item->region.nr_pages || (sideways_only && item->why != EMBER_WHY_NEARER))
			continue;
		nr += item->region.nr_pages;
		drop_promotion(x, item);
	}
	return nr;
}

/* Demotions to nodes that have no room for all that was to come. */
static int64_t drop_demotions(struct exchange_ctx *x, uint32_t first)
{
	int64_t nr = 0;

	for (uint32_t i = x->w->nr_items; i > first; i--) {
		struct item *item = &x->w->items[i - 1];

		if (!item->region.nr_pages || x->w->accept[item->dest] >= 0)
			continue;
		nr += item->region.nr_pages;
		drop_demotion(x, item);
	}
	return nr;
}

/*
 * Fewer went down than was hoped for: promotions that have no room are dropped, first those from
 * the same tier, which leave no room below; then demotions that counted on the places of these;
 * and so on.
 */
static void trim(struct exchange_ctx *x, uint32_t first_up, uint32_t first_down, int64_t *nr_up,
		 int64_t *nr_down)
{
	int64_t room = x->limits.transient_room > 0 ? x->limits.transient_room : 0;

	while (*nr_up - *nr_down > room) {
		int64_t nr, excess = *nr_up - *nr_down - room;

		nr = drop_promotions(x, first_up, first_down, excess, true);
		nr += drop_promotions(x, first_up, first_down, excess - nr, false);
		*nr_up -= nr;
		*nr_down -= drop_demotions(x, first_down);
	}
}

static int write_down(struct exchange_ctx *x)
{
	struct picker up = picker_of(x, EMBER_PROMOTE), down = picker_of(x, EMBER_DEMOTE);
	uint32_t first_up = x->w->nr_items, first_down;
	int64_t nr_up, nr_down, missing;

	nr_up = name_pages(x, &up);
	if (nr_up < 0)
		return nr_up;
	first_down = x->w->nr_items;
	missing = (int64_t)x->ex.nr_up - nr_up;
	down.left -= down.left < (uint64_t)missing ? down.left : (uint64_t)missing;
	nr_down = name_pages(x, &down);
	if (nr_down < 0)
		return nr_down;
	trim(x, first_up, first_down, &nr_up, &nr_down);
	x->w->budget[EMBER_PROMOTE] -= nr_up;
	x->w->budget[EMBER_DEMOTE] -= nr_down;
	return 0;
}

/* Why the other candidates stay where they are; asked for the fastest tier only. */
static void say_why_not(struct exchange_ctx *x)
{
	uint64_t *why_not = x->plan->nr_why_not, left_of_wanted = x->ex.nr_wanted, nr_victims = 0;
	int coldest = EMBER_RANKS;

	why_not[EMBER_WHY_NOT_TOO_COLD] += x->nr_too_cold;
	for (int r = EMBER_RANKS - 1; r >= 0; r--) {
		nr_victims += x->victims[r];
		coldest = x->victims[r] ? r : coldest;
	}
	for (int r = EMBER_RANKS - 1; r >= 0; r--) {
		uint64_t n = x->candidates[r], wanted = n < left_of_wanted ? n : left_of_wanted;

		left_of_wanted -= wanted;
		why_not[EMBER_WHY_NOT_QUOTA] += wanted;
		n -= wanted;
		if (!nr_victims || !x->ex.can_start)
			why_not[EMBER_WHY_NOT_NO_ROOM] += n;
		else if (r > coldest)
			why_not[EMBER_WHY_NOT_GAP] += n;
		else
			why_not[EMBER_WHY_NOT_PLACED] += n;
	}
	why_not[EMBER_WHY_NOT_QUOTA] -=
	    x->ex.nr_up < x->ex.nr_wanted ? x->ex.nr_up : x->ex.nr_wanted;
	why_not[EMBER_WHY_NOT_PLACED] += nr_victims - x->ex.nr_down;
}

/* Numbers of the exchange of @node with what lies below it and on farther nodes of its tier. */
static void look_at_node(struct exchange_ctx *x, uint8_t tier, uint8_t node)
{
	x->tier = tier;
	x->node = node;
	x->lower = x->giving = 0;
	for (unsigned int t = tier + 1; t < x->topo->nr_tiers; t++)
		x->lower |= x->topo->tiers[t].nodes;
	memset(x->candidates, 0, sizeof(x->candidates));
	memset(x->victims, 0, sizeof(x->victims));
	x->nr_too_cold = 0;
	x->limits = (struct ember_exchange_limits){
	    .room = x->w->room[node],
	    .transient_room = x->w->transient[node],
	    .slack = (x->w->transient[node] - x->w->room[node]) / 4,
	    .demand = x->w->demand[node],
	};
	sum_up(x);
}

/* Pages that would come, or have to go, if the budgets were endless. */
static uint64_t claim_of(struct exchange_ctx *x, uint8_t tier, uint8_t node)
{
	look_at_node(x, tier, node);
	return ember_exchange_find(x->candidates, x->victims, &x->limits).nr_wanted +
	       (x->limits.room < 0 ? -x->limits.room : 0);
}

static uint64_t part_of(uint64_t budget, uint64_t claim, uint64_t all_claims)
{
	return budget >= all_claims ? budget : budget * claim / all_claims;
}

static int plan_node(struct exchange_ctx *x, uint8_t tier, uint8_t node, uint64_t claim,
		     uint64_t all_claims)
{
	look_at_node(x, tier, node);
	x->limits.budget_up = part_of(x->w->budget[EMBER_PROMOTE], claim, all_claims);
	x->limits.budget_down = part_of(x->w->budget[EMBER_DEMOTE], claim, all_claims);
	find_exchange(x);
	x->plan->nr_wanted += x->ex.nr_wanted;
	if (tier == 0)
		say_why_not(x);
	return write_down(x);
}

/* Its nodes share the budgets by what they want: else the first would have them to itself. */
static int plan_tier(struct exchange_ctx *x, uint8_t tier)
{
	uint64_t claims[EMBER_MAX_NODES], left = 0;
	int err = 0;

	for (uint16_t nodes = x->topo->tiers[tier].nodes; nodes; nodes &= nodes - 1) {
		uint8_t node = __builtin_ctz(nodes);

		claims[node] = claim_of(x, tier, node);
		left += claims[node];
	}
	for (uint16_t nodes = x->topo->tiers[tier].nodes; nodes && !err; nodes &= nodes - 1) {
		uint8_t node = __builtin_ctz(nodes);

		err = plan_node(x, tier, node, claims[node], left);
		left -= claims[node];
	}
	return err;
}

/* ---- moves ---- */

static int bundle_of(const struct ember_move_region *region)
{
	return region->rank / BUNDLE_RANKS;
}

static int by_order(const void *va, const void *vb)
{
	const struct item *a = va, *b = vb;
	int bundle_a = bundle_of(&a->region), bundle_b = bundle_of(&b->region);

	if (a->direction != b->direction)
		return (int)a->direction - b->direction;
	if (a->order != b->order)
		return (int)a->order - b->order;
	if (bundle_a != bundle_b)
		return a->direction == EMBER_PROMOTE ? bundle_b - bundle_a : bundle_a - bundle_b;
	if (a->proc != b->proc)
		return a->proc < b->proc ? -1 : 1;
	if (a->dest != b->dest)
		return (int)a->dest - b->dest;
	if (a->mover != b->mover)
		return (int)a->mover - b->mover;
	if (a->is_base != b->is_base)
		return (int)a->is_base - b->is_base;
	if (a->region.addr != b->region.addr)
		return a->region.addr < b->region.addr ? -1 : 1;
	return 0;
}

static bool has_place_for(const struct ember_move *move, const struct item *item,
			  const struct ember_plan_limits *limits)
{
	uint32_t nr_pages = move->nr_pages + item->region.nr_pages;

	return (!limits->max_regions_per_move || move->nr_regions < limits->max_regions_per_move) &&
	       (!limits->max_pages_per_move || nr_pages <= limits->max_pages_per_move);
}

static bool joins(const struct ember_plan *plan, const struct item *item,
		  const struct ember_plan_limits *limits)
{
	const struct ember_move *move;

	if (!plan->nr_moves ||
	    bundle_of(&plan->regions[plan->nr_regions - 1]) != bundle_of(&item->region))
		return false;
	move = &plan->moves[plan->nr_moves - 1];
	return move->proc == item->proc && move->dest == item->dest &&
	       move->direction == item->direction && move->mover == item->mover &&
	       move->is_base == item->is_base && move->why == item->why &&
	       has_place_for(move, item, limits);
}

/*
 * Base pages, too: some of them may belong to a large folio that no scan has seen yet, or that
 * khugepaged has made of them since.
 */
static bool may_split(const struct ember_plan *plan, const struct ember_plan_limits *limits,
		      const struct item *item)
{
	return limits->split_huge && item->mover == EMBER_MOVER_MODULE &&
	       plan->work->survey.module_only >> item->dest & 1;
}

static int start_move(struct ember_plan *plan, const struct ember_topology *topo,
		      const struct ember_plan_proc *procs, const struct ember_plan_limits *limits,
		      const struct item *item)
{
	int err = grow(&plan->moves, plan->nr_moves, &plan->nr_moves_alloc, sizeof(*plan->moves));

	if (err < 0)
		return err;
	plan->moves[plan->nr_moves++] = (struct ember_move){
	    .id = procs[item->proc].id,
	    .proc = item->proc,
	    .nr_cpus = procs[item->proc].nr_cpus,
	    .first_region = plan->nr_regions,
	    .dest = item->dest,
	    .to_pool = topo->pools >> item->dest & 1,
	    .direction = item->direction,
	    .mover = item->mover,
	    .is_base = item->is_base,
	    .split = may_split(plan, limits, item),
	    .isolated_too = limits->isolated_too,
	    .by_dma = limits->by_dma,
	    .longest_wait_ns = limits->longest_wait_ns,
	    .why = item->why,
	    .restricted = limits->restricted_nodes & 1U << item->dest,
	};
	return 0;
}

static int bundle(struct ember_plan *plan, const struct ember_topology *topo,
		  const struct ember_plan_proc *procs, const struct ember_plan_limits *limits)
{
	struct ember_plan_work *w = plan->work;
	int err;

	if (w->nr_items) /* else there may be no array */
		qsort(w->items, w->nr_items, sizeof(*w->items), by_order);
	for (uint32_t i = 0; i < w->nr_items; i++) {
		const struct item *item = &w->items[i];
		struct ember_move *move;

		if (!item->region.nr_pages)
			continue;
		if (!joins(plan, item, limits)) {
			err = start_move(plan, topo, procs, limits, item);
			if (err < 0)
				return err;
		}
		err = grow(&plan->regions, plan->nr_regions, &plan->nr_regions_alloc,
			   sizeof(*plan->regions));
		if (err < 0)
			return err;
		move = &plan->moves[plan->nr_moves - 1];
		plan->regions[plan->nr_regions++] = item->region;
		move->nr_regions++;
		move->nr_pages += item->region.nr_pages;
		plan->nr_planned[item->direction] += item->region.nr_pages;
		plan->nr_why[item->why] += item->region.nr_pages;
	}
	return 0;
}

/* Level at which the pages of tier 0 and its free room are used up, from the hottest down. */
static uint8_t threshold(const struct ember_plan *plan, const struct ember_topology *topo)
{
	const struct ember_survey *s = &plan->work->survey;
	int base = s->nr_huge * 2 > s->nr_pages ? EMBER_RANK_BASE_HUGE : EMBER_RANK_BASE;
	uint64_t capacity = plan->nr_on_tier[0], sum = 0;
	int rank;

	for (uint16_t nodes = topo->tiers[0].nodes; nodes; nodes &= nodes - 1) {
		int64_t room = plan->work->room[__builtin_ctz(nodes)];

		capacity += room > 0 ? room : 0;
	}
	for (rank = EMBER_RANKS - 1; rank > 0; rank--) {
		sum += s->all[rank];
		if (sum > capacity)
			break;
	}
	if (rank < base)
		return 0;
	return rank - base < EMBER_LEVELS ? rank - base : EMBER_LEVELS - 1;
}

static bool is_settled(const struct ember_plan *plan)
{
	const struct ember_survey *s = &plan->work->survey;

	return plan->nr_wanted * SETTLED_ONE_IN <= s->nr_pages &&
	       s->nr_doubtful * DOUBTFUL_ONE_IN <= s->nr_pages;
}

static int make(struct ember_plan *plan, const struct ember_topology *topo,
		const struct ember_plan_proc *procs, size_t nr_procs,
		const struct ember_plan_limits *limits, const struct ember_cooldown *cooldown,
		uint64_t now_ns)
{
	struct exchange_ctx x = {.topo = topo,
				 .procs = procs,
				 .nr_procs = nr_procs,
				 .cooldown = cooldown,
				 .now_ns = now_ns,
				 .plan = plan,
				 .w = plan->work,
				 .plan_limits = limits};
	int err = ember_survey_take(&plan->work->survey, plan, topo, procs, nr_procs, limits);

	if (err < 0)
		return err;
	show_life(limits);
	prepare_rooms(plan->work, topo, limits);
	prepare_classes(plan->work, topo);
	count_not_allowed(plan, topo);
	plan->threshold_level = threshold(plan, topo);
	for (unsigned int t = 0; t + 1 < topo->nr_tiers; t++) {
		err = plan_tier(&x, t);
		if (err < 0)
			return err;
	}
	plan->settled = is_settled(plan);
	return bundle(plan, topo, procs, limits);
}

/* Empty, but the memory stays. */
static void start_over(struct ember_plan *plan)
{
	struct ember_plan kept = {.moves = plan->moves,
				  .nr_moves_alloc = plan->nr_moves_alloc,
				  .regions = plan->regions,
				  .nr_regions_alloc = plan->nr_regions_alloc,
				  .work = plan->work};

	*plan = kept;
	plan->work->nr_items = 0;
}

int ember_plan_make(struct ember_plan *plan, const struct ember_topology *topo,
		    const struct ember_plan_proc *procs, size_t nr_procs,
		    const struct ember_plan_limits *limits, const struct ember_cooldown *cooldown,
		    uint64_t now_ns)
{
	int err;

	if (!plan->work)
		plan->work = calloc(1, sizeof(*plan->work));
	if (!plan->work)
		return -ENOMEM;
	start_over(plan);
	err = make(plan, topo, procs, nr_procs, limits, cooldown, now_ns);
	if (err < 0)
		start_over(plan);
	return err;
}
