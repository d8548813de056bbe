// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving everything out of a pool.
 *
 * The kernel offers migrate_device_range() for that. It goes by page frames, without the
 * mmap_lock of anybody who maps them, and so without anything that keeps the anon_vma
 * which it follows back to them: a process that exits meanwhile may free it. Going from
 * process to process, with the lock of each held as for any other request, is slower and
 * has no such hole. A page that several processes map moves for all of them at once.
 *
 * Where to: the nearest node with room that suits the process; if none does, any node, as
 * when the kernel empties memory that is about to go offline.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "migrate.h"
#include "pool.h"
#include "request.h"
#include "respect.h"
#include "target.h"

/* Rounds over all processes. The pauses between them double from 10 ms: 2.5 s in all. */
#define ROUNDS 9
#define PAUSE_MS 10

/* Tries for the lock of one process before the round goes on without it. */
#define LOCK_TRIES 10
#define LOCK_PAUSE_US 500

/* Everything must go, from isolated CPUs' processes too: the administrator wants it. */
#define EMPTY_FLAGS (EMBER_MIGRATE_SHARED | EMBER_MIGRATE_EXCHANGE | EMBER_MIGRATE_ISOLATED)

struct emptying {
	struct ember_pool *pool;
	struct ember_batch *batch;
	struct ember_region *region;
	struct ember_pool_stuck *stuck; /* of the round */
	bool ask;			/* where a process wants its memory */
};

static bool is_empty(const struct ember_pool *pool)
{
	return !atomic_long_read(&pool->nr_used);
}

static bool lock_mm(struct mm_struct *mm)
{
	for (unsigned int try = 0; try < LOCK_TRIES; try++) {
		if (mmap_read_trylock(mm))
			return true;
		usleep_range(LOCK_PAUSE_US, 2 * LOCK_PAUSE_US);
	}
	return false;
}

/* Outcomes that pages of the pool have when they stay. */
static void note_stuck(struct emptying *e, u32 tgid)
{
	for (unsigned int i = 0; i < EMBER_REGION_PAGES; i++) {
		u8 what = e->region->outcome[i];

		if (what != EMBER_OUTCOME_PINNED && what != EMBER_OUTCOME_BUSY &&
		    what != EMBER_OUTCOME_NO_MEMORY && what != EMBER_OUTCOME_COPY_FAILED &&
		    what != EMBER_OUTCOME_RACED)
			continue;
		e->stuck->nr_by_outcome[what]++;
		e->stuck->tgid = tgid;
	}
}

/* The next 2 MiB at or behind @addr that holds anonymous memory. The lock is held. */
static bool next_region(struct mm_struct *mm, unsigned long *addr)
{
	VMA_ITERATOR(vmi, mm, *addr);
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (!vma_is_anonymous(vma))
			continue;
		*addr = max(*addr, ALIGN_DOWN(vma->vm_start, SZ_2M));
		return true;
	}
	return false;
}

/* Return: false when there is no further region, or the lock was not to be had. */
static bool empty_region(struct emptying *e, struct task_struct *leader, struct mm_struct *mm,
			 unsigned long *addr)
{
	struct ember_respect respect;
	bool found;

	if (ember_mm_is_dying(mm))
		return false;
	if (!lock_mm(mm)) {
		e->stuck->nr_locked++;
		e->stuck->tgid = leader->tgid;
		return false;
	}
	found = next_region(mm, addr);
	if (found) {
		if (e->ask)
			ember_respect_threads(leader, &respect);
		memset(e->region->asked, 0xff, sizeof(e->region->asked));
		e->region->addr = *addr;
		ember_migrate_pages(e->batch, mm, e->region, 0, EMBER_REGION_PAGES,
				    e->ask ? &respect : NULL);
		*addr += SZ_2M;
	}
	mmap_read_unlock(mm);
	if (found)
		note_stuck(e, leader->tgid);
	return found;
}

static void empty_process(struct emptying *e, struct task_struct *leader)
{
	struct mm_struct *mm = get_task_mm(leader);
	unsigned long addr = 0;

	if (!mm)
		return; /* a kernel thread, or a zombie (its threads come on their own) */
	while (!is_empty(e->pool) && empty_region(e, leader, mm, &addr))
		cond_resched();
	mmput_async(mm);
}

/*
 * All threads, as a leader may have exited while others live on: with a reference each.
 * Those of one process share its mm, of which one is enough: the first that has any.
 */
static unsigned int collect_tasks(struct task_struct **tasks, unsigned int room)
{
	struct task_struct *process, *thread;
	unsigned int nr = 0;

	rcu_read_lock();
	for_each_process(process) {
		for_each_thread(process, thread) {
			if (!READ_ONCE(thread->mm) || (thread->flags & PF_KTHREAD))
				continue;
			if (nr < room) {
				get_task_struct(thread);
				tasks[nr] = thread;
			}
			nr++;
			break;
		}
	}
	rcu_read_unlock();
	return nr;
}

static int empty_processes(struct emptying *e)
{
	unsigned int room = collect_tasks(NULL, 0) + 64, nr;
	struct task_struct **tasks = kvcalloc(room, sizeof(*tasks), GFP_KERNEL);

	if (!tasks)
		return -ENOMEM;
	nr = min(collect_tasks(tasks, room), room); /* the rest in the next round */
	for (unsigned int i = 0; i < nr; i++) {
		empty_process(e, tasks[i]);
		put_task_struct(tasks[i]);
	}
	kvfree(tasks);
	return 0;
}

/* Into one node. */
static int empty_into(struct emptying *e, int nid)
{
	struct ember_dest dest = { .nid = nid };
	int err;

	err = ember_batch_alloc(&dest, EMPTY_FLAGS, &e->batch);
	if (err)
		return err;
	ember_batch_only_from(e->batch, e->pool);
	err = empty_processes(e);
	ember_batch_free(e->batch);
	return err;
}

static long drain_this_cpu(void *arg)
{
	struct folio_batch none;

	folio_batch_init(&none);
	__folio_batch_release(&none); /* lru_add_drain(), which is not exported */
	return 0;
}

/*
 * Pages of memory that is locked (mlock(2)) wait in a list of the CPU that has unmapped
 * them, with a reference each, until the CPU does more of that kind: an idle one, never.
 * As in the kernel's lru_add_drain_all(), a real-time task that never leaves its CPU is waited
 * for; so the CPUs are asked only when something is in the way.
 */
static void drain_cpus(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) /* one that goes offline is drained by that */
		work_on_cpu(cpu, drain_this_cpu, NULL);
}

static int take_nearest(int from, nodemask_t *left)
{
	int nid, nearest = first_node(*left);

	for_each_node_mask(nid, *left)
		if (node_distance(from, nid) < node_distance(from, nearest))
			nearest = nid;
	node_clear(nearest, *left);
	return nearest;
}

static int empty_round(struct emptying *e)
{
	nodemask_t left = node_states[N_MEMORY];
	int err = 0;

	while (!err && !is_empty(e->pool) && !nodes_empty(left)) {
		memset(e->stuck, 0, sizeof(*e->stuck)); /* of the last node: what was in the way */
		err = empty_into(e, take_nearest(e->pool->nid, &left));
	}
	return err;
}

static void note_unmapped(struct ember_pool *pool, struct ember_pool_stuck *stuck)
{
	unsigned long nr = atomic_long_read(&pool->nr_used);

	for (unsigned int i = 0; i <= EMBER_OUTCOME_MAX; i++)
		nr -= min(nr, stuck->nr_by_outcome[i]);
	stuck->nr_unmapped = nr;
}

/**
 * ember_pool_empty() - move all pages out
 * @pool: nobody can take pages of it any more
 * @ret_stuck: why it could not be done, with -EBUSY
 *
 * Sleeps, for some seconds if something is in the way. Return: 0, -EBUSY, -ENOMEM.
 */
int ember_pool_empty(struct ember_pool *pool, struct ember_pool_stuck *ret_stuck)
{
	struct emptying e = { .pool = pool, .stuck = ret_stuck };
	int err = 0;

	e.region = kzalloc(sizeof(*e.region), GFP_KERNEL);
	if (!e.region)
		return -ENOMEM;
	for (unsigned int round = 0; round < ROUNDS && !err && !is_empty(pool); round++) {
		if (round) {
			msleep(PAUSE_MS << (round - 1));
			drain_cpus();
		}
		e.ask = round == 0;
		err = empty_round(&e);
	}
	kfree(e.region);
	if (is_empty(pool))
		return 0;
	note_unmapped(pool, ret_stuck);
	return err ? err : -EBUSY;
}
