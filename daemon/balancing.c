// SPDX-License-Identifier: GPL-2.0-or-later
#include "balancing.h"

#include <stdio.h>

#include "helper_client.h"
#include "log.h"
#include "numab.h"
#include "policy.h"
#include "util/cleanup.h"

#define SYSCTL "/proc/sys/kernel/numa_balancing"

static int32_t read_sysctl(void)
{
	_cleanup_fclose_ FILE *f = fopen(SYSCTL, "re");
	int value;

	return f && fscanf(f, "%d", &value) == 1 ? value : -1;
}

void ember_balancing_init(struct ember_balancing *b, struct ember_lease *lease)
{
	*b = (struct ember_balancing){.lease = lease, .value = -1, .saved = -1};
}

static void switch_off(struct ember_balancing *b, uint64_t now_ns)
{
	char reply[EMBER_HELPER_MAX_REPLY] = "";
	int r =
	    ember_lease_take(b->lease, EMBER_LEASE_NUMA_BALANCING, now_ns, reply, sizeof(reply));

	if (r < 0) {
		if (!b->told)
			log_warning("cannot switch kernel.numa_balancing off through ember-helper "
				    "(%s), trying again: until then it moves pages against ember; "
				    "\"sysctl kernel.numa_balancing=0\" ends that",
				    reply[0] ? reply : "no answer");
		return;
	}
	b->saved = b->value;
	b->value = 0;
	log_info("kernel.numa_balancing switched from %d to 0 while emberd runs", b->saved);
}

static void notice_lost_helper(struct ember_balancing *b)
{
	if (b->saved < 0 || ember_lease_holds(b->lease, EMBER_LEASE_NUMA_BALANCING))
		return;
	b->saved = -1;
	b->told = false;
}

void ember_balancing_update(struct ember_balancing *b, uint32_t mode,
			    const struct ember_topology *topo, uint64_t now_ns)
{
	enum ember_numab_reason reason;
	bool wanted;

	notice_lost_helper(b);
	b->value = read_sysctl();
	reason = ember_numab_judge(topo, b->value);
	b->conflict = ember_numab_conflict(reason);
	if (b->saved >= 0) {
		if (mode == EMBER_BORROW_LEAVE)
			ember_balancing_restore(b);
		return;
	}
	wanted = mode == EMBER_BORROW_OFF ? b->value > 0 : mode == EMBER_BORROW_AUTO && b->conflict;
	if (b->conflict && !b->told)
		log_warning(
		    "automatic NUMA balancing (mode %d) %s%s", b->value,
		    ember_numab_sentence(reason),
		    wanted ? "" : ": it is left as it is, by policy or because nothing is moved");
	if (wanted)
		switch_off(b, now_ns);
	b->told = b->conflict || wanted;
}

void ember_balancing_restore(struct ember_balancing *b)
{
	if (b->saved < 0)
		return;
	ember_lease_give(b->lease, EMBER_LEASE_NUMA_BALANCING);
	b->saved = -1;
	log_info("kernel.numa_balancing given back");
}

void ember_balancing_tell(const struct ember_balancing *b, struct ember_status *ret)
{
	ret->numa_balancing = b->value;
	ret->numa_balancing_saved = b->saved;
	ret->numa_balancing_conflict = b->conflict;
}
