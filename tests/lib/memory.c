/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "area.h"
#include "expect.h"
#include "textfile.h"

#define THP "/sys/kernel/mm/transparent_hugepage/hugepages-"
#define NODES "/sys/devices/system/node"
#define MOUNT "/run/ember-memory"
#define ON_TMPFS MOUNT "/file"
#define ON_BLOCKS "/var/tmp/ember-memory"
#define MAX_NODES 8

/* hugetlb pages on each node: the test's own, its children's copies, and room to move. */
#define HUGETLB_PER_NODE "12"

/* fs/proc/page.c */
#define PFN_MASK ((1ULL << 55) - 1)
#define PM_PRESENT (1ULL << 63)
#define KPF_COMPOUND_HEAD (1ULL << 15)
#define KPF_COMPOUND_TAIL (1ULL << 16)

static bool tmpfs_is_mounted;

const char *memory_kind_name(enum memory_kind kind)
{
	static const char *const names[] = {"private", "shared", "tmpfs", "file"};

	return names[kind];
}

const char *memory_size_name(enum memory_size size)
{
	static const char *const names[] = {"4K", "64K", "2M", "hugetlb"};

	return names[size];
}

size_t memory_folio_pages(enum memory_size size)
{
	static const size_t pages[] = {1, 16, 512, 512};

	return pages[size];
}

static bool is_6_12(void)
{
	struct utsname name;

	uname(&name);
	return !strncmp(name.release, "6.12.", 5);
}

const char *memory_hole(enum memory_kind kind, enum memory_size size)
{
	if (kind == MEMORY_FILE && size == MEMORY_HUGETLB)
		return "hugetlbfs has no blocks behind it (its files are among tmpfs)";
	if (!is_6_12())
		return NULL;
	if (kind == MEMORY_TMPFS && size == MEMORY_64K)
		return "before 6.14 a tmpfs has folios of 4K and 2M only";
	if (kind == MEMORY_FILE && size != MEMORY_4K)
		return "before 6.16 ext4 has no large folios";
	return NULL;
}

static void set_thp(const char *size, const char *enabled, const char *shmem_enabled)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s/enabled", THP, size);
	textfile_write(path, enabled);
	snprintf(path, sizeof(path), "%s%s/shmem_enabled", THP, size);
	textfile_write(path, shmem_enabled);
}

static void set_hugetlb(const char *nr)
{
	char path[128];

	for (int node = 0; node < MAX_NODES; node++) {
		snprintf(path, sizeof(path),
			 NODES "/node%d/hugepages/hugepages-2048kB/nr_hugepages", node);
		if (!access(path, W_OK))
			textfile_write(path, nr);
	}
}

static void mount_tmpfs(const char *options)
{
	if ((mkdir(MOUNT, 0700) && errno != EEXIST) || mount("tmpfs", MOUNT, "tmpfs", 0, options))
		fail("%s: %s", MOUNT, strerror(errno));
	tmpfs_is_mounted = true;
}

void memory_set(enum memory_kind kind, enum memory_size size)
{
	/* Folios of the size under test, and no others come by themselves. */
	set_thp("64kB", size == MEMORY_64K ? "madvise" : "never",
		size == MEMORY_64K ? "advise" : "never");
	set_thp("2048kB", size == MEMORY_2M ? "madvise" : "never",
		size == MEMORY_2M ? "advise" : "never");
	if (size == MEMORY_HUGETLB)
		set_hugetlb(HUGETLB_PER_NODE);
	if (kind != MEMORY_TMPFS || size == MEMORY_HUGETLB)
		return;
	/* within_size, and a file that grows by 64K: a larger folio never fits what is there. */
	mount_tmpfs(size == MEMORY_4K    ? "size=64M,huge=never"
		    : size == MEMORY_64K ? "size=64M,huge=within_size"
					 : "size=64M,huge=always");
}

void memory_unset(void)
{
	set_thp("64kB", "never", "never");
	set_thp("2048kB", "inherit", "inherit");
	set_hugetlb("0");
	if (tmpfs_is_mounted && umount(MOUNT))
		fail("umount %s: %s", MOUNT, strerror(errno));
	tmpfs_is_mounted = false;
}

/* A file that is written in pieces of the folio's size gets such folios. */
static int make_file(const struct memory *m, const char *path, void (*fill)(void *, size_t))
{
	size_t piece = memory_folio_pages(m->size), bytes = piece * PAGE_BYTES;
	char *buffer = aligned_alloc(PAGE_BYTES, bytes);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || !buffer)
		fail("%s: %s", path, strerror(errno));
	memset(buffer, 0, bytes);
	for (size_t page = 0; page < m->nr_pages; page += piece) {
		for (size_t i = 0; i < piece; i++)
			fill(buffer + i * PAGE_BYTES, page + i);
		if (pwrite(fd, buffer, bytes, (off_t)(page * PAGE_BYTES)) != (ssize_t)bytes)
			fail("%s: %s", path, strerror(errno));
	}
	free(buffer);
	return fd;
}

static int make_hugetlb_file(size_t bytes)
{
	int fd = memfd_create("ember-memory", MFD_HUGETLB | MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		fail("memfd: %s", strerror(errno));
	return fd;
}

static bool has_plain_file(const struct memory *m)
{
	return m->kind == MEMORY_FILE || (m->kind == MEMORY_TMPFS && m->size != MEMORY_HUGETLB);
}

void memory_map(struct memory *m, void (*fill)(void *page, size_t nr))
{
	size_t bytes = m->nr_pages * PAGE_BYTES;
	int flags = m->kind == MEMORY_PRIVATE ? MAP_PRIVATE : MAP_SHARED;

	m->fd = -1;
	if (has_plain_file(m))
		m->fd = make_file(m, m->kind == MEMORY_FILE ? ON_BLOCKS : ON_TMPFS, fill);
	else if (m->kind == MEMORY_TMPFS)
		m->fd = make_hugetlb_file(bytes);
	if (m->fd < 0)
		flags |= MAP_ANONYMOUS | (m->size == MEMORY_HUGETLB ? MAP_HUGETLB : 0);
	m->area = area_map(m->nr_pages); /* the address */
	if (mmap(m->area, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, m->fd, 0) != m->area)
		fail("mmap: %s", strerror(errno));
	if (m->size == MEMORY_4K || m->size == MEMORY_64K || m->size == MEMORY_2M)
		madvise(m->area, bytes, m->size == MEMORY_4K ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	/* What was written is in the page cache, but not mapped yet. */
	if (has_plain_file(m) && madvise(m->area, bytes, MADV_POPULATE_READ))
		fail("madvise: %s", strerror(errno));
	for (size_t page = 0; !has_plain_file(m) && page < m->nr_pages; page++)
		fill(m->area + page * PAGE_BYTES, page);
}

void memory_unmap(struct memory *m)
{
	munmap(m->area, m->nr_pages * PAGE_BYTES);
	if (m->fd >= 0)
		close(m->fd);
	unlink(m->kind == MEMORY_FILE ? ON_BLOCKS : ON_TMPFS);
}

static int open_for(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static bool is_one_folio(int flags_fd, const uint64_t *map, size_t nr)
{
	uint64_t flags[512], first = map[0] & PFN_MASK;

	for (size_t i = 0; i < nr; i++)
		if (!(map[i] & PM_PRESENT) || (map[i] & PFN_MASK) != first + i)
			return false;
	if (pread(flags_fd, flags, nr * 8, (off_t)(first * 8)) != (ssize_t)(nr * 8) ||
	    !(flags[0] & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)))
		return false;
	for (size_t i = 1; i < nr; i++)
		if (!(flags[i] & KPF_COMPOUND_TAIL))
			return false;
	return true;
}

size_t memory_find_whole(pid_t pid, const char *area, size_t nr_pages, enum memory_size size,
			 uint8_t *ret_whole)
{
	size_t step = memory_folio_pages(size), nr = 0;
	int map_fd, flags_fd;
	uint64_t map[512];
	char path[64];

	memset(ret_whole, 1, nr_pages);
	if (step == 1)
		return nr_pages;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	map_fd = open_for(path);
	flags_fd = open_for("/proc/kpageflags");
	for (size_t page = 0; page < nr_pages; page += step) {
		off_t at = (off_t)(((uintptr_t)area / PAGE_BYTES + page) * 8);
		bool whole = pread(map_fd, map, step * 8, at) == (ssize_t)(step * 8) &&
			     is_one_folio(flags_fd, map, step);

		memset(ret_whole + page, whole, step);
		nr += whole ? step : 0;
	}
	close(map_fd);
	close(flags_fd);
	return nr;
}
