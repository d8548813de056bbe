// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "memmap.h"

static bool overlap(const struct range *a, const struct range *b)
{
	return a->start < b->end && b->start < a->end;
}

static int add(struct memmap *map, uint64_t start, uint64_t end, uint32_t mem)
{
	struct memmap_entry entry = {{start, end}, mem};

	for (uint32_t i = 0; i < map->nr_entries; i++)
		if (overlap(&map->entries[i].range, &entry.range))
			return -EINVAL;
	map->entries[map->nr_entries++] = entry;
	return 0;
}

static uint64_t size_of(const struct mem *mem)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < mem->nr_pieces; i++)
		bytes += mem->pieces[i].end - mem->pieces[i].start;
	return bytes;
}

static int add_guest_ranges(struct memmap *map, const struct mem *mems, uint32_t nr_mems)
{
	for (uint32_t m = 0; m < nr_mems; m++) {
		for (uint32_t i = 0; i < mems[m].nr_pieces; i++) {
			const struct range *piece = &mems[m].pieces[i];
			int r = add(map, piece->start, piece->end, m);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Entries in the address space of version 1; the guest's ranges are checked all the same. */
static int set_backend_ranges(struct memmap *map, const struct mem *mems, uint32_t nr_mems)
{
	uint64_t before = 0; /* bytes of the backends before this one */

	map->nr_entries = 0;
	for (uint32_t m = 0; m < nr_mems; m++) {
		uint64_t size = size_of(&mems[m]);
		int r = add(map, 2 * before, 2 * before + size, m);

		if (r < 0)
			return r;
		before += size;
	}
	return 0;
}

int memmap_init(struct memmap *map, const struct mem *mems, uint32_t nr_mems, int plugin_version)
{
	int r;

	map->nr_entries = 0;
	r = add_guest_ranges(map, mems, nr_mems);
	if (r < 0 || plugin_version >= 2)
		return r;

	return set_backend_ranges(map, mems, nr_mems);
}

uint32_t memmap_find(const struct memmap *map, uint64_t addr)
{
	/* At most a handful of entries: a search would cost more than it saves. */
	for (uint32_t i = 0; i < map->nr_entries; i++) {
		const struct memmap_entry *entry = &map->entries[i];

		if (addr - entry->range.start < entry->range.end - entry->range.start)
			return entry->mem;
	}
	return MEMMAP_OTHER;
}
