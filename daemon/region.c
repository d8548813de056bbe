// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "region.h"
#include "util/cleanup.h"

#define PLANE_BYTES (EMBER_PLANE_WORDS * sizeof(uint64_t))
#define MEM_MASK (((1U << EMBER_MEM_PLANES) - 1) << EMBER_PLANE_MEM0)

static size_t planes_bytes(uint8_t mask)
{
	return __builtin_popcount(mask) * PLANE_BYTES;
}

static uint64_t *stored_plane(const struct ember_region *r, unsigned int plane)
{
	unsigned int before = r->plane_mask & ((1U << plane) - 1);

	if (!(r->plane_mask & (1U << plane)))
		return NULL;
	return r->planes + (size_t)__builtin_popcount(before) * EMBER_PLANE_WORDS;
}

void ember_regions_init(struct ember_regions *rs)
{
	*rs = (struct ember_regions){0};
}

static void free_detail(struct ember_regions *rs, struct ember_region *r)
{
	rs->detail_bytes -= (r->heat ? EMBER_REGION_PAGES : 0) + planes_bytes(r->plane_mask);
	free(r->heat);
	free(r->planes);
}

void ember_regions_clear(struct ember_regions *rs)
{
	for (uint32_t i = 0; i < rs->nr; i++)
		free_detail(rs, &rs->regions[i]);
	free(rs->regions);
	ember_regions_init(rs);
}

uint32_t ember_regions_lower_bound(const struct ember_regions *rs, uint64_t addr)
{
	uint32_t lo = 0, hi = rs->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (rs->regions[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct ember_region *ember_regions_find(const struct ember_regions *rs, uint64_t addr)
{
	uint32_t i = ember_regions_lower_bound(rs, addr);

	return i < rs->nr && rs->regions[i].addr == addr ? &rs->regions[i] : NULL;
}

static size_t count_missing(const struct ember_regions *rs, const uint64_t *addrs, size_t nr)
{
	uint32_t at = nr ? ember_regions_lower_bound(rs, addrs[0]) : 0;
	size_t missing = 0;

	for (size_t i = 0; i < nr; i++) {
		while (at < rs->nr && rs->regions[at].addr < addrs[i])
			at++;
		missing += at == rs->nr || rs->regions[at].addr != addrs[i];
	}
	return missing;
}

static int reserve(struct ember_regions *rs, size_t nr)
{
	struct ember_region *regions;
	size_t want = rs->nr_alloc + rs->nr_alloc / 2;

	if (nr <= rs->nr_alloc)
		return 0;
	if (want < nr)
		want = nr;
	if (want > UINT32_MAX)
		return -ENOMEM;
	regions = reallocarray(rs->regions, want, sizeof(*regions));
	if (!regions)
		return -ENOMEM;
	rs->regions = regions;
	rs->nr_alloc = want;
	return 0;
}

int ember_regions_insert(struct ember_regions *rs, const uint64_t *addrs, size_t nr)
{
	size_t missing = count_missing(rs, addrs, nr);
	size_t from = rs->nr, to = rs->nr + missing, in = nr;
	int r;

	if (!missing)
		return 0;
	r = reserve(rs, to);
	if (r < 0)
		return r;
	/* merge from the back, until the rest is in place already */
	rs->nr = to;
	while (to > from) {
		if (from && rs->regions[from - 1].addr >= addrs[in - 1]) {
			if (rs->regions[from - 1].addr == addrs[in - 1])
				in--;
			rs->regions[--to] = rs->regions[--from];
			continue;
		}
		rs->regions[--to] = (struct ember_region){.addr = addrs[--in]};
	}
	return 0;
}

void ember_regions_drop_unseen(struct ember_regions *rs)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < rs->nr; i++) {
		struct ember_region *r = &rs->regions[i];

		if (!r->seen && !r->nr_inflight) {
			free_detail(rs, r);
			continue;
		}
		r->seen = 0;
		rs->regions[to++] = *r;
	}
	rs->nr = to;
}

void ember_region_plane(const struct ember_region *r, enum ember_plane plane,
			uint64_t ret[EMBER_PLANE_WORDS])
{
	const uint64_t *stored = stored_plane(r, plane);
	bool ones = plane == EMBER_PLANE_PRESENT;

	if (plane >= EMBER_PLANE_MEM0)
		ones = r->mem & (1U << (plane - EMBER_PLANE_MEM0));
	if (stored)
		memcpy(ret, stored, PLANE_BYTES);
	else
		memset(ret, ones ? 0xff : 0, PLANE_BYTES);
}

void ember_region_on_mem(const struct ember_region *r, uint8_t mem, uint64_t ret[EMBER_PLANE_WORDS])
{
	ember_region_plane(r, EMBER_PLANE_PRESENT, ret);
	for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++) {
		const uint64_t *stored = stored_plane(r, EMBER_PLANE_MEM0 + k);
		bool want = mem & (1U << k);

		if (!stored && want != !!(r->mem & (1U << k))) {
			memset(ret, 0, PLANE_BYTES);
			return;
		}
		for (int w = 0; stored && w < EMBER_PLANE_WORDS; w++)
			ret[w] &= want ? stored[w] : ~stored[w];
	}
}

bool ember_region_is_plain(const struct ember_region *r)
{
	return r->kind == EMBER_KIND_ANON && r->order == EMBER_ORDER_BASE;
}

uint16_t ember_region_mems(const struct ember_region *r)
{
	unsigned int vary = (r->plane_mask & MEM_MASK) >> EMBER_PLANE_MEM0;
	uint16_t mems = 0;

	/* all subsets of the bits that vary */
	for (unsigned int sub = vary;; sub = (sub - 1) & vary) {
		mems |= 1U << (r->mem | sub);
		if (!sub)
			return mems;
	}
}

uint8_t ember_region_page_mem(const struct ember_region *r, unsigned int page)
{
	uint8_t mem = r->mem;

	for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++) {
		const uint64_t *stored = stored_plane(r, EMBER_PLANE_MEM0 + k);

		if (stored && (stored[page / 64] >> (page % 64)) & 1)
			mem |= 1U << k;
	}
	return mem;
}

uint8_t ember_region_page_level(const struct ember_region *r, unsigned int page)
{
	return r->heat ? r->heat[page] : r->level;
}

static unsigned int weight(const uint64_t plane[EMBER_PLANE_WORDS])
{
	unsigned int n = 0;

	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		n += __builtin_popcountll(plane[w]);
	return n;
}

/*
 * Store @planes (all EMBER_NR_PLANES of them), keeping only those that are not uniform over
 * the present pages.
 */
static int store_planes(struct ember_regions *rs, struct ember_region *r,
			const uint64_t planes[EMBER_NR_PLANES][EMBER_PLANE_WORDS])
{
	unsigned int nr_present = weight(planes[EMBER_PLANE_PRESENT]), mask = 0, mem = 0;
	uint64_t *block = r->planes, *to;

	for (unsigned int p = 0; p < EMBER_NR_PLANES; p++) {
		unsigned int n = weight(planes[p]);

		if ((p == EMBER_PLANE_PRESENT ? n < EMBER_REGION_PAGES : n && n < nr_present) ||
		    (p == EMBER_PLANE_SHARED && n))
			mask |= 1U << p;
		else if (p >= EMBER_PLANE_MEM0 && n)
			mem |= 1U << (p - EMBER_PLANE_MEM0);
	}
	if (planes_bytes(mask) != planes_bytes(r->plane_mask)) {
		block = mask ? malloc(planes_bytes(mask)) : NULL;
		if (mask && !block)
			return -ENOMEM;
		free(r->planes);
	}
	to = block;
	for (unsigned int p = 0; p < EMBER_NR_PLANES; p++)
		if (mask & (1U << p)) {
			memcpy(to, planes[p], PLANE_BYTES);
			to += EMBER_PLANE_WORDS;
		}
	rs->detail_bytes += planes_bytes(mask) - planes_bytes(r->plane_mask);
	r->planes = block;
	r->plane_mask = mask;
	r->mem = mem;
	r->nr_present = nr_present;
	return 0;
}

int ember_region_set_record(struct ember_regions *rs, struct ember_region *r,
			    const struct ember_region_rec *rec)
{
	uint64_t planes[EMBER_NR_PLANES][EMBER_PLANE_WORDS];
	uint64_t *shared = planes[EMBER_PLANE_SHARED];
	int err;

	ember_region_plane(r, EMBER_PLANE_SHARED, shared);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		uint64_t present = rec->present[w], young = rec->young[w];

		planes[EMBER_PLANE_PRESENT][w] = present;
		/* known for young pages only: keep what was known of the others */
		shared[w] = ((shared[w] & ~young) | (rec->shared[w] & young)) & present;
		for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++)
			planes[EMBER_PLANE_MEM0 + k][w] = rec->mem[k][w] & present;
	}
	err = store_planes(rs, r, planes);
	if (err < 0)
		return err;
	r->kind = rec->kind;
	r->order = rec->order_class;
	r->nr_young = rec->nr_young;
	r->bound = !!(rec->flags & EMBER_REC_BOUND);
	return 0;
}

int ember_region_set_mem(struct ember_regions *rs, struct ember_region *r,
			 const uint64_t pages[EMBER_PLANE_WORDS], uint8_t mem)
{
	uint64_t planes[EMBER_NR_PLANES][EMBER_PLANE_WORDS];

	for (unsigned int p = 0; p < EMBER_NR_PLANES; p++)
		ember_region_plane(r, p, planes[p]);
	for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++)
		for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
			uint64_t *word = &planes[EMBER_PLANE_MEM0 + k][w];

			*word = mem & (1U << k) ? *word | pages[w] : *word & ~pages[w];
			*word &= planes[EMBER_PLANE_PRESENT][w];
		}
	return store_planes(rs, r, planes);
}

int ember_region_split_heat(struct ember_regions *rs, struct ember_region *r)
{
	if (r->heat)
		return 0;
	r->heat = malloc(EMBER_REGION_PAGES);
	if (!r->heat)
		return -ENOMEM;
	memset(r->heat, r->level, EMBER_REGION_PAGES);
	rs->detail_bytes += EMBER_REGION_PAGES;
	return 0;
}

void ember_region_merge_heat(struct ember_regions *rs, struct ember_region *r, uint8_t level)
{
	if (r->heat)
		rs->detail_bytes -= EMBER_REGION_PAGES;
	free(r->heat);
	r->heat = NULL;
	r->level = level;
}

void ember_regions_count_mem(const struct ember_regions *rs,
			     uint64_t nr_pages[EMBER_MEM_UNKNOWN + 1])
{
	for (uint32_t i = 0; i < rs->nr; i++) {
		const struct ember_region *r = &rs->regions[i];
		uint64_t on[EMBER_PLANE_WORDS];

		if (!(r->plane_mask & MEM_MASK)) {
			nr_pages[r->mem] += r->nr_present;
			continue;
		}
		for (uint16_t mems = ember_region_mems(r); mems; mems &= mems - 1) {
			ember_region_on_mem(r, __builtin_ctz(mems), on);
			nr_pages[__builtin_ctz(mems)] += weight(on);
		}
	}
}

uint64_t ember_regions_bytes(const struct ember_regions *rs)
{
	return (uint64_t)rs->nr_alloc * sizeof(*rs->regions) + rs->detail_bytes;
}
