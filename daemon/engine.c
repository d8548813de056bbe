// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine_state.h"
#include "follow.h"
#include "log.h"
#include "move.h"
#include "report.h"
#include "scan.h"
#include "util/cleanup.h"

/* Figures are never older than this while the engine lives, however long the period. */
#define MAX_STATUS_AGE_NS (4 * NSEC_PER_SEC)

/* The control thread takes a thread that is silent for longer than 20 s for stuck. */
#define MAX_WAIT_NS (4 * NSEC_PER_SEC)

/* Pages that are cooling down: 1 Mi pages are 4 GiB of moves within their times. */
#define COOLDOWN_ENTRIES (1U << 20)

/* Said before it is too long: whose machine is that slow shall know. */
#define LONG_SILENCE_NS (EMBER_HEART_LIMIT_NS / 4)

void ember_engine_enter(struct ember_engine *e, enum ember_stage stage)
{
	struct ember_silence ended =
	    ember_heart_beat(&e->heart, stage, now_ns(), clock_ns(CLOCK_THREAD_CPUTIME_ID));

	if (ended.ns > LONG_SILENCE_NS)
		log_info("the engine was silent for %llu ms, at: %s; it was running for %llu ms "
			 "of them",
			 ended.ns / NSEC_PER_MSEC, ember_stage_word(ended.stage),
			 ended.cpu_ns / NSEC_PER_MSEC);
}

void ember_engine_beat(struct ember_engine *e)
{
	ember_engine_enter(e, atomic_load(&e->heart.stage));
}

/* The product on one screen: sample -> score -> plan -> execute -> account. */
static void run_round(struct ember_engine *e)
{
	uint64_t cpu_ns;

	e->obs = (struct ember_cadence_obs){};
	ember_engine_enter(e, EMBER_STAGE_SCAN);
	ember_scan_round(e);
	ember_engine_enter(e, EMBER_STAGE_ACCOUNT);
	ember_move_account(e);
	if (e->step.plan)
		ember_move_plan(e);
	ember_engine_enter(e, EMBER_STAGE_EARLY_LOOK);
	ember_scan_early(e);
	ember_engine_enter(e, EMBER_STAGE_REPORT);
	if (e->step.plan)
		ember_report_publish(e);
	/* All that the thread did since the last round: events and early looks cost, too. */
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	e->obs.cost_ns = cpu_ns - e->charged_ns;
	e->charged_ns = cpu_ns;
	e->step = ember_cadence_next(&e->cadence, &e->obs);
	e->next_scan_ns = e->last_scan_ns + e->step.next_scan_in_ns;
}

static struct ember_cadence_params cadence_params(const struct ember_engine *e)
{
	return (struct ember_cadence_params){.period_ns = e->policy->global.period_ns,
					     .cpu_budget_bp = e->policy->global.cpu_budget_bp};
}

static void tell_unrestrictable(const struct ember_engine *e)
{
	uint16_t vain = e->policy->restricted_nodes & ~ember_policy_restricted(e->policy, &e->topo);

	for (; vain; vain &= vain - 1) {
		unsigned int node = __builtin_ctz(vain);

		log_warning("restricted_nodes: node %u has %s, it counts as any other", node,
			    e->topo.cpu_nodes >> node & 1 ? "CPUs" : "no memory");
	}
}

/* Without the programs the calls that place memory cost nothing more. */
static void apply_hands(struct ember_engine *e)
{
	int r;

	if (!e->policy->global.placed_by_hand_ns) {
		e->kept_hands_lost += ember_hands_watch_lost(e->hands_watch);
		e->hands_watch = ember_hands_watch_close(e->hands_watch);
		return;
	}
	if (e->hands_watch)
		return;
	r = ember_hands_watch_open(&e->hands_watch);
	if (r < 0)
		log_warning("what is placed by hand (placed_by_hand) will not be noticed: %s",
			    strerror(-r));
}

static void apply_policy(struct ember_engine *e)
{
	struct ember_cadence_params params = cadence_params(e);

	tell_unrestrictable(e);
	ember_cadence_set(&e->cadence, &params);
	apply_hands(e);
	ember_follow_apply_policy(e);
}

static int read_topology(const struct ember_engine *e, struct ember_topology *ret)
{
	return ember_topology_read(e->config.sys_root, e->config.proc_root, e->policy->tiers,
				   e->policy->nr_tiers, ret);
}

static int open_sampler(struct ember_engine *e, struct ember_sampler **ret,
			enum ember_sampler_reason *ret_reason)
{
	struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	int r;

	config.fault_period = e->policy->global.fault_sampling;
	r = ember_sampler_open(&config, ret, ret_reason);
	if (r >= 0)
		e->fault_period = config.fault_period;
	return r;
}

/* The period is part of the programs: they are loaded anew, or the old ones stay. */
static void apply_sampling(struct ember_engine *e)
{
	enum ember_sampler_reason reason;
	struct ember_sampler *sampler;

	if (e->policy->global.fault_sampling == e->fault_period)
		return;
	if (open_sampler(e, &sampler, &reason) < 0) {
		log_err("fault_sampling stays %u until the next reload: %s", e->fault_period,
			ember_sampler_reason_text(reason));
		return;
	}
	ember_report_keep_counters(e);
	ember_sampler_close(e->sampler);
	e->sampler = sampler;
	ember_follow_track_all(e);
}

static void apply_tiers(struct ember_engine *e)
{
	struct ember_topology topo;
	int r = read_topology(e, &topo);

	if (r < 0)
		log_err("cannot read the machine's memories anew: %s; the tiers stay as they are",
			strerror(-r));
	else if (topo.nr_tiers < 2)
		log_err("the tiers of the new policy leave one tier only: they stay as they are");
	else
		e->topo = topo;
}

void ember_engine_memories_changed(struct ember_engine *e)
{
	int r = read_topology(e, &e->topo);

	if (r < 0)
		log_err("cannot read the machine's memories anew: %s", strerror(-r));
	else if (e->topo.nr_tiers < 2)
		log_warning("this machine has one tier now: nothing moves");
	else
		log_info("memories have come or gone: %u tiers now", e->topo.nr_tiers);
}

static void take_messages(struct ember_engine *e)
{
	struct ember_policy *policy;
	uint64_t count;

	if (read(e->wake_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&e->lock);
	policy = TAKE_PTR(e->new_policy);
	pthread_mutex_unlock(&e->lock);
	if (!policy)
		return;
	ember_policy_free(e->policy);
	e->policy = policy;
	apply_tiers(e);
	apply_sampling(e);
	apply_policy(e);
}

/* Sleep until @until_ns or until there is something to do; a sign of life now and then. */
static int wait_for_work(struct ember_engine *e, uint64_t until_ns)
{
	struct pollfd fds[] = {{.fd = e->wake_fd, .events = POLLIN},
			       {.fd = ember_sampler_event_fd(e->sampler), .events = POLLIN},
			       {.fd = ember_movers_done_fd(e->movers), .events = POLLIN}};
	uint64_t now = now_ns(), wait_ns = until_ns > now ? until_ns - now : 0;
	struct timespec timeout;

	wait_ns = wait_ns < MAX_WAIT_NS ? wait_ns : MAX_WAIT_NS;
	timeout = (struct timespec){wait_ns / NSEC_PER_SEC, wait_ns % NSEC_PER_SEC};
	if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), &timeout, NULL) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static void *engine_main(void *arg)
{
	struct ember_engine *e = arg;
	uint64_t one = 1;
	int r = 0;

	apply_policy(e);
	e->step = ember_cadence_next(&e->cadence, &e->obs);
	e->next_scan_ns = now_ns() + e->step.next_scan_in_ns;
	while (!atomic_load(&e->stop) && r >= 0) {
		uint64_t due = ember_scan_early_due(e);

		ember_engine_enter(e, EMBER_STAGE_WAIT);
		r = wait_for_work(e, due < e->next_scan_ns ? due : e->next_scan_ns);
		ember_engine_enter(e, EMBER_STAGE_MESSAGES);
		take_messages(e);
		ember_engine_enter(e, EMBER_STAGE_ACCOUNT);
		ember_move_account(e);
		ember_engine_enter(e, EMBER_STAGE_EARLY_LOOK);
		ember_scan_early(e);
		ember_engine_enter(e, EMBER_STAGE_EVENTS);
		ember_follow_handle_events(e);
		if (now_ns() >= e->next_scan_ns)
			run_round(e);
		ember_engine_enter(e, EMBER_STAGE_REPORT);
		if (now_ns() - e->status.time_ns >= MAX_STATUS_AGE_NS)
			ember_report_publish(e);
	}
	if (r < 0 && write(e->ended_fd, &one, sizeof(one)) < 0)
		log_err("cannot tell that the engine ended: %m");
	return NULL;
}

static struct ember_engine *destroy(struct ember_engine *e)
{
	if (!e)
		return NULL;
	ember_movers_free(e->movers);
	ember_genl_close(e->genl);
	ember_sampler_close(e->sampler);
	ember_hands_watch_close(e->hands_watch);
	ember_processes_clear(&e->processes);
	ember_plan_clear(&e->plan);
	free(e->plan_procs);
	ember_cooldown_destroy(&e->cooldown);
	ember_policy_free(e->policy);
	ember_policy_free(e->new_policy);
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	if (e->ended_fd >= 0)
		close(e->ended_fd);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

static void destroyp(struct ember_engine **e)
{
	destroy(*e);
}

static int open_topology(struct ember_engine *e, enum ember_engine_reason *ret_reason)
{
	int r = read_topology(e, &e->topo);

	*ret_reason = EMBER_ENGINE_TOPOLOGY;
	if (r < 0)
		return r;
	*ret_reason = EMBER_ENGINE_ONE_TIER;
	return e->topo.nr_tiers < 2 ? -ENODEV : 0;
}

static int open_kernel_side(struct ember_engine *e, enum ember_engine_reason *ret_reason,
			    enum ember_sampler_reason *ret_sampler_reason)
{
	struct ember_genl_info info;
	int r = ember_movers_new(&e->movers, &info);

	*ret_reason = r == -ENOENT   ? EMBER_ENGINE_NO_MODULE
		      : r == -EPROTO ? EMBER_ENGINE_OTHER_MODULE
				     : EMBER_ENGINE_SYSTEM;
	if (r < 0)
		return r;
	log_info("module version %s, ABI %u", info.version, info.abi);
	*ret_reason = EMBER_ENGINE_SAMPLER;
	return open_sampler(e, &e->sampler, ret_sampler_reason);
}

static int init_state(struct ember_engine *e)
{
	struct ember_cadence_params params = cadence_params(e);
	uint64_t bandwidth = e->policy->global.bandwidth_bytes_per_s;

	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->wake_fd < 0 || e->ended_fd < 0)
		return -errno;
	ember_cadence_init(&e->cadence, &params);
	ember_plan_init(&e->plan);
	ember_account_init(&e->account);
	ember_calibration_init(&e->calibration);
	for (int d = 0; d < EMBER_NR_DIRECTIONS; d++)
		ember_quota_init(&e->quota[d], bandwidth, bandwidth, now_ns());
	e->status.started_ns = now_ns();
	e->status.observe_only = e->config.observe_only;
	return ember_cooldown_init(&e->cooldown, COOLDOWN_ENTRIES);
}

int ember_engine_start(const struct ember_engine_config *config, struct ember_policy *policy,
		       struct ember_engine **ret, enum ember_engine_reason *ret_reason,
		       enum ember_sampler_reason *ret_sampler_reason)
{
	_cleanup_(destroyp) struct ember_engine *e = calloc(1, sizeof(*e));
	int r;

	*ret_reason = EMBER_ENGINE_SYSTEM;
	if (!e) {
		ember_policy_free(policy);
		return -ENOMEM;
	}
	e->config = *config;
	e->policy = policy;
	e->wake_fd = e->ended_fd = -1;
	pthread_mutex_init(&e->lock, NULL);
	r = open_topology(e, ret_reason);
	if (r < 0)
		return r;
	*ret_reason = EMBER_ENGINE_SYSTEM;
	r = init_state(e);
	if (r < 0)
		return r;
	r = open_kernel_side(e, ret_reason, ret_sampler_reason);
	if (r < 0)
		return r;
	*ret_reason = EMBER_ENGINE_SYSTEM;
	ember_report_publish(e); /* whoever asks before the first round sees the machine at least */
	ember_heart_beat(&e->heart, EMBER_STAGE_MESSAGES, now_ns(), 0); /* its life begins here */
	r = -pthread_create(&e->thread, NULL, engine_main, e);
	if (r < 0)
		return r;
	pthread_setname_np(e->thread, "ember-engine");
	*ret_reason = EMBER_ENGINE_OK;
	*ret = TAKE_PTR(e);
	return 0;
}

static void wake(struct ember_engine *engine)
{
	uint64_t one = 1;

	if (write(engine->wake_fd, &one, sizeof(one)) < 0)
		log_warning("eventfd of the engine: %m, ignoring");
}

struct ember_engine *ember_engine_stop(struct ember_engine *engine)
{
	if (!engine)
		return NULL;
	atomic_store(&engine->stop, true);
	wake(engine);
	pthread_join(engine->thread, NULL);
	return destroy(engine);
}

void ember_engine_set_policy(struct ember_engine *engine, struct ember_policy *policy)
{
	pthread_mutex_lock(&engine->lock);
	ember_policy_free(engine->new_policy);
	engine->new_policy = policy;
	pthread_mutex_unlock(&engine->lock);
	wake(engine);
}

void ember_engine_status(struct ember_engine *engine, struct ember_status *ret)
{
	pthread_mutex_lock(&engine->lock);
	*ret = engine->published;
	pthread_mutex_unlock(&engine->lock);
}

struct ember_silence ember_engine_listen(struct ember_engine *engine)
{
	clockid_t clock;
	uint64_t cpu_ns = 0;

	if (pthread_getcpuclockid(engine->thread, &clock) == 0)
		cpu_ns = clock_ns(clock);
	return ember_heart_listen(&engine->heart, now_ns(), cpu_ns);
}

int ember_engine_ended_fd(const struct ember_engine *engine)
{
	return engine->ended_fd;
}
