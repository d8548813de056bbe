/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "leak.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expect.h"

#define TRACES "/sys/kernel/debug/slab/*/alloc_traces"

static void write_to(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fclose(file))
		fail("cannot write to %s", path);
}

/*
 * Nodes of trees and arrays that the kernel keeps for all: it grew them in a call of ours. Those of
 * vmalloc() stay for the next one when an area is freed: count_areas() asks for the areas.
 */
static bool is_the_kernels(const char *head)
{
	return strstr(head, "radix_tree_node_alloc") || strstr(head, "alloc_slab_obj_exts") ||
	       strstr(head, "alloc_vmap_area");
}

/* What the module has of vmalloc(), a line each. */
static long count_areas(bool show)
{
	FILE *file = fopen("/proc/vmallocinfo", "re");
	char line[512];
	long sum = 0;

	if (!file)
		fail("no /proc/vmallocinfo");
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, "[ember]"))
			continue;
		sum++;
		if (show)
			printf("     %s", line);
	}
	fclose(file);
	return sum;
}

/*
 * "     63 function+0x../0x.. age=... pid=...", the number of objects and who called the
 * allocator, then the chain of callers, each on a line with eight spaces before it, then
 * an empty line.
 */
static long count_file(const char *path, bool show)
{
	FILE *file = fopen(path, "re");
	char line[512], head[512] = "";
	long nr = 0, sum = 0;
	bool ours = false;

	if (!file)
		return 0; /* the cache went away meanwhile */
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%ld", &nr) == 1 && strncmp(line, "        ", 8)) {
			memcpy(head, line, sizeof(head));
			ours = false;
		}
		if (ours || !strstr(line, "[ember]") || is_the_kernels(head))
			continue;
		ours = true;
		sum += nr;
		if (show)
			printf("     %s          by %s", head, line);
	}
	fclose(file);
	return sum;
}

static long count_objects(bool show)
{
	glob_t found;
	long sum = count_areas(show);

	if (glob(TRACES, 0, NULL, &found))
		fail("no %s: the guest needs slub_debug=U and debugfs", TRACES);
	for (size_t i = 0; i < found.gl_pathc; i++)
		sum += count_file(found.gl_pathv[i], show);
	globfree(&found);
	return sum;
}

static long meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t len = strlen(name);
	char line[128];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			kib = strtol(line + len + 1, NULL, 10);
	if (file)
		fclose(file);
	if (kib < 0)
		fail("no %s in /proc/meminfo", name);
	return kib;
}

/* Free pages in the CPUs' own lists are not counted as free. */
static long waiting_kib(void)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	long count, sum = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &count) == 1)
			sum += count * 4;
	if (!file)
		fail("no /proc/zoneinfo");
	fclose(file);
	return sum;
}

static int module_refs(void)
{
	FILE *file = fopen("/sys/module/ember/refcnt", "re");
	int refs = -1;

	if (!file || fscanf(file, "%d", &refs) != 1)
		fail("no refcount of the module");
	fclose(file);
	return refs;
}

static void leak_read(struct leak_books *ret_books)
{
	write_to("/proc/sys/vm/drop_caches", "3");
	ret_books->nr_objects = count_objects(false);
	ret_books->unreclaimable_kib = meminfo("SUnreclaim");
	ret_books->free_kib = meminfo("MemFree") + meminfo("Buffers") + meminfo("Cached") +
			      meminfo("SReclaimable") + waiting_kib();
	ret_books->module_refs = module_refs();
}

/* mmput_async(), RCU and the last close of a socket take a moment. */
#define SETTLE_US 500000
#define MAX_SETTLE 20

void leak_begin(struct leak_books *ret_before)
{
	struct leak_books last = {.nr_objects = -1};

	for (int i = 0; i < MAX_SETTLE; i++) {
		leak_read(ret_before);
		if (ret_before->nr_objects == last.nr_objects && !ret_before->module_refs)
			return;
		last = *ret_before;
		usleep(SETTLE_US);
	}
}

void leak_end(const struct leak_books *before, struct leak_books *ret_after)
{
	for (int i = 0; i < MAX_SETTLE; i++) {
		leak_read(ret_after);
		if (ret_after->nr_objects <= before->nr_objects &&
		    ret_after->module_refs == before->module_refs)
			return;
		usleep(SETTLE_US);
	}
}

void leak_show(void)
{
	count_objects(true);
}
