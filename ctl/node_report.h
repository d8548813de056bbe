/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a node kept for ember, and what leaks in? The answer is a JSON object:
 *
 *	node		its number
 *	kept		all checks hold and nothing leaks; absent: not known, as emberd does not run
 *	capacity_bytes, used_bytes
 *	followed_bytes	of processes that emberd follows, as far as they have it mapped
 *	unevictable_bytes
 *	checks		[{check, holds, detail, advice}]; holds is absent where it is not known
 *	leaks		[{leak, bytes, pid, comm, cgroup, sentence, advice}]; pid, comm and cgroup
 *of the leak "process" only
 */
#ifndef EMBER_CTL_NODE_REPORT_H
#define EMBER_CTL_NODE_REPORT_H

#include <stdio.h>

#include <systemd/sd-json.h>

#include "ctl/node_read.h"

/*
 * @status: what GetStatus() returns to root, NULL if emberd does not run. 0; -ENXIO: no such node,
 * or one without memory; -ERANGE: one that ember cannot name; -EACCES: only root may look at all
 * processes; -ENOTSUP: no cgroup2; -EPROTO: that of an emberd of another version; -errno.
 */
int node_report_make(const struct node_roots *roots, unsigned int node, sd_json_variant *status,
		     sd_json_variant **ret);

/* A line that says what to do about an error of that, or of asking emberd for its status. */
void node_report_explain(int error, const struct node_roots *roots, unsigned int node, FILE *out);

void node_report_print(sd_json_variant *report, FILE *out);

#endif
