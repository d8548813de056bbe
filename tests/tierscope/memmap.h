/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory does an address lie in? Memories are the guest's NUMA nodes, given
 * with their guest-physical ranges in order of node number.
 *
 * What the emulator calls a physical address depends on its version
 * (qemu_plugin_hwaddr_phys_addr() in plugins/api.c):
 *  - From plugin version 2 on it is the guest-physical address.
 *  - In version 1 (QEMU 7.2) it is block->offset + mr->addr + offset in the block.
 *    Memory backends are laid out one after another both in the space of RAM blocks
 *    (block->offset) and in the machine's RAM container (mr->addr); so the backend
 *    that begins after S bytes of other backends answers 2 * S + offset, and the hole
 *    below 4 GiB does not show. Such ranges never overlap.
 * Either way the answer names one byte of RAM uniquely, so it also serves as the
 * address for the cache model.
 */
#ifndef TIERSCOPE_MEMMAP_H
#define TIERSCOPE_MEMMAP_H

#include <stdbool.h>
#include <stdint.h>

#define MEMMAP_MAX_MEMS 16
#define MEMMAP_MAX_PIECES 4 /* ranges of one memory */
#define MEMMAP_NAME_LEN 32
#define MEMMAP_OTHER MEMMAP_MAX_MEMS /* index of what lies in no memory */

enum tier { TIER_FAST, TIER_SLOW };

/* [start, end) */
struct range {
	uint64_t start;
	uint64_t end;
};

struct mem {
	char name[MEMMAP_NAME_LEN];
	enum tier tier;
	uint32_t nr_pieces;
	struct range pieces[MEMMAP_MAX_PIECES];
};

/* One range of addresses as the emulator reports them. */
struct memmap_entry {
	struct range range;
	uint32_t mem;
};

struct memmap {
	uint32_t nr_entries;
	struct memmap_entry entries[MEMMAP_MAX_MEMS * MEMMAP_MAX_PIECES];
};

/*
 * Fills the map from nr_mems memories in node order, for the address space of the
 * given plugin version. Returns 0, or -EINVAL where ranges overlap.
 */
int memmap_init(struct memmap *map, const struct mem *mems, uint32_t nr_mems, int plugin_version);

/* Index of the memory that addr lies in, MEMMAP_OTHER if in none. */
uint32_t memmap_find(const struct memmap *map, uint64_t addr);

#endif /* TIERSCOPE_MEMMAP_H */
