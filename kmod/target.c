// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process identity -> task -> mm.
 *
 * exec installs the new mm first and counts self_exec_id up later, both under
 * exec_update_lock. Under that lock the identity that is checked and the mm that is
 * taken belong together.
 *
 * The lock is only ever tried for: exec may hold it for as long as a file system in
 * user space likes (request.c).
 */
#include <linux/err.h>
#include <linux/mm_types.h>
#include <linux/oom.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "respect.h"
#include "target.h"

/*
 * When a thread that is not the leader execs, it becomes the leader and inherits the
 * start time. The old leader's task, if it was found before, still carries the old
 * identity, but its signal_struct leads to the new image: so it must still be its own
 * leader. de_thread() changes that before exec_update_lock is taken for the new mm.
 */
static bool is_target(const struct task_struct *leader, const struct ember_target *target)
{
	return leader->start_boottime == target->start_ns &&
	       (u32)READ_ONCE(leader->self_exec_id) == target->exec_id &&
	       READ_ONCE(leader->group_leader) == leader;
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
	/* A zombie is found by its pid as long as nobody waits for it. */
	ok = is_target(leader, target) && atomic_read(&leader->signal->live);
	put_task_struct(leader);
	return ok ? 0 : -ESRCH;
}

/**
 * ember_target_respect() - where a process may have its memory
 * @target: its identity
 * @ret_respect: filled in on success
 *
 * Return: 0, or -ESRCH: it is gone, or another image by now. An exec that is under way
 * may be seen from either side: its old memory is on its way out anyhow.
 */
int ember_target_respect(const struct ember_target *target, struct ember_respect *ret_respect)
{
	struct task_struct *leader = target_leader(target);
	bool ok;

	if (!leader)
		return -ESRCH;
	ok = is_target(leader, target);
	if (ok)
		ember_respect_threads(leader, ret_respect);
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
	return mm ? mm : ERR_PTR(-ESRCH);
}

/**
 * ember_target_mm() - the address space of a process
 * @target: its identity
 *
 * Return: the mm with a reference on mm_users, to be dropped with mmput_async(); or
 * -ESRCH (no such process, or it has no memory any more), -ESTALE (the number belongs
 * to another process or another image by now), -EAGAIN (it is in the middle of an
 * exec, or being traced: try again) as an error pointer.
 */
struct mm_struct *ember_target_mm(const struct ember_target *target)
{
	struct task_struct *leader = target_leader(target);
	struct mm_struct *mm = ERR_PTR(-ESTALE);

	if (!leader)
		return ERR_PTR(-ESRCH);
	if (down_read_trylock(&leader->signal->exec_update_lock)) {
		if (is_target(leader, target))
			mm = group_mm(leader);
		up_read(&leader->signal->exec_update_lock);
	} else {
		mm = ERR_PTR(-EAGAIN);
	}
	put_task_struct(leader);
	return mm;
}

/**
 * ember_mm_is_dying() - has an address space no use left but to be taken apart?
 * @mm: of which the caller holds one reference on mm_users
 *
 * Return: true if that reference is the last one (exit, exec), or the OOM reaper was here:
 * its pages come back sooner if it is let go of. Another temporary user hides an exit.
 */
bool ember_mm_is_dying(struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users) == 1 || check_stable_address_space(mm);
}
