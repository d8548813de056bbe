// SPDX-License-Identifier: GPL-2.0-or-later
#include "lease.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "helper_client.h"
#include "log.h"

#define NSEC_PER_SEC 1000000000ULL
#define FIRST_WAIT_NS (5 * NSEC_PER_SEC)
#define LONGEST_WAIT_NS (60 * NSEC_PER_SEC)

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

static void note_failure(struct ember_lease *lease, uint64_t now_ns)
{
	uint64_t wait_ns = FIRST_WAIT_NS;

	for (unsigned int i = 0; i < lease->nr_failed && wait_ns < LONGEST_WAIT_NS; i++)
		wait_ns *= 2;
	lease->nr_failed++;
	lease->retry_ns = now_ns + (wait_ns < LONGEST_WAIT_NS ? wait_ns : LONGEST_WAIT_NS);
}

int ember_lease_take(struct ember_lease *lease, enum ember_lease_item item, uint64_t now_ns,
		     char *reply, size_t size)
{
	int r = 0;

	if (now_ns < lease->retry_ns)
		return -EAGAIN;
	if (lease->fd < 0)
		r = ember_helper_connect(lease->socket, &lease->fd);
	if (r == 0)
		r = ember_helper_call(lease->fd, requests[item].take, reply, size);
	if (r == 0)
		lease->held |= 1U << item;
	else if (r != -EREMOTEIO || !lease->held)
		/* out of step with the helper, or of no more use */
		ember_lease_give_all(lease);
	if (r < 0)
		note_failure(lease, now_ns);
	else
		lease->nr_failed = 0;
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
