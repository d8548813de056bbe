// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/node_read.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/escape.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/open_at.h"

#define NODE_DIR "devices/system/node"
#define MAX_NODES 1024

/* /proc/PID/stat */
#define PF_KTHREAD 0x00200000

/* The first line without its end. False: there is none. */
static bool read_line(FILE *f, char *ret, size_t size)
{
	ret[0] = '\0';
	if (!f || !fgets(ret, (int)size, f))
		return false;
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

/* Appends " @text"; what has no room ends in "...". */
static void append(char *list, size_t size, const char *text)
{
	size_t len = strlen(list);

	if (len + strlen(text) + 2 < size)
		snprintf(list + len, size - len, "%s%s", len ? " " : "", text);
	else if (len + 3 < size && (len < 3 || strcmp(list + len - 3, "...") != 0))
		snprintf(list + len, size - len, "...");
}

/* Is @n in a list such as "0-3,8"? */
static bool list_holds(const char *list, unsigned int n)
{
	while (*list) {
		char *end;
		unsigned long from = strtoul(list, &end, 10), to = from;

		if (end == list)
			return false;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if (n >= from && n <= to)
			return true;
		list = *end == ',' ? end + 1 : end;
	}
	return false;
}

/* ---- the node ---- */

uint64_t node_read_meminfo(const struct node_roots *roots, unsigned int node, const char *name)
{
	_cleanup_fclose_ FILE *f = open_at(roots->sys, NODE_DIR "/node%u/meminfo", node);
	char line[160], key[64];
	uint64_t kib;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Node %*u %63[^:]: %" SCNu64 " kB", key, &kib) == 2 &&
		    !strcmp(key, name))
			return kib * 1024;
	return 0;
}

int node_read_cpus(const struct node_roots *roots, unsigned int node, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = open_at(roots->sys, NODE_DIR "/node%u/cpulist", node);

	if (!f)
		return -errno;
	read_line(f, ret, size);
	return 0;
}

void node_read_others(const struct node_roots *roots, unsigned int node, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = open_at(roots->sys, NODE_DIR "/has_memory");
	char list[256];

	ret[0] = '\0';
	if (!read_line(f, list, sizeof(list)))
		return;
	for (unsigned int n = 0; n < MAX_NODES; n++) {
		unsigned int first = n;
		size_t len = strlen(ret);

		if (n == node || !list_holds(list, n))
			continue;
		while (n + 1 < MAX_NODES && n + 1 != node && list_holds(list, n + 1))
			n++;
		snprintf(ret + len, size - len, n > first ? "%s%u-%u" : "%s%u", len ? "," : "",
			 first, n);
	}
}

int node_read_zones(const struct node_roots *roots, unsigned int node, uint64_t *ret_present,
		    uint64_t *ret_movable)
{
	_cleanup_fclose_ FILE *f = open_at(roots->proc, "zoneinfo");
	char line[256], zone[32] = "";
	unsigned int id = UINT_MAX;
	uint64_t nr;

	*ret_present = *ret_movable = 0;
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %u, zone %31s", &id, zone) == 2 || id != node ||
		    sscanf(line, " present %" SCNu64, &nr) != 1)
			continue;
		*ret_present += nr;
		if (!strcmp(zone, "Movable"))
			*ret_movable += nr;
	}
	return 0;
}

uint64_t node_read_hugetlb(const struct node_roots *roots, unsigned int node)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *d;
	uint64_t bytes = 0;

	snprintf(path, sizeof(path), "%s/" NODE_DIR "/node%u/hugepages", roots->sys, node);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		_cleanup_fclose_ FILE *f = NULL;
		uint64_t kib, nr;

		if (sscanf(d->d_name, "hugepages-%" SCNu64 "kB", &kib) != 1)
			continue;
		f = open_at(path, "%s/nr_hugepages", d->d_name);
		if (f && fscanf(f, "%" SCNu64, &nr) == 1)
			bytes += nr * kib * 1024;
	}
	return bytes;
}

/* ---- control groups ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && !strcmp(text + len - n, end);
}

/* Units of mounts have control groups, too, in which a helper runs for a moment. */
static bool counts(const struct node_roots *roots, const char *name)
{
	_cleanup_fclose_ FILE *f = NULL;
	char line[64];

	if (ends_with(name, ".slice") || ends_with(name, ".scope"))
		return true;
	f = open_at(roots->cgroup, "%s/cgroup.events", name);
	while (f && fgets(line, sizeof(line), f))
		if (!strcmp(line, "populated 1\n"))
			return true;
	return false;
}

/* Without the file the controller is off, and the group may have what its parent may. */
static bool may_allocate(const struct node_roots *roots, const char *name, unsigned int node)
{
	_cleanup_fclose_ FILE *f = open_at(roots->cgroup, "%s/cpuset.mems.effective", name);
	char list[256];

	return !f || (read_line(f, list, sizeof(list)) && list_holds(list, node));
}

int node_read_cgroups(const struct node_roots *roots, unsigned int node, char *ret, size_t size,
		      unsigned int *ret_nr)
{
	_cleanup_fclose_ FILE *controllers = open_at(roots->cgroup, "cgroup.controllers");
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;

	ret[0] = '\0';
	*ret_nr = 0;
	if (!controllers)
		return errno == ENOENT ? -ENOTSUP : -errno;
	dir = opendir(roots->cgroup);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		char name[sizeof(d->d_name) * 4];

		if (d->d_type != DT_DIR || d->d_name[0] == '.' || !counts(roots, d->d_name))
			continue;
		(*ret_nr)++;
		if (!may_allocate(roots, d->d_name, node))
			continue;
		ember_escape(d->d_name, sizeof(d->d_name), name, sizeof(name));
		append(ret, size, name);
	}
	return 0;
}

/* ---- processes ---- */

static void read_comm(const struct node_roots *roots, uint32_t pid, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = open_at(roots->proc, "%" PRIu32 "/comm", pid);
	char line[64];

	read_line(f, line, sizeof(line));
	ember_escape(line, sizeof(line), ret, size);
}

static void read_cgroup(const struct node_roots *roots, uint32_t pid, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = open_at(roots->proc, "%" PRIu32 "/cgroup", pid);
	char line[512];

	ret[0] = '\0';
	while (read_line(f, line, sizeof(line)))
		if (!strncmp(line, "0::", 3))
			ember_escape(line + 3, sizeof(line) - 3, ret, size);
}

/* Also one that is gone by now. *ret_parent: its parent. */
static bool is_kernel_thread(const struct node_roots *roots, uint32_t pid, uint32_t *ret_parent)
{
	_cleanup_fclose_ FILE *f = open_at(roots->proc, "%" PRIu32 "/stat", pid);
	char line[512];
	const char *rest;
	unsigned long flags;

	*ret_parent = 0;
	if (!read_line(f, line, sizeof(line)))
		return true;
	rest = strrchr(line, ')'); /* behind the name, which may hold anything */
	return rest &&
	       sscanf(rest, ") %*c %" SCNu32 " %*d %*d %*d %*d %lu", ret_parent, &flags) == 2 &&
	       flags & PF_KTHREAD;
}

/* A thread of the kernel, or a program that one has started (modprobe), which ends soon. */
static bool is_kernels(const struct node_roots *roots, uint32_t pid)
{
	uint32_t parent, grandparent;

	return is_kernel_thread(roots, pid, &parent) ||
	       (parent && is_kernel_thread(roots, parent, &grandparent));
}

int node_read_root_cgroup(const struct node_roots *roots, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = open_at(roots->cgroup, "cgroup.procs");
	uint32_t pid;

	ret[0] = '\0';
	if (!f)
		return -errno;
	while (fscanf(f, "%" SCNu32, &pid) == 1) {
		char comm[64], text[96];

		if (!pid || is_kernels(roots, pid))
			continue;
		read_comm(roots, pid, comm, sizeof(comm));
		snprintf(text, sizeof(text), "%" PRIu32 " (%s)", pid, comm);
		append(ret, size, text);
	}
	return 0;
}

/* "00400000 default anon=5 N0=3 N1=2 kernelpagesize_kB=4": bytes on the node. */
static uint64_t bytes_of_area(const char *line, unsigned int node)
{
	uint64_t nr = 0, kib = 0;
	char key[16];
	const char *at;

	snprintf(key, sizeof(key), " N%u=", node);
	at = strstr(line, key);
	if (at)
		nr = strtoull(at + strlen(key), NULL, 10);
	at = strstr(line, " kernelpagesize_kB=");
	if (at)
		kib = strtoull(at + strlen(" kernelpagesize_kB="), NULL, 10);
	return nr * kib * 1024;
}

/* 0 or -errno; a process that is gone has nothing. */
static int read_numa_maps(const struct node_roots *roots, unsigned int node,
			  struct node_process *process)
{
	_cleanup_fclose_ FILE *f = open_at(roots->proc, "%" PRIu32 "/numa_maps", process->pid);
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	process->bytes = 0;
	if (!f)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (getline(&line, &size, f) > 0)
		process->bytes += bytes_of_area(line, node);
	return 0;
}

int node_read_processes(const struct node_roots *roots, unsigned int node,
			int (*each)(const struct node_process *process, void *userdata),
			void *userdata)
{
	_cleanup_closedir_ DIR *dir = opendir(roots->proc);
	struct dirent *d;
	int r = 0;

	if (!dir)
		return -errno;
	while (r >= 0 && (d = readdir(dir))) {
		struct node_process process;
		char *end;

		process.pid = strtoul(d->d_name, &end, 10);
		if (*end || end == d->d_name)
			continue;
		r = read_numa_maps(roots, node, &process);
		if (r < 0 || !process.bytes)
			continue;
		read_comm(roots, process.pid, process.comm, sizeof(process.comm));
		read_cgroup(roots, process.pid, process.cgroup, sizeof(process.cgroup));
		r = each(&process, userdata);
	}
	return r;
}
