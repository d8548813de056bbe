/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The identity of a process, the same in maps, netlink and books. */
#ifndef EMBER_PROC_ID_H
#define EMBER_PROC_ID_H

#include <stdbool.h>
#include <stdint.h>

/* A tgid alone is reused; with the start time and the exec count it names one address space. */
struct ember_proc_id {
	uint64_t start_boottime_ns;
	uint32_t tgid;
	uint32_t self_exec_id;
};

static inline bool ember_proc_id_equal(const struct ember_proc_id *a, const struct ember_proc_id *b)
{
	return a->tgid == b->tgid && a->start_boottime_ns == b->start_boottime_ns &&
	       a->self_exec_id == b->self_exec_id;
}

#endif
