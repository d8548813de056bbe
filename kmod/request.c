// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doing one request: process identity -> mm, then region by region.
 *
 * The reference on the mm (mm_users) keeps page tables alive, and with them it
 * would keep the memory of a process that wants to exit. So it is held for one
 * request only, given up between two regions as soon as nobody else uses the mm
 * (exit and exec), and dropped with mmput_async(): tearing a whole address space
 * down is not this worker's job.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "migrate.h"
#include "request.h"

/**
 * ember_request_alloc() - a request with all fields zero but nr_regions
 * @nr_regions: room for so many
 *
 * Charged to the memory cgroup of the client. Return: NULL when out of memory.
 */
struct ember_request *ember_request_alloc(unsigned int nr_regions)
{
	struct ember_request *req;

	req = kvzalloc(struct_size(req, regions, nr_regions), GFP_KERNEL_ACCOUNT);
	if (req)
		req->nr_regions = nr_regions;
	return req;
}

void ember_request_free(struct ember_request *req)
{
	kvfree(req);
}

/* Is there a reason to try no further region? 0: no. */
static int stop_reason(const struct ember_request *req, struct mm_struct *mm)
{
	if (READ_ONCE(req->cancelled))
		return -ECANCELED;
	/* Only our reference is left, or the OOM reaper takes the memory apart. */
	if (atomic_read(&mm->mm_users) == 1 || check_stable_address_space(mm))
		return -ESRCH;
	return 0;
}

static u8 status_outcome(int status)
{
	switch (status) {
	case -ESRCH:
		return EMBER_OUTCOME_GONE;
	case -ECANCELED:
		return EMBER_OUTCOME_CANCELLED;
	default:
		return EMBER_OUTCOME_NO_MEMORY;
	}
}

static void fill_rest(struct ember_request *req, u32 first, int status)
{
	for (u32 i = first; i < req->nr_regions; i++)
		memset(req->regions[i].outcome, status_outcome(status),
		       sizeof(req->regions[i].outcome));
}

/* *ret_done: regions that have their outcomes. */
static int run_regions(struct ember_request *req, struct mm_struct *mm, u32 *ret_done)
{
	struct ember_batch *batch;
	int err = 0;
	u32 i;

	batch = ember_batch_alloc(req->nid, req->flags & EMBER_MIGRATE_SHARED);
	if (!batch)
		return -ENOMEM;
	for (i = 0; i < req->nr_regions; i++) {
		err = stop_reason(req, mm);
		if (err)
			break;
		req->nr_moved += ember_migrate_region(batch, mm, &req->regions[i]);
		cond_resched();
	}
	*ret_done = i;
	ember_batch_free(batch);
	return err;
}

static int run(struct ember_request *req, u32 *ret_done)
{
	struct mm_struct *mm;
	int err;

	if (READ_ONCE(req->cancelled))
		return -ECANCELED;
	mm = ember_target_mm(&req->target);
	if (IS_ERR(mm))
		return -ESRCH;
	err = run_regions(req, mm, ret_done);
	mmput_async(mm);
	return err;
}

/**
 * ember_request_run() - do the work and fill in the result
 * @req: nobody else writes to it meanwhile, but for cancelled
 *
 * Sleeps. Afterwards every asked page has an outcome, and status, time_ns and
 * nr_moved are set.
 */
void ember_request_run(struct ember_request *req)
{
	u64 begin_ns = ktime_get_ns();
	u32 done = 0;

	req->status = run(req, &done);
	if (req->status)
		fill_rest(req, done, req->status);
	req->time_ns = ktime_get_ns() - begin_ns;
}
