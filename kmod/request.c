// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doing one request: process identity -> task -> mm, then region by region.
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
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
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

static bool is_target(const struct task_struct *leader, const struct ember_target *target)
{
	return leader->start_boottime == target->start_ns &&
	       READ_ONCE(leader->self_exec_id) == target->exec_id;
}

/* Returns the group leader with a reference, or NULL. */
static struct task_struct *target_leader(const struct ember_target *target)
{
	struct task_struct *leader = NULL;
	struct pid *pid;

	rcu_read_lock();
	pid = find_pid_ns(target->tgid, &init_pid_ns);
	if (pid)
		leader = get_pid_task(pid, PIDTYPE_TGID);
	rcu_read_unlock();
	return leader;
}

/**
 * ember_target_check() - does this process exist?
 * @target: its identity
 *
 * Return: 0 or -ESRCH. No more than a hint: it may be gone when this returns.
 */
int ember_target_check(const struct ember_target *target)
{
	struct task_struct *leader = target_leader(target);
	bool ok;

	if (!leader)
		return -ESRCH;
	ok = is_target(leader, target);
	put_task_struct(leader);
	return ok ? 0 : -ESRCH;
}

/* The leader may have exited (and lost its mm) while other threads live on. */
static struct mm_struct *group_mm(struct task_struct *leader)
{
	struct mm_struct *mm = NULL;
	struct task_struct *thread;

	rcu_read_lock();
	for_each_thread(leader, thread) {
		mm = get_task_mm(thread);
		if (mm)
			break;
	}
	rcu_read_unlock();
	return mm;
}

/*
 * exec installs the new mm first and counts self_exec_id up later, both under
 * exec_update_lock. Under that lock the identity that we check and the mm that we
 * take belong together.
 */
static struct mm_struct *target_mm(const struct ember_target *target)
{
	struct task_struct *leader = target_leader(target);
	struct mm_struct *mm = NULL;

	if (!leader)
		return NULL;
	down_read(&leader->signal->exec_update_lock);
	if (is_target(leader, target))
		mm = group_mm(leader);
	up_read(&leader->signal->exec_update_lock);
	put_task_struct(leader);
	return mm;
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
	mm = target_mm(&req->target);
	if (!mm)
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
