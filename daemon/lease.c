// SPDX-License-Identifier: GPL-2.0-or-later
#include "lease.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "helper_client.h"
#include "log.h"

static const struct {
	const char *take, *give;
} requests[EMBER_NR_LEASE_ITEMS] = {
    [EMBER_LEASE_NUMA_BALANCING] = {"numa_balancing 0", "numa_balancing back"},
    [EMBER_LEASE_DAMON_STAT] = {"damon_stat N", "damon_stat back"},
};

void ember_lease_init(struct ember_lease *lease, const char *socket)
{
	*lease = (struct ember_lease){.socket = socket, .fd = -1};
}

void ember_lease_give_all(struct ember_lease *lease)
{
	if (lease->fd >= 0)
		close(lease->fd);
	lease->fd = -1;
	lease->held = 0;
}

int ember_lease_take(struct ember_lease *lease, enum ember_lease_item item, char *reply,
		     size_t size)
{
	int r = 0;

	if (lease->fd < 0)
		r = ember_helper_connect(lease->socket, &lease->fd);
	if (r == 0)
		r = ember_helper_call(lease->fd, requests[item].take, reply, size);
	if (r == 0)
		lease->held |= 1U << item;
	else if (r != -EREMOTEIO || !lease->held)
		/* out of step with the helper, or of no more use */
		ember_lease_give_all(lease);
	return r;
}

void ember_lease_give(struct ember_lease *lease, enum ember_lease_item item)
{
	char reply[EMBER_HELPER_MAX_REPLY];

	if (!ember_lease_holds(lease, item))
		return;
	lease->held &= ~(1U << item);
	/* A helper that cannot be asked is left: it puts back all, and the rest is taken again. */
	if (!lease->held ||
	    ember_helper_call(lease->fd, requests[item].give, reply, sizeof(reply)) < 0)
		ember_lease_give_all(lease);
}

bool ember_lease_holds(const struct ember_lease *lease, enum ember_lease_item item)
{
	return lease->held & (1U << item);
}

void ember_lease_check(struct ember_lease *lease)
{
	struct pollfd pfd = {.fd = lease->fd, .events = POLLIN};

	if (lease->fd < 0 || poll(&pfd, 1, 0) <= 0)
		return;
	log_warning("ember-helper ended: what it had switched off for emberd is as it was before");
	ember_lease_give_all(lease);
}
