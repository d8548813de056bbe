/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot as JSON, cut to what the asker may see. Totals of machine and memories are for
 * everyone; a process's totals for its user and those who may look at all; its addresses, which
 * undo address space randomization, for root and its user.
 *
 * Pure. The one file of the daemon, with the server, that knows of sd-json.
 */
#ifndef EMBER_STATUS_JSON_H
#define EMBER_STATUS_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-json.h>

#include "status.h"

struct ember_status_viewer {
	uint32_t uid;
	bool sees_all; /* member of the group ember-view */
};

/*
 * The object "status" of io.ember.Daemon.GetStatus(). Every number has its unit in its name. 0 or
 * -ENOMEM.
 */
int ember_status_json(const struct ember_status *status, const struct ember_status_viewer *viewer,
		      sd_json_variant **ret);

#endif
