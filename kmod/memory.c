// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table of the memory that each section of frames lies in.
 *
 * A section is the smallest unit that can be plugged, so the nodes of its first and
 * last page decide for all of it. Where the two differ (firmware may put a node
 * boundary anywhere at boot), or where a pool has part of the section, it is marked
 * EMBER_MEMORY_ASK_PAGE and the page itself is asked. A byte for 128 MiB of addresses:
 * 8 KiB for each TiB up to the last frame, and a lookup takes the same few instructions
 * however pages are mixed.
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

#include "memory.h"
#include "pool.h"

static struct ember_memory_table __rcu *memory_table;
static DEFINE_MUTEX(memory_lock);	/* serialises builders */

static u8 node_index(int nid)
{
	return nid >= 0 && nid < EMBER_MEM_UNKNOWN ? nid : EMBER_MEM_UNKNOWN;
}

static u8 section_index(unsigned long section)
{
	unsigned long pfn = section_nr_to_pfn(section);
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + PAGES_PER_SECTION - 1);
	unsigned int pool;
	bool part;
	int nid;

	pool = ember_pool_index_at(PFN_PHYS(pfn), PFN_PHYS(PAGES_PER_SECTION), &part);
	if (part || !first != !last)
		return EMBER_MEMORY_ASK_PAGE;
	if (!first)
		return pool;
	nid = page_to_nid(first);
	return page_to_nid(last) == nid ? node_index(nid) : EMBER_MEMORY_ASK_PAGE;
}

static unsigned long count_sections(void)
{
	unsigned long end = 0;
	int nid;

	for_each_online_node(nid)
		end = max(end, node_end_pfn(nid));
	return pfn_to_section_nr(end + PAGES_PER_SECTION - 1);
}

static struct ember_memory_table *table_build(void)
{
	unsigned long nr_sections = count_sections();
	struct ember_memory_table *table;
	unsigned long i;

	table = kvmalloc(struct_size(table, index, nr_sections), GFP_KERNEL);
	if (!table)
		return NULL;
	table->nr_sections = nr_sections;
	for (i = 0; i < nr_sections; i++) {
		table->index[i] = section_index(i);
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
		kvfree_rcu(old, rcu);
	return new ? 0 : -ENOMEM;
}

/**
 * ember_memory_update - the pools have changed
 *
 * Return: 0, or -ENOMEM: places are unknown until the next change.
 */
int ember_memory_update(void)
{
	return table_replace();
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
 * ember_memory_get - the table, to look frames up in
 *
 * Return: valid until the caller's rcu_read_unlock(); NULL if there is none.
 */
const struct ember_memory_table *ember_memory_get(void)
{
	return rcu_dereference(memory_table);
}

/* Slow half of ember_memory_index(). */
unsigned int ember_memory_ask_page(unsigned long pfn)
{
	const struct page *page = pfn_to_page(pfn);
	const struct ember_pool *pool = ember_pool_of(page_folio(page));

	if (is_zone_device_page(page))
		return pool ? pool->id : EMBER_MEM_UNKNOWN;
	return node_index(page_to_nid(page));
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
	kvfree(rcu_dereference_protected(memory_table, true));
	RCU_INIT_POINTER(memory_table, NULL);
}
