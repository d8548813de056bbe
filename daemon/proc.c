// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_THREADS_LOOKED_AT 64

/* Reads a small file of procfs into @buf and ends it with a NUL. Length or -errno. */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n, len = 0;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((size_t)len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += n;
	}
	buf[len] = 0;
	return len;
}

/* The value of "KEY:\t" in the text of a status file, or NULL. */
static const char *status_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line;
	     line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, key, len) && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
	return NULL;
}

/* "00000000,00000003": 32 bits a group, the lowest last. */
static uint16_t low_mask(const char *text)
{
	const char *end = text + strcspn(text, "\n"), *comma = memrchr(text, ',', end - text);

	return strtoul(comma ? comma + 1 : text, NULL, 16);
}

/*
 * Real, effective, saved and file system uid. A setuid program is its owner's only if all agree:
 * what is told to the user of a process must not tell him of a program that runs with more rights.
 */
static uint32_t owner_of(const char *uids)
{
	unsigned int real, effective, saved, fs;

	if (sscanf(uids, "%u %u %u %u", &real, &effective, &saved, &fs) != 4)
		return 0;
	return real == effective && real == saved && real == fs ? real : 0;
}

int ember_proc_parse_status(const char *text, struct ember_proc *ret)
{
	const char *name = status_value(text, "Name"), *uid = status_value(text, "Uid");
	const char *rss = status_value(text, "VmRSS"), *mems = status_value(text, "Mems_allowed");
	const char *hugetlb = status_value(text, "HugetlbPages");

	if (!name || !uid)
		return -EINVAL;
	snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int)strcspn(name, "\n"), name);
	ret->uid = owner_of(uid);
	ret->rss_bytes = rss ? strtoull(rss, NULL, 10) * 1024 : 0;
	ret->hugetlb_bytes = hugetlb ? strtoull(hugetlb, NULL, 10) * 1024 : 0;
	ret->mems_allowed = mems ? low_mask(mems) : UINT16_MAX;
	return 0;
}

int ember_proc_parse_cgroup(const char *text, char *ret, size_t size)
{
	const char *path = text;

	/* The unified hierarchy has the number 0 and no controllers: "0::/path". */
	while (path && strncmp(path, "0::", 3)) {
		path = strchr(path, '\n');
		path = path ? path + 1 : NULL;
	}
	if (!path)
		return -ENOENT;
	/* Cut off it would match what it is not, and not match what it is. */
	if (strcspn(path + 3, "\n") >= size)
		return -ENAMETOOLONG;
	snprintf(ret, size, "%.*s", (int)strcspn(path + 3, "\n"), path + 3);
	return 0;
}

void ember_proc_parse_exe(const char *link, ssize_t len, char *ret, size_t size)
{
	static const char deleted[] = " (deleted)";
	ssize_t end = len - (ssize_t)strlen(deleted);

	ret[0] = 0;
	if (len <= 0 || (size_t)len >= size)
		return;
	if (end >= 0 && !memcmp(link + end, deleted, strlen(deleted)))
		return;
	memcpy(ret, link, len);
	ret[len] = 0;
}

int ember_proc_read(const char *proc_root, uint32_t tgid, struct ember_proc *ret)
{
	struct ember_proc proc = {};
	char path[PATH_MAX], text[8192];
	ssize_t n;
	int r;

	snprintf(path, sizeof(path), "%s/%u/status", proc_root, tgid);
	n = read_small(path, text, sizeof(text));
	if (n < 0)
		return n;
	r = ember_proc_parse_status(text, &proc);
	if (r < 0)
		return r;

	snprintf(path, sizeof(path), "%s/%u/cgroup", proc_root, tgid);
	if (read_small(path, text, sizeof(text)) > 0)
		ember_proc_parse_cgroup(text, proc.cgroup, sizeof(proc.cgroup));
	snprintf(path, sizeof(path), "%s/%u/exe", proc_root, tgid);
	n = readlink(path, text, sizeof(text));
	ember_proc_parse_exe(text, n, proc.exe, sizeof(proc.exe));
	*ret = proc;
	return 0;
}

int ember_proc_parse_stat(const char *text, struct ember_thread_time *ret)
{
	const char *p = strrchr(text, ')'); /* the name before it may hold anything */
	unsigned long long utime, stime;
	unsigned int cpu;

	/* Fields 3 to 39: the state, 11 that are of no use here, utime, stime, 23 more, the CPU. */
	if (!p || sscanf(p,
			 ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu"
			 " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
			 " %*s %*s %*s %*s %*s %u",
			 &utime, &stime, &cpu) != 3)
		return -EINVAL;
	*ret = (struct ember_thread_time){.cpu = cpu, .ticks = utime + stime};
	return 0;
}

static void vote(const struct ember_topology *topo, const struct ember_thread_time *thread,
		 uint64_t votes[EMBER_MAX_NODES])
{
	if (thread->cpu < sizeof(topo->cpu_node) && topo->cpu_node[thread->cpu] < EMBER_MAX_NODES)
		votes[topo->cpu_node[thread->cpu]] += thread->ticks + 1; /* a new one counts, too */
}

/* The node with three quarters of all votes, or EMBER_NO_NODE. */
static uint8_t winner(const uint64_t votes[EMBER_MAX_NODES])
{
	uint64_t all = 0;

	for (unsigned int node = 0; node < EMBER_MAX_NODES; node++)
		all += votes[node];
	for (unsigned int node = 0; all && node < EMBER_MAX_NODES; node++)
		if (votes[node] >= all - all / 4)
			return node;
	return EMBER_NO_NODE;
}

uint8_t ember_proc_home(const char *proc_root, uint32_t tgid, const struct ember_topology *topo)
{
	uint64_t votes[EMBER_MAX_NODES] = {};
	char path[PATH_MAX], text[1024];
	_cleanup_closedir_ DIR *dir = NULL;
	unsigned int nr = 0;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/%u/task", proc_root, tgid);
	dir = opendir(path);
	while (dir && nr < MAX_THREADS_LOOKED_AT && (entry = readdir(dir))) {
		struct ember_thread_time thread;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%u/task/%.16s/stat", proc_root, tgid,
			 entry->d_name);
		if (read_small(path, text, sizeof(text)) <= 0 ||
		    ember_proc_parse_stat(text, &thread) < 0)
			continue;
		nr++;
		vote(topo, &thread, votes);
	}
	return winner(votes);
}

int ember_proc_for_each(const char *proc_root, void (*each)(uint32_t tgid, void *userdata),
			void *userdata)
{
	_cleanup_closedir_ DIR *dir = opendir(proc_root);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char *end;
		unsigned long tgid = strtoul(entry->d_name, &end, 10);

		if (end != entry->d_name && !*end && tgid && tgid <= UINT32_MAX)
			each(tgid, userdata);
	}
	return 0;
}
