/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module's netlink family (include/uapi/linux/ember.h is its specification) as function
 * calls. The only file that knows libnl. One client belongs to one thread.
 */
#ifndef EMBER_GENL_H
#define EMBER_GENL_H

#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "copies.h"
#include "plan.h"
#include "proc_id.h"

struct ember_genl;

/* What the module says of itself. */
struct ember_genl_info {
	char version[64];
	uint32_t abi;
	uint32_t features;
	uint32_t max_regions; /* in one request */
	uint32_t credits;     /* open requests of one client */
	struct ember_copies copies;
};

/*
 * 0; -ENOENT: no such family (the module is not loaded); -EPROTO: the module speaks another
 * ABI (*ret_info, if given, says which); -errno. The client is to be given to ember_genl_close(),
 * which cancels what it has under way.
 */
int ember_genl_open(struct ember_genl **ret, struct ember_genl_info *ret_info);
struct ember_genl *ember_genl_close(struct ember_genl *genl);

/* What the module says now. 0 or -errno: then nothing is known of it, and @genl is to be closed. */
int ember_genl_get_info(struct ember_genl *genl, struct ember_genl_info *ret_info);

/*
 * Ask for one move of at most info.max_regions regions. @id: not 0, not in use. 0 when the
 * module has queued it; -EBUSY: no credit; -ESRCH: the process is gone; other -errno.
 */
int ember_genl_migrate(struct ember_genl *genl, uint64_t id, const struct ember_move *move,
		       const struct ember_move_region *regions);

/* What became of one request. */
struct ember_genl_result {
	uint64_t id;
	int status; /* 0 or -errno for the whole */
	uint64_t time_ns;
	uint64_t longest_lock_ns;     /* that a fault could have waited for the mmap_lock */
	uint64_t longest_unmapped_ns; /* and for a page on its way */
	uint32_t nr_moved;
	struct ember_fate_run *runs; /* over all selected pages; owned by the result */
	size_t nr_runs;
};

/*
 * Wait for the next result, fetch it again if the socket lost it, and free it in the module. 0;
 * -EAGAIN: none within @timeout_ms; -errno. *ret is to be given to ember_genl_result_clear().
 */
int ember_genl_wait(struct ember_genl *genl, int timeout_ms, struct ember_genl_result *ret);
void ember_genl_result_clear(struct ember_genl_result *result);

/* End a request as soon as possible; its result still comes. */
int ember_genl_cancel(struct ember_genl *genl, uint64_t id);

/*
 * Begin to own, or to give back, physical memory: 0 when it is under way, how it goes on is in
 * /sys/kernel/ember/poolID. @node: -1 for the one that the firmware says. -EPERM: needs
 * CAP_SYS_ADMIN; add: -EINVAL, -ERANGE, -EEXIST (overlaps a pool), -ENOSPC (no id left), -ENODEV
 * (no such node); remove: -ENOENT (no such pool), -EBUSY (being added or emptied); other -errno.
 */
int ember_genl_pool_add(struct ember_genl *genl, uint64_t start, uint64_t bytes, int node,
			uint32_t *ret_id);
int ember_genl_pool_remove(struct ember_genl *genl, uint32_t id);

#endif /* EMBER_GENL_H */
