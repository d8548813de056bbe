// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One number per user: the time until which what he got is paid for. Each answer moves it on by
 * one interval; it may run ahead of now by the burst.
 */
#include "allowance.h"

#define BURST_NS (EMBER_ALLOWANCE_BURST * EMBER_ALLOWANCE_INTERVAL_NS)

/* Who asks and goes away again and again, unanswered, must not be shut out for ever. */
#define MAX_AHEAD_NS (2 * BURST_NS)

/* His place, or the one of the user that asked longest ago. */
static unsigned int place_of(const struct ember_allowance *a, uint32_t uid)
{
	unsigned int oldest = 0;

	for (unsigned int i = 0; i < EMBER_ALLOWANCE_MAX_USERS; i++) {
		if (a->users[i].asked_ns && a->users[i].uid == uid)
			return i;
		if (a->users[i].asked_ns < a->users[oldest].asked_ns)
			oldest = i;
	}
	return oldest;
}

uint64_t ember_allowance_take(struct ember_allowance *a, uint32_t uid, uint64_t now_ns)
{
	unsigned int i = place_of(a, uid);
	uint64_t paid_ns = now_ns;

	if (a->users[i].asked_ns && a->users[i].uid == uid && a->users[i].paid_ns > now_ns)
		paid_ns = a->users[i].paid_ns;
	paid_ns += EMBER_ALLOWANCE_INTERVAL_NS;
	if (paid_ns > now_ns + MAX_AHEAD_NS)
		paid_ns = now_ns + MAX_AHEAD_NS;
	a->users[i].uid = uid;
	a->users[i].asked_ns = now_ns;
	a->users[i].paid_ns = paid_ns;
	return paid_ns > now_ns + BURST_NS ? paid_ns - BURST_NS : now_ns;
}
