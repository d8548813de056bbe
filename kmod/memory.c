// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table of frame ranges and the memory each lies in.
 *
 * Built from the online sections: a section is the smallest unit that can be
 * plugged, so the nodes of its first and last page decide for all of it. Where
 * the two differ (firmware may put a node boundary anywhere at boot) the range is
 * marked RANGE_ASK_PAGE and the page itself is asked. Equal neighbours are merged,
 * so a table has a handful of ranges and a lookup few steps.
 *
 * The table is never changed, only replaced: hotplug builds a new one and readers
 * see the old or the new one under RCU. If there is no memory for a new one, there
 * is no table and every page is EMBER_MEM_UNKNOWN, which callers must expect anyway.
 */
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <ember/sample.h>

#include "memory.h"

#define RANGE_ASK_PAGE 0xff	/* two nodes in one section */

struct ember_memory_range {
	unsigned long start_pfn;	/* [start_pfn, end_pfn) */
	unsigned long end_pfn;
	u8 index;
};

struct ember_memory_table {
	struct rcu_head rcu;
	unsigned int nr_ranges;
	unsigned int max_ranges;
	struct ember_memory_range ranges[];
};

static struct ember_memory_table __rcu *memory_table;
static DEFINE_MUTEX(memory_lock);	/* serialises builders */

static u8 node_index(int nid)
{
	return nid >= 0 && nid < EMBER_MEM_UNKNOWN ? nid : EMBER_MEM_UNKNOWN;
}

static u8 section_index(struct page *first, unsigned long pfn)
{
	int nid = page_to_nid(first);
	struct page *last = pfn_to_online_page(pfn + PAGES_PER_SECTION - 1);

	return last && page_to_nid(last) == nid ? node_index(nid) : RANGE_ASK_PAGE;
}

static struct ember_memory_table *table_resize(struct ember_memory_table *table,
					       unsigned int max_ranges)
{
	struct ember_memory_table *larger;

	larger = krealloc(table, struct_size(larger, ranges, max_ranges), GFP_KERNEL);
	if (!larger) {
		kfree(table);
		return NULL;
	}
	larger->max_ranges = max_ranges;
	return larger;
}

/* Takes over @table; returns it, possibly moved, or NULL with @table freed. */
static struct ember_memory_table *table_add(struct ember_memory_table *table, unsigned long pfn,
					    u8 index)
{
	struct ember_memory_range *last = NULL;

	if (table->nr_ranges)
		last = &table->ranges[table->nr_ranges - 1];
	if (last && last->end_pfn == pfn && last->index == index) {
		last->end_pfn += PAGES_PER_SECTION;
		return table;
	}
	if (table->nr_ranges == table->max_ranges) {
		table = table_resize(table, table->max_ranges * 2);
		if (!table)
			return NULL;
	}
	table->ranges[table->nr_ranges++] = (struct ember_memory_range){
		.start_pfn = pfn,
		.end_pfn = pfn + PAGES_PER_SECTION,
		.index = index,
	};
	return table;
}

static unsigned long last_end_pfn(void)
{
	unsigned long end = 0;
	int nid;

	for_each_online_node(nid)
		end = max(end, node_end_pfn(nid));
	return end;
}

static struct ember_memory_table *table_build(void)
{
	struct ember_memory_table *table = table_resize(NULL, 16);
	unsigned long end = last_end_pfn();
	unsigned long pfn;

	if (!table)
		return NULL;
	table->nr_ranges = 0;
	for (pfn = 0; pfn < end && table; pfn += PAGES_PER_SECTION) {
		struct page *page = pfn_to_online_page(pfn);

		if (page)
			table = table_add(table, pfn, section_index(page, pfn));
		cond_resched();
	}
	return table;
}

static int table_replace(void)
{
	struct ember_memory_table *old, *new;

	mutex_lock(&memory_lock);
	new = table_build();
	old = rcu_replace_pointer(memory_table, new, lockdep_is_held(&memory_lock));
	mutex_unlock(&memory_lock);
	if (old)
		kfree_rcu(old, rcu);
	return new ? 0 : -ENOMEM;
}

/* A failure to allocate must not veto hotplug: the lookup then knows nothing. */
static int memory_changed(struct notifier_block *nb, unsigned long action, void *arg)
{
	if ((action == MEM_ONLINE || action == MEM_OFFLINE) && table_replace())
		pr_warn("ember: no memory for the table of nodes; places are unknown for now\n");
	return NOTIFY_OK;
}

static struct notifier_block memory_notifier = { .notifier_call = memory_changed };

/**
 * ember_memory_begin - start looking frames up
 * @cursor: filled in; valid until the caller's rcu_read_unlock()
 */
void ember_memory_begin(struct ember_memory_cursor *cursor)
{
	*cursor = (struct ember_memory_cursor){ .table = rcu_dereference(memory_table) };
}

static const struct ember_memory_range *range_of(const struct ember_memory_table *table,
						 unsigned long pfn)
{
	unsigned int lo = 0, hi = table ? table->nr_ranges : 0;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		const struct ember_memory_range *range = &table->ranges[mid];

		if (pfn < range->start_pfn)
			hi = mid;
		else if (pfn >= range->end_pfn)
			lo = mid + 1;
		else
			return range;
	}
	return NULL;
}

/* Slow half of ember_memory_index(): search, and keep the range for the next page. */
unsigned int ember_memory_find(struct ember_memory_cursor *cursor, unsigned long pfn)
{
	const struct ember_memory_range *range = range_of(cursor->table, pfn);

	if (!range)
		return EMBER_MEM_UNKNOWN;
	if (range->index == RANGE_ASK_PAGE)
		return node_index(page_to_nid(pfn_to_page(pfn)));
	cursor->start_pfn = range->start_pfn;
	cursor->end_pfn = range->end_pfn;
	cursor->index = range->index;
	return range->index;
}

/**
 * ember_memory_init - build the table and follow memory hotplug
 *
 * Return: 0 or a negative errno.
 */
int ember_memory_init(void)
{
	int ret;

	/* First listen, then build: a change in between is built twice, never missed. */
	ret = register_memory_notifier(&memory_notifier);
	if (ret)
		return ret;
	ret = table_replace();
	if (ret)
		unregister_memory_notifier(&memory_notifier);
	return ret;
}

/* No reader may be left: the kfunc that reads is unreachable once the module unloads. */
void ember_memory_exit(void)
{
	unregister_memory_notifier(&memory_notifier);
	kfree(rcu_dereference_protected(memory_table, true));
	RCU_INIT_POINTER(memory_table, NULL);
}
