// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset.mems and memory policies, which none of the exported migration steps look at.
 *
 * A policy that names the nodes (bind, interleave) is kept to; one that only prefers
 * (preferred, local) is not a bar, as it is none for the kernel when memory is short.
 * An area's own policy takes the place of its threads'. Which thread allocated a page
 * is not known, so without one the destination must suit every thread.
 *
 * What keeps the policies alive while they are read: a thread's is replaced and
 * dropped under its alloc_lock (do_set_mempolicy(), mpol_put_task_policy()), and so is
 * its mems_allowed (cpuset_change_task_nodemask()); an area's is replaced with the
 * mmap_lock held for writing.
 */
#include <linux/mempolicy.h>
#include <linux/mm_types.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/timekeeping.h>

#include <ember/sample.h>

#include "respect.h"

#ifndef CONFIG_NUMA
#error "Without CONFIG_NUMA there are no nodes to move pages between."
#endif

static bool binds(const struct mempolicy *policy)
{
	return policy && (policy->mode == MPOL_BIND || policy->mode == MPOL_INTERLEAVE ||
			  policy->mode == MPOL_WEIGHTED_INTERLEAVE);
}

/**
 * ember_respect_threads() - what all threads of a process leave
 * @leader: its group leader, of which the caller holds a reference
 * @ret_respect: filled in; true for the moment, as threads may change their mind
 */
void ember_respect_threads(struct task_struct *leader, struct ember_respect *ret_respect)
{
	struct task_struct *thread;

	nodes_setall(ret_respect->cpuset);
	nodes_setall(ret_respect->policy);
	rcu_read_lock();
	for_each_thread(leader, thread) {
		/* Changes of its cpuset pass it by, and it touches no memory. */
		if (READ_ONCE(thread->flags) & PF_EXITING)
			continue;
		task_lock(thread);
		nodes_and(ret_respect->cpuset, ret_respect->cpuset, thread->mems_allowed);
		if (binds(thread->mempolicy))
			nodes_and(ret_respect->policy, ret_respect->policy,
				  thread->mempolicy->nodes);
		task_unlock(thread);
	}
	rcu_read_unlock();
}

/* A process with a hundred thousand threads takes milliseconds to ask. */
#define ASK_SHARE 8
#define ASK_LIMIT_NS (100 * NSEC_PER_MSEC) /* also where asking was interrupted */

/**
 * ember_wishes_are_fresh() - need the threads not be asked again?
 * @wishes: what they said last
 *
 * They are asked before every hold of the mmap_lock, unless that would take more than one part
 * in nine of the time. So what changes is noticed after eight times what asking takes, 0.1 s at
 * most.
 */
bool ember_wishes_are_fresh(const struct ember_wishes *wishes)
{
	return wishes->asked_ns &&
	       ktime_get_ns() - wishes->asked_ns <
		       min_t(u64, ASK_SHARE * wishes->took_ns, ASK_LIMIT_NS);
}

/* They have just been asked, from @begin_ns on. */
void ember_wishes_note(struct ember_wishes *wishes, u64 begin_ns)
{
	wishes->asked_ns = ktime_get_ns();
	wishes->took_ns = wishes->asked_ns - begin_ns;
}

/**
 * ember_respect_allows() - may pages of an area go to a node?
 * @respect: of the threads of its process
 * @vma: the area; its mmap_lock is held for reading
 * @nid: the node; NUMA_NO_NODE: a pool, which is in no cpuset (it is ember's alone, so what
 *	cpusets share out does not hold it), and in no policy either: a bound area stays
 */
bool ember_respect_allows(const struct ember_respect *respect, const struct vm_area_struct *vma,
			  int nid)
{
	if (nid == NUMA_NO_NODE)
		return vma->vm_policy ? !binds(vma->vm_policy) : nodes_full(respect->policy);
	if (!node_isset(nid, respect->cpuset))
		return false;
	if (!vma->vm_policy)
		return node_isset(nid, respect->policy);
	return !binds(vma->vm_policy) || node_isset(nid, vma->vm_policy->nodes);
}

/*
 * Policies of shared memory belong to the file, by offset (and to a whole tmpfs mounted
 * with mpol=). Only whether there are any is looked at: to read one takes a reference
 * that modules cannot drop.
 */
static bool file_has_policies(const struct file *file)
{
	struct inode *inode = file_inode(file);

	return ember_is_shmem(inode) && !RB_EMPTY_ROOT(&SHMEM_I(inode)->policy.root);
}

/**
 * ember_respect_is_bound() - does the area have a policy that names its nodes?
 * @vma: the area; its mmap_lock is held for reading
 *
 * Return: true also for shared memory with a policy of any kind.
 */
bool ember_respect_is_bound(const struct vm_area_struct *vma)
{
	return binds(vma->vm_policy) || (vma->vm_file && file_has_policies(vma->vm_file));
}

/*
 * Bit i: memory i suits the policies of all threads, for areas that have none of their own.
 * Without policies that goes for pools too, now or later.
 */
u32 ember_respect_policy_nodes(const struct ember_respect *respect)
{
	return *nodes_addr(respect->policy) & (BIT_ULL(EMBER_MEM_UNKNOWN) - 1);
}

/* The same, and their cpusets, which do not hold the numbers that no node can have: pools. */
u32 ember_respect_nodes(const struct ember_respect *respect)
{
	unsigned long cpuset = *nodes_addr(respect->cpuset) | ~*nodes_addr(node_states[N_POSSIBLE]);

	return cpuset & ember_respect_policy_nodes(respect);
}
