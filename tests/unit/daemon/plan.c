// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "account.h"
#include "exchange.h"
#include "gain.h"
#include "plan.h"
#include "records.h"
#include "survey.h"

#define REGION EMBER_REGION_BYTES
#define MIB (1ULL << 20)
#define HOT 90
#define WARM 60
#define COLD 30

/* ---- machines ---- */

static void add_node(struct ember_topology *t, unsigned int node, unsigned int tier, uint64_t mib,
		     uint64_t free_mib)
{
	struct ember_node *n = &t->nodes[node];

	n->has_memory = true;
	n->tier = tier;
	n->capacity_bytes = mib * MIB;
	n->free_bytes = free_mib * MIB;
	t->memory_nodes |= 1U << node;
	t->tiers[tier].nodes |= 1U << node;
	t->tiers[tier].nr_nodes++;
	if (tier >= t->nr_tiers)
		t->nr_tiers = tier + 1;
	memset(n->distance, 40, sizeof(n->distance));
	n->distance[node] = 10;
}

static struct ember_topology no_nodes(void)
{
	struct ember_topology t = {0};

	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++)
		t.nodes[n].tier = EMBER_NO_TIER;
	return t;
}

/* Node 0 fast, node 1 slow. */
static struct ember_topology cxl(uint64_t fast_free_mib)
{
	struct ember_topology t = no_nodes();

	add_node(&t, 0, 0, 64, fast_free_mib);
	add_node(&t, 1, 1, 256, 128);
	return t;
}

#define POOL 14

static void add_pool(struct ember_topology *t, unsigned int tier, uint64_t mib, uint64_t free_mib)
{
	add_node(t, POOL, tier, mib, free_mib);
	t->nodes[POOL].is_pool = true;
	t->pools |= 1U << POOL;
}

/* A fast pool, and node 0. */
static struct ember_topology pool_and_node(uint64_t pool_free_mib)
{
	struct ember_topology t = no_nodes();

	add_pool(&t, 0, 64, pool_free_mib);
	add_node(&t, 0, 1, 256, 128);
	return t;
}

/* ---- processes ---- */

struct proc {
	struct ember_regions rs;
	struct ember_plan_proc plan;
};

static void make_proc(struct proc *p, uint32_t tgid)
{
	memset(p, 0, sizeof(*p));
	ember_regions_init(&p->rs);
	p->plan = (struct ember_plan_proc){.id = {.tgid = tgid},
					   .regions = &p->rs,
					   .weight = 100,
					   .allowed = UINT16_MAX,
					   .home = EMBER_NO_NODE};
}

static void place(struct ember_region_rec *rec, unsigned int mem)
{
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
		set_mem(rec, page, mem);
}

static struct ember_region *add_record(struct proc *p, const struct ember_region_rec *rec,
				       uint8_t level)
{
	uint64_t addr = rec->addr;
	struct ember_region *r;

	assert_true(level < EMBER_LEVELS);
	assert_int_equal(ember_regions_insert(&p->rs, &addr, 1), 0);
	r = ember_regions_find(&p->rs, addr);
	assert_int_equal(ember_region_set_record(&p->rs, r, rec), 0);
	r->level = level;
	r->info = EMBER_INFO_MAX;
	return r;
}

/* A region of anonymous base pages at one level on one node. */
static struct ember_region *add_region(struct proc *p, unsigned int nr, uint8_t level,
				       unsigned int mem)
{
	struct ember_region_rec rec = make_record(nr * REGION);

	place(&rec, mem);
	return add_record(p, &rec, level);
}

/* ---- the planner ---- */

static struct ember_cooldown cooldown;
static struct ember_plan plan;

static int setup(void **state)
{
	(void)state;
	ember_plan_init(&plan);
	return ember_cooldown_init(&cooldown, 4096);
}

static int teardown(void **state)
{
	(void)state;
	ember_plan_clear(&plan);
	ember_cooldown_destroy(&cooldown);
	return 0;
}

static struct ember_plan_limits plenty(void)
{
	return (struct ember_plan_limits){.bytes = {1024 * MIB, 1024 * MIB}};
}

static void make(const struct ember_topology *t, struct proc *procs, size_t nr,
		 const struct ember_plan_limits *limits)
{
	struct ember_plan_proc given[8];

	for (size_t i = 0; i < nr; i++)
		given[i] = procs[i].plan;
	assert_int_equal(ember_plan_make(&plan, t, given, nr, limits, &cooldown, 0), 0);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		const struct ember_move *m = &plan.moves[i];

		print_message("  %s of %u pages to node %u: %s\n",
			      m->direction == EMBER_PROMOTE ? "promotion" : "demotion", m->nr_pages,
			      m->dest, ember_why_sentence(m->why));
	}
}

/* Pages planned for process @proc, to @dest, in @direction. */
static uint64_t planned(uint32_t proc, uint8_t dest, enum ember_direction direction)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		const struct ember_move *m = &plan.moves[i];

		if (m->proc == proc && m->dest == dest && m->direction == direction)
			n += m->nr_pages;
	}
	return n;
}

static void test_swaps_hot_and_cold(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 1);
	add_region(&p, 1, COLD, 0);
	add_region(&p, 2, HOT, 0);
	add_region(&p, 3, COLD, 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 512);
	assert_int_equal(plan.nr_moves, 2);
	assert_int_equal(plan.moves[0].direction, EMBER_DEMOTE); /* room first */
	assert_int_equal(plan.moves[0].why, EMBER_WHY_MAKE_ROOM);
	assert_int_equal(plan.regions[plan.moves[0].first_region].addr, REGION);
	assert_int_equal(plan.moves[1].why, EMBER_WHY_HOTTER);
	assert_int_equal(plan.regions[plan.moves[1].first_region].addr, 0);
	assert_int_equal(plan.nr_on_tier[0], 1024);
	assert_int_equal(plan.nr_on_tier[1], 1024);
	ember_regions_clear(&p.rs);
}

/* What comes leaves room for what goes: free room is needed on one side only. */
static void test_swaps_where_one_side_is_full(void **state)
{
	static const struct {
		uint64_t fast_kib, slow_kib, reserve_kib;
		unsigned int swapped;
	} cases[] = {{0, 4, 0, 512}, {64, 0, 64, 512}, {0, 0, 0, 0}};
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 1);
	add_region(&p, 1, COLD, 0);
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_topology t = cxl(0);
		struct ember_plan_limits limits = plenty();

		t.nodes[0].free_bytes = cases[i].fast_kib << 10;
		t.nodes[1].free_bytes = cases[i].slow_kib << 10;
		limits.reserve_bytes[0] = cases[i].reserve_kib << 10;
		make(&t, &p, 1, &limits);
		assert_int_equal(plan.nr_planned[EMBER_PROMOTE], cases[i].swapped);
		assert_int_equal(plan.nr_planned[EMBER_DEMOTE], cases[i].swapped);
	}
	ember_regions_clear(&p.rs);
}

static void test_uniform_moves_nothing(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	for (unsigned int i = 0; i < 40; i++)
		add_region(&p, i, WARM + i % EMBER_EXCHANGE_GAP, i % 2);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	assert_true(plan.settled);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_GAP] + plan.nr_why_not[EMBER_WHY_NOT_PLACED],
			 40 * 512);
	ember_regions_clear(&p.rs);
}

static void test_fills_free_room(void **state)
{
	struct ember_topology t = cxl(1); /* 256 pages */
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, WARM, 1);
	add_region(&p, 1, WARM, 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 256);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 0);
	assert_int_equal(plan.moves[0].why, EMBER_WHY_FILL);
	/* watermark, reserve and what is on its way are not free */
	t.nodes[0].high_watermark_bytes = MIB / 4;
	limits.reserve_bytes[0] = MIB / 4;
	limits.inflight_bytes[0] = MIB / 4;
	make(&t, &p, 1, &limits);
	/* a quarter of the reserve is slack */
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 64 - 16);
	ember_regions_clear(&p.rs);
}

static void test_hottest_of_all_processes_first(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_proc(&p[0], 1);
	make_proc(&p[1], 2);
	add_region(&p[0], 0, WARM, 1);
	add_region(&p[0], 1, COLD, 0);
	add_region(&p[1], 0, HOT, 1);
	limits.bytes[EMBER_PROMOTE] = 2 * MIB;
	make(&t, p, 2, &limits);
	assert_int_equal(planned(1, 0, EMBER_PROMOTE), 512);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 0);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	/* a weight of 10000 makes up for the 5 octaves between them */
	p[0].plan.weight = 10000;
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 512);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

static void test_budgets(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	for (unsigned int i = 0; i < 4; i++) {
		add_region(&p, i, HOT, 1);
		add_region(&p, 10 + i, COLD, 0);
	}
	limits.bytes[EMBER_DEMOTE] = 100 * 4096;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 100);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 100);
	assert_int_equal(plan.nr_wanted, 2048);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_QUOTA], 1948);
	assert_false(plan.settled);
	limits.bytes[EMBER_DEMOTE] = 0;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	ember_regions_clear(&p.rs);
}

static void test_huge_pages_move_whole(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	rec.order_class = EMBER_ORDER_PMD;
	place(&rec, 1);
	add_record(&p, &rec, HOT + 30); /* touches of 512 pages together */
	add_region(&p, 1, COLD, 0);
	limits.bytes[EMBER_PROMOTE] = 511 * 4096;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 0);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 0); /* and no room is made in vain */
	limits.bytes[EMBER_PROMOTE] = 512 * 4096;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	assert_int_equal(plan.moves[1].mover, EMBER_MOVER_MOVE_PAGES);
	ember_regions_clear(&p.rs);
}

/* Per 4 KiB a huge page is 512 times colder than its level says. */
static void test_huge_pages_count_by_density(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	rec.order_class = EMBER_ORDER_PMD;
	place(&rec, 0);
	add_record(&p, &rec, HOT); /* as dense as base pages at HOT - 54 */
	add_region(&p, 1, WARM, 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 512);
	ember_regions_clear(&p.rs);
}

static void test_movers(void **state)
{
	static const struct {
		uint8_t kind, order;
		bool shared;
		int mover; /* -1: does not move */
	} cases[] = {
	    {EMBER_KIND_ANON, EMBER_ORDER_BASE, false, EMBER_MOVER_MODULE},
	    {EMBER_KIND_ANON, EMBER_ORDER_BASE, true, EMBER_MOVER_MOVE_SHARED},
	    {EMBER_KIND_ANON, EMBER_ORDER_MTHP, false, EMBER_MOVER_MOVE_PAGES},
	    {EMBER_KIND_FILE, EMBER_ORDER_BASE, false, EMBER_MOVER_MOVE_PAGES},
	    {EMBER_KIND_SHMEM, EMBER_ORDER_BASE, false, EMBER_MOVER_MOVE_PAGES},
	    {EMBER_KIND_SHMEM, EMBER_ORDER_BASE, true, EMBER_MOVER_MOVE_SHARED},
	    {EMBER_KIND_FILE, EMBER_ORDER_BASE, true, -1},
	    {EMBER_KIND_MIXED, EMBER_ORDER_BASE, false, EMBER_MOVER_MOVE_PAGES},
	    {EMBER_KIND_HUGETLB, EMBER_ORDER_BASE, false, -1},
	};
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_region_rec rec = make_record(0);
		struct proc p;

		make_proc(&p, 1);
		rec.kind = cases[i].kind;
		rec.order_class = cases[i].order;
		place(&rec, 1);
		memset(rec.young, 0xff, sizeof(rec.young));
		if (cases[i].shared)
			memset(rec.shared, 0xff, sizeof(rec.shared));
		add_record(&p, &rec, HOT);
		make(&t, &p, 1, &limits);
		assert_int_equal(plan.nr_moves, cases[i].mover < 0 ? 0 : 1);
		if (cases[i].mover >= 0)
			assert_int_equal(plan.moves[0].mover, cases[i].mover);
		else
			assert_int_equal(plan.nr_why_not[cases[i].shared ? EMBER_WHY_NOT_SHARED_FILE
									 : EMBER_WHY_NOT_HUGETLB],
					 512);
		ember_regions_clear(&p.rs);
	}
}

/* No region speaks of hugetlb: what procfs counts is told as left where it is, and moves nothing.
 */
static void test_hugetlb_is_told(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_proc(&p[0], 1);
	make_proc(&p[1], 2);
	p[0].plan.nr_hugetlb = 1024;
	p[1].plan.nr_hugetlb = 512;
	make(&t, p, 2, &limits);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_HUGETLB], 1536);
	assert_int_equal(plan.nr_moves, 0);
	/* counted anew by the next plan */
	p[0].plan.nr_hugetlb = 0;
	make(&t, p, 2, &limits);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_HUGETLB], 512);
}

/* What is not plain anonymous memory cannot come to a pool; the rest comes by the module. */
static void test_pool_takes_what_the_module_moves(void **state)
{
	static const struct {
		uint8_t kind, order;
		bool shared;
		int mover; /* -1: does not move */
		enum ember_why_not why_not;
	} cases[] = {
	    {EMBER_KIND_ANON, EMBER_ORDER_BASE, false, EMBER_MOVER_MODULE, 0},
	    {EMBER_KIND_ANON, EMBER_ORDER_BASE, true, EMBER_MOVER_MODULE_SHARED, 0},
	    {EMBER_KIND_ANON, EMBER_ORDER_MTHP, false, -1, EMBER_WHY_NOT_MODULE_ONLY},
	    {EMBER_KIND_ANON, EMBER_ORDER_PMD, false, -1, EMBER_WHY_NOT_MODULE_ONLY},
	    {EMBER_KIND_FILE, EMBER_ORDER_BASE, false, -1, EMBER_WHY_NOT_MODULE_ONLY},
	    {EMBER_KIND_SHMEM, EMBER_ORDER_BASE, false, -1, EMBER_WHY_NOT_MODULE_ONLY},
	    {EMBER_KIND_SHMEM, EMBER_ORDER_BASE, true, -1, EMBER_WHY_NOT_MODULE_ONLY},
	    {EMBER_KIND_MIXED, EMBER_ORDER_BASE, false, -1, EMBER_WHY_NOT_MODULE_ONLY},
	    {EMBER_KIND_FILE, EMBER_ORDER_BASE, true, -1, EMBER_WHY_NOT_SHARED_FILE},
	    {EMBER_KIND_HUGETLB, EMBER_ORDER_BASE, false, -1, EMBER_WHY_NOT_HUGETLB},
	};
	struct ember_topology t = pool_and_node(32);
	struct ember_plan_limits limits = plenty();

	(void)state;
	for (size_t i = 0; i < NR(cases); i++) {
		struct ember_region_rec rec = make_record(0);
		struct proc p;

		make_proc(&p, 1);
		rec.kind = cases[i].kind;
		rec.order_class = cases[i].order;
		memset(rec.young, 0xff, sizeof(rec.young));
		if (cases[i].shared)
			memset(rec.shared, 0xff, sizeof(rec.shared));
		add_record(&p, &rec, EMBER_LEVELS - 1);
		make(&t, &p, 1, &limits);
		assert_int_equal(plan.nr_moves, cases[i].mover < 0 ? 0 : 1);
		if (cases[i].mover >= 0) {
			assert_int_equal(plan.moves[0].mover, cases[i].mover);
			assert_int_equal(plan.moves[0].dest, POOL);
			assert_true(plan.moves[0].to_pool);
			assert_int_equal(plan.moves[0].nr_pages, 512);
			assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 0);
		} else {
			assert_int_equal(plan.nr_why_not[cases[i].why_not], 512);
		}
		ember_regions_clear(&p.rs);
	}
}

/* The only process, with one region of that kind, in a plan for a pool with @pool_free_mib. */
static void plan_split(uint8_t kind, uint8_t order, bool shared, uint64_t pool_free_mib,
		       const struct ember_plan_limits *limits)
{
	struct ember_topology t = pool_and_node(pool_free_mib);
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	make_proc(&p, 1);
	rec.kind = kind;
	rec.order_class = order;
	if (shared) {
		set_bit(rec.young, 5);
		set_bit(rec.shared, 5);
	}
	add_record(&p, &rec, EMBER_LEVELS - 1);
	make(&t, &p, 1, limits);
	ember_regions_clear(&p.rs);
}

/* In pieces they may come where whole ones cannot: exclusive and anonymous, with all their pages.
 */
static void test_huge_pages_are_split_for_pools(void **state)
{
	static const struct {
		uint8_t kind, order;
		bool shared, comes;
	} cases[] = {
	    {EMBER_KIND_ANON, EMBER_ORDER_PMD, false, true},
	    {EMBER_KIND_ANON, EMBER_ORDER_MTHP, false, true},
	    {EMBER_KIND_ANON, EMBER_ORDER_PMD, true, false},
	    {EMBER_KIND_ANON, EMBER_ORDER_MTHP, true, false},
	    {EMBER_KIND_SHMEM, EMBER_ORDER_PMD, false, false},
	    {EMBER_KIND_FILE, EMBER_ORDER_MTHP, false, false},
	    {EMBER_KIND_MIXED, EMBER_ORDER_MTHP, false, false},
	};
	struct ember_plan_limits limits = plenty();

	(void)state;
	limits.split_huge = true;
	for (size_t i = 0; i < NR(cases); i++) {
		plan_split(cases[i].kind, cases[i].order, cases[i].shared, 32, &limits);
		assert_int_equal(planned(0, POOL, EMBER_PROMOTE), cases[i].comes ? 512 : 0);
		if (!cases[i].comes) {
			assert_true(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY] >= 511);
			continue;
		}
		assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 0);
		assert_int_equal(plan.nr_moves, 1);
		assert_int_equal(plan.moves[0].mover, EMBER_MOVER_MODULE);
		assert_true(plan.moves[0].split);
		assert_int_equal(plan.regions[0].order, cases[i].order);
	}
}

/* Nothing is split of which a part could not come. */
static void test_room_and_budget_before_a_split(void **state)
{
	struct ember_plan_limits limits = plenty();

	(void)state;
	limits.split_huge = true;
	plan_split(EMBER_KIND_ANON, EMBER_ORDER_PMD, false, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	plan_split(EMBER_KIND_ANON, EMBER_ORDER_PMD, false, 2, &limits);
	assert_int_equal(plan.nr_moves, 1);
	limits.bytes[EMBER_PROMOTE] = 511 * 4096;
	plan_split(EMBER_KIND_ANON, EMBER_ORDER_PMD, false, 2, &limits);
	assert_int_equal(plan.nr_moves, 0);
	limits.bytes[EMBER_PROMOTE] = 512 * 4096;
	plan_split(EMBER_KIND_ANON, EMBER_ORDER_PMD, false, 2, &limits);
	assert_int_equal(plan.nr_moves, 1);
	/* and a refusal is not forgotten at once */
	ember_cooldown_refused(&cooldown, &(struct ember_proc_id){.tgid = 1}, 0, EMBER_REFUSED_BUSY,
			       0);
	plan_split(EMBER_KIND_ANON, EMBER_ORDER_PMD, false, 2, &limits);
	assert_int_equal(plan.nr_moves, 0);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_BACKOFF], 512);
}

/* A split is for long: not for what is little known. */
static void test_known_before_a_split(void **state)
{
	struct ember_topology t = pool_and_node(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(0);
	struct proc p;

	(void)state;
	limits.split_huge = true;
	make_proc(&p, 1);
	huge.order_class = EMBER_ORDER_PMD;
	add_record(&p, &huge, EMBER_LEVELS - 1)->info = EMBER_SURVEY_KNOWN - 1;
	add_region(&p, 1, HOT, 0)->info = 1;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, POOL, EMBER_PROMOTE), 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NEW], 512);
	p.rs.regions[0].info = EMBER_SURVEY_KNOWN;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, POOL, EMBER_PROMOTE), 1024);
	ember_regions_clear(&p.rs);
}

/* What is little known waits for a split only: it moves where it is taken whole, up and down. */
static void test_whole_moves_do_not_wait(void **state)
{
	struct ember_topology t = pool_and_node(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(0);
	struct proc p;

	(void)state;
	limits.split_huge = true;
	add_node(&t, 1, 0, 64, 32);
	make_proc(&p, 1);
	p.plan.home = 0;
	huge.order_class = EMBER_ORDER_PMD;
	add_record(&p, &huge, EMBER_LEVELS - 1)->info = EMBER_SURVEY_KNOWN - 1;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_PROMOTE), 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NEW], 0);
	ember_regions_clear(&p.rs);

	t = no_nodes();
	add_node(&t, 0, 0, 64, 0);
	add_pool(&t, 1, 64, 32);
	add_node(&t, 1, 2, 256, 128);
	make_proc(&p, 1);
	huge.addr = REGION;
	add_region(&p, 0, HOT, 1);
	add_record(&p, &huge, COLD)->info = 1;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	ember_regions_clear(&p.rs);
}

/* Against base pages a huge one counts by its density; of these, too, some may be in large folios.
 */
static void test_splits_count_by_density(void **state)
{
	struct ember_topology t = pool_and_node(2);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(0);
	struct proc p;

	(void)state;
	limits.split_huge = true;
	make_proc(&p, 1);
	huge.order_class = EMBER_ORDER_PMD;
	add_record(&p, &huge, HOT);
	add_region(&p, 1, HOT, 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 1);
	assert_int_equal(plan.regions[0].addr, REGION);
	assert_true(plan.moves[0].split);
	t.nodes[POOL].free_bytes = 32 * MIB;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, POOL, EMBER_PROMOTE), 1024);
	limits.split_huge = false;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, POOL, EMBER_PROMOTE), 512);
	assert_false(plan.moves[0].split);
	ember_regions_clear(&p.rs);
}

/* Whole where anything takes it whole: on the same tier, and always on the way down. */
static void test_no_split_where_whole_will_do(void **state)
{
	struct ember_topology t = pool_and_node(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(0);
	struct proc p;

	(void)state;
	limits.split_huge = true;
	add_node(&t, 1, 0, 64, 32);
	t.nodes[0].distance[1] = 90; /* the pool is nearer */
	make_proc(&p, 1);
	p.plan.home = 0;
	huge.order_class = EMBER_ORDER_PMD;
	add_record(&p, &huge, EMBER_LEVELS - 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_PROMOTE), 512);
	assert_false(plan.moves[0].split);
	assert_int_equal(plan.moves[0].mover, EMBER_MOVER_MOVE_PAGES);
	ember_regions_clear(&p.rs);

	t = no_nodes();
	add_node(&t, 0, 0, 64, 0);
	add_pool(&t, 1, 64, 32);
	add_node(&t, 1, 2, 256, 128);
	make_proc(&p, 1);
	huge.addr = REGION;
	add_region(&p, 0, HOT, 1);
	add_record(&p, &huge, COLD); /* lies on node 0 */
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	assert_int_equal(planned(0, POOL, EMBER_DEMOTE), 0);
	ember_regions_clear(&p.rs);
}

/* Between two restricted nodes: to be nearer is not worth it; from a slower one it is. */
static void test_no_split_to_come_nearer(void **state)
{
	struct ember_topology t = no_nodes();
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(0);
	struct proc p;

	(void)state;
	limits.split_huge = true;
	limits.restricted_nodes = 1U << 1 | 1U << 2;
	add_node(&t, 0, 1, 64, 32);
	add_node(&t, 1, 0, 64, 32);
	add_node(&t, 2, 0, 64, 32);
	t.nodes[0].distance[1] = 20;
	make_proc(&p, 1);
	p.plan.home = 0;
	huge.order_class = EMBER_ORDER_PMD;
	place(&huge, 2);
	add_record(&p, &huge, EMBER_LEVELS - 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	place(&huge, 0);
	add_record(&p, &huge, EMBER_LEVELS - 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_PROMOTE), 512);
	assert_true(plan.moves[0].split);
	assert_true(plan.moves[0].restricted);
	ember_regions_clear(&p.rs);
}

/* Down to a node by the module alone: move_pages(2) knows no device memory. */
static void test_pages_leave_pools_by_the_module(void **state)
{
	struct ember_topology t = pool_and_node(0);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(REGION);
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 0);
	place(&rec, POOL);
	set_bit(rec.young, 5);
	set_bit(rec.shared, 5);
	add_record(&p, &rec, COLD);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 512);
	assert_int_equal(plan.nr_moves, 3);
	assert_int_equal(plan.moves[0].mover, EMBER_MOVER_MODULE);
	assert_int_equal(plan.moves[0].nr_pages, 511);
	assert_int_equal(plan.moves[1].mover, EMBER_MOVER_MODULE_SHARED);
	assert_int_equal(plan.moves[1].nr_pages, 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(plan.moves[i].dest, 0);
		assert_false(plan.moves[i].to_pool);
	}
	assert_int_equal(plan.moves[2].dest, POOL);
	assert_true(plan.moves[2].to_pool);
	ember_regions_clear(&p.rs);
}

/* Half of a region lies in the pool, and it has large folios too: each half by its mover. */
static void test_pages_of_pools_in_regions_of_others(void **state)
{
	struct ember_topology t = pool_and_node(0);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	add_node(&t, 1, 2, 256, 128);
	t.nodes[0].free_bytes = 0;
	make_proc(&p, 1);
	rec.order_class = EMBER_ORDER_MTHP;
	for (unsigned int page = 0; page < 512; page++)
		set_mem(&rec, page, page < 256 ? POOL : 0);
	add_record(&p, &rec, COLD);
	add_region(&p, 1, HOT, 1);
	make(&t, &p, 1, &limits);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		const struct ember_move *m = &plan.moves[i];

		for (uint32_t k = m->first_region; k < m->first_region + m->nr_regions; k++) {
			const struct ember_move_region *mr = &plan.regions[k];

			if (mr->addr || !mr->nr_pages)
				continue;
			print_message("%u pages by mover %u\n", mr->nr_pages, m->mover);
			for (unsigned int page = 0; page < 512; page++)
				if (test_bit(mr->pages, page))
					assert_int_equal(m->mover, page < 256
								       ? EMBER_MOVER_MODULE
								       : EMBER_MOVER_MOVE_PAGES);
		}
	}
	assert_int_equal(planned(0, POOL, EMBER_PROMOTE), 256); /* for as many as lay there */
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	ember_regions_clear(&p.rs);
}

/* Beside a node in the fast tier a pool is no loss to the others: they go to the node. */
static void test_pool_beside_a_fast_node(void **state)
{
	struct ember_topology t = pool_and_node(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(0);
	struct proc p;

	(void)state;
	add_node(&t, 1, 0, 64, 32);
	make_proc(&p, 1);
	huge.order_class = EMBER_ORDER_PMD;
	add_record(&p, &huge, EMBER_LEVELS - 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_PROMOTE), 512);
	assert_int_equal(plan.moves[0].mover, EMBER_MOVER_MOVE_PAGES);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 0);
	ember_regions_clear(&p.rs);
}

/* The cpuset goes first: nobody is told of pools who may not use them anyway. */
static void test_pool_outside_the_allowed(void **state)
{
	struct ember_topology t = pool_and_node(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(REGION);
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	p.plan.allowed = 1U << 0;
	huge.order_class = EMBER_ORDER_PMD;
	add_region(&p, 0, HOT, 0);
	add_record(&p, &huge, EMBER_LEVELS - 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NOT_ALLOWED], 1024);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 0);
	ember_regions_clear(&p.rs);
}

/* Between two nodes: plain pages stop there on their way down, the others pass it by. */
static void test_pool_in_the_middle(void **state)
{
	struct ember_topology t = no_nodes();
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec huge = make_record(4 * REGION);
	struct proc p;

	(void)state;
	add_node(&t, 0, 0, 64, 0);
	add_pool(&t, 1, 64, 32);
	add_node(&t, 1, 2, 256, 128);
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 1);
	add_region(&p, 1, HOT, 1);
	add_region(&p, 2, WARM, 0);
	huge.order_class = EMBER_ORDER_PMD;
	add_record(&p, &huge, COLD); /* lies on node 0 */
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 1024);
	assert_int_equal(planned(0, POOL, EMBER_DEMOTE), 512);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		const struct ember_move *m = &plan.moves[i];
		uint64_t addr = plan.regions[m->first_region].addr;

		assert_int_equal(m->to_pool, m->dest == POOL);
		assert_int_equal(m->mover,
				 addr == 4 * REGION ? EMBER_MOVER_MOVE_PAGES : EMBER_MOVER_MODULE);
	}
	/* not counted: the fastest tier is a node */
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 0);
	ember_regions_clear(&p.rs);
	/* and up into it, past nothing */
	make_proc(&p, 1);
	t.nodes[0].free_bytes = 0;
	add_region(&p, 0, HOT, 0);
	add_region(&p, 1, WARM, 1);
	huge.addr = 2 * REGION;
	place(&huge, 1);
	add_record(&p, &huge, EMBER_LEVELS - 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, POOL, EMBER_PROMOTE), 512);
	assert_int_equal(planned(0, POOL, EMBER_DEMOTE), 0);
	for (uint32_t i = 0; i < plan.nr_moves; i++)
		if (plan.moves[i].dest == POOL)
			assert_int_equal(plan.regions[plan.moves[i].first_region].addr, REGION);
	ember_regions_clear(&p.rs);
}

/* A few shared pages in an exclusive region: each part by its mover. */
static void test_movers_within_a_region(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	place(&rec, 1);
	set_bit(rec.young, 5);
	set_bit(rec.shared, 5);
	add_record(&p, &rec, HOT);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 2);
	assert_int_equal(plan.moves[0].mover, EMBER_MOVER_MODULE);
	assert_int_equal(plan.moves[0].nr_pages, 511);
	assert_int_equal(plan.moves[1].mover, EMBER_MOVER_MOVE_SHARED);
	assert_int_equal(plan.moves[1].nr_pages, 1);
	assert_true(test_bit(plan.regions[plan.moves[1].first_region].pages, 5));
	/* unless the policy leaves what is shared where it is */
	limits.leave_shared = true;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 1);
	assert_int_equal(plan.moves[0].nr_pages, 511);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_SHARED_LEFT], 1);
	ember_regions_clear(&p.rs);
}

static uint64_t planned_by(enum ember_mover mover)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < plan.nr_moves; i++)
		if (plan.moves[i].mover == mover)
			n += plan.moves[i].nr_pages;
	return n;
}

/* Exclusive base pages go by whichever mover was faster for pages that lie like them. */
static void test_measured_times_choose_the_mover(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct ember_mover_cost cost = {0};
	const struct ember_mover_case dense = {9, 0};
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	for (unsigned int i = 0; i < 4; i++)
		add_region(&p, i, HOT, 1);
	limits.mover_cost = &cost;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned_by(EMBER_MOVER_MODULE), 2048);
	assert_true(plan.moves[0].is_base);
	ember_mover_cost_learn(&cost, EMBER_BASE_MODULE, dense, 512, 512, 512 * 2000);
	ember_mover_cost_learn(&cost, EMBER_BASE_MOVE_PAGES, dense, 512, 512, 512 * 1000);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned_by(EMBER_MOVER_MOVE_PAGES), 2048);
	assert_true(plan.moves[0].is_base);
	/* who wants it copied by DMA has it copied by the module */
	limits.by_dma = true;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned_by(EMBER_MOVER_MODULE), 2048);
	assert_true(plan.moves[0].by_dma);
	limits.by_dma = false;
	/* another case: of a process that runs on other CPUs nothing is known */
	p.plan.nr_cpus = 2;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned_by(EMBER_MOVER_MODULE), 2048);
	p.plan.nr_cpus = 0;
	/* the other one is measured again: with one region */
	for (int i = 0; i < 256; i++)
		ember_mover_cost_learn(&cost, EMBER_BASE_MOVE_PAGES, dense, 512, 512, 512 * 1000);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned_by(EMBER_MOVER_MODULE), 512);
	assert_int_equal(planned_by(EMBER_MOVER_MOVE_PAGES), 1536);
	ember_regions_clear(&p.rs);
}

/* Pages shared between parent and child are counted, and moved, once. */
static void test_shared_pages_count_once(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p[2];

	(void)state;
	place(&rec, 1);
	memset(rec.young, 0xff, sizeof(rec.young));
	memset(rec.shared, 0xff, sizeof(rec.shared));
	for (unsigned int i = 0; i < 2; i++) {
		make_proc(&p[i], i + 1);
		if (i)
			clear_bit(rec.shared, 3); /* copied on write */
		add_record(&p[i], &rec, HOT);
	}
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 512);
	assert_int_equal(planned(1, 0, EMBER_PROMOTE), 1);
	assert_int_equal(plan.nr_on_tier[1], 513);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_SHARED_ELSEWHERE], 511);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* Two processes show a region at the same address, all of it shared. */
static void make_sharers(struct proc p[2], uint8_t level0, uint8_t level1)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct ember_region_rec rec = make_record(0);

		make_proc(&p[i], i + 1);
		rec.kind = EMBER_KIND_SHMEM;
		place(&rec, 1);
		memset(rec.young, 0xff, sizeof(rec.young));
		memset(rec.shared, 0xff, sizeof(rec.shared));
		add_record(&p[i], &rec, i ? level1 : level0);
	}
}

/* Who has ceased to touch them does not take them away from who does. */
static void test_shared_pages_count_where_hottest(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_sharers(p, COLD, HOT);
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 0);
	assert_int_equal(planned(1, 0, EMBER_PROMOTE), 512);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* What one of them has placed by hand stays for all, whichever comes first; not for a stranger. */
static void test_shared_pages_placed_by_one(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct ember_hands hands = {};

	(void)state;
	assert_int_equal(ember_hands_note(&hands, 0, REGION, 1), 0);
	for (unsigned int placer = 0; placer < 2; placer++)
		for (unsigned int strangers = 0; strangers < 2; strangers++) {
			struct proc p[2];

			make_sharers(p, placer ? HOT : COLD, placer ? COLD : HOT);
			p[placer].plan.hands = &hands;
			p[placer].plan.owner = strangers;
			make(&t, p, 2, &limits);
			assert_int_equal(planned(!placer, 0, EMBER_PROMOTE), strangers ? 512 : 0);
			assert_int_equal(planned(placer, 0, EMBER_PROMOTE), 0);
			ember_regions_clear(&p[0].rs);
			ember_regions_clear(&p[1].rs);
		}
	ember_hands_clear(&hands);
}

/* The same address says nothing when users differ: nobody can keep another's pages out. */
static void test_strangers_share_nothing(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_sharers(p, HOT, HOT);
	p[0].plan.owner = 1000;
	p[1].plan.owner = 1001;
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 512);
	assert_int_equal(planned(1, 0, EMBER_PROMOTE), 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_SHARED_ELSEWHERE], 0);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* Another process may have brought a shared page back: it cools down in both directions. */
static void test_shared_pages_cool_both_ways(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_sharers(p, HOT, COLD);
	ember_cooldown_moved_shared(&cooldown, &p[0].plan.id, 0, true, 0);
	ember_cooldown_moved_shared(&cooldown, &p[0].plan.id, 4096, true, 0);
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 510);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_COOLING], 2);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* Addresses that collide under one seed are spread by another. */
static void test_nobody_can_choose_collisions(void **state)
{
	static uint8_t load[1 << 13];
	unsigned int nr = 0, most = 0;

	(void)state;
	for (uint64_t i = 0; nr < NR(load) / 2; i++) {
		uint64_t addr = i * REGION;

		if (ember_survey_hash(1, 0, addr) & 0xff) /* one chain in a table of 256 */
			continue;
		nr++;
		load[ember_survey_hash(2, 0, addr) % NR(load)]++;
	}
	for (size_t i = 0; i < NR(load); i++)
		most = load[i] > most ? load[i] : most;
	print_message("  %u addresses, at most %u in one of %zu places\n", nr, most, NR(load));
	assert_true(most <= 10);
}

/* More combinations of cpuset and home than are planned: said, and nothing worse. */
static void test_too_many_classes(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	static struct proc p[EMBER_MAX_CLASSES + 1];
	struct ember_plan_proc given[EMBER_MAX_CLASSES + 1];

	(void)state;
	for (unsigned int i = 0; i < NR(p); i++) {
		make_proc(&p[i], i + 1);
		p[i].plan.allowed = 3 | (i + 1) << 2;
		add_region(&p[i], i, COLD, 1);
		given[i] = p[i].plan;
	}
	assert_int_equal(ember_plan_make(&plan, &t, given, NR(p), &limits, &cooldown, 0), 0);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_CLASSES], 512);
	assert_string_equal(ember_why_not_word(EMBER_WHY_NOT_CLASSES), "classes");
	for (unsigned int i = 0; i < NR(p); i++)
		ember_regions_clear(&p[i].rs);
}

/* Pages that may not move make no room and take none. */
static void test_held_back_pages_cost_no_room(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 1);
	add_region(&p, 1, WARM, 1);
	add_region(&p, 2, COLD, 0);
	add_region(&p, 3, COLD, 0);
	for (unsigned int page = 0; page < 512; page++) /* all that is hottest was refused */
		ember_cooldown_refused(&cooldown, &p.plan.id, page * 4096, EMBER_REFUSED_LASTING,
				       0);
	for (unsigned int page = 0; page < 100; page++) /* some of what is cold has just come */
		ember_cooldown_moved(&cooldown, &p.plan.id, 2 * REGION + page * 4096, EMBER_COOL_UP,
				     0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_BACKOFF], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_COOLING], 100);
	for (uint32_t i = 0; i < plan.nr_regions; i++)
		assert_int_not_equal(plan.regions[i].addr, 0);
	ember_regions_clear(&p.rs);
}

static void test_whole_region_reasons(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct proc p[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		make_proc(&p[i], i + 1);
	add_region(&p[0], 0, HOT, 1)->nr_inflight = 1;
	add_region(&p[0], 1, HOT, 1)->info = 0;
	add_region(&p[0], 2, HOT, EMBER_MEM_UNKNOWN);
	add_region(&p[1], 0, HOT, 1);
	p[1].plan.frozen = true;
	p[1].plan.frozen_why = EMBER_WHY_NOT_IGNORED;
	add_region(&p[2], 0, HOT, 1);
	p[2].plan.allowed = 1U << 1; /* not the fast node */
	make(&t, p, 3, &limits);
	assert_int_equal(plan.nr_moves, 0);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_IN_FLIGHT], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NEW], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_UNKNOWN_PLACE], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_IGNORED], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NOT_ALLOWED], 512);
	for (unsigned int i = 0; i < 3; i++)
		ember_regions_clear(&p[i].rs);
}

/* An area with a memory policy stays, until the policy goes. */
static void test_bound_areas_stay(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	place(&rec, 1);
	rec.flags |= EMBER_REC_BOUND;
	add_record(&p, &rec, HOT);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_BOUND], 512);
	rec.flags &= ~EMBER_REC_BOUND;
	assert_int_equal(ember_region_set_record(&p.rs, &p.rs.regions[0], &rec), 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 1);
	ember_regions_clear(&p.rs);
}

/* What was placed by hand stays where it is, hot in slow memory or cold in fast, and only that. */
static void test_placed_by_hand_stays(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct ember_hands hands = {};
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	p.plan.hands = &hands;
	add_region(&p, 0, COLD, 0);
	add_region(&p, 1, COLD, 0);
	add_region(&p, 2, HOT, 1);
	add_region(&p, 3, HOT, 1);
	assert_int_equal(ember_hands_note(&hands, 1 * REGION, 3 * REGION, 1), 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_BY_HAND], 1024);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	for (uint32_t i = 0; i < plan.nr_regions; i++)
		assert_false(ember_hands_hold(&hands, plan.regions[i].addr));
	ember_hands_clear(&hands);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_BY_HAND], 0);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 1024);
	ember_regions_clear(&p.rs);
}

/*
 * The fast node is restricted: only what the module moves comes to it, and the rest does not take
 * the places of the exchange. Nobody's huge, shared or file pages are lost to other nodes.
 */
static void test_restricted_fast_node(void **state)
{
	struct ember_topology t = cxl(32);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec;
	struct proc p;

	(void)state;
	limits.restricted_nodes = 1U << 0;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 1);
	for (unsigned int i = 1; i < 4; i++) { /* huge, of a file, and one with a shared page */
		rec = make_record(i * REGION);
		place(&rec, 1);
		if (i == 1)
			rec.order_class = EMBER_ORDER_MTHP;
		else if (i == 2)
			rec.kind = EMBER_KIND_FILE;
		else
			set_bit(rec.shared, 5);
		set_bit(rec.young, 5);
		add_record(&p, &rec, HOT);
	}
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 512 + 511);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		assert_int_equal(plan.moves[i].mover, EMBER_MOVER_MODULE);
		assert_true(plan.moves[i].restricted);
	}
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 512 + 512 + 1);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NOT_ALLOWED], 0);
	limits.restricted_nodes = 0;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 4 * 512);
	assert_false(plan.moves[0].restricted);
	ember_regions_clear(&p.rs);
}

/* Where it is full: of what lies there anything may go, for huge pages nothing does. */
static void test_restricted_node_exchanges(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	limits.restricted_nodes = 1U << 0;
	make_proc(&p, 1);
	place(&rec, 1);
	rec.order_class = EMBER_ORDER_MTHP;
	add_record(&p, &rec, HOT);
	add_region(&p, 1, COLD, 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	add_region(&p, 2, WARM, 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 512);
	assert_false(plan.moves[0].restricted); /* the demotion */
	assert_true(plan.moves[1].restricted);
	ember_regions_clear(&p.rs);
}

/* A restricted node that is not the fastest: huge pages pass it by on their way down. */
static void test_restricted_middle_node(void **state)
{
	struct ember_topology t = no_nodes();
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	add_node(&t, 0, 0, 64, 0);
	add_node(&t, 1, 1, 64, 32);
	add_node(&t, 2, 2, 256, 128);
	limits.restricted_nodes = 1U << 1;
	make_proc(&p, 1);
	place(&rec, 0);
	rec.order_class = EMBER_ORDER_MTHP;
	add_record(&p, &rec, COLD);
	add_region(&p, 1, COLD, 0);
	for (unsigned int i = 2; i < 4; i++)
		add_region(&p, i, HOT, 2);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 2 * 512);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512);
	assert_int_equal(planned(0, 2, EMBER_DEMOTE), 512);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		assert_int_equal(plan.moves[i].restricted, plan.moves[i].dest == 1);
		assert_int_equal(plan.moves[i].mover, plan.moves[i].dest == 2
							  ? EMBER_MOVER_MOVE_PAGES
							  : EMBER_MOVER_MODULE);
	}
	ember_regions_clear(&p.rs);
}

/*
 * A page that a child maps, which nobody follows and whose cpuset leaves the node out: neither on
 * its way down nor up does it come to a restricted node, and nothing gives way for it.
 */
static void test_shared_pages_pass_a_restricted_node_by(void **state)
{
	struct ember_topology t = no_nodes();
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	add_node(&t, 0, 0, 64, 0);
	add_node(&t, 1, 1, 64, 32);
	add_node(&t, 2, 2, 256, 128);
	limits.restricted_nodes = 1U << 1;
	make_proc(&p, 1);
	place(&rec, 0);
	memset(rec.young, 0xff,
	       sizeof(rec.young)); /* what is not touched is not known to be shared */
	memset(rec.shared, 0xff, sizeof(rec.shared));
	add_record(&p, &rec, COLD);
	add_region(&p, 1, COLD, 0);
	for (unsigned int i = 2; i < 4; i++)
		add_region(&p, i, HOT, 2);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 2 * 512);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 512); /* the one that nobody else maps */
	assert_int_equal(planned(0, 2, EMBER_DEMOTE), 512);
	ember_regions_clear(&p.rs);

	make_proc(&p, 1);
	t = cxl(0);
	limits.restricted_nodes = 1U << 0;
	place(&rec, 1);
	add_record(&p, &rec, HOT);
	add_region(&p, 1, COLD, 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 512);
	limits.restricted_nodes = 0;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 512);
	ember_regions_clear(&p.rs);
}

/* Two tiers, the slower one restricted: all but one page of the cold region makes room. */
static void test_one_shared_page_keeps_no_region(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct ember_region_rec rec = make_record(0);
	struct proc p;

	(void)state;
	limits.restricted_nodes = 1U << 1;
	make_proc(&p, 1);
	set_bit(rec.young, 5);
	set_bit(rec.shared, 5);
	add_record(&p, &rec, COLD);
	add_region(&p, 1, HOT, 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 511);
	assert_int_equal(planned(0, 0, EMBER_PROMOTE), 511);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 1);
	/* with another node below, farther away: the one that is left goes there next */
	add_node(&t, 2, 2, 256, 128);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 1, EMBER_DEMOTE), 511); /* what comes up is one too many yet */
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_MODULE_ONLY], 0);
	ember_regions_clear(&p.rs);
}

/* Hottest in tier 0, next in tier 1, coldest in tier 2, from the worst placement, by rounds. */
static void test_three_tiers(void **state)
{
	struct ember_topology t = no_nodes();
	struct ember_plan_limits limits = plenty();
	struct ember_account account;
	struct proc p;
	int rounds;

	(void)state;
	add_node(&t, 0, 1, 8, 1); /* DDR, with a little room */
	add_node(&t, 1, 0, 4, 0); /* HBM */
	add_node(&t, 2, 2, 16, 8);
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 2);
	add_region(&p, 1, HOT, 2);
	add_region(&p, 2, WARM, 1);
	add_region(&p, 3, WARM, 2);
	add_region(&p, 4, COLD, 1);
	add_region(&p, 5, COLD, 0);
	add_region(&p, 6, COLD, 0);
	ember_account_init(&account);
	for (rounds = 0; rounds < 30; rounds++) {
		uint64_t on[EMBER_MEM_UNKNOWN + 1] = {0}, after[EMBER_MEM_UNKNOWN + 1] = {0};

		ember_regions_count_mem(&p.rs, on);
		make(&t, &p, 1, &limits);
		if (!plan.nr_moves)
			break;
		for (uint32_t i = 0; i < plan.nr_moves; i++) {
			const struct ember_move *m = &plan.moves[i];
			struct ember_fate_run run = {EMBER_FATE_MOVED, m->nr_pages};

			ember_account_submitted(&account, &p.rs, m, plan.regions + m->first_region);
			ember_account_result(&account, &p.rs, &cooldown, m,
					     plan.regions + m->first_region, &run, 1, 0);
		}
		ember_regions_count_mem(&p.rs, after);
		for (unsigned int n = 0; n < 3; n++) {
			t.nodes[n].free_bytes += (on[n] - after[n]) * 4096;
			assert_true((int64_t)t.nodes[n].free_bytes >= 0);
		}
		ember_cooldown_destroy(&cooldown); /* a long time passes */
		ember_cooldown_init(&cooldown, 4096);
	}
	print_message("settled after %d rounds\n", rounds);
	for (unsigned int i = 0; i < p.rs.nr; i++) {
		static const unsigned int node[7] = {1, 1, 0, 0, 2, 2, 2};
		const struct ember_region *r = &p.rs.regions[i];
		uint64_t on[EMBER_PLANE_WORDS];
		unsigned int n = 0;

		ember_region_on_mem(r, node[i], on);
		for (int w = 0; w < EMBER_PLANE_WORDS; w++)
			n += __builtin_popcountll(on[w]);
		print_message("region %u: %u pages on node %u\n", i, n, node[i]);
		/* cold ones may lie anywhere where there is room */
		assert_true(i >= 4 || n == 512);
	}
	assert_true(rounds < 30);
	ember_regions_clear(&p.rs);
}

/* Two sockets with a fast node each: to the one next to the CPUs that use the pages. */
static void test_nearest_fast_node(void **state)
{
	struct ember_topology t = no_nodes();
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	add_node(&t, 0, 1, 64, 32);
	add_node(&t, 1, 1, 64, 32);
	add_node(&t, 2, 0, 32, 16);
	add_node(&t, 3, 0, 32, 16);
	for (unsigned int i = 0; i < 2; i++) {
		t.nodes[i].distance[2 + i] = 17;
		t.nodes[i].distance[3 - i] = 28;
		make_proc(&p[i], i + 1);
		p[i].plan.home = i;
		add_region(&p[i], 0, HOT, 1 - i); /* on the far socket, of all places */
	}
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 2, EMBER_PROMOTE), 512);
	assert_int_equal(planned(1, 3, EMBER_PROMOTE), 512);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 1024);
	/* and what is cold goes down to its own socket */
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
	for (unsigned int n = 2; n < 4; n++)
		t.nodes[n].free_bytes = 0;
	for (unsigned int i = 0; i < 2; i++) {
		add_region(&p[i], 0, HOT, i);
		add_region(&p[i], 1, COLD, 2 + i);
	}
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_DEMOTE), 512);
	assert_int_equal(planned(1, 1, EMBER_DEMOTE), 512);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* Two sockets: DDR 0 and 1, the HBM near to them 2 and 3. */
static struct ember_topology two_sockets(uint64_t free_mib)
{
	struct ember_topology t = no_nodes();

	add_node(&t, 0, 1, 64, 32);
	add_node(&t, 1, 1, 64, 32);
	add_node(&t, 2, 0, 32, free_mib);
	add_node(&t, 3, 0, 32, free_mib);
	for (unsigned int i = 0; i < 2; i++) {
		t.nodes[i].distance[2 + i] = 17;
		t.nodes[i].distance[3 - i] = 28;
	}
	return t;
}

/* Carry the plan out; returns the number of pages that moved. */
static uint32_t carry_out(struct ember_topology *t, struct proc *procs, size_t nr)
{
	struct ember_account account;
	uint32_t nr_moved = 0;

	ember_account_init(&account);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		const struct ember_move *m = &plan.moves[i];
		struct ember_fate_run run = {EMBER_FATE_MOVED, m->nr_pages};
		uint64_t on[2][EMBER_MEM_UNKNOWN + 1] = {0};

		assert_true(m->proc < nr);
		ember_regions_count_mem(&procs[m->proc].rs, on[0]);
		ember_account_submitted(&account, &procs[m->proc].rs, m,
					plan.regions + m->first_region);
		ember_account_result(&account, &procs[m->proc].rs, &cooldown, m,
				     plan.regions + m->first_region, &run, 1, 0);
		ember_regions_count_mem(&procs[m->proc].rs, on[1]);
		for (unsigned int n = 0; n < EMBER_MAX_NODES; n++)
			t->nodes[n].free_bytes += (on[0][n] - on[1][n]) * 4096;
		nr_moved += m->nr_pages;
	}
	return nr_moved;
}

/* Two nodes of a tier get as much of a tight budget as they want of all. */
static void test_nodes_share_the_budget(void **state)
{
	struct ember_topology t = two_sockets(0);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		make_proc(&p[i], i + 1);
		p[i].plan.home = i;
		for (unsigned int r = 0; r < 3 - i; r++) {
			add_region(&p[i], r, HOT, i);
			add_region(&p[i], 10 + r, COLD, 2 + i);
		}
	}
	limits.bytes[EMBER_PROMOTE] = limits.bytes[EMBER_DEMOTE] = 1000 * 4096;
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 2, EMBER_PROMOTE), 600);
	assert_int_equal(planned(1, 3, EMBER_PROMOTE), 400);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 1000);
	/* one that wants nothing gets nothing */
	ember_regions_clear(&p[0].rs);
	make(&t, p, 2, &limits);
	assert_int_equal(planned(1, 3, EMBER_PROMOTE), 1000);
	assert_int_equal(plan.nr_wanted, 1024);
	ember_regions_clear(&p[1].rs);
}

/* What lies in the far fast node comes to the near one, and then stays. */
static void test_far_pages_come_near(void **state)
{
	struct ember_topology t = two_sockets(16);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 3);
	add_region(&p, 1, HOT, 2);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0); /* at home nowhere: well placed */
	p.plan.home = 0;
	add_region(&p, 2, HOT, 0);
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 2, EMBER_PROMOTE), 1024);
	assert_int_equal(plan.nr_why[EMBER_WHY_NEARER], 512);
	assert_int_equal(plan.nr_why[EMBER_WHY_FILL], 512);
	assert_int_equal(carry_out(&t, &p, 1), 1024);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0);
	/* sent to the other socket: its memory does not follow at once */
	p.plan.home = 1;
	make(&t, &p, 1, &limits);
	assert_int_equal(planned(0, 3, EMBER_PROMOTE), 512); /* the one that did not move */
	ember_regions_clear(&p.rs);
}

/* A cpuset that leaves only the far node: that one is the nearest then, and its pages are at home.
 */
static void test_nearest_of_the_allowed(void **state)
{
	struct ember_topology t = two_sockets(16);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_proc(&p[0], 1);
	p[0].plan.home = 0;
	p[0].plan.allowed = 1U << 0 | 1U << 3;
	add_region(&p[0], 0, HOT, 0);
	add_region(&p[0], 1, HOT, 3);
	make(&t, p, 1, &limits);
	assert_int_equal(planned(0, 3, EMBER_PROMOTE), 512);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	assert_int_equal(plan.nr_why_not[EMBER_WHY_NOT_NOT_ALLOWED], 0);
	/* no stranger there: what is as hot does not displace it */
	t.nodes[3].free_bytes = 0;
	ember_regions_clear(&p[0].rs);
	add_region(&p[0], 1, HOT, 3);
	make_proc(&p[1], 2);
	p[1].plan.home = 1;
	add_region(&p[1], 0, HOT, 1);
	make(&t, p, 2, &limits);
	assert_int_equal(plan.nr_moves, 0);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* A full near node: what is cold in it gives way to what is hot in the far one. */
static void test_far_pages_displace_cold_ones(void **state)
{
	struct ember_topology t = two_sockets(0);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	make_proc(&p[0], 1);
	make_proc(&p[1], 2);
	p[0].plan.home = 0;
	p[1].plan.home = 1;
	add_region(&p[0], 0, HOT, 3);
	add_region(&p[0], 1, COLD, 2);
	add_region(&p[1], 0, WARM, 2); /* a stranger, but hotter than what is cold */
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 0, EMBER_DEMOTE), 512);
	assert_int_equal(planned(0, 2, EMBER_PROMOTE), 512);
	assert_int_equal(plan.nr_why[EMBER_WHY_NEARER], 512);
	assert_int_equal(planned(1, 1, EMBER_DEMOTE), 0);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

/* Two processes that lie in each other's full node, all of it equally hot, change places. */
static void test_strangers_give_way(void **state)
{
	struct ember_topology t = two_sockets(0);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];
	int rounds;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		make_proc(&p[i], i + 1);
		p[i].plan.home = i;
		for (unsigned int r = 0; r < 4; r++)
			add_region(&p[i], r, HOT, 3 - i);
	}
	for (rounds = 0; rounds < 20; rounds++) {
		make(&t, p, 2, &limits);
		if (!carry_out(&t, p, 2))
			break;
		ember_cooldown_destroy(&cooldown); /* a long time passes */
		ember_cooldown_init(&cooldown, 4096);
	}
	print_message("settled after %d rounds\n", rounds);
	assert_true(rounds < 20);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t on[EMBER_MEM_UNKNOWN + 1] = {0};

		ember_regions_count_mem(&p[i].rs, on);
		assert_int_equal(on[2 + i], 4 * 512);
		ember_regions_clear(&p[i].rs);
	}
}

/* Of equally hot pages only the stranger's give way, not those that are at home. */
static void test_only_strangers_give_way(void **state)
{
	struct ember_topology t = two_sockets(0);
	struct ember_plan_limits limits = plenty();
	struct proc p[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		make_proc(&p[i], i + 1);
		p[i].plan.home = i;
		add_region(&p[i], 0, HOT, 2);
	}
	add_region(&p[0], 1, COLD, 2);
	for (unsigned int r = 2; r < 5; r++)
		add_region(&p[0], r, HOT, 0);
	make(&t, p, 2, &limits);
	assert_int_equal(planned(0, 2, EMBER_PROMOTE), 1024);
	assert_int_equal(planned(0, 0, EMBER_DEMOTE), 512); /* the cold ones */
	assert_int_equal(planned(1, 1, EMBER_DEMOTE), 512);
	assert_int_equal(plan.nr_planned[EMBER_DEMOTE], 1024);
	ember_regions_clear(&p[0].rs);
	ember_regions_clear(&p[1].rs);
}

static void test_moves_are_bounded_and_ordered(void **state)
{
	struct ember_topology t = cxl(64);
	struct ember_plan_limits limits = plenty();
	uint8_t last = 255;
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	for (unsigned int i = 0; i < 30; i++)
		add_region(&p, i, i % 3 == 0 ? HOT : i % 3 == 1 ? WARM : WARM + 15, 1);
	limits.max_regions_per_move = 4;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 30 * 512);
	for (uint32_t i = 0; i < plan.nr_moves; i++) {
		const struct ember_move *m = &plan.moves[i];
		const struct ember_move_region *r = plan.regions + m->first_region;
		uint32_t pages = 0;

		assert_true(m->nr_regions <= 4);
		for (uint32_t k = 0; k < m->nr_regions; k++) {
			assert_true(!k || r[k].addr > r[k - 1].addr);
			pages += r[k].nr_pages;
		}
		assert_int_equal(pages, m->nr_pages);
		assert_true(r[0].rank <= last);
		last = r[0].rank;
	}
	limits.max_pages_per_move = 1100;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 30 * 512);
	for (uint32_t i = 0; i < plan.nr_moves; i++)
		assert_true(plan.moves[i].nr_regions <= 2);
	ember_regions_clear(&p.rs);
}

static void test_threshold_level(void **state)
{
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 0);
	add_region(&p, 1, WARM, 1);
	add_region(&p, 2, COLD, 1);
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.threshold_level, WARM); /* the first that does not fit */
	t.nodes[0].free_bytes = 64 * MIB;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.threshold_level, 0); /* everything fits */
	ember_regions_clear(&p.rs);
}

static void test_calibrated_levels_decide(void **state)
{
	static struct ember_calibration calibration;
	struct ember_topology t = cxl(0);
	struct ember_plan_limits limits = plenty();
	struct proc p;

	(void)state;
	make_proc(&p, 1);
	add_region(&p, 0, HOT, 1);
	add_region(&p, 1, COLD, 0);
	ember_calibration_init(&calibration);
	limits.calibration = &calibration;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_moves, 0); /* nothing is known of what levels are worth */
	for (unsigned int l = 0; l < EMBER_LEVELS; l++)
		calibration.worth[EMBER_PAGE_BASE][l] = l < WARM ? COLD : HOT;
	make(&t, &p, 1, &limits);
	assert_int_equal(plan.nr_planned[EMBER_PROMOTE], 512);
	ember_regions_clear(&p.rs);
}

static void test_words_and_sentences(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < EMBER_NR_WHY; i++)
		assert_true(strlen(ember_why_word(i)) && strlen(ember_why_sentence(i)));
	for (unsigned int i = 0; i < EMBER_NR_WHY_NOT; i++)
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(ember_why_not_word(i), ember_why_not_word(k));
	assert_string_equal(ember_why_not_word(EMBER_WHY_NOT_QUOTA), "quota");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_swaps_hot_and_cold),
	    TEST(test_swaps_where_one_side_is_full),
	    TEST(test_uniform_moves_nothing),
	    TEST(test_fills_free_room),
	    TEST(test_hottest_of_all_processes_first),
	    TEST(test_budgets),
	    TEST(test_huge_pages_move_whole),
	    TEST(test_huge_pages_count_by_density),
	    TEST(test_movers),
	    TEST(test_movers_within_a_region),
	    TEST(test_measured_times_choose_the_mover),
	    TEST(test_hugetlb_is_told),
	    TEST(test_pool_takes_what_the_module_moves),
	    TEST(test_huge_pages_are_split_for_pools),
	    TEST(test_room_and_budget_before_a_split),
	    TEST(test_known_before_a_split),
	    TEST(test_whole_moves_do_not_wait),
	    TEST(test_splits_count_by_density),
	    TEST(test_no_split_where_whole_will_do),
	    TEST(test_no_split_to_come_nearer),
	    TEST(test_pages_leave_pools_by_the_module),
	    TEST(test_pages_of_pools_in_regions_of_others),
	    TEST(test_pool_beside_a_fast_node),
	    TEST(test_pool_outside_the_allowed),
	    TEST(test_pool_in_the_middle),
	    TEST(test_shared_pages_count_once),
	    TEST(test_shared_pages_count_where_hottest),
	    TEST(test_shared_pages_placed_by_one),
	    TEST(test_strangers_share_nothing),
	    TEST(test_shared_pages_cool_both_ways),
	    TEST(test_nobody_can_choose_collisions),
	    TEST(test_too_many_classes),
	    TEST(test_held_back_pages_cost_no_room),
	    TEST(test_whole_region_reasons),
	    TEST(test_three_tiers),
	    TEST(test_nearest_fast_node),
	    TEST(test_nodes_share_the_budget),
	    TEST(test_far_pages_come_near),
	    TEST(test_nearest_of_the_allowed),
	    TEST(test_restricted_fast_node),
	    TEST(test_restricted_node_exchanges),
	    TEST(test_restricted_middle_node),
	    TEST(test_shared_pages_pass_a_restricted_node_by),
	    TEST(test_one_shared_page_keeps_no_region),
	    TEST(test_bound_areas_stay),
	    TEST(test_placed_by_hand_stays),
	    TEST(test_far_pages_displace_cold_ones),
	    TEST(test_strangers_give_way),
	    TEST(test_only_strangers_give_way),
	    TEST(test_moves_are_bounded_and_ordered),
	    TEST(test_threshold_level),
	    TEST(test_calibrated_levels_decide),
	    TEST(test_words_and_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
