/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settled.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expect.h"
#include "textfile.h"

#define KIB_PER_PAGE 4
/* Per-CPU work, RCU, the last reference on an address space: all done within some of these. */
#define TRIES 20
#define PAUSE_US 500000
/* Two looks agree that differ by no more. */
#define STEADY_PAGES 24

/* "Node 0 MemTotal:  1024 kB": in pages; 0 for a line that this kernel does not have. */
static long node_pages(const char *text, const char *name)
{
	char word[64];
	const char *at;

	snprintf(word, sizeof(word), " %s:", name);
	at = strstr(text, word);
	return at ? strtol(at + strlen(word), NULL, 10) / KIB_PER_PAGE : 0;
}

static long held_pages(unsigned int node)
{
	static const char *const others[] = {"MemFree",     "FilePages",  "AnonPages",    "Slab",
					     "KernelStack", "PageTables", "SecPageTables"};
	char path[64], text[8192];
	long held;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
	if (access(path, R_OK))
		return 0;
	textfile_read(path, text, sizeof(text));
	held = node_pages(text, "MemTotal");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		held -= node_pages(text, others[i]);
	/* This one is no size in kB. */
	return held - node_pages(text, "HugePages_Total") * KIB_PER_PAGE * 512;
}

/* Pages on per-CPU lists are free, but not among MemFree. */
static void add_lists(struct settled *s)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned int node = SETTLED_MAX_NODES;
	char line[256];
	long count;

	if (!f)
		fail("/proc/zoneinfo");
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Node %u,", &node);
		if (sscanf(line, " count: %ld", &count) == 1 && node < SETTLED_MAX_NODES)
			s->nr_pages[node] -= count;
	}
	fclose(f);
}

/* Kernel threads have none, and say no size. */
static bool has_mm(const char *pid)
{
	char path[300], text[4096];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = 0;
	return strstr(text, "\nVmSize:");
}

static long nr_processes(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	long nr = 0;

	if (!dir)
		fail("/proc");
	while ((entry = readdir(dir)))
		nr += isdigit((unsigned char)entry->d_name[0]) && has_mm(entry->d_name);
	closedir(dir);
	return nr;
}

static void read_once(struct settled *s)
{
	sync();
	textfile_write("/proc/sys/vm/drop_caches", "3");
	/* Counters of all CPUs are folded into the global ones. */
	textfile_write("/proc/sys/vm/stat_refresh", "1");
	for (unsigned int node = 0; node < SETTLED_MAX_NODES; node++)
		s->nr_pages[node] = held_pages(node);
	add_lists(s);
	s->nr_spare_mms = (long)textfile_number("/proc/slabinfo", "mm_struct") - nr_processes();
}

static bool differ(const struct settled *a, const struct settled *b, long bound)
{
	for (unsigned int node = 0; node < SETTLED_MAX_NODES; node++)
		if (labs(b->nr_pages[node] - a->nr_pages[node]) > bound)
			return true;
	return false;
}

/* Until two looks agree: much is given back by workers and after RCU grace periods. */
void settled_read(struct settled *ret_settled)
{
	struct settled before;

	textfile_write("/proc/sys/vm/compact_memory",
		       "1"); /* empties the batches of the LRU lists */
	read_once(ret_settled);
	for (int tries = 0; tries < TRIES; tries++) {
		before = *ret_settled;
		usleep(PAUSE_US);
		read_once(ret_settled);
		if (!differ(&before, ret_settled, STEADY_PAGES))
			return;
	}
}

static bool same(const struct settled *a, const struct settled *b)
{
	for (unsigned int node = 0; node < SETTLED_MAX_NODES; node++)
		if (b->nr_pages[node] - a->nr_pages[node] > SETTLED_BOUND_PAGES)
			return false;
	return b->nr_spare_mms - a->nr_spare_mms <= sysconf(_SC_NPROCESSORS_ONLN);
}

bool settled_expect(const struct settled *before, const char *what)
{
	char grown[SETTLED_MAX_NODES * 16] = "";
	struct settled now;
	int tries = 0;

	for (settled_read(&now); !same(before, &now) && tries < TRIES; tries++)
		settled_read(&now);
	for (unsigned int node = 0; node < SETTLED_MAX_NODES; node++)
		if (now.nr_pages[node])
			snprintf(grown + strlen(grown), sizeof(grown) - strlen(grown), " %+ld",
				 now.nr_pages[node] - before->nr_pages[node]);
	return expect(
	    same(before, &now),
	    "%s: left behind on each node: want at most %d pages, saw%s; address spaces that no "
	    "process has: want at most %ld more, saw %+ld",
	    what, SETTLED_BOUND_PAGES, grown, sysconf(_SC_NPROCESSORS_ONLN),
	    now.nr_spare_mms - before->nr_spare_mms);
}
