/* SPDX-License-Identifier: GPL-2.0-only */
/* A request to move pages: from its parsed form to its result. */
#ifndef EMBER_REQUEST_H
#define EMBER_REQUEST_H

#include <linux/ember.h>
#include <linux/list.h>
#include <linux/types.h>

#include "migrate.h"
#include "result.h"
#include "target.h"

struct ember_region {
	u64 addr;     /* 2 MiB aligned */
	u64 asked[8]; /* bit i of word w: page w * 64 + i */
	u8 outcome[EMBER_REGION_PAGES]; /* enum ember_outcome; valid where asked */
};

struct ember_request {
	struct list_head node; /* in the client's list, oldest first */
	u64 id;
	struct ember_target target;
	struct ember_dest dest;
	u32 flags; /* EMBER_MIGRATE_* */
	u32 limit_ns; /* of a wait; 0: none */
	enum ember_state state; /* under the clients' mutex */
	bool cancelled;	/* written by anybody, read between regions: READ/WRITE_ONCE */

	/* Written by ember_request_run(), read once state is EMBER_STATE_DONE. */
	int status;
	u64 time_ns;
	u64 longest_lock_ns;
	u64 longest_unmapped_ns;
	u32 nr_moved;

	u32 nr_asked;
	u32 nr_regions;
	struct ember_region regions[] __counted_by(nr_regions);
};

struct workqueue_struct;

struct ember_request *ember_request_alloc(unsigned int nr_regions);
void ember_request_free(struct ember_request *req);
void ember_request_run(struct ember_request *req, struct workqueue_struct *wq);

#endif /* EMBER_REQUEST_H */
