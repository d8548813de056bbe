/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts of a process, read from procfs below a root that the caller names. Everything here
 * comes from the process itself or its owner and is hostile: bounded, never trusted.
 */
#ifndef EMBER_PROC_H
#define EMBER_PROC_H

#include <stdint.h>
#include <sys/types.h>

#include "topology.h"

struct ember_proc {
	char comm[16];
	char exe[256];      /* "" if deleted, too long, not readable: matches only "any" */
	char cgroup[256];   /* path below the cgroup root; "" likewise */
	uint32_t uid;       /* 0 if it runs with several */
	uint64_t rss_bytes; /* 0: a kernel thread or a zombie; without hugetlb pages */
	uint64_t hugetlb_bytes;
	uint16_t mems_allowed; /* of its first thread; bit i: node i */
};

/* 0, -ESRCH (gone), -errno. *ret is filled only on success. */
int ember_proc_read(const char *proc_root, uint32_t tgid, struct ember_proc *ret);

/*
 * Parts of the above, pure: the text of /proc/PID/status and /proc/PID/cgroup, and what
 * readlink() says of /proc/PID/exe (@len may be an error; "" if nothing is known for sure).
 */
int ember_proc_parse_status(const char *text, struct ember_proc *ret);
int ember_proc_parse_cgroup(const char *text, char *ret, size_t size);
void ember_proc_parse_exe(const char *link, ssize_t len, char *ret, size_t size);

/* A thread's line in /proc/PID/task/TID/stat: where it last ran, and for how long in all. */
struct ember_thread_time {
	uint32_t cpu;
	uint64_t ticks;
};

/* Pure. 0 or -EINVAL. */
int ember_proc_parse_stat(const char *text, struct ember_thread_time *ret);

/*
 * The node whose CPUs run nearly all of the process: its threads (at most 64 are looked at) count
 * for the node where they last ran, by the CPU time that they have used in their life, so that a
 * thread that only waits has no say. EMBER_NO_NODE if unknown, or if no node has three quarters.
 */
uint8_t ember_proc_home(const char *proc_root, uint32_t tgid, const struct ember_topology *topo);

/* Calls @each for every process number below @proc_root. 0 or -errno. */
int ember_proc_for_each(const char *proc_root, void (*each)(uint32_t tgid, void *userdata),
			void *userdata);

#endif /* EMBER_PROC_H */
