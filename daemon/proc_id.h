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

/*
 * Is it still the process of that number, as procfs says?
 *
 * Start times count in clock ticks there, so a number that was given to another process within
 * the same tick would pass; it takes 4 million forks to do that.
 *
 * exec goes unnoticed: procfs does not show self_exec_id, and what it shows of an image (exe,
 * startcode) is the same when a program executes itself. What can happen is harmless: addresses of
 * the old image that the new one uses too are moved to the node asked for (or huge pages there
 * split), within the same process, cpuset and rights; the books count them as moved, and the exec
 * event has dropped the regions already.
 */
bool ember_proc_id_is_alive(const struct ember_proc_id *id);

#endif
