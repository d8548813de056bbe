// SPDX-License-Identifier: GPL-2.0-or-later
#include "aging.h"

#include <errno.h>
#include <unistd.h>

#include "helper_client.h"
#include "log.h"

/* Readable by root only, but anybody may see that it is there. */
#define PARAMETER "/sys/module/damon_stat/parameters/enabled"

void ember_aging_init(struct ember_aging *aging, struct ember_lease *lease)
{
	bool present = access(PARAMETER, F_OK) == 0;

	*aging =
	    (struct ember_aging){.lease = lease, .state = ember_damonstat_judge(present, NULL)};
}

static void take(struct ember_aging *aging, uint64_t now_ns)
{
	char reply[EMBER_HELPER_MAX_REPLY] = "";
	int r =
	    ember_lease_take(aging->lease, EMBER_LEASE_DAMON_STAT, now_ns, reply, sizeof(reply));
	bool first = !aging->warned;

	if (r == -EAGAIN)
		return;
	aging->asked = r == 0;
	aging->warned = r < 0;
	aging->state = ember_damonstat_judge(true, r == 0 ? reply : NULL);
	if (r < 0 && first)
		log_warning("cannot switch DAMON_STAT off through ember-helper (%s): if it runs it "
			    "clears accessed bits, huge pages look colder than they are; \"echo N "
			    ">" PARAMETER "\" ends that",
			    reply[0] ? reply : "no answer");
	if (r < 0)
		return;
	if (aging->state != EMBER_DAMONSTAT_STEALS) {
		ember_lease_give(aging->lease, EMBER_LEASE_DAMON_STAT); /* nothing to hold */
		return;
	}
	aging->held = true;
	log_info("DAMON_STAT %s: switched off while emberd samples",
		 ember_damonstat_sentence(aging->state));
}

static void notice_lost_helper(struct ember_aging *aging)
{
	if (!aging->held || ember_lease_holds(aging->lease, EMBER_LEASE_DAMON_STAT))
		return;
	aging->held = false;
	aging->asked = false;
}

static uint64_t idle_ns(struct ember_aging *aging, uint32_t nr_followed, uint64_t now_ns)
{
	if (nr_followed)
		aging->last_followed_ns = now_ns;
	return aging->last_followed_ns ? now_ns - aging->last_followed_ns : UINT64_MAX;
}

void ember_aging_update(struct ember_aging *aging, uint32_t mode, uint32_t nr_followed,
			uint64_t now_ns)
{
	uint64_t idle = idle_ns(aging, nr_followed, now_ns);

	if (aging->state == EMBER_DAMONSTAT_ABSENT)
		return;
	notice_lost_helper(aging);
	if (!ember_damonstat_wanted(mode, idle)) {
		ember_aging_restore(aging);
		aging->asked = false;
	} else if (!aging->held && !aging->asked) {
		take(aging, now_ns);
	}
}

void ember_aging_restore(struct ember_aging *aging)
{
	if (!aging->held)
		return;
	ember_lease_give(aging->lease, EMBER_LEASE_DAMON_STAT);
	aging->held = false;
	log_info("DAMON_STAT given back");
}

void ember_aging_tell(const struct ember_aging *aging, struct ember_status *ret)
{
	ret->damon_stat = aging->state;
	ret->damon_stat_held = aging->held;
}
