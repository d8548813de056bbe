// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "escape.h"
#include "level.h"
#include "numab.h"
#include "status_json.h"
#include "util/cleanup.h"

#define _cleanup_json_ _cleanup_(sd_json_variant_unrefp)

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define UNSIGNED(name, value) SD_JSON_BUILD_PAIR_UNSIGNED(name, value)
#define BOOLEAN(name, value) SD_JSON_BUILD_PAIR_BOOLEAN(name, value)
#define STRING(name, value) SD_JSON_BUILD_PAIR_STRING(name, value)
#define VARIANT(name, value) SD_JSON_BUILD_PAIR_VARIANT(name, value)
/* Absent, rather than a number that means nothing. */
#define UNSIGNED_IF(condition, name, value)                                                        \
	SD_JSON_BUILD_PAIR_CONDITION(condition, name, SD_JSON_BUILD_UNSIGNED(value))

static const char *const direction_words[] = {
    [EMBER_DEMOTE] = "demote",
    [EMBER_PROMOTE] = "promote",
};

static const char *const mover_words[] = {
    [EMBER_MOVER_MODULE] = "module",
    [EMBER_MOVER_MODULE_SHARED] = "module_shared",
    [EMBER_MOVER_MOVE_PAGES] = "move_pages",
    [EMBER_MOVER_MOVE_SHARED] = "move_pages_all",
};

static int empty_array(sd_json_variant **ret)
{
	return sd_json_variant_new_array(ret, NULL, 0);
}

/* The end of a function that built @made: ownership passes only if nothing failed. */
static int hand_over(int r, sd_json_variant **made, sd_json_variant **ret)
{
	if (r < 0)
		return r;
	*ret = TAKE_PTR(*made);
	return 0;
}

static uint64_t since(const struct ember_status *s, uint64_t time_ns)
{
	return s->time_ns > time_ns ? s->time_ns - time_ns : 0;
}

static bool is_root(const struct ember_status_viewer *viewer)
{
	return viewer->uid == 0;
}

static bool may_see_totals(const struct ember_status_viewer *viewer,
			   const struct ember_status_proc *proc)
{
	return is_root(viewer) || viewer->sees_all || viewer->uid == proc->uid;
}

static bool may_see_addresses(const struct ember_status_viewer *viewer,
			      const struct ember_status_proc *proc)
{
	return is_root(viewer) || viewer->uid == proc->uid;
}

/* ---- reasons: only those that occurred ---- */

static int append_reason(sd_json_variant **array, const char *word, const char *sentence,
			 uint64_t nr_pages)
{
	if (nr_pages == 0)
		return 0;
	return sd_json_variant_append_arraybo(
	    array, STRING("word", word), STRING("sentence", sentence), UNSIGNED("pages", nr_pages));
}

static int json_why(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < EMBER_NR_WHY; i++)
		r = append_reason(&array, ember_why_word(i), ember_why_sentence(i), s->nr_why[i]);
	return hand_over(r, &array, ret);
}

static int json_why_not(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < EMBER_NR_WHY_NOT; i++)
		r = append_reason(&array, ember_why_not_word(i), ember_why_not_sentence(i),
				  s->nr_why_not[i]);
	return hand_over(r, &array, ret);
}

static int json_refusals(const struct ember_book *book, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < EMBER_NR_FATES; i++)
		if (i != EMBER_FATE_MOVED)
			r = append_reason(&array, ember_fate_word(i), ember_fate_sentence(i),
					  book->outcome[i]);
	return hand_over(r, &array, ret);
}

/* ---- memories ---- */

static int append_node(const struct ember_status *s, unsigned int id, sd_json_variant **array)
{
	const struct ember_node *n = &s->topology.nodes[id];

	return sd_json_variant_append_arraybo(
	    array, UNSIGNED("node", id), UNSIGNED_IF(n->tier != EMBER_NO_TIER, "tier", n->tier),
	    UNSIGNED("cpus", n->nr_cpus), UNSIGNED_IF(n->is_pool, "pool_of", n->pool_node),
	    STRING("claim", ember_claim_word(n->claim)),
	    STRING("claim_sentence", ember_claim_sentence(n->claim)),
	    UNSIGNED_IF(n->kernel_tier >= 0, "kernel_tier", n->kernel_tier),
	    UNSIGNED_IF(n->read_latency_ns, "read_latency_ns", n->read_latency_ns),
	    UNSIGNED_IF(n->read_bandwidth_mbs, "read_bandwidth_mbs", n->read_bandwidth_mbs),
	    UNSIGNED("capacity_bytes", n->capacity_bytes), UNSIGNED("free_bytes", n->free_bytes),
	    UNSIGNED("high_watermark_bytes", n->high_watermark_bytes),
	    UNSIGNED("reserve_bytes", s->reserve_bytes[id]),
	    UNSIGNED("arriving_bytes", s->account.inflight_bytes[id]),
	    BOOLEAN("restricted", s->restricted_nodes >> id & 1));
}

static int json_nodes(const struct ember_status *s, sd_json_variant **ret)
{
	uint16_t ids = s->topology.memory_nodes | s->topology.cpu_nodes;
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (uint16_t left = ids; r >= 0 && left; left &= left - 1)
		r = append_node(s, __builtin_ctz(left), &array);
	return hand_over(r, &array, ret);
}

static int append_tier(const struct ember_status *s, unsigned int tier, sd_json_variant **array)
{
	_cleanup_json_ sd_json_variant *nodes = NULL;
	uint64_t capacity = 0, free_bytes = 0, reserve = 0;
	int r = empty_array(&nodes);

	for (uint16_t left = s->topology.tiers[tier].nodes; r >= 0 && left; left &= left - 1) {
		unsigned int id = __builtin_ctz(left);

		capacity += s->topology.nodes[id].capacity_bytes;
		free_bytes += s->topology.nodes[id].free_bytes;
		reserve += s->reserve_bytes[id];
		r = sd_json_variant_append_arrayb(&nodes, SD_JSON_BUILD_UNSIGNED(id));
	}
	if (r < 0)
		return r;
	return sd_json_variant_append_arraybo(
	    array, UNSIGNED("tier", tier), VARIANT("nodes", nodes),
	    UNSIGNED("capacity_bytes", capacity), UNSIGNED("free_bytes", free_bytes),
	    UNSIGNED("reserve_bytes", reserve),
	    UNSIGNED("followed_bytes", s->tracked_on_tier[tier]));
}

static int json_tiers(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < s->topology.nr_tiers; i++)
		r = append_tier(s, i, &array);
	return hand_over(r, &array, ret);
}

/* ---- processes ---- */

static int json_areas(const struct ember_status_proc *p, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < p->nr_areas && i < NR(p->areas); i++)
		r = sd_json_variant_append_arraybo(
		    &array, UNSIGNED("start", p->areas[i].start), UNSIGNED("end", p->areas[i].end),
		    UNSIGNED("first_scan_ns", p->areas[i].first_scan_ns),
		    BOOLEAN("by_fault", p->areas[i].by_fault));
	return hand_over(r, &array, ret);
}

static int json_tier_bytes(const struct ember_status *s, const struct ember_status_proc *p,
			   sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < s->topology.nr_tiers; i++)
		r = sd_json_variant_append_arrayb(&array,
						  SD_JSON_BUILD_UNSIGNED(p->bytes_on_tier[i]));
	return hand_over(r, &array, ret);
}

static int append_proc(const struct ember_status *s, const struct ember_status_proc *p,
		       bool addresses, sd_json_variant **array)
{
	_cleanup_json_ sd_json_variant *tier_bytes = NULL, *areas = NULL;
	char comm[EMBER_ESCAPED_SIZE(sizeof(p->comm))];
	char cgroup[EMBER_ESCAPED_SIZE(sizeof(p->cgroup))];
	char rule[EMBER_ESCAPED_SIZE(sizeof(p->rule))];
	int r = json_tier_bytes(s, p, &tier_bytes);

	if (r >= 0 && addresses)
		r = json_areas(p, &areas);
	if (r < 0)
		return r;
	ember_escape(p->comm, sizeof(p->comm), comm, sizeof(comm));
	ember_escape(p->cgroup, sizeof(p->cgroup), cgroup, sizeof(cgroup));
	ember_escape(p->rule, sizeof(p->rule), rule, sizeof(rule));
	return sd_json_variant_append_arraybo(
	    array, UNSIGNED("pid", p->tgid), UNSIGNED("uid", p->uid), STRING("comm", comm),
	    STRING("cgroup", cgroup), STRING("rule", rule), UNSIGNED("rss_bytes", p->rss_bytes),
	    VARIANT("tier_bytes", tier_bytes), UNSIGNED("metadata_bytes", p->metadata_bytes),
	    UNSIGNED("scans", p->nr_scans), UNSIGNED("lost_scans", p->nr_lost_scans),
	    SD_JSON_BUILD_PAIR_CONDITION(addresses, "areas", SD_JSON_BUILD_VARIANT(areas)));
}

/* *ret_nr_shown: how many the viewer sees. */
static int json_procs(const struct ember_status *s, const struct ember_status_viewer *viewer,
		      sd_json_variant **ret, uint32_t *ret_nr_shown)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	uint32_t nr_shown = 0;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < s->nr_listed && i < NR(s->procs); i++) {
		const struct ember_status_proc *p = &s->procs[i];

		if (!may_see_totals(viewer, p))
			continue;
		r = append_proc(s, p, may_see_addresses(viewer, p), &array);
		nr_shown++;
	}
	*ret_nr_shown = nr_shown;
	return hand_over(r, &array, ret);
}

/* All of them, and nobody knows less than all: NULL for who may not see others' processes. */
static int json_tgids(const struct ember_status *s, const struct ember_status_viewer *viewer,
		      sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r;

	if (!is_root(viewer) && !viewer->sees_all)
		return 0;
	r = empty_array(&array);
	for (unsigned int i = 0; r >= 0 && i < s->nr_procs && i < NR(s->tgids); i++)
		r = sd_json_variant_append_arrayb(&array, SD_JSON_BUILD_UNSIGNED(s->tgids[i]));
	return hand_over(r, &array, ret);
}

/* ---- the rest ---- */

static int json_policy(const struct ember_status *s, const struct ember_status_viewer *viewer,
		       sd_json_variant **ret)
{
	char error[EMBER_ESCAPED_SIZE(sizeof(s->policy_error))];
	bool rejected = s->policy_error[0];
	/* the message quotes a file that not everybody may be able to read */
	bool tell = rejected && (is_root(viewer) || viewer->sees_all);

	ember_escape(s->policy_error, sizeof(s->policy_error), error, sizeof(error));
	return sd_json_buildo(
	    ret, UNSIGNED("age_ns", since(s, s->policy_loaded_ns)), BOOLEAN("rejected", rejected),
	    SD_JSON_BUILD_PAIR_CONDITION(tell, "error", SD_JSON_BUILD_STRING(error)));
}

static int json_plan(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *why = NULL, *why_not = NULL;
	int r = json_why(s, &why);

	if (r >= 0)
		r = json_why_not(s, &why_not);
	if (r < 0)
		return r;
	return sd_json_buildo(
	    ret, UNSIGNED("plans", s->nr_plans), BOOLEAN("settled", s->settled),
	    UNSIGNED("threshold_interval_ns", ember_level_interval_ns(s->threshold_level)),
	    BOOLEAN("placements_unnoticed", s->placements_unnoticed), VARIANT("why", why),
	    VARIANT("why_not", why_not), UNSIGNED("cooldown_evicted", s->nr_cooldown_evicted));
}

static int append_book(const struct ember_book *book, unsigned int direction, unsigned int mover,
		       sd_json_variant **array)
{
	_cleanup_json_ sd_json_variant *refused = NULL;
	int r = json_refusals(book, &refused);

	if (r < 0)
		return r;
	return sd_json_variant_append_arraybo(
	    array, STRING("direction", direction_words[direction]),
	    STRING("mover", mover_words[mover]), UNSIGNED("tried_pages", book->tried),
	    UNSIGNED("applied_pages", book->outcome[EMBER_FATE_MOVED]),
	    VARIANT("refused", refused));
}

static int json_books(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (int d = EMBER_NR_DIRECTIONS - 1; r >= 0 && d >= 0; d--)
		for (unsigned int m = 0; r >= 0 && m < EMBER_NR_MOVERS; m++)
			r = append_book(&s->account.books[d][m], d, m, &array);
	return hand_over(r, &array, ret);
}

/* What the engine waits for on purpose is not told. */
static int json_stages(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = EMBER_STAGE_WAIT + 1; r >= 0 && i < EMBER_NR_STAGES; i++)
		r = sd_json_variant_append_arraybo(&array, STRING("stage", ember_stage_word(i)),
						   UNSIGNED("longest_ns", s->silent_ns[i]));
	return hand_over(r, &array, ret);
}

static int json_cost(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *stages = NULL;
	int r = json_stages(s, &stages);

	if (r < 0)
		return r;
	return sd_json_buildo(
	    ret, UNSIGNED("cpu_share_bp", s->cpu_share_bp), UNSIGNED("cpu_ns", s->cpu_ns),
	    UNSIGNED("move_ns", s->move_ns), UNSIGNED("scan_ns", s->scan_ns),
	    UNSIGNED("last_scan_ns", s->last_scan_ns), UNSIGNED("scans", s->nr_scans),
	    UNSIGNED("period_ns", s->period_ns), UNSIGNED("stretched_ns", s->stretched_ns),
	    UNSIGNED("window_ns", s->window_ns), UNSIGNED("tables_read", s->nr_tables_read),
	    UNSIGNED("tables_skipped", s->nr_tables_skipped),
	    UNSIGNED("flush_cpus", s->nr_flush_cpus),
	    UNSIGNED("longest_lock_ns", s->longest_lock_ns),
	    UNSIGNED("longest_unmapped_ns", s->longest_unmapped_ns),
	    UNSIGNED("faults_sampled", s->nr_faults_sampled),
	    UNSIGNED("events_lost", s->nr_events_lost),
	    UNSIGNED("metadata_bytes", s->metadata_bytes), VARIANT("stages", stages));
}

/* Sizes of batches of which there is a time. */
static int json_copy_times(const struct ember_copies *c, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *array = NULL;
	int r = empty_array(&array);

	for (unsigned int i = 0; r >= 0 && i < NR(c->cpu_ns); i++)
		if (c->cpu_ns[i] || c->dma_ns[i])
			r = sd_json_variant_append_arraybo(
			    &array, UNSIGNED("batch_pages", 1U << i),
			    UNSIGNED_IF(c->cpu_ns[i], "cpu_ns", c->cpu_ns[i]),
			    UNSIGNED_IF(c->dma_ns[i], "dma_ns", c->dma_ns[i]));
	return hand_over(r, &array, ret);
}

/* NULL while the module does not answer. */
static int json_copies(const struct ember_status *s, sd_json_variant **ret)
{
	_cleanup_json_ sd_json_variant *times = NULL;
	const struct ember_copies *c = &s->copies;
	int r;

	if (!s->copies_known)
		return 0;
	r = json_copy_times(c, &times);
	if (r < 0)
		return r;
	return sd_json_buildo(
	    ret, BOOLEAN("dma_wanted", s->dma_wanted), UNSIGNED("channels", c->channels),
	    UNSIGNED("cpu_pages", c->cpu_pages), UNSIGNED("dma_pages", c->dma_pages),
	    UNSIGNED("fallback_pages", c->fallback_pages), UNSIGNED("timeouts", c->nr_timeouts),
	    UNSIGNED("leaked_pages", c->leaked_pages), VARIANT("times", times));
}

static int json_numab(const struct ember_status *s, sd_json_variant **ret)
{
	/* the reason is that of the setting that was found, not of the one that ember made */
	bool changed = s->numa_balancing_saved >= 0;
	enum ember_numab_reason reason =
	    ember_numab_judge(&s->topology, changed ? s->numa_balancing_saved : s->numa_balancing);

	return sd_json_buildo(ret, UNSIGNED_IF(s->numa_balancing >= 0, "mode", s->numa_balancing),
			      UNSIGNED_IF(changed, "saved_mode", s->numa_balancing_saved),
			      BOOLEAN("conflict", s->numa_balancing_conflict),
			      STRING("reason", ember_numab_word(reason)),
			      STRING("reason_sentence", ember_numab_sentence(reason)));
}

static int json_damon(const struct ember_status *s, sd_json_variant **ret)
{
	return sd_json_buildo(ret, BOOLEAN("borrowed", s->damon_stat_held),
			      STRING("reason", ember_damonstat_word(s->damon_stat)),
			      STRING("reason_sentence", ember_damonstat_sentence(s->damon_stat)));
}

struct parts {
	sd_json_variant *policy, *tiers, *nodes, *procs, *tgids, *plan, *books, *cost, *copies,
	    *numab, *damon;
	uint32_t nr_shown;
};

static void parts_clear(struct parts *p)
{
	sd_json_variant_unref(p->policy);
	sd_json_variant_unref(p->tiers);
	sd_json_variant_unref(p->nodes);
	sd_json_variant_unref(p->procs);
	sd_json_variant_unref(p->tgids);
	sd_json_variant_unref(p->plan);
	sd_json_variant_unref(p->books);
	sd_json_variant_unref(p->cost);
	sd_json_variant_unref(p->copies);
	sd_json_variant_unref(p->numab);
	sd_json_variant_unref(p->damon);
}

static int make_parts(const struct ember_status *s, const struct ember_status_viewer *viewer,
		      struct parts *ret)
{
	int r = json_policy(s, viewer, &ret->policy);

	if (r >= 0)
		r = json_tiers(s, &ret->tiers);
	if (r >= 0)
		r = json_nodes(s, &ret->nodes);
	if (r >= 0)
		r = json_procs(s, viewer, &ret->procs, &ret->nr_shown);
	if (r >= 0)
		r = json_tgids(s, viewer, &ret->tgids);
	if (r >= 0)
		r = json_plan(s, &ret->plan);
	if (r >= 0)
		r = json_books(s, &ret->books);
	if (r >= 0)
		r = json_cost(s, &ret->cost);
	if (r >= 0)
		r = json_copies(s, &ret->copies);
	if (r >= 0)
		r = json_numab(s, &ret->numab);
	if (r >= 0)
		r = json_damon(s, &ret->damon);
	return r;
}

int ember_status_json(const struct ember_status *s, const struct ember_status_viewer *viewer,
		      sd_json_variant **ret)
{
	_cleanup_(parts_clear) struct parts p = {0};
	int r = make_parts(s, viewer, &p);

	if (r < 0)
		return r;
	return sd_json_buildo(
	    ret, STRING("version", EMBER_VERSION), UNSIGNED("time_ns", s->time_ns),
	    UNSIGNED("uptime_ns", since(s, s->started_ns)),
	    BOOLEAN("observe_only", s->observe_only), VARIANT("policy", p.policy),
	    VARIANT("tiers", p.tiers), VARIANT("nodes", p.nodes),
	    UNSIGNED("ignored_nodes", s->topology.nr_ignored_nodes),
	    UNSIGNED("processes_followed", s->nr_procs),
	    UNSIGNED("processes_not_shown",
		     s->nr_procs > p.nr_shown ? s->nr_procs - p.nr_shown : 0),
	    SD_JSON_BUILD_PAIR_CONDITION(!!p.tgids, "followed_pids",
					 SD_JSON_BUILD_VARIANT(p.tgids)),
	    VARIANT("processes", p.procs), VARIANT("plan", p.plan),
	    UNSIGNED("moves_submitted", s->account.nr_moves_submitted),
	    UNSIGNED("moves_done", s->account.nr_moves_done), UNSIGNED("split_pages", s->nr_split),
	    UNSIGNED("unsplit_pages", s->nr_unsplit), VARIANT("moves", p.books),
	    VARIANT("cost", p.cost),
	    SD_JSON_BUILD_PAIR_CONDITION(!!p.copies, "copies", SD_JSON_BUILD_VARIANT(p.copies)),
	    VARIANT("numa_balancing", p.numab), VARIANT("damon_stat", p.damon));
}
