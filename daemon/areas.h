/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The newly found areas of a process, for whoever wants to know when new memory was seen.
 * A program that touches fresh memory is met piece by piece, one early look after the other: pieces
 * of one burst are one area, or the first of them would be pushed off the list by the rest
 * before anybody could ask. Pure.
 */
#ifndef EMBER_AREAS_H
#define EMBER_AREAS_H

#include <stdint.h>

#include "status.h"

/*
 * What adjoins an area and is found within this time of it belongs to it. Bounded, so that a heap
 * that never stops growing is told in pieces of a second each and not as one area of long ago.
 */
#define EMBER_AREA_BURST_NS 1000000000ULL

/*
 * Note that @piece was seen by a scan for the first time, at piece->first_scan_ns. It is joined
 * with the areas that it adjoins or overlaps, whose first scan then stands for all; otherwise it
 * takes the place of the area that was found or extended longest ago. @areas: latest last.
 */
void ember_areas_note(struct ember_status_area areas[static EMBER_STATUS_MAX_AREAS], uint32_t *nr,
		      const struct ember_status_area *piece);

#endif /* EMBER_AREAS_H */
