/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "area.h"

#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

void *area_map(size_t nr_pages)
{
	size_t bytes = (nr_pages * PAGE_BYTES + REGION_BYTES - 1) & ~(REGION_BYTES - 1);
	char *raw, *addr;

	raw = mmap(NULL, bytes + REGION_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw == MAP_FAILED)
		die("mmap");
	addr = (char *)(((uintptr_t)raw + REGION_BYTES - 1) & ~(REGION_BYTES - 1));
	munmap(raw, (size_t)(addr - raw));
	munmap(addr + bytes, (size_t)(raw + REGION_BYTES - addr));
	munmap(addr, bytes);
	addr = mmap(addr, nr_pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (addr == MAP_FAILED || madvise(addr, nr_pages * PAGE_BYTES, MADV_NOHUGEPAGE))
		die("mmap");
	return addr;
}

static uint64_t word(const void *page, size_t i, uint64_t seed)
{
	return ((uint64_t)(uintptr_t)page + i) * 0x9e3779b97f4a7c15ULL ^ seed;
}

void area_fill(void *addr, size_t nr_pages, int node, uint64_t seed)
{
	unsigned long mask = 1UL << node;

	if (mbind(addr, nr_pages * PAGE_BYTES, MPOL_BIND, &mask, 64, 0))
		die("mbind");
	for (size_t page = 0; page < nr_pages; page++) {
		uint64_t *words = (uint64_t *)((char *)addr + page * PAGE_BYTES);

		for (size_t i = 0; i < PAGE_BYTES / 8; i++)
			words[i] = word(words, i, seed);
	}
	if (mbind(addr, nr_pages * PAGE_BYTES, MPOL_DEFAULT, NULL, 0, 0))
		die("mbind");
}

size_t area_check(const void *addr, size_t nr_pages, uint64_t seed)
{
	size_t bad = 0;

	for (size_t page = 0; page < nr_pages; page++) {
		const uint64_t *words = (const uint64_t *)((const char *)addr + page * PAGE_BYTES);

		for (size_t i = 0; i < PAGE_BYTES / 8; i++) {
			if (words[i] == word(words, i, seed))
				continue;
			bad++;
			break;
		}
	}
	return bad;
}

void area_nodes(const void *addr, size_t nr_pages, int *ret_nodes)
{
	void **pages = calloc(nr_pages, sizeof(*pages));

	if (!pages)
		die("calloc");
	for (size_t i = 0; i < nr_pages; i++)
		pages[i] = (char *)(uintptr_t)addr + i * PAGE_BYTES;
	if (move_pages(0, nr_pages, pages, NULL, ret_nodes, 0))
		die("move_pages");
	free(pages);
}

size_t area_count(const void *addr, size_t nr_pages, int node)
{
	int *nodes = calloc(nr_pages, sizeof(*nodes));
	size_t nr = 0;

	if (!nodes)
		die("calloc");
	area_nodes(addr, nr_pages, nodes);
	for (size_t i = 0; i < nr_pages; i++)
		nr += nodes[i] == node;
	free(nodes);
	return nr;
}
