/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of one process's memory: one summary per populated 2 MiB region
 * (40 bytes), and two optional blocks where a region is not uniform:
 *  - heat: one byte per 4 KiB page, only where the pages differ in heat;
 *  - planes: 64 bytes per bit plane, only those planes that are not all equal.
 *
 * Life cycle: a region appears with its first record; it goes when a complete full
 * pass did not report it (munmap, MADV_DONTNEED of all of it). exec and exit: the
 * caller drops the whole store. fork: the child starts with an empty store; it shares
 * the pages, but what it will touch is not what its parent touched. mremap: the old
 * address goes by the next full pass, the new one starts afresh.
 */
#ifndef EMBER_REGION_H
#define EMBER_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ember/sample.h"
#include "level.h"

/* Bits of ember_region.plane_mask: which planes are stored; others are uniform. */
enum ember_plane {
	EMBER_PLANE_PRESENT = 0, /* not stored: all 512 present */
	EMBER_PLANE_SHARED = 1,  /* not stored: none shared */
	EMBER_PLANE_MEM0 = 2,    /* not stored: as in .mem */
	EMBER_NR_PLANES = EMBER_PLANE_MEM0 + EMBER_MEM_PLANES,
};

struct ember_region {
	uint64_t addr;
	uint8_t *heat;       /* level of each of 512 pages, or NULL: all are at .level */
	uint64_t *planes;    /* stored planes in the order of enum ember_plane, or NULL */
	uint32_t stamp_ms;   /* clock of the store when heat was last brought up to date */
	uint16_t nr_present; /* 4 KiB pages */
	uint16_t nr_young;   /* in the last record */
	uint8_t level;       /* of all pages if .heat is NULL, else about their mean */
	uint8_t info;        /* gathered since the last surprise, see gain.h */
	uint8_t mem;         /* mem index; bits of stored planes are 0 */
	uint8_t plane_mask;  /* enum ember_plane */
	uint8_t kind : 4;    /* enum ember_region_kind */
	uint8_t order : 2;   /* enum ember_order_class */
	uint8_t seen : 1;    /* reported in the pass under way */
	uint8_t bound : 1;   /* a memory policy names the nodes for part of it */
	uint8_t nr_inflight; /* submitted moves whose result is not in the books yet */
	uint16_t info_stamp; /* .info_clock of the store when .info was last brought up to date */
};
_Static_assert(sizeof(struct ember_region) == 40, "the summary is paid for every populated region");

/* Regions of one process, sorted by address. */
struct ember_regions {
	struct ember_region *regions;
	uint32_t nr;
	uint32_t nr_alloc;
	uint16_t info_clock; /* information that complete scans gave, in 1/16; wraps */
	uint32_t gap_ms;     /* last argument of ember_gain_offset(), and its result */
	int gap_offset;
	uint8_t prior_level; /* what an unknown page is taken for; from the last scan */
	uint32_t info_rest_q8;
	uint32_t clock_ms; /* time covered by complete scans: what was not watched did not pass */
	uint64_t detail_bytes; /* heat and planes */
};

void ember_regions_init(struct ember_regions *rs);
void ember_regions_clear(struct ember_regions *rs); /* exec, exit; @rs may be used again */

/* The region at @addr (2 MiB aligned), or NULL. */
struct ember_region *ember_regions_find(const struct ember_regions *rs, uint64_t addr);

/* Index of the first region at or above @addr. */
uint32_t ember_regions_lower_bound(const struct ember_regions *rs, uint64_t addr);

/*
 * Make sure that all of @addrs (ascending, 2 MiB aligned) exist: one merge for a whole
 * buffer of records, so that a process that grows costs O(regions), not O(regions^2).
 * 0 or -ENOMEM (nothing changed).
 */
int ember_regions_insert(struct ember_regions *rs, const uint64_t *addrs, size_t nr);

/* Drop the regions whose .seen is clear; clear .seen of the others. Regions in flight stay. */
void ember_regions_drop_unseen(struct ember_regions *rs);

/* One plane as 8 words, whether stored or uniform. */
void ember_region_plane(const struct ember_region *r, enum ember_plane plane,
			uint64_t ret[EMBER_PLANE_WORDS]);

/* Present pages that lie in memory @mem. */
void ember_region_on_mem(const struct ember_region *r, uint8_t mem,
			 uint64_t ret[EMBER_PLANE_WORDS]);

/* Exclusive or shared, but anonymous and of base pages: what the module moves. */
bool ember_region_is_plain(const struct ember_region *r);

/* Bit m set: some present page lies in memory m (may name one too many, never one too few). */
uint16_t ember_region_mems(const struct ember_region *r);

/* Memory of page @page (0..511). */
uint8_t ember_region_page_mem(const struct ember_region *r, unsigned int page);

/* Heat level of page @page as last brought up to date (0..127). */
uint8_t ember_region_page_level(const struct ember_region *r, unsigned int page);

/* Take kind, order, presence, sharing and place from a record. 0 or -ENOMEM (unchanged). */
int ember_region_set_record(struct ember_regions *rs, struct ember_region *r,
			    const struct ember_region_rec *rec);

/* Pages @pages now lie in @mem. 0 or -ENOMEM (unchanged; the next record tells). */
int ember_region_set_mem(struct ember_regions *rs, struct ember_region *r,
			 const uint64_t pages[EMBER_PLANE_WORDS], uint8_t mem);

/* Per-page heat on demand: from now on .heat is valid. 0 or -ENOMEM. */
int ember_region_split_heat(struct ember_regions *rs, struct ember_region *r);
/* Back to one level for all pages. */
void ember_region_merge_heat(struct ember_regions *rs, struct ember_region *r, uint8_t level);

/* 4 KiB pages per memory, summed over all regions; the caller zeroes @nr_pages. */
void ember_regions_count_mem(const struct ember_regions *rs,
			     uint64_t nr_pages[EMBER_MEM_UNKNOWN + 1]);

/* Bytes of metadata: summaries and detail. */
uint64_t ember_regions_bytes(const struct ember_regions *rs);

#endif
