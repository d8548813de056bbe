/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of the engine thread, shared by the files that make up its stages and by no
 * other: follow (who), scan (sample and score), move (plan, execute, account), report.
 */
#ifndef EMBER_ENGINE_STATE_H
#define EMBER_ENGINE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "cadence.h"
#include "cooldown.h"
#include "engine.h"
#include "heart.h"
#include "mover.h"
#include "plan.h"
#include "process.h"
#include "quota.h"
#include "score.h"
#include "watch_hands.h"

#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC 1000000000ULL
#define PAGE_BYTES 4096ULL

/* Events that wait to be handled; more wait in the ring. */
#define EMBER_MAX_EVENTS 1024

/*
 * Fault samples taken at once. The ring holds about 5000; a machine with many CPUs may fill it as
 * fast as one thread empties it, so somebody must say when that is enough.
 */
#define EMBER_MAX_FAULTS 8192

/* Placements of processes that are not followed yet; the oldest give way. */
#define EMBER_MAX_EARLY_HANDS 256

/* CPU share is told over the last minute. */
#define NR_CPU_SAMPLES 61

struct cpu_sample {
	uint64_t time_ns;
	uint64_t cpu_ns; /* daemon and module */
};

struct ember_engine {
	struct ember_engine_config config;
	pthread_t thread;
	int wake_fd;  /* messages for the thread */
	int ended_fd; /* the thread ended by itself */
	atomic_bool stop;
	struct ember_heart heart;

	pthread_mutex_t lock;
	struct ember_policy *new_policy; /* under lock */
	struct ember_status published;   /* under lock */

	/* Below: the thread's own. */
	struct ember_policy *policy;
	struct ember_topology topo;
	struct ember_sampler *sampler;
	uint32_t fault_period;        /* what the sampler was loaded with */
	uint64_t kept_faults_sampled; /* counted by samplers before this one */
	uint64_t kept_events_lost;
	uint64_t events_lost;     /* by samplers, as last told */
	uint64_t kept_hands_lost; /* by watches before the one of now */
	struct ember_movers *movers;
	struct ember_genl *genl; /* to ask the module; NULL: it did not answer */
	bool channel_missing;    /* as ember_copies_notice() */
	struct ember_process_table processes;
	struct ember_event events[EMBER_MAX_EVENTS]; /* of lives, not handled yet */
	uint32_t nr_events;
	uint32_t nr_faults;                    /* taken by the taking under way */
	struct ember_hands_watch *hands_watch; /* NULL: the policy or the kernel does not have it */
	struct ember_hand_event early_hands[EMBER_MAX_EARLY_HANDS];
	uint32_t nr_early_hands; /* so far: the place of the next by its remainder */
	struct ember_cadence cadence;
	struct ember_calibration calibration;
	struct ember_mover_cost mover_cost;
	struct ember_cadence_obs obs;
	struct ember_cadence_step step;
	struct ember_plan plan;
	struct ember_plan_proc *plan_procs;
	uint32_t nr_plan_procs_alloc;
	struct ember_account account;
	struct ember_cooldown cooldown;
	struct ember_quota quota[EMBER_NR_DIRECTIONS];
	uint64_t rate[EMBER_NR_DIRECTIONS];     /* bytes/s that movers achieve, averaged */
	uint64_t inflight[EMBER_NR_DIRECTIONS]; /* bytes */
	uint64_t charged_ns;   /* CPU time of the thread that the cadence knows of */
	uint64_t last_scan_ns; /* start of the last scan of all processes */
	uint64_t next_scan_ns;
	struct cpu_sample cpu[NR_CPU_SAMPLES];
	uint32_t nr_cpu;
	struct ember_status status; /* under construction */
};

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts = {};

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static inline uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* On to @stage, with a sign of life. */
void ember_engine_enter(struct ember_engine *e, enum ember_stage stage);

/* A sign of life within a stage: whatever may take long has several. */
void ember_engine_beat(struct ember_engine *e);

/* Read the memories anew: a pool has come or gone. */
void ember_engine_memories_changed(struct ember_engine *e);

#endif /* EMBER_ENGINE_STATE_H */
