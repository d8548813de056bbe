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
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "entry.h"
#include "migrate.h"
#include "pool.h"
#include "request.h"
#include "respect.h"
#include "target.h"

/* Rounds over all processes. The pauses between them double from 10 ms: 2.5 s of pauses in all. */
#define ROUNDS 9
#define PAUSE_MS 10

/* Tries for the lock of one process before the round goes on without it. */
#define LOCK_TRIES 10
#define LOCK_PAUSE_US 500

/* Without a page that leaves for so long, the removal is over: hostile memory maps are large. */
#define PATIENCE_MS 120000

/* Tables walked in one hold of the lock of a process. */
#define WALK_TABLES 4096

/* Everything must go, from isolated CPUs' processes too: the administrator wants it. */
#define EMPTY_FLAGS (EMBER_MIGRATE_SHARED | EMBER_MIGRATE_EXCHANGE | EMBER_MIGRATE_ISOLATED)

struct emptying {
	struct ember_pool *pool;
	struct ember_batch *batch;
	struct ember_region *region;
	struct ember_pool_stuck stuck; /* of the pass over all processes under way */
	struct ember_pool_stuck *last; /* of the last pass that was completed */
	bool ask;			/* where a process wants its memory */
	struct ember_wishes wishes;	/* of the process under way */
	unsigned long patience;		/* jiffies: when it ends unless a page leaves */
	long nr_used;			/* when it began */
};

static bool is_empty(const struct ember_pool *pool)
{
	return !atomic_long_read(&pool->nr_used);
}

/* Return: false: nothing has left for too long. */
static bool goes_on(struct emptying *e)
{
	long nr = atomic_long_read(&e->pool->nr_used);

	if (nr < e->nr_used)
		e->patience = jiffies + msecs_to_jiffies(PATIENCE_MS);
	e->nr_used = nr;
	return nr && time_before(jiffies, e->patience);
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
		e->stuck.nr_by_outcome[what]++;
		e->stuck.tgid = tgid;
	}
}

/* Is there a table, or a huge page, for @addr, which an area covers? Else *next may have one. */
static bool has_table(struct mm_struct *mm, unsigned long addr, unsigned long *next)
{
	pmd_t *pmd = ember_find_entry(mm, addr, next);

	return pmd && !pmd_none(pmdp_get_lockless(pmd));
}

enum step { STEP_FOUND, STEP_END, STEP_PAUSE };

/*
 * The next 2 MiB at or behind *addr that has anonymous memory, which is found by the tables:
 * address space that is only reserved may be large. Areas without an anon_vma never had any.
 * The lock is held. PAUSE: let go of it, and go on.
 */
static enum step next_region(struct mm_struct *mm, unsigned long *addr)
{
	VMA_ITERATOR(vmi, mm, *addr);
	struct vm_area_struct *vma;
	unsigned int nr = 0;

	for_each_vma(vmi, vma) {
		unsigned long at = max(*addr, vma->vm_start), next;

		for (; at < vma->vm_end && vma_is_anonymous(vma) && vma->anon_vma; at = next) {
			*addr = ALIGN_DOWN(at, SZ_2M);
			if (has_table(mm, at, &next))
				return STEP_FOUND;
			*addr = next;
			if (++nr == WALK_TABLES)
				return STEP_PAUSE;
		}
	}
	return STEP_END;
}

static const struct ember_respect *ask(struct emptying *e, struct task_struct *leader)
{
	u64 begin_ns = ktime_get_ns();

	if (!e->ask)
		return NULL;
	if (!ember_wishes_are_fresh(&e->wishes)) {
		ember_respect_threads(leader, &e->wishes.respect);
		ember_wishes_note(&e->wishes, begin_ns);
	}
	return &e->wishes.respect;
}

/* One hold of the lock. Return: false when there is no further region, or it was not to be had. */
static bool empty_region(struct emptying *e, struct task_struct *leader, struct mm_struct *mm,
			 unsigned long *addr)
{
	const struct ember_respect *respect = ask(e, leader);
	enum step step;

	if (ember_mm_is_dying(mm))
		return false;
	if (!lock_mm(mm)) {
		e->stuck.nr_locked++;
		e->stuck.tgid = leader->tgid;
		return false;
	}
	step = next_region(mm, addr);
	if (step == STEP_FOUND) {
		memset(e->region->asked, 0xff, sizeof(e->region->asked));
		e->region->addr = *addr;
		ember_migrate_pages(e->batch, mm, e->region, 0, EMBER_REGION_PAGES, respect);
		*addr += SZ_2M;
	}
	mmap_read_unlock(mm);
	if (step == STEP_FOUND)
		note_stuck(e, leader->tgid);
	return step != STEP_END;
}

static void empty_process(struct emptying *e, struct task_struct *leader)
{
	struct mm_struct *mm = get_task_mm(leader);
	unsigned long addr = 0;

	if (!mm)
		return; /* a kernel thread, or a zombie (its threads come on their own) */
	memset(&e->wishes, 0, sizeof(e->wishes));
	while (goes_on(e) && empty_region(e, leader, mm, &addr))
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

/* What is neither moved nor stuck after all processes had their turn is mapped by none. */
static void note_pass(struct emptying *e)
{
	unsigned long nr = atomic_long_read(&e->pool->nr_used);

	for (unsigned int i = 0; i <= EMBER_OUTCOME_MAX; i++)
		nr -= min(nr, e->stuck.nr_by_outcome[i]);
	e->stuck.nr_unmapped = nr;
	*e->last = e->stuck;
}

static int empty_round(struct emptying *e)
{
	nodemask_t left = node_states[N_MEMORY];
	int err = 0;

	while (!err && goes_on(e) && !nodes_empty(left)) {
		memset(&e->stuck, 0, sizeof(e->stuck));
		err = empty_into(e, take_nearest(e->pool->nid, &left));
		if (goes_on(e))
			note_pass(e);
	}
	return err;
}

/**
 * ember_pool_empty() - move all pages out
 * @pool: nobody can take pages of it any more
 * @ret_stuck: why it could not be done, with -EBUSY
 *
 * Sleeps: as long as pages leave, and some seconds if something is in the way. Return: 0, -EBUSY,
 * -ENOMEM.
 */
int ember_pool_empty(struct ember_pool *pool, struct ember_pool_stuck *ret_stuck)
{
	struct emptying e = { .pool = pool, .last = ret_stuck };
	int err = 0;

	if (is_empty(pool))
		return 0;
	e.region = kzalloc(sizeof(*e.region), GFP_KERNEL);
	if (!e.region)
		return -ENOMEM;
	e.nr_used = LONG_MAX; /* patience begins with the first look */
	for (unsigned int round = 0; round < ROUNDS && !err && goes_on(&e); round++) {
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
	return err ? err : -EBUSY;
}
