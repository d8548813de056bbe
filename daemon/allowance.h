/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a user may ask: each has a burst, and after it one answer per interval. Who asks more
 * often is not refused, only answered later. Pure.
 */
#ifndef EMBER_ALLOWANCE_H
#define EMBER_ALLOWANCE_H

#include <stdint.h>

/* 20 a second is ten times what "emberctl status --watch" asks for. */
#define EMBER_ALLOWANCE_INTERVAL_NS (50 * 1000000ULL)
#define EMBER_ALLOWANCE_BURST 20

/* More users than this at a time push out the one that asked longest ago, who begins anew. */
#define EMBER_ALLOWANCE_MAX_USERS 64

struct ember_allowance {
	struct {
		uint32_t uid;
		uint64_t asked_ns; /* 0: a free place */
		uint64_t paid_ns;  /* until then his answers use up his time */
	} users[EMBER_ALLOWANCE_MAX_USERS];
};

/* @uid asks at @now_ns (not 0): when may he be answered? @now_ns or later. */
uint64_t ember_allowance_take(struct ember_allowance *a, uint32_t uid, uint64_t now_ns);

#endif /* EMBER_ALLOWANCE_H */
