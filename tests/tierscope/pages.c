// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "pages.h"

int pages_init(struct pages *pages)
{
	pages->bank = 0;
	pages->gibs = calloc(PAGES_NR_GIBS, sizeof(*pages->gibs));
	return pages->gibs ? 0 : -ENOMEM;
}

static void free_gib(struct pages_gib *gib)
{
	if (!gib)
		return;
	for (uint32_t r = 0; r < PAGES_PER_GIB; r++)
		free(gib->regions[r]);
	free(gib);
}

void pages_free(struct pages *pages)
{
	for (uint32_t g = 0; pages->gibs && g < PAGES_NR_GIBS; g++)
		free_gib(pages->gibs[g]);
	free(pages->gibs);
	pages->gibs = NULL;
}

/*
 * The table in *slot, made if there is none yet. Two vCPUs may both make one; the
 * second gives its own back. NULL without memory.
 */
static void *get_table(void **slot, size_t size)
{
	void *found = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	void *made;

	if (found)
		return found;
	made = calloc(1, size);
	if (!made)
		return NULL;
	if (__atomic_compare_exchange_n(slot, &found, made, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return made;
	free(made);
	return found;
}

void pages_add(struct pages *pages, uint64_t vaddr, uint32_t mem)
{
	uint32_t bank = __atomic_load_n(&pages->bank, __ATOMIC_RELAXED);
	struct pages_region *region;
	struct pages_gib *gib;
	uint32_t page = vaddr >> 12 & (PAGES_PER_REGION - 1);

	if (vaddr >> PAGES_VADDR_BITS)
		return;
	gib = get_table(&pages->gibs[vaddr >> 30], sizeof(*gib));
	if (!gib)
		return;
	region = get_table(&gib->regions[vaddr >> 21 & (PAGES_PER_GIB - 1)], sizeof(*region));
	if (!region)
		return;
	__atomic_fetch_add(&region->misses[bank][page], 1, __ATOMIC_RELAXED);
	__atomic_store_n(&region->mem[page], mem, __ATOMIC_RELAXED);
}

void pages_switch_bank(struct pages *pages)
{
	__atomic_store_n(&pages->bank, !pages->bank, __ATOMIC_RELAXED);
}

static uint32_t take(uint32_t *count, bool reset)
{
	return reset ? __atomic_exchange_n(count, 0, __ATOMIC_RELAXED)
		     : __atomic_load_n(count, __ATOMIC_RELAXED);
}

static void dump_region(struct pages_region *region, uint64_t first_page, FILE *file, bool reset)
{
	for (uint32_t p = 0; p < PAGES_PER_REGION; p++) {
		uint32_t a = take(&region->misses[0][p], reset);
		uint32_t b = take(&region->misses[1][p], reset);

		if (a || b)
			fprintf(file, "%" PRIx64 " %" PRIu32 " %" PRIu32 " %u\n", first_page + p, a,
				b, __atomic_load_n(&region->mem[p], __ATOMIC_RELAXED));
	}
}

void pages_dump(struct pages *pages, FILE *file, bool reset)
{
	for (uint64_t g = 0; g < PAGES_NR_GIBS; g++) {
		struct pages_gib *gib = __atomic_load_n(&pages->gibs[g], __ATOMIC_ACQUIRE);

		for (uint64_t r = 0; gib && r < PAGES_PER_GIB; r++) {
			struct pages_region *region =
			    __atomic_load_n(&gib->regions[r], __ATOMIC_ACQUIRE);

			if (region)
				dump_region(region, g << 18 | r << 9, file, reset);
		}
	}
}
