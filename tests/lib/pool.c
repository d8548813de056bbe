// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "expect.h"

const char *pool_file(int id, const char *name)
{
	static char texts[4][512];
	static unsigned int turn;
	char *text = texts[turn++ % 4];
	ssize_t len = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/ember/pool%d/%s", id, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(texts[0]) - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = 0;
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = 0;
	return text;
}

long pool_number(int id, const char *name)
{
	return strtol(pool_file(id, name), NULL, 0);
}

bool pool_exists(int id)
{
	return *pool_file(id, "state");
}

const char *pool_settle(int id, const char *state)
{
	for (int i = 0; i < 3000 && !strcmp(pool_file(id, "state"), state); i++)
		usleep(20000);
	return pool_file(id, "state");
}

int pool_add(struct ember_nl *nl, uint64_t start, uint64_t bytes)
{
	int id = ember_nl_pool_add(nl, start, bytes, -1);

	if (id < 0)
		fail("no pool at %#lx: %s", start, strerror(-id));
	if (strcmp(pool_settle(id, "adding"), "ready"))
		fail("pool %d at %#lx: %s, error %ld", id, start, pool_file(id, "state"),
		     pool_number(id, "error"));
	return id;
}

bool pool_remove(struct ember_nl *nl, int id)
{
	int err = ember_nl_pool_remove(nl, (uint32_t)id);

	if (err)
		fail("pool %d cannot be removed: %s", id, strerror(-err));
	return !*pool_settle(id, "draining");
}

void drain_cpus(void)
{
	cpu_set_t before, one;

	sched_getaffinity(0, sizeof(before), &before);
	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		char *page;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		page = area_map(1);
		*page = 1;
		munmap(page, PAGE_BYTES);
	}
	sched_setaffinity(0, sizeof(before), &before);
}

bool pool_used_is(int id, size_t nr_pages)
{
	long want = (long)(nr_pages * PAGE_BYTES);

	for (int i = 0; i < 100 && pool_number(id, "used_bytes") != want; i++) {
		drain_cpus();
		usleep(20000);
	}
	return pool_number(id, "used_bytes") == want;
}

static bool lies_in(uint64_t entry, uint64_t start, uint64_t bytes)
{
	uint64_t at = (entry & ((1ULL << 55) - 1)) * PAGE_BYTES;

	return entry >> 63 && at >= start && at < start + bytes;
}

size_t pool_find(pid_t pid, const void *addr, size_t nr_pages, uint64_t start, uint64_t bytes,
		 uint8_t *ret_there)
{
	uint64_t entries[REGION_PAGES];
	size_t count = 0;
	char path[64];
	int fd;

	if (ret_there)
		memset(ret_there, 0, nr_pages);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid ? pid : getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (size_t i = 0; i < nr_pages; i += REGION_PAGES) {
		size_t some = nr_pages - i < REGION_PAGES ? nr_pages - i : REGION_PAGES;
		off_t at = (off_t)(((uintptr_t)addr / PAGE_BYTES + i) * 8);
		ssize_t len = pread(fd, entries, some * 8, at);

		for (ssize_t k = 0; k < len / 8; k++) {
			bool there = lies_in(entries[k], start, bytes);

			count += there;
			if (ret_there)
				ret_there[i + (size_t)k] = there;
		}
	}
	close(fd);
	return count;
}

size_t pool_count(pid_t pid, const void *addr, size_t nr_pages, uint64_t start, uint64_t bytes)
{
	return pool_find(pid, addr, nr_pages, start, bytes, NULL);
}

static size_t count_process(pid_t pid, uint64_t start, uint64_t bytes)
{
	unsigned long from, to;
	char path[64], line[512];
	size_t count = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return 0;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from < 1UL << 47)
			count +=
			    pool_count(pid, (void *)from, (to - from) / PAGE_BYTES, start, bytes);
	fclose(maps);
	return count;
}

size_t pool_count_all(uint64_t start, uint64_t bytes)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	if (!proc)
		fail("/proc: %s", strerror(errno));
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0)
			count += count_process(pid, start, bytes);
	}
	closedir(proc);
	return count;
}

long proc_number(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	char line[256], word[128];
	long value, found = -1;

	if (!file)
		fail("%s: %s", path, strerror(errno));
	while (found < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%127[^: ]%*[: ]%ld", word, &value) == 2 && !strcmp(word, name))
			found = value;
	fclose(file);
	return found;
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}
