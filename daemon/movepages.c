// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traps of the call (read in mm/migrate.c, 6.12 and 7.3): a page that is on its node already, or
 * any error of a page, ends the batch at once; when pages fail to migrate the call returns their
 * number and leaves the rest of the list untried with their status unwritten. So: only pages that
 * are elsewhere are listed (asked by the query form first), status is prefilled, and what was left
 * untried is tried again in another call. The call takes a bare number: see proc_id.h.
 */
#include "movepages.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "topology.h"

/* linux/mempolicy.h */
#define MPOL_MF_MOVE (1 << 1)     /* only pages that no other process maps */
#define MPOL_MF_MOVE_ALL (1 << 2) /* these, too: takes CAP_SYS_NICE */

#define UNTRIED 0x7fffffff
#define MAX_CALLS 8 /* per region: the list shrinks with every call that makes progress */

struct batch {
	void *addrs[EMBER_REGION_PAGES];
	int nodes[EMBER_REGION_PAGES];
	int status[EMBER_REGION_PAGES];
	uint16_t page[EMBER_REGION_PAGES]; /* index of each address in the region */
	unsigned int nr;
};

enum ember_fate ember_movepages_fate(int status, int node)
{
	switch (status) {
	case UNTRIED:
		return EMBER_FATE_UNKNOWN;
	case -ENOENT:
	case -EFAULT: /* 6.12 and later say so for an address without a page */
		return EMBER_FATE_NOT_PRESENT;
	case -EBUSY:
	case -EAGAIN:
		return EMBER_FATE_BUSY;
	case -EACCES:
		return EMBER_FATE_SHARED;
	case -EPERM:
		return EMBER_FATE_DENIED;
	case -ENOMEM:
		return EMBER_FATE_NO_MEMORY;
	default:
		return status == node ? EMBER_FATE_MOVED : EMBER_FATE_FAILED;
	}
}

static bool selected(const struct ember_move_region *region, unsigned int page)
{
	return region->pages[page / 64] >> (page % 64) & 1;
}

/* Where do the selected pages lie? status[page] is a node or -errno. */
static int query(uint32_t pid, const struct ember_move_region *region,
		 int status[EMBER_REGION_PAGES])
{
	struct batch b = {};

	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
		if (!selected(region, page))
			continue;
		b.page[b.nr] = page;
		b.addrs[b.nr++] = (void *)(region->addr + page * 4096UL);
	}
	if (syscall(SYS_move_pages, pid, (unsigned long)b.nr, b.addrs, NULL, b.status, 0) < 0)
		return -errno;
	for (unsigned int i = 0; i < b.nr; i++)
		status[b.page[i]] = b.status[i];
	return 0;
}

/* Asks for the first @limit pages that are elsewhere; notes refusals. Pages tried, or -errno. */
static int try_move(const struct ember_move *move, const struct ember_move_region *region,
		    const int place[EMBER_REGION_PAGES], enum ember_fate fate[EMBER_REGION_PAGES],
		    unsigned int limit)
{
	struct batch b = {};
	int tried = 0;

	for (unsigned int page = 0; page < EMBER_REGION_PAGES && b.nr < limit; page++) {
		if (!selected(region, page) || place[page] < 0 || place[page] == move->dest ||
		    fate[page] != EMBER_FATE_UNKNOWN)
			continue;
		b.page[b.nr] = page;
		b.nodes[b.nr] = move->dest;
		b.status[b.nr] = UNTRIED;
		b.addrs[b.nr++] = (void *)(region->addr + page * 4096UL);
	}
	if (!b.nr)
		return 0;
	if (syscall(SYS_move_pages, move->id.tgid, (unsigned long)b.nr, b.addrs, b.nodes, b.status,
		    move->mover == EMBER_MOVER_MOVE_SHARED ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE) < 0)
		return -errno;
	for (unsigned int i = 0; i < b.nr; i++) {
		if (b.status[i] == UNTRIED)
			continue;
		tried++;
		if (b.status[i] < 0)
			fate[b.page[i]] = ember_movepages_fate(b.status[i], move->dest);
	}
	return tried;
}

/*
 * May all that lies elsewhere come without the node's free pages falling below its floor? The call
 * allocates with the right to reclaim, pages of whomever: for base pages by kswapd, which wakes
 * below the low watermark, for huge pages directly (mm/migrate.c: alloc_migration_target()); pages
 * in the lists of other CPUs do not help it. The floor is the high watermark, so that what others
 * take meanwhile mostly fits between the two.
 */
static bool fits(const struct ember_move *move, const struct ember_move_region *region,
		 const int place[EMBER_REGION_PAGES], uint64_t floor_bytes)
{
	uint64_t free_bytes, needed_bytes = 0;

	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
		if (selected(region, page) && place[page] >= 0 && place[page] != move->dest)
			needed_bytes += 4096;
	if (!needed_bytes)
		return true;
	if (ember_topology_read_free("/sys", move->dest, &free_bytes) < 0)
		return false; /* it is offline since */
	return free_bytes >= floor_bytes && free_bytes - floor_bytes >= needed_bytes;
}

static void settle(const struct ember_move *move, const struct ember_move_region *region,
		   const int before[EMBER_REGION_PAGES], const int after[EMBER_REGION_PAGES],
		   enum ember_fate fate[EMBER_REGION_PAGES])
{
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
		if (!selected(region, page))
			continue;
		if (before[page] == move->dest)
			fate[page] = EMBER_FATE_ALREADY;
		else if (after[page] == move->dest)
			fate[page] = EMBER_FATE_MOVED;
		else if (after[page] < 0)
			fate[page] = ember_movepages_fate(after[page], move->dest);
		else if (fate[page] == EMBER_FATE_UNKNOWN)
			fate[page] = EMBER_FATE_BUSY; /* tried, still there: locked or referenced */
	}
}

static void fill(const struct ember_move_region *region, enum ember_fate fate[EMBER_REGION_PAGES],
		 enum ember_fate all)
{
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
		if (selected(region, page))
			fate[page] = all;
}

static enum ember_fate fate_of_errno(int error)
{
	switch (error) {
	case -ESRCH:
		return EMBER_FATE_GONE;
	case -EPERM:
	case -EACCES:
		return EMBER_FATE_DENIED;
	case -ENOMEM:
		return EMBER_FATE_NO_MEMORY;
	case -ENODEV:
		return EMBER_FATE_NO_DEST;
	default:
		return EMBER_FATE_FAILED;
	}
}

/* All calls that it takes. The pages tried in the last one, or -errno. */
static int try_until_done(const struct ember_move *move, const struct ember_move_region *region,
			  int place[EMBER_REGION_PAGES], enum ember_fate fate[EMBER_REGION_PAGES])
{
	/*
	 * The first address alone: if a huge page maps the region, this moves all of it, and more
	 * addresses of the same huge page would be refused and end the batch.
	 */
	int r = try_move(move, region, place, fate, 1);

	for (int calls = 1; r > 0 && calls < MAX_CALLS; calls++) {
		if (query(move->id.tgid, region, place) < 0)
			break;
		r = try_move(move, region, place, fate, EMBER_REGION_PAGES);
	}
	return r;
}

static void move_region(const struct ember_move *move, const struct ember_move_region *region,
			uint64_t floor_bytes, enum ember_fate fate[EMBER_REGION_PAGES])
{
	int before[EMBER_REGION_PAGES] = {}, place[EMBER_REGION_PAGES] = {};
	int r = query(move->id.tgid, region, before);

	fill(region, fate, r < 0 ? fate_of_errno(r) : EMBER_FATE_UNKNOWN);
	if (r < 0)
		return;
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++)
		place[page] = before[page];
	r = fits(move, region, place, floor_bytes) ? try_until_done(move, region, place, fate)
						   : -ENOMEM;
	if (r < 0)
		fill(region, fate, fate_of_errno(r));
	if (query(move->id.tgid, region, place) == 0)
		settle(move, region, before, place, fate);
}

static void append(const struct ember_move_region *region,
		   const enum ember_fate fate[EMBER_REGION_PAGES], struct ember_fate_run *runs,
		   size_t *nr)
{
	for (unsigned int page = 0; page < EMBER_REGION_PAGES; page++) {
		if (!selected(region, page))
			continue;
		if (*nr && runs[*nr - 1].outcome == fate[page])
			runs[*nr - 1].nr_pages++;
		else
			runs[(*nr)++] =
			    (struct ember_fate_run){.outcome = fate[page], .nr_pages = 1};
	}
}

int ember_movepages_run(const struct ember_move *move, const struct ember_move_region *regions,
			uint64_t floor_bytes, struct ember_fate_run **ret_runs, size_t *ret_nr_runs)
{
	enum ember_fate fate[EMBER_REGION_PAGES];
	struct ember_fate_run *runs = calloc(move->nr_pages, sizeof(*runs));
	size_t nr = 0;

	if (!runs)
		return -ENOMEM;
	for (uint32_t i = 0; i < move->nr_regions; i++) {
		if (ember_proc_id_is_alive(&move->id))
			move_region(move, &regions[i], floor_bytes, fate);
		else
			fill(&regions[i], fate, EMBER_FATE_GONE);
		append(&regions[i], fate, runs, &nr);
	}
	*ret_runs = runs;
	*ret_nr_runs = nr;
	return 0;
}
