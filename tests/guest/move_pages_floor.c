// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon's mover by move_pages(2) keeps a node's floor: the call itself wakes kswapd, which
 * reclaims pages of whomever, where free memory is short. Runs the daemon's own code on pages of
 * this process.
 */
#include <string.h>

#include "daemon/movepages.h"
#include "daemon/topology.h"
#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

#define NR_PAGES 64U
#define FAST 0
#define SLOW 1
/* Others allocate, too: what the floor may be off by without a change of the answer. */
#define MARGIN_BYTES (16UL << 20)

static struct ember_proc_id self(void)
{
	struct ember_identity identity;
	int r = ember_nl_self(&identity);

	if (r < 0)
		fail("own identity: %s", strerror(-r));
	return (struct ember_proc_id){.tgid = identity.tgid,
				      .self_exec_id = identity.exec_id,
				      .start_boottime_ns = identity.start_ns};
}

/* Pages of @area with this fate when they are asked to go to FAST. */
static unsigned int ask(const void *area, uint64_t floor_bytes, enum ember_fate fate)
{
	struct ember_move_region region = {
	    .addr = (uintptr_t)area, .nr_pages = NR_PAGES, .pages = {~0ULL}};
	const struct ember_move move = {
	    .id = self(), .nr_regions = 1, .nr_pages = NR_PAGES, .dest = FAST};
	struct ember_fate_run *runs;
	unsigned int nr = 0;
	size_t nr_runs;

	if (ember_movepages_run(&move, &region, floor_bytes, &runs, &nr_runs) < 0)
		fail("no memory");
	for (size_t i = 0; i < nr_runs; i++)
		nr += runs[i].outcome == fate ? runs[i].nr_pages : 0;
	free(runs);
	return nr;
}

int main(void)
{
	char *area = area_map(REGION_PAGES);
	uint64_t free_bytes;
	unsigned int nr;

	if (ember_topology_read_free("/sys", FAST, &free_bytes) < 0)
		fail("cannot read what is free on node %d", FAST);
	area_fill(area, NR_PAGES, SLOW, 1);
	nr = ask(area, free_bytes + MARGIN_BYTES, EMBER_FATE_NO_MEMORY);
	expect(nr == NR_PAGES, "below the floor: want %u refused for no-memory, saw %u", NR_PAGES,
	       nr);
	nr = area_count(area, NR_PAGES, SLOW);
	expect(nr == NR_PAGES, "and none of them has moved: want %u where they were, saw %u",
	       NR_PAGES, nr);
	nr = ask(area, free_bytes - MARGIN_BYTES, EMBER_FATE_MOVED);
	expect(nr == NR_PAGES, "above the floor: want %u moved, saw %u", NR_PAGES, nr);
	nr = ask(area, free_bytes + MARGIN_BYTES, EMBER_FATE_ALREADY);
	expect(nr == NR_PAGES, "what is there needs no room: want %u already-there, saw %u",
	       NR_PAGES, nr);
	return expect_status();
}
