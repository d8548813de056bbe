// SPDX-License-Identifier: GPL-2.0-or-later
#include "areas.h"

#include <string.h>

static bool belongs(const struct ember_status_area *area, const struct ember_status_area *piece)
{
	return piece->start <= area->end && area->start <= piece->end &&
	       piece->first_scan_ns - area->first_scan_ns <= EMBER_AREA_BURST_NS;
}

static struct ember_status_area joined(const struct ember_status_area *a,
				       const struct ember_status_area *b)
{
	struct ember_status_area both = a->first_scan_ns <= b->first_scan_ns ? *a : *b;

	both.start = a->start < b->start ? a->start : b->start;
	both.end = a->end > b->end ? a->end : b->end;
	return both;
}

void ember_areas_note(struct ember_status_area areas[static EMBER_STATUS_MAX_AREAS], uint32_t *nr,
		      const struct ember_status_area *piece)
{
	struct ember_status_area whole = *piece;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < *nr; i++)
		if (belongs(&areas[i], piece))
			whole = joined(&areas[i], &whole);
		else
			areas[kept++] = areas[i];
	if (kept == EMBER_STATUS_MAX_AREAS)
		memmove(areas, areas + 1, --kept * sizeof(areas[0]));
	areas[kept++] = whole;
	*nr = kept;
}
