/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: one thread that runs sample -> score -> plan -> execute -> account over and
 * over. It owns all state that these stages share; others see it through snapshots and
 * change it through messages.
 */
#ifndef EMBER_ENGINE_H
#define EMBER_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "genl.h"
#include "heart.h"
#include "policy.h"
#include "sample.h"
#include "status.h"

struct ember_engine;

struct ember_engine_config {
	const char *sys_root;  /* "/sys" */
	const char *proc_root; /* "/proc" */
	bool observe_only;     /* do all but the moves */
	uint64_t seed;         /* random: for hashes over what others may choose */
};

/* What kept the engine from starting; the exit status of the daemon follows from it. */
enum ember_engine_reason {
	EMBER_ENGINE_OK,
	EMBER_ENGINE_ONE_TIER,     /* a machine with one memory tier */
	EMBER_ENGINE_TOPOLOGY,     /* sysfs cannot be read */
	EMBER_ENGINE_SAMPLER,      /* see *ret_sampler_reason */
	EMBER_ENGINE_NO_MODULE,    /* no netlink family */
	EMBER_ENGINE_OTHER_MODULE, /* another ABI */
	EMBER_ENGINE_SYSTEM,       /* memory, threads */
};

/*
 * Opens sampler and movers and starts the thread. Takes @policy over, also on failure. 0 or
 * -errno with *ret_reason.
 */
int ember_engine_start(const struct ember_engine_config *config, struct ember_policy *policy,
		       struct ember_engine **ret, enum ember_engine_reason *ret_reason,
		       enum ember_sampler_reason *ret_sampler_reason);

/* Ends the thread, detaches everything. NULL is fine. Returns NULL. */
struct ember_engine *ember_engine_stop(struct ember_engine *engine);

/* From the next round on @policy is in force; takes it over. */
void ember_engine_set_policy(struct ember_engine *engine, struct ember_policy *policy);

/* The last snapshot. */
void ember_engine_status(struct ember_engine *engine, struct ember_status *ret);

/* For how long the thread has given no sign of life, and what it was at. */
struct ember_silence ember_engine_listen(struct ember_engine *engine);

/* Readable when the thread has ended by itself (the module went away, say). */
int ember_engine_ended_fd(const struct ember_engine *engine);

#endif /* EMBER_ENGINE_H */
