// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "aging.h"
#include "balancing.h"
#include "capability.h"
#include "engine.h"
#include "lease.h"
#include "log.h"
#include "policy_load.h"
#include "status_server.h"
#include "util/cleanup.h"

#define USEC_PER_SEC 1000000ULL
#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

/* One emberd a machine, whatever --runtime-dir says: so this path is fixed. */
#define LOCK_DIR EMBER_RUNTIME_DIR
#define LOCK_PATH LOCK_DIR "/emberd.lock"

/* How often the status text and what is borrowed are brought up to date. */
#define TICK_USEC (5 * USEC_PER_SEC)

struct ember_daemon {
	const struct ember_options *options;
	sd_event *event;
	struct ember_engine *engine;
	struct ember_status_server *status_server;
	struct ember_lease lease;
	struct ember_balancing balancing;
	struct ember_aging aging;
	uint32_t numa_balancing;    /* enum ember_borrow of the policy in force */
	uint32_t damon_stat;        /* the same */
	struct ember_status status; /* scratch: large */
	char policy_error[512];
	uint64_t policy_loaded_ns;
	bool engine_hangs;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static int load_policy(const struct ember_options *options, struct ember_policy **ret,
		       struct ember_policy_error *ret_error)
{
	return ember_policy_load(options->policy_dirs, /* owner= */ 0, ret, ret_error);
}

/* --- what the engine could not do ---------------------------------------------------------- */

static enum ember_exit explain_sampler(enum ember_sampler_reason reason)
{
	log_err("%s", ember_sampler_reason_text(reason));
	switch (reason) {
	case EMBER_SAMPLER_NO_MODULE:
		return EMBER_EXIT_NO_MODULE;
	case EMBER_SAMPLER_OTHER_MODULE:
		return EMBER_EXIT_OTHER_MODULE;
	case EMBER_SAMPLER_NO_CAPABILITY:
		return EMBER_EXIT_PRIVILEGE;
	case EMBER_SAMPLER_NO_BTF:
	case EMBER_SAMPLER_REFUSED:
		return EMBER_EXIT_NO_BPF;
	default:
		return EMBER_EXIT_FAILURE;
	}
}

static enum ember_exit explain(enum ember_engine_reason reason, enum ember_sampler_reason sampler,
			       int error)
{
	switch (reason) {
	case EMBER_ENGINE_ONE_TIER:
		log_err("this machine has one memory tier: there is nothing to move between. If "
			"firmware hides a tier, name it in the policy (/tiers)");
		return EMBER_EXIT_ONE_TIER;
	case EMBER_ENGINE_TOPOLOGY:
		log_err("cannot read the memory topology below /sys/devices/system/node: %s",
			strerror(-error));
		return EMBER_EXIT_FAILURE;
	case EMBER_ENGINE_NO_MODULE:
		log_err("the kernel module ember is not loaded: run \"modprobe ember\" (dmesg says "
			"why it fails, if it does)");
		return EMBER_EXIT_NO_MODULE;
	case EMBER_ENGINE_OTHER_MODULE:
		log_err(
		    "the loaded kernel module ember is of another version than this emberd: "
		    "install both from one release, then \"modprobe -r ember; modprobe ember\"");
		return EMBER_EXIT_OTHER_MODULE;
	case EMBER_ENGINE_SAMPLER:
		return explain_sampler(sampler);
	default:
		if (error == -EPERM || error == -EACCES) {
			log_err("cannot start: the kernel refuses (%s) although all capabilities "
				"are there: a container, another user namespace, or a security "
				"module? Run emberd on the machine itself",
				strerror(-error));
			return EMBER_EXIT_PRIVILEGE;
		}
		log_err("cannot start: %s", strerror(-error));
		return EMBER_EXIT_FAILURE;
	}
}

/* 0, or -EPERM: said which capability is missing. */
static int check_capabilities(void)
{
	char missing[128];

	ember_capability_missing(ember_capability_effective(), missing, sizeof(missing));
	if (!missing[0])
		return 0;
	log_err("missing: %s. Start emberd with \"systemctl start emberd\", or as root", missing);
	return -EPERM;
}

/* --- events ---------------------------------------------------------------------------------- */

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct ember_daemon *d = userdata;

	return sd_event_exit(d->event, EMBER_EXIT_OK);
}

static void take_policy(struct ember_daemon *d, struct ember_policy *policy)
{
	/* Where ember moves nothing there is nothing to be in the way of. */
	d->numa_balancing = d->options->observe_only || !policy->global.bandwidth_bytes_per_s
				? EMBER_BORROW_LEAVE
				: policy->global.numa_balancing;
	d->damon_stat = policy->global.damon_stat;
	d->policy_error[0] = 0;
	d->policy_loaded_ns = now_ns();
	if (d->engine)
		ember_engine_set_policy(d->engine, policy);
}

/* SIGHUP, from "systemctl reload": all of the new policy, or the old one stays. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct ember_daemon *d = userdata;
	struct ember_policy_error error = {"not enough memory for the policy"};
	struct ember_policy *policy;
	int r;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_ns() / 1000);
	r = load_policy(d->options, &policy, &error);
	if (r < 0) {
		log_err("%s; the old policy stays in force", error.text);
		snprintf(d->policy_error, sizeof(d->policy_error), "%s", error.text);
	} else {
		take_policy(d, policy);
		log_info("policy reloaded");
	}
	sd_notify(0, "READY=1");
	return 0;
}

static int on_engine_ended(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct ember_daemon *d = userdata;

	log_err("the engine ended: stopping");
	return sd_event_exit(d->event, EMBER_EXIT_FAILURE);
}

static void tell_systemd(struct ember_daemon *d)
{
	const struct ember_status *s = &d->status;
	struct ember_book promoted, demoted;

	ember_account_sum(&s->account, EMBER_PROMOTE, &promoted);
	ember_account_sum(&s->account, EMBER_DEMOTE, &demoted);
	sd_notifyf(0,
		   "STATUS=%u processes followed, %" PRIu64 " MiB of them in fast memory; %" PRIu64
		   " pages promoted, %" PRIu64 " demoted%s",
		   s->nr_procs, s->tracked_on_tier[0] >> 20, promoted.outcome[EMBER_FATE_MOVED],
		   demoted.outcome[EMBER_FATE_MOVED],
		   d->policy_error[0] ? "; the policy on disk was rejected" : "");
}

/* What of the kernel is in the way, by the engine's last snapshot. */
static void hold_settings(struct ember_daemon *d)
{
	ember_engine_status(d->engine, &d->status);
	ember_lease_check(&d->lease);
	ember_balancing_update(&d->balancing, d->numa_balancing, &d->status.topology, now_ns());
	ember_aging_update(&d->aging, d->damon_stat, d->status.nr_procs, now_ns());
}

/* No watchdog message while the engine hangs: unless it recovers systemd restarts us. */
static void check_engine(struct ember_daemon *d)
{
	struct ember_silence silence = ember_engine_listen(d->engine);
	bool hangs = silence.ns > EMBER_HEART_LIMIT_NS;

	if (hangs)
		log_err("the engine has not moved for %llu s, at: %s; it was running for %llu ms "
			"of them",
			silence.ns / NSEC_PER_SEC, ember_stage_word(silence.stage),
			silence.cpu_ns / NSEC_PER_MSEC);
	else if (d->engine_hangs)
		log_warning("the engine moves again");
	/* a last one: how long it has to recover shall not depend on when the one before was sent
	 */
	if (hangs && !d->engine_hangs)
		sd_notify(0, "WATCHDOG=1");
	if (hangs != d->engine_hangs)
		sd_event_set_watchdog(d->event, !hangs);
	d->engine_hangs = hangs;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ember_daemon *d = userdata;
	int r;

	check_engine(d);
	hold_settings(d);
	tell_systemd(d);
	r = sd_event_source_set_time(source, now_ns() / 1000 + TICK_USEC);
	/* a timer goes off once; it must be asked for again */
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int get_status(struct ember_status *ret, void *userdata)
{
	struct ember_daemon *d = userdata;

	ember_engine_status(d->engine, ret);
	snprintf(ret->policy_error, sizeof(ret->policy_error), "%s", d->policy_error);
	ret->policy_loaded_ns = d->policy_loaded_ns;
	ember_balancing_tell(&d->balancing, ret);
	ember_aging_tell(&d->aging, ret);
	return 0;
}

static int add_events(struct ember_daemon *d)
{
	uint64_t now;
	int r;

	r = sd_event_add_signal(d->event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, on_terminate,
				d);
	if (r < 0)
		return r;
	r = sd_event_add_signal(d->event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, on_terminate, d);
	if (r < 0)
		return r;
	r = sd_event_add_signal(d->event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_reload, d);
	if (r < 0)
		return r;
	r = sd_event_now(d->event, CLOCK_MONOTONIC, &now);
	if (r < 0)
		return r;
	r = sd_event_add_time(d->event, NULL, CLOCK_MONOTONIC, now + TICK_USEC, USEC_PER_SEC,
			      on_tick, d);
	if (r < 0)
		return r;
	return sd_event_set_watchdog(d->event, true);
}

static int make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Only while the lock is held may anything of the machine be changed. */
static int take_lock(void)
{
	_cleanup_close_ int fd = -1;
	int r = make_directory(EMBER_RUN_DIR);

	if (r == 0)
		r = make_directory(LOCK_DIR);
	if (r < 0)
		return r;
	fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static enum ember_exit run(struct ember_daemon *d, struct ember_policy *policy)
{
	enum ember_sampler_reason sampler_reason = EMBER_SAMPLER_OK;
	struct ember_engine_config config = {
	    .sys_root = "/sys", .proc_root = "/proc", .observe_only = d->options->observe_only};
	enum ember_engine_reason reason;
	char path[PATH_MAX];
	int r;

	if (getrandom(&config.seed, sizeof(config.seed), 0) != sizeof(config.seed)) {
		log_err("no random numbers: %m");
		ember_policy_free(policy);
		return EMBER_EXIT_FAILURE;
	}
	/* Signals are for the event loop: block them before there are other threads. */
	r = add_events(d);
	if (r < 0) {
		log_err("cannot set up the event loop: %s", strerror(-r));
		ember_policy_free(policy);
		return EMBER_EXIT_FAILURE;
	}
	take_policy(d, policy);
	r = ember_engine_start(&config, policy, &d->engine, &reason, &sampler_reason);
	if (r < 0)
		return explain(reason, sampler_reason, r);
	r = sd_event_add_io(d->event, NULL, ember_engine_ended_fd(d->engine), EPOLLIN,
			    on_engine_ended, d);
	if (r < 0)
		return EMBER_EXIT_FAILURE;
	hold_settings(d);
	snprintf(path, sizeof(path), "%s/status.sock", d->options->runtime_dir);
	r = make_directory(d->options->runtime_dir);
	if (r == 0)
		r = ember_status_server_new(d->event, path, get_status, d, &d->status_server);
	if (r < 0) {
		log_err("cannot listen on %s: %s", path, strerror(-r));
		return EMBER_EXIT_FAILURE;
	}
	sd_notify(0, "READY=1");
	log_info("ready%s", d->options->observe_only ? ", only observing: nothing is moved" : "");
	r = sd_event_loop(d->event);
	sd_notify(0, "STOPPING=1");
	return r < 0 ? EMBER_EXIT_FAILURE : r;
}

enum ember_exit ember_daemon_run(const struct ember_options *options)
{
	static struct ember_daemon d; /* large */
	_cleanup_close_ int lock = -1;
	struct ember_policy_error error = {"not enough memory for the policy"};
	struct ember_policy *policy;
	enum ember_exit status;
	int r;

	d = (struct ember_daemon){.options = options};
	/* Heat is other people's data: no core dumps, no ptrace by the same user. */
	prctl(PR_SET_DUMPABLE, 0);
	r = load_policy(options, &policy, &error);
	if (r < 0) {
		log_err("%s", error.text);
		return EMBER_EXIT_POLICY;
	}
	if (options->check_only) {
		printf("policy: %zu rules, %zu tier overrides: ok\n", policy->nr_rules,
		       policy->nr_tiers);
		ember_policy_free(policy);
		return EMBER_EXIT_OK;
	}
	if (check_capabilities() < 0) {
		ember_policy_free(policy);
		return EMBER_EXIT_PRIVILEGE;
	}
	lock = take_lock();
	if (lock < 0) {
		if (lock == -EWOULDBLOCK)
			log_err("another emberd runs (it holds " LOCK_PATH "): stop it first");
		else
			log_err("cannot lock " LOCK_PATH ": %s", strerror(-lock));
		ember_policy_free(policy);
		return lock == -EWOULDBLOCK ? EMBER_EXIT_RUNNING : EMBER_EXIT_FAILURE;
	}
	r = sd_event_default(&d.event);
	if (r < 0) {
		log_err("no event loop: %s", strerror(-r));
		ember_policy_free(policy);
		return EMBER_EXIT_FAILURE;
	}
	ember_lease_init(&d.lease, options->helper_socket);
	ember_balancing_init(&d.balancing, &d.lease);
	ember_aging_init(&d.aging, &d.lease);
	status = run(&d, policy);
	ember_status_server_free(d.status_server);
	d.engine = ember_engine_stop(d.engine);
	ember_balancing_restore(&d.balancing);
	ember_aging_restore(&d.aging);
	sd_event_unref(d.event);
	return status;
}
