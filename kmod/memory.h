/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which memory does a page frame lie in? Answered from a table of frame ranges, so
 * that the struct page of a page nobody used is never brought into the cache.
 */
#ifndef EMBER_KMOD_MEMORY_H
#define EMBER_KMOD_MEMORY_H

#include <linux/compiler.h>
#include <linux/types.h>

struct ember_memory_table;

/*
 * A reader's place in the table. Neighbouring pages mostly share a range, so the
 * last range found is kept. Begin and use it inside one rcu_read_lock() section.
 */
struct ember_memory_cursor {
	const struct ember_memory_table *table;
	unsigned long start_pfn;	/* cached range [start_pfn, end_pfn) */
	unsigned long end_pfn;
	unsigned int index;
};

int ember_memory_init(void);
void ember_memory_exit(void);

void ember_memory_begin(struct ember_memory_cursor *cursor);
unsigned int ember_memory_find(struct ember_memory_cursor *cursor, unsigned long pfn);

/**
 * ember_memory_index - the memory that a page frame lies in
 * @cursor: a cursor begun in the same RCU section
 * @pfn: frame of a mapped page
 *
 * Return: index below EMBER_MEM_UNKNOWN, or EMBER_MEM_UNKNOWN. While memory is being
 * plugged, the answer is that of before or of after.
 */
static inline unsigned int ember_memory_index(struct ember_memory_cursor *cursor,
					      unsigned long pfn)
{
	if (likely(pfn >= cursor->start_pfn && pfn < cursor->end_pfn))
		return cursor->index;
	return ember_memory_find(cursor, pfn);
}

#endif /* EMBER_KMOD_MEMORY_H */
