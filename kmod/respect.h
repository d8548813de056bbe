/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a process wants its memory, and where its cpuset lets it be. */
#ifndef EMBER_RESPECT_H
#define EMBER_RESPECT_H

#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/nodemask.h>
#include <linux/types.h>

struct task_struct;
struct vm_area_struct;

/* vma_is_shmem() and shmem_aops are not exported. */
static inline bool ember_is_shmem(const struct inode *inode)
{
	return inode->i_sb->s_magic == TMPFS_MAGIC;
}

/* Nodes that suit all threads of a process. */
struct ember_respect {
	nodemask_t cpuset;
	nodemask_t policy;	/* for areas that have no policy of their own */
};

/* What the threads leave, and when they were asked. Zeroed: they were not yet. */
struct ember_wishes {
	struct ember_respect respect;
	u64 asked_ns;
	u64 took_ns;
};

bool ember_wishes_are_fresh(const struct ember_wishes *wishes);
void ember_wishes_note(struct ember_wishes *wishes, u64 begin_ns);
void ember_respect_threads(struct task_struct *leader, struct ember_respect *ret_respect);
bool ember_respect_allows(const struct ember_respect *respect, const struct vm_area_struct *vma,
			  int nid);
bool ember_respect_is_bound(const struct vm_area_struct *vma);
u32 ember_respect_policy_nodes(const struct ember_respect *respect);
u32 ember_respect_nodes(const struct ember_respect *respect);

#endif /* EMBER_RESPECT_H */
