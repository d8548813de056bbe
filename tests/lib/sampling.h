/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EMBER_TESTS_SAMPLING_H
#define EMBER_TESTS_SAMPLING_H

#include "daemon/sample.h"

/* A sampler without fault sampling; loads the module if need be. Exits on failure. */
struct ember_sampler *start_sampler(void);

/* The same with a configuration. */
struct ember_sampler *start_sampler_with(const struct ember_sampler_config *config);

/* Identity of a process that must exist. */
struct ember_proc_id identify(struct ember_sampler *sampler, uint32_t tgid);

#endif
