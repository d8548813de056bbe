/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which memory does a page frame lie in? Answered from a table with one byte a memory
 * section, so that the struct page of a page nobody used is never brought into the cache.
 */
#ifndef EMBER_KMOD_MEMORY_H
#define EMBER_KMOD_MEMORY_H

#include <linux/compiler.h>
#include <linux/mmzone.h>
#include <linux/types.h>

#include <ember/sample.h>

#define EMBER_MEMORY_ASK_PAGE 0xff	/* two nodes in one section */

struct ember_memory_table {
	struct rcu_head rcu;
	unsigned long nr_sections;
	u8 index[];	/* by section */
};

int ember_memory_init(void);
void ember_memory_exit(void);
int ember_memory_update(void);

const struct ember_memory_table *ember_memory_get(void);
unsigned int ember_memory_ask_page(unsigned long pfn);

/**
 * ember_memory_index - the memory that a page frame lies in
 * @table: from ember_memory_get(), in the same RCU section; may be NULL
 * @pfn: frame of a mapped page
 *
 * Return: index below EMBER_MEM_UNKNOWN, or EMBER_MEM_UNKNOWN. While memory is being
 * plugged, the answer is that of before or of after.
 */
static inline unsigned int ember_memory_index(const struct ember_memory_table *table,
					      unsigned long pfn)
{
	unsigned long section = pfn_to_section_nr(pfn);
	unsigned int index;

	if (unlikely(!table || section >= table->nr_sections))
		return EMBER_MEM_UNKNOWN;
	index = table->index[section];
	return likely(index != EMBER_MEMORY_ASK_PAGE) ? index : ember_memory_ask_page(pfn);
}

#endif /* EMBER_KMOD_MEMORY_H */
