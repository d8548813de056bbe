/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making and reading region records by hand. */
#ifndef EMBER_TEST_RECORDS_H
#define EMBER_TEST_RECORDS_H

#include <stdbool.h>
#include <string.h>

#include "ember/sample.h"

static inline void set_bit(void *plane, unsigned int page)
{
	((__u64 *)plane)[page / 64] |= 1ULL << (page % 64);
}

static inline void clear_bit(void *plane, unsigned int page)
{
	((__u64 *)plane)[page / 64] &= ~(1ULL << (page % 64));
}

static inline bool test_bit(const void *plane, unsigned int page)
{
	return (((const __u64 *)plane)[page / 64] >> (page % 64)) & 1;
}

static inline void set_mem(struct ember_region_rec *rec, unsigned int page, unsigned int mem)
{
	for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++) {
		clear_bit(rec->mem[k], page);
		if (mem & (1U << k))
			set_bit(rec->mem[k], page);
	}
}

static inline unsigned int record_mem(const struct ember_region_rec *rec, unsigned int page)
{
	unsigned int mem = 0;

	for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++)
		mem |= test_bit(rec->mem[k], page) << k;
	return mem;
}

/* Anonymous base pages, all present on node 0, none young. */
static inline struct ember_region_rec make_record(__u64 addr)
{
	struct ember_region_rec rec = {.addr = addr,
				       .version = EMBER_SAMPLE_VERSION,
				       .kind = EMBER_KIND_ANON,
				       .nr_present = EMBER_REGION_PAGES};

	memset(rec.present, 0xff, sizeof(rec.present));
	return rec;
}

#endif
