/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose memory: from the identity of a process to its address space. */
#ifndef EMBER_TARGET_H
#define EMBER_TARGET_H

#include <linux/types.h>

struct ember_respect;
struct mm_struct;

/* A process; a pid alone is reused, and exec puts another program behind it. */
struct ember_target {
	u64 start_ns; /* start_boottime of the group leader */
	u32 tgid;     /* in the initial pid namespace */
	u32 exec_id;  /* low half of self_exec_id */
};

int ember_target_check(const struct ember_target *target);
int ember_target_respect(const struct ember_target *target, struct ember_respect *ret_respect);
struct mm_struct *ember_target_mm(const struct ember_target *target);
bool ember_mm_is_dying(struct mm_struct *mm);

#endif /* EMBER_TARGET_H */
