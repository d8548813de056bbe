/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel tells of one NUMA node, and of who has memory there. Read below roots that
 * the caller names, so that tests run on directories.
 */
#ifndef EMBER_CTL_NODE_READ_H
#define EMBER_CTL_NODE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node_roots {
	const char *proc, *sys, *cgroup; /* what is mounted on /proc, /sys and /sys/fs/cgroup */
};

struct node_process {
	uint32_t pid;
	char comm[64];    /* escaped as in C */
	char cgroup[512]; /* the same; cut where it is too long */
	uint64_t bytes;   /* on the node */
};

/* Bytes of the node's meminfo, of the line of this name; 0: no such line. */
uint64_t node_read_meminfo(const struct node_roots *roots, unsigned int node, const char *name);

/* Its CPUs as a list, "" if it has none. 0, or -ENOENT: no such node. */
int node_read_cpus(const struct node_roots *roots, unsigned int node, char *ret, size_t size);

/* All other nodes with memory as a list: "0,2-3". */
void node_read_others(const struct node_roots *roots, unsigned int node, char *ret, size_t size);

/* Pages of its zones, together and in ZONE_MOVABLE. 0 or -errno. */
int node_read_zones(const struct node_roots *roots, unsigned int node, uint64_t *ret_present,
		    uint64_t *ret_movable);

/* Bytes in its pools of hugetlb pages, used or not. */
uint64_t node_read_hugetlb(const struct node_roots *roots, unsigned int node);

/*
 * The top-level control groups whose processes may allocate on the node, named in *ret, with blanks
 * between. Slices and scopes count also while they are empty; @ret_nr: how many were
 * looked at. 0; -ENOTSUP: there is no cgroup2; -errno.
 */
int node_read_cgroups(const struct node_roots *roots, unsigned int node, char *ret, size_t size,
		      unsigned int *ret_nr);

/* Processes in the root of the control groups, which has no cpuset; but for the kernel's own. */
int node_read_root_cgroup(const struct node_roots *roots, char *ret, size_t size);

/*
 * Calls @each for every process that maps pages of the node, until it returns a negative errno,
 * which is returned. -EACCES: other users' processes cannot be read.
 */
int node_read_processes(const struct node_roots *roots, unsigned int node,
			int (*each)(const struct node_process *process, void *userdata),
			void *userdata);

#endif
