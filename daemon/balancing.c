// SPDX-License-Identifier: GPL-2.0-or-later
#include "balancing.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

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

void ember_balancing_init(struct ember_balancing *b, const char *helper_socket)
{
	*b = (struct ember_balancing){
	    .helper_socket = helper_socket, .helper_fd = -1, .value = -1, .saved = -1};
}

static void switch_off(struct ember_balancing *b)
{
	_cleanup_close_ int fd = -1;
	char reply[128] = "";
	int r = ember_helper_connect(b->helper_socket, &fd);

	if (r == 0)
		r = ember_helper_call(fd, "numa_balancing 0", reply, sizeof(reply));
	if (r < 0) {
		log_warning("cannot switch kernel.numa_balancing off through ember-helper (%s): it will "
			    "move pages against ember; \"sysctl kernel.numa_balancing=0\" ends that",
			    reply[0] ? reply : "not running?");
		return;
	}
	b->saved = b->value;
	b->value = 0;
	b->helper_fd = TAKE_FD(fd);
	log_info("kernel.numa_balancing switched from %d to 0 while emberd runs", b->saved);
}

/* The helper ended (killed, say): it has put the value back, and nothing is held any more. */
static void notice_lost_helper(struct ember_balancing *b)
{
	struct pollfd pfd = {.fd = b->helper_fd, .events = POLLIN};

	if (b->helper_fd < 0 || poll(&pfd, 1, 0) <= 0)
		return;
	log_warning("ember-helper ended: kernel.numa_balancing is no longer held");
	close(b->helper_fd);
	b->helper_fd = -1;
	b->saved = -1;
	b->told = false;
}

void ember_balancing_update(struct ember_balancing *b, uint32_t mode,
			    const struct ember_topology *topo)
{
	enum ember_numab_reason reason;
	bool wanted;

	notice_lost_helper(b);
	b->value = read_sysctl();
	reason = ember_numab_judge(topo, b->value);
	b->conflict = ember_numab_conflict(reason);
	if (b->helper_fd >= 0) {
		if (mode == EMBER_BALANCING_LEAVE)
			ember_balancing_restore(b);
		return;
	}
	wanted = mode == EMBER_BALANCING_OFF ? b->value > 0 : mode == EMBER_BALANCING_AUTO && b->conflict;
	if (b->conflict && !b->told)
		log_warning("automatic NUMA balancing (mode %d) %s%s", b->value,
			    ember_numab_sentence(reason),
			    wanted ? "" : ": the policy says to leave it");
	if (wanted && !b->told)
		switch_off(b);
	b->told = b->conflict || wanted;
}

void ember_balancing_restore(struct ember_balancing *b)
{
	if (b->helper_fd < 0)
		return;
	close(b->helper_fd); /* the helper puts the value back when it sees this */
	b->helper_fd = -1;
	b->saved = -1;
	log_info("kernel.numa_balancing given back");
}

void ember_balancing_tell(const struct ember_balancing *b, struct ember_status *ret)
{
	ret->numa_balancing = b->value;
	ret->numa_balancing_saved = b->saved;
	ret->numa_balancing_conflict = b->conflict;
}
