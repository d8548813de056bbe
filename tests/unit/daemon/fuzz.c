// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The deciders on machines and processes that nobody would think of: memories below their
 * watermark, cpusets that leave nothing, full tables, records that overlap, counters at their ends.
 * Each world comes from one number; the first that takes for ever or breaks a rule is named, and
 * "fuzz FIRST LAST" makes those from FIRST to LAST.
 */
#include "check.h"

#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "account.h"
#include "cadence.h"
#include "exchange.h"
#include "gain.h"
#include "plan.h"
#include "records.h"
#include "score.h"

#define PAGES EMBER_REGION_PAGES
#define MAX_PROCS 6
#define MAX_REGIONS 24
#define ROUNDS 6 /* per world: scan, plan, results */
#define NR_WORLDS 1000
#define NR_NUMBERS 20000

/* One world takes milliseconds: a hang is not a matter of how fast the machine is. */
#define HANG_S 60

static uint64_t seed, first_world = 1, last_world = NR_WORLDS;
static uint64_t state_of_draw;

static uint64_t draw(void)
{
	uint64_t z = state_of_draw += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return draw() % n;
}

static bool one_in(uint64_t n)
{
	return below(n) == 0;
}

/* From 0 to UINT64_MAX, small ones as often as large ones. */
static uint64_t any_number(void)
{
	return draw() >> below(64);
}

static uint64_t any_mask(void)
{
	static const uint64_t masks[] = {0, ~0ULL, 1, 1ULL << 63};

	return one_in(2) ? draw() : masks[below(NR(masks))];
}

static char obituary[64];

static void on_alarm(int sig)
{
	(void)sig;
	if (write(STDERR_FILENO, obituary, strlen(obituary)) < 0)
		_exit(3);
	abort();
}

static void begin(uint64_t number)
{
	seed = state_of_draw = number;
	snprintf(obituary, sizeof(obituary), "fuzz %" PRIu64 ": takes for ever\n", seed);
	alarm(HANG_S);
}

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("fuzz %" PRIu64 ": %s", seed, #condition);                        \
	} while (0)

/* ---- worlds ---- */

struct proc {
	struct ember_regions regions;
	uint32_t nr_regions;
};

struct world {
	struct ember_topology topo;
	struct proc procs[MAX_PROCS];
	struct ember_plan_proc plan_procs[MAX_PROCS];
	uint32_t nr_procs;
	struct ember_cooldown cooldown;
	struct ember_calibration calibration;
	struct ember_account account;
	struct ember_plan plan;
	struct ember_plan_limits limits;
	uint64_t now_ns;
	uint64_t nr_passes; /* over all regions, of the last plan */
};

/* Two or three tiers of one or two memories, with numbers that have holes; some are pools. */
static void make_topology(struct ember_topology *t)
{
	unsigned int node = below(3); /* at most 2 + 6 * 2 */

	memset(t, 0, sizeof(*t));
	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++)
		t->nodes[n].tier = EMBER_NO_TIER;
	t->nr_tiers = 2 + below(2);
	for (unsigned int tier = 0; tier < t->nr_tiers; tier++)
		for (unsigned int i = 1 + below(2); i-- > 0; node += 1 + below(2)) {
			struct ember_node *n = &t->nodes[node];

			n->has_memory = true;
			n->tier = tier;
			n->is_pool = one_in(3);
			t->pools |= n->is_pool << node;
			for (unsigned int k = 0; k < EMBER_MAX_NODES; k++)
				n->distance[k] = k == node ? 10 : 10 + below(3) * 10;
			t->memory_nodes |= 1U << node;
			t->tiers[tier].nodes |= 1U << node;
			t->tiers[tier].nr_nodes++;
		}
}

static void count_pass(void *userdata)
{
	((struct world *)userdata)->nr_passes++;
}

/* Far below the watermark, just at it, or more free than there are pages. */
static void set_rooms(struct world *w)
{
	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++) {
		struct ember_node *node = &w->topo.nodes[n];

		node->capacity_bytes = 64ULL << 20;
		node->free_bytes = below(3) * below(4000) * 4096;
		node->high_watermark_bytes = below(3) * below(1000) * 4096;
		w->limits.reserve_bytes[n] = below(3) * below(1000) * 4096;
		w->limits.inflight_bytes[n] = w->account.inflight_bytes[n];
	}
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		w->limits.bytes[d] = one_in(4) ? any_number() : below(8000) * 4096;
	w->limits.max_regions_per_move = one_in(4) ? 0 : 1 + below(16);
	w->limits.calibration = one_in(3) ? NULL : &w->calibration;
	w->limits.seed = draw();
	w->limits.restricted_nodes = one_in(2) ? 0 : draw();
	w->limits.split_huge = one_in(2);
	w->limits.alive = count_pass;
	w->limits.userdata = w;
}

static void make_procs(struct world *w)
{
	static const uint32_t weights[] = {0, 1, 100, 100, 100, 1000, UINT32_MAX};

	w->nr_procs = below(MAX_PROCS + 1);
	for (uint32_t p = 0; p < w->nr_procs; p++) {
		ember_regions_init(&w->procs[p].regions);
		w->procs[p].nr_regions = below(MAX_REGIONS);
		w->plan_procs[p] = (struct ember_plan_proc){
		    .id = {.tgid = p + 1, .start_boottime_ns = draw()},
		    .regions = &w->procs[p].regions,
		    .owner = below(2),
		    .weight = weights[below(NR(weights))],
		    .allowed = one_in(2) ? UINT16_MAX : draw(),
		    .home = one_in(2) ? EMBER_NO_NODE : below(EMBER_MAX_NODES),
		    .frozen = one_in(8),
		    .frozen_why = EMBER_WHY_NOT_IGNORED,
		};
	}
}

static void make_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	make_topology(&w->topo);
	make_procs(w);
	ember_plan_init(&w->plan);
	ember_account_init(&w->account);
	ember_calibration_init(&w->calibration);
	/* so small that it is full at once, or large */
	assert_int_equal(ember_cooldown_init(&w->cooldown, one_in(2) ? 8 : 1 << 16), 0);
	w->now_ns = any_number();
}

static void free_world(struct world *w)
{
	for (uint32_t p = 0; p < w->nr_procs; p++)
		ember_regions_clear(&w->procs[p].regions);
	ember_cooldown_destroy(&w->cooldown);
	ember_plan_clear(&w->plan);
}

/* ---- scans ---- */

static void any_places(const struct world *w, struct ember_region_rec *rec)
{
	bool scattered = one_in(2);
	unsigned int mem = below(EMBER_MEM_UNKNOWN + 1);

	for (unsigned int page = 0; page < PAGES; page++) {
		if (page == 0 || scattered)
			do
				mem = below(EMBER_MEM_UNKNOWN + 1);
			while (!one_in(8) && !(w->topo.memory_nodes >> mem & 1));
		set_mem(rec, page, mem);
	}
}

static struct ember_region_rec any_record(const struct world *w, uint64_t addr)
{
	struct ember_region_rec rec = make_record(addr);
	bool huge = one_in(4), full = huge || one_in(2);

	rec.kind = one_in(2) ? EMBER_KIND_ANON : below(EMBER_KIND_MIXED + 2);
	rec.order_class = huge ? EMBER_ORDER_PMD : below(2);
	rec.nr_present = rec.nr_young = 0;
	any_places(w, &rec);
	for (int i = 0; i < EMBER_PLANE_WORDS; i++) {
		rec.present[i] = full ? ~0ULL : any_mask();
		rec.young[i] = huge ? -(uint64_t)(rec.young[0] & 1) : any_mask();
		rec.shared[i] = one_in(3) ? any_mask() : 0;
		rec.young[i] &= rec.present[i];
		rec.nr_present += __builtin_popcountll(rec.present[i]);
		rec.nr_young += __builtin_popcountll(rec.young[i]);
	}
	if (huge)
		for (unsigned int page = 1; page < PAGES; page++)
			set_mem(&rec, page, record_mem(&rec, 0));
	return rec;
}

/* A pass over all or a part, complete or not, perhaps with another one in the middle of it. */
static void scan(struct world *w, uint32_t p, bool inner)
{
	static const uint64_t intervals_ns[] = {0, 1, 999999, 20000000, 1000000000, UINT64_MAX};
	struct proc *proc = &w->procs[p];
	struct ember_scan_info info = {
	    .interval_ns =
		one_in(2) ? intervals_ns[below(NR(intervals_ns))] : below(10000000000ULL),
	    .part = inner,
	    .flags = one_in(4) ? EMBER_SCAN_FULL | EMBER_SCAN_COLD : 0,
	    .prior_level = below(EMBER_LEVELS),
	    .calibration = inner ? NULL : &w->calibration,
	};
	struct ember_score_pass pass;

	ember_score_begin(&pass, &proc->regions, &info);
	for (uint32_t i = 0; i < proc->nr_regions; i++) {
		uint64_t addr = (uint64_t)(i + below(3)) * EMBER_REGION_BYTES; /* some twice */
		struct ember_region_rec rec = any_record(w, addr + one_in(32));

		if (!one_in(3))
			assert_int_equal(ember_score_records(&pass, &rec, 1), 0);
		if (!inner && one_in(16))
			scan(w, p, true);
	}
	ember_score_end(&pass, !one_in(4));
}

/* As after many scans: each region at a level, known well. */
static void teach(struct proc *proc)
{
	for (uint32_t i = 0; i < proc->regions.nr; i++) {
		struct ember_region *r = &proc->regions.regions[i];

		ember_region_merge_heat(&proc->regions, r, below(EMBER_LEVELS));
		r->info = EMBER_INFO_MAX;
		if (one_in(2))
			continue;
		assert_int_equal(ember_region_split_heat(&proc->regions, r), 0);
		for (unsigned int page = 0; page < PAGES; page++)
			r->heat[page] = below(EMBER_LEVELS);
	}
}

/* ---- rules ---- */

static bool has(const struct ember_move_region *mr, unsigned int page)
{
	return mr->pages[page / 64] >> (page % 64) & 1;
}

struct planned {
	uint8_t pages[MAX_PROCS][MAX_REGIONS + 4][PAGES / 8];
	int64_t arrived[EMBER_MAX_NODES], left[EMBER_MAX_NODES];
	uint64_t nr[EMBER_NR_DIRECTIONS];
};

/* May it be split: exclusive, anonymous, and up to another tier? */
static bool splittable(const struct world *w, const struct ember_move *m,
		       const struct ember_region *r)
{
	return w->limits.split_huge && r->kind == EMBER_KIND_ANON &&
	       !(r->plane_mask >> EMBER_PLANE_SHARED & 1) && m->direction == EMBER_PROMOTE &&
	       m->why != EMBER_WHY_NEARER;
}

/* Pools take plain pages, by the module; shared pages are asked for as such, and no others are. */
static void check_mover(const struct world *w, const struct ember_move *m,
			const struct ember_region *r, unsigned int page)
{
	bool to_pool = w->topo.nodes[m->dest].is_pool;
	bool from_pool = w->topo.nodes[ember_region_page_mem(r, page)].is_pool;
	bool plain = r->kind == EMBER_KIND_ANON && r->order == EMBER_ORDER_BASE;
	uint64_t shared[EMBER_PLANE_WORDS];

	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	must(m->to_pool == to_pool);
	must(!(to_pool || m->restricted) || plain || splittable(w, m, r));
	must(m->split == (w->limits.split_huge && (to_pool || m->restricted) &&
			  m->mover == EMBER_MOVER_MODULE));
	if (to_pool || from_pool || m->restricted)
		must(m->mover ==
		     (test_bit(shared, page) ? EMBER_MOVER_MODULE_SHARED : EMBER_MOVER_MODULE));
	else if (test_bit(shared, page))
		must(m->mover == EMBER_MOVER_MOVE_SHARED);
	else
		must(m->mover == (plain ? EMBER_MOVER_MODULE : EMBER_MOVER_MOVE_PAGES));
}

static void check_page(const struct world *w, struct planned *planned, const struct ember_move *m,
		       const struct ember_region *r, unsigned int page)
{
	uint8_t mem = ember_region_page_mem(r, page), tier = w->topo.nodes[m->dest].tier;
	uint8_t *byte = &planned->pages[m->proc][r->addr / EMBER_REGION_BYTES][page / 8];
	uint64_t present[EMBER_PLANE_WORDS];

	must(!(*byte & 1U << page % 8)); /* not twice */
	*byte |= 1U << page % 8;
	ember_region_plane(r, EMBER_PLANE_PRESENT, present);
	must(test_bit(present, page));
	must(mem < EMBER_MAX_NODES && w->topo.memory_nodes >> mem & 1);
	must(mem != m->dest);
	check_mover(w, m, r, page);
	if (m->direction == EMBER_DEMOTE)
		must(tier > w->topo.nodes[mem].tier);
	else if (m->why == EMBER_WHY_NEARER)
		must(tier == w->topo.nodes[mem].tier);
	else
		must(tier < w->topo.nodes[mem].tier);
	planned->arrived[m->dest]++;
	planned->left[mem]++;
	planned->nr[m->direction]++;
}

static void check_region(const struct world *w, struct planned *planned, const struct ember_move *m,
			 const struct ember_move_region *mr)
{
	const struct ember_region *r = ember_regions_find(&w->procs[m->proc].regions, mr->addr);
	unsigned int n = 0;

	must(r);
	must(mr->order == r->order);
	must(!r->nr_inflight);
	must(r->kind != EMBER_KIND_HUGETLB && r->kind != EMBER_KIND_UNSPEC);
	for (unsigned int page = 0; page < PAGES; page++)
		if (has(mr, page)) {
			check_page(w, planned, m, r, page);
			n++;
		}
	must(n && n == mr->nr_pages);
}

static void check_plan(const struct world *w)
{
	const struct ember_plan *plan = &w->plan;
	static struct planned planned;

	memset(&planned, 0, sizeof(planned));
	for (uint32_t i = 0; i < plan->nr_moves; i++) {
		const struct ember_move *m = &plan->moves[i];

		must(m->proc < w->nr_procs && !w->plan_procs[m->proc].frozen);
		must(w->topo.memory_nodes & w->plan_procs[m->proc].allowed & 1U << m->dest);
		must(m->restricted == (w->limits.restricted_nodes >> m->dest & 1));
		must(!m->restricted || m->mover == EMBER_MOVER_MODULE);
		must(m->nr_regions && m->first_region + m->nr_regions <= plan->nr_regions);
		must(!w->limits.max_regions_per_move ||
		     m->nr_regions <= w->limits.max_regions_per_move);
		for (uint32_t k = 0; k < m->nr_regions; k++)
			check_region(w, &planned, m, &plan->regions[m->first_region + k]);
	}
	/* signs of life: of a survey, then of at most 2 * 3 looks and 2 namings for each node */
	must(w->nr_passes >= 1 + 2 * !!plan->nr_moves);
	must(w->nr_passes <= 1 + 8ULL * EMBER_MAX_NODES);
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++) {
		must(planned.nr[d] == plan->nr_planned[d]);
		must(planned.nr[d] <= w->limits.bytes[d] / 4096);
	}
	for (unsigned int n = 0; n < EMBER_MAX_NODES; n++) {
		const struct ember_node *node = &w->topo.nodes[n];
		int64_t room = (int64_t)(node->free_bytes - node->high_watermark_bytes -
					 w->limits.inflight_bytes[n]) /
			       4096;

		must(planned.arrived[n] <= (room > 0 ? room : 0) + planned.left[n]);
	}
}

/* ---- results ---- */

/* Any outcome, and sometimes fewer pages than asked for, or more; some results never come. */
static void answer(struct world *w, const struct ember_move *m)
{
	const struct ember_move_region *regions = w->plan.regions + m->first_region;
	struct ember_regions *rs = &w->procs[m->proc].regions;
	struct ember_fate_run runs[64];
	size_t nr = below(NR(runs));

	for (size_t i = 0; i < nr; i++)
		runs[i] = (struct ember_fate_run){
		    .outcome = one_in(2) ? EMBER_FATE_MOVED : below(EMBER_NR_FATES + 1),
		    .nr_pages = one_in(8) ? any_number() : below(200)};
	ember_account_submitted(&w->account, rs, m, regions);
	if (!one_in(8))
		ember_account_result(&w->account, one_in(16) ? NULL : rs, &w->cooldown, m, regions,
				     runs, nr, w->now_ns);
}

static void live(struct world *w)
{
	for (int round = 0; round < ROUNDS; round++) {
		for (uint32_t p = 0; p < w->nr_procs; p++)
			scan(w, p, false);
		for (uint32_t p = 0; p < w->nr_procs; p++)
			if (!one_in(4))
				teach(&w->procs[p]);
		ember_calibration_end_round(&w->calibration);
		set_rooms(w);
		w->nr_passes = 0;
		assert_int_equal(ember_plan_make(&w->plan, &w->topo, w->plan_procs, w->nr_procs,
						 &w->limits, &w->cooldown, w->now_ns),
				 0);
		check_plan(w);
		for (uint32_t i = 0; i < w->plan.nr_moves; i++)
			answer(w, &w->plan.moves[i]);
		w->now_ns += one_in(4) ? any_number() : below(10000000000ULL);
	}
}

static void test_worlds(void **state)
{
	uint64_t nr_moves = 0, nr_by_mover[EMBER_NR_MOVERS] = {0};

	(void)state;
	for (uint64_t i = first_world; i <= last_world; i++) {
		struct world *w = malloc(sizeof(*w));

		begin(i);
		make_world(w);
		live(w);
		nr_moves += w->account.nr_moves_submitted;
		for (int m = 0; m < EMBER_NR_MOVERS; m++)
			nr_by_mover[m] += w->account.books[EMBER_PROMOTE][m].tried +
					  w->account.books[EMBER_DEMOTE][m].tried;
		free_world(w);
		free(w);
	}
	alarm(0);
	print_message("%" PRIu64 " moves\n", nr_moves);
	/* else the rules were kept by doing nothing */
	assert_true(nr_moves > 10 * NR_WORLDS || last_world - first_world < NR_WORLDS - 1);
	for (int m = 0; m < EMBER_NR_MOVERS; m++) {
		print_message("mover %d: %" PRIu64 " pages\n", m, nr_by_mover[m]);
		assert_true(nr_by_mover[m] > 10 * NR_WORLDS ||
			    last_world - first_world < NR_WORLDS - 1);
	}
}

/* ---- single deciders at the ends of their numbers ---- */

static void test_exchange(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= NR_NUMBERS; i++) {
		uint64_t up[EMBER_RANKS] = {0}, down[EMBER_RANKS] = {0}, nr_up = 0, nr_down = 0;
		struct ember_exchange_limits limits;
		struct ember_exchange ex;

		begin(i);
		limits = (struct ember_exchange_limits){
		    .room = (int64_t)any_number() >> 8,
		    .transient_room = (int64_t)any_number() >> 8,
		    .slack = any_number() >> 8,
		    .lower_room = any_number(),
		    .budget_up = any_number(),
		    .budget_down = any_number(),
		    .demand = any_number(),
		};
		limits.room -= one_in(2) ? (int64_t)(any_number() >> 8) : 0;
		limits.transient_room -= one_in(2) ? (int64_t)(any_number() >> 8) : 0;
		for (unsigned int k = below(20); k-- > 0;) {
			up[below(EMBER_RANKS)] = any_number() >> 8;
			down[below(EMBER_RANKS)] = any_number() >> 8;
		}
		for (unsigned int r = 0; r < EMBER_RANKS; r++) {
			nr_up += up[r];
			nr_down += down[r];
		}
		ex = ember_exchange_find(up, down, &limits);
		must(ex.nr_up <= nr_up && ex.nr_up <= limits.budget_up);
		must(ex.nr_down <= nr_down && ex.nr_down <= limits.budget_down);
		must(ex.nr_down <= ex.nr_up || ex.nr_down - ex.nr_up <= limits.lower_room);
		must((int64_t)ex.nr_up <= (limits.transient_room > -(int64_t)ex.nr_down
					       ? limits.transient_room + (int64_t)ex.nr_down
					       : 0));
	}
	alarm(0);
}

/* Scans follow each other without a pause only at the start of a ladder. */
static void test_cadence(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= NR_NUMBERS / 20; i++) {
		struct ember_cadence_params params;
		struct ember_cadence_obs obs = {0};
		struct ember_cadence c;
		unsigned int nr_at_once = 0, nr_ladders = 1;

		begin(i);
		params = (struct ember_cadence_params){
		    .period_ns = 1 + any_number() % 3600000000000ULL,
		    .cpu_budget_bp = below(10001),
		};
		ember_cadence_init(&c, &params);
		for (int k = 0; k < 200; k++) {
			struct ember_cadence_step step;

			nr_ladders += one_in(8) && ember_cadence_warm_up(&c);
			step = ember_cadence_next(&c, &obs);
			must(step.window_ns);
			nr_at_once += !step.next_scan_in_ns;
			obs = (struct ember_cadence_obs){
			    .cost_ns = any_number() >> 20,
			    .scan_ns = any_number() >> 20,
			    .threshold_level = below(EMBER_LEVELS),
			    .planned = step.plan,
			    .settled = one_in(2),
			};
		}
		must(nr_at_once <= 2 * nr_ladders + 20);
	}
	alarm(0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_worlds),
	    cmocka_unit_test(test_exchange),
	    cmocka_unit_test(test_cadence),
	};

	if (argc > 2) {
		first_world = strtoull(argv[1], NULL, 0);
		last_world = strtoull(argv[2], NULL, 0);
	}
	signal(SIGALRM, on_alarm);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
