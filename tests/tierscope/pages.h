/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Misses per guest-virtual 4 KiB page, in two banks. The recorder switches the bank
 * each second, so that the oracle can choose its placement by one half of the time
 * and be judged by the other: with few misses per page, a choice by the very counts
 * it is judged by looks better than anything that could be known.
 *
 * Three levels, as page tables are: 1 GiB and 2 MiB tables are made when first used,
 * by whichever vCPU comes first, and live until pages_free().
 */
#ifndef TIERSCOPE_PAGES_H
#define TIERSCOPE_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PAGES_VADDR_BITS 47
#define PAGES_NR_BANKS 2
#define PAGES_PER_REGION 512 /* 4 KiB pages in 2 MiB */
#define PAGES_PER_GIB 512    /* 2 MiB regions in 1 GiB */
#define PAGES_NR_GIBS (1u << (PAGES_VADDR_BITS - 30))

struct pages_region {
	uint32_t misses[PAGES_NR_BANKS][PAGES_PER_REGION];
	uint8_t mem[PAGES_PER_REGION]; /* which served the last one */
};

struct pages_gib {
	void *regions[PAGES_PER_GIB]; /* struct pages_region */
};

struct pages {
	uint32_t bank; /* being counted in; written by the recorder only */
	void **gibs;   /* struct pages_gib */
};

/* Returns 0 or -ENOMEM; the caller frees by pages_free(). */
int pages_init(struct pages *pages);
void pages_free(struct pages *pages);

/* Counts a miss at a user address that memory mem served. Safe from several threads; lost without
 * memory. */
void pages_add(struct pages *pages, uint64_t vaddr, uint32_t mem);

/* Lets the following misses go to the other bank. */
void pages_switch_bank(struct pages *pages);

/*
 * Writes "PAGE MISSES MISSES MEM\n" for each page with misses: page number in
 * hexadecimal, the banks, and the memory that served the last miss. With reset the counters begin
 * again from 0; a miss that is counted meanwhile is in this dump or in the next, never lost.
 */
void pages_dump(struct pages *pages, FILE *file, bool reset);

#endif /* TIERSCOPE_PAGES_H */
