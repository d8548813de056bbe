/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of every kind in folios of every size. All exit on failure. */
#ifndef EMBER_TESTS_MEMORY_H
#define EMBER_TESTS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum memory_kind {
	MEMORY_PRIVATE, /* anonymous */
	MEMORY_SHARED,  /* anonymous, between processes */
	MEMORY_TMPFS,   /* a file of a tmpfs; of hugetlbfs for hugetlb */
	MEMORY_FILE,    /* of a file system with blocks behind it, mapped shared */
	NR_MEMORY_KINDS
};

enum memory_size {
	MEMORY_4K,
	MEMORY_64K, /* the smaller large folios: mTHP */
	MEMORY_2M,  /* THP */
	MEMORY_HUGETLB,
	NR_MEMORY_SIZES
};

struct memory {
	enum memory_kind kind;
	enum memory_size size;
	char *area; /* 2 MiB aligned */
	size_t nr_pages;
	int fd; /* -1: no file */
};

const char *memory_kind_name(enum memory_kind kind);
const char *memory_size_name(enum memory_size size);
/* Base pages of a folio. */
size_t memory_folio_pages(enum memory_size size);
/* Why there is no such memory in this kernel, or NULL if there is. */
const char *memory_hole(enum memory_kind kind, enum memory_size size);

/* Settings of the whole system that this memory needs; memory_unset() takes them back. */
void memory_set(enum memory_kind kind, enum memory_size size);
void memory_unset(void);

/*
 * Maps the memory and has each page filled in, in order, by @fill. One that fills @page is told
 * which one it will be.
 */
void memory_map(struct memory *memory, void (*fill)(void *page, size_t nr));
void memory_unmap(struct memory *memory);

/*
 * Which of the folio-sized blocks of a process's area lie in one folio of (at least) that size?
 * Sets a byte per page; returns the number of pages.
 */
size_t memory_find_whole(pid_t pid, const char *area, size_t nr_pages, enum memory_size size,
			 uint8_t *ret_whole);

#endif /* EMBER_TESTS_MEMORY_H */
