// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One look at 512 pages. The level of each page moves by a step that gain.h explains; the
 * fraction of a step is rounded up or down by a number drawn from address and time, so that
 * small steps add up and the same records give the same levels.
 *
 * What was not reported by a complete scan was not touched; that is made up for when the
 * region is next looked at or planned with (ember_score_catch_up()), not at every scan.
 */
#include <errno.h>
#include <string.h>

#include "gain.h"
#include "score.h"

#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL
#define BATCH 128

/* Levels are calibrated on every region of small processes, on one in four of large ones. */
#define CALIBRATE_ALL 128
#define CALIBRATE_ONE_IN 4

/* With so much known a region is expected to behave as its levels say ... */
#define SURPRISE_MIN_INFO (2 * EMBER_INFO_ONE)
/* ... and is learnt afresh when one page in 16, where one in 25 may, does not. */
#define SURPRISE_SHARE 16
#define SURPRISE_MIN_PAGES 8

/* Pages within one octave are one level; looked for in one scan of eight. */
#define MERGE_SPREAD EMBER_LEVELS_PER_OCTAVE
#define MERGE_EVERY 8

/* How pages of one region are looked at. */
struct look {
	const uint8_t *rows; /* into ember_gains, by levels below the prior */
	unsigned int prior;
	unsigned int index; /* of level 0 in the last dimension of ember_gains */
	uint64_t seed;
};

/* splitmix64 (Vigna, public domain) */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static struct look make_look(const struct ember_regions *rs, const struct ember_region *r,
			     int offset)
{
	return (struct look){
	    .rows = ember_gain_rows[r->info / EMBER_INFO_PER_GAIN],
	    .prior = rs->prior_level,
	    .index = offset - EMBER_X_MIN,
	    .seed = r->addr ^ r->stamp_ms,
	};
}

/* In struct ember_steps: the look was a surprise; below it the new level in 1/256. */
#define SURPRISE (1U << 15)
_Static_assert((EMBER_LEVELS - 1) * 256 < SURPRISE,
	       "a level and the mark of a surprise share 16 bits");

static uint16_t step_of(const struct look *look, uint8_t level, unsigned int young)
{
	unsigned int row = look->rows[level < look->prior ? look->prior - level : 0];
	struct ember_gain g = ember_gains[row][young][look->index + level];
	int to_q8 = level * 256 + g.step;

	if (to_q8 < 0)
		to_q8 = 0;
	if (to_q8 > (EMBER_LEVELS - 1) * 256)
		to_q8 = (EMBER_LEVELS - 1) * 256;
	return to_q8 | (g.surprise ? SURPRISE : 0);
}

/* The new level; @dither 0..255 rounds. */
static uint8_t take_step(uint16_t step, uint8_t dither, unsigned int *surprises)
{
	*surprises += step / SURPRISE;
	return (step % SURPRISE + dither) >> 8;
}

static void make_steps(struct ember_steps *steps, const struct look *look)
{
	if (steps->rows == look->rows && steps->prior == look->prior && steps->index == look->index)
		return;
	steps->rows = look->rows;
	steps->prior = look->prior;
	steps->index = look->index;
	for (unsigned int level = 0; level < EMBER_LEVELS; level++)
		for (unsigned int young = 0; young < 2; young++)
			steps->to_q8[young][level] = step_of(look, level, young);
}

static unsigned int look_at_pages(struct look *look, struct ember_steps *steps, uint8_t *heat,
				  const uint64_t young[EMBER_PLANE_WORDS])
{
	unsigned int surprises = 0;

	make_steps(steps, look);
	for (unsigned int i = 0; i < EMBER_REGION_PAGES; i += 8) {
		uint64_t dither = draw(&look->seed);
		uint64_t bits = young[i / 64] >> (i % 64);

		for (unsigned int j = 0; j < 8; j++, dither >>= 8, bits >>= 1)
			heat[i + j] =
			    take_step(steps->to_q8[bits & 1][heat[i + j]], dither, &surprises);
	}
	return surprises;
}

static void add_info(struct ember_region *r, uint16_t info_clock)
{
	uint32_t info = r->info + (uint16_t)(info_clock - r->info_stamp);

	r->info = info < EMBER_INFO_MAX ? info : EMBER_INFO_MAX;
	r->info_stamp = info_clock;
}

/* One level for all if the present pages differ by less than it takes to care. */
static void merge_if_even(struct ember_regions *rs, struct ember_region *r)
{
	uint64_t present[EMBER_PLANE_WORDS];
	unsigned int lo = EMBER_LEVELS, hi = 0, sum = 0;

	ember_region_plane(r, EMBER_PLANE_PRESENT, present);
	for (unsigned int i = 0; i < EMBER_REGION_PAGES; i++) {
		unsigned int level = r->heat[i];

		if (!((present[i / 64] >> (i % 64)) & 1))
			continue;
		lo = level < lo ? level : lo;
		hi = level > hi ? level : hi;
		sum += level;
	}
	if (!r->nr_present)
		return;
	r->level = sum / r->nr_present;
	if (hi - lo <= MERGE_SPREAD)
		ember_region_merge_heat(rs, r, r->level);
}

void ember_score_catch_up(struct ember_regions *rs, struct ember_region *r)
{
	static const uint64_t none[EMBER_PLANE_WORDS];
	int32_t ms = rs->clock_ms - r->stamp_ms;
	unsigned int surprises = 0;
	struct ember_steps steps;
	struct look look;

	if (ms <= 0)
		return;
	/* most regions have missed the same scans */
	if (rs->gap_ms != (uint32_t)ms) {
		rs->gap_ms = ms;
		rs->gap_offset = ember_gain_offset(ms * NSEC_PER_MSEC);
	}
	look = make_look(rs, r, rs->gap_offset);
	if (r->heat) {
		steps.rows = NULL;
		look_at_pages(&look, &steps, r->heat, none);
		merge_if_even(rs, r);
	} else {
		r->level = take_step(step_of(&look, r->level, 0), draw(&look.seed), &surprises);
	}
	add_info(r, rs->info_clock);
	r->stamp_ms = rs->clock_ms;
	r->nr_young = 0;
}

void ember_score_begin(struct ember_score_pass *pass, struct ember_regions *rs,
		       const struct ember_scan_info *info)
{
	*pass = (struct ember_score_pass){.regions = rs, .info = *info};
	rs->prior_level = info->prior_level;
	if (info->interval_ns) {
		pass->gain_offset = ember_gain_offset(info->interval_ns);
		pass->info_rest_q8 =
		    rs->info_rest_q8 + ember_gain_info_q8(info->prior_level + pass->gain_offset);
		pass->info_clock = rs->info_clock + (pass->info_rest_q8 >> 8);
	}
	for (uint32_t i = 0; !info->part && i < rs->nr; i++)
		rs->regions[i].seen = 0;
}

static bool valid(const struct ember_score_pass *pass, const struct ember_region_rec *rec)
{
	return rec->version == EMBER_SAMPLE_VERSION && rec->addr % EMBER_REGION_BYTES == 0 &&
	       rec->kind > EMBER_KIND_UNSPEC && rec->kind <= EMBER_KIND_MIXED &&
	       rec->order_class <= EMBER_ORDER_PMD && (!pass->any || rec->addr > pass->last_addr);
}

static bool is_huge(const struct ember_region *r)
{
	return r->order == EMBER_ORDER_PMD;
}

/* Pages that were not there before are taken for what any unknown page is taken for. */
static int admit_new_pages(struct ember_score_pass *pass, struct ember_region *r,
			   const struct ember_region_rec *rec)
{
	uint64_t fresh[EMBER_PLANE_WORDS];
	unsigned int nr_fresh = 0;
	int err;

	ember_region_plane(r, EMBER_PLANE_PRESENT, fresh);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		fresh[w] = rec->present[w] & ~fresh[w];
		nr_fresh += __builtin_popcountll(fresh[w]);
	}
	/* a huge page tells of 512 pages at once: its level means something else */
	if (!r->nr_present || nr_fresh > r->nr_present ||
	    is_huge(r) != (rec->order_class == EMBER_ORDER_PMD)) {
		ember_region_merge_heat(pass->regions, r, pass->info.prior_level);
		r->info = 0;
		r->info_stamp = pass->regions->info_clock;
		return 0;
	}
	if (!nr_fresh)
		return 0;
	err = ember_region_split_heat(pass->regions, r);
	for (unsigned int i = 0; !err && i < EMBER_REGION_PAGES; i++)
		if ((fresh[i / 64] >> (i % 64)) & 1)
			r->heat[i] = pass->info.prior_level;
	return err;
}

static bool surprising(const struct ember_region *r, unsigned int surprises)
{
	if (r->info < SURPRISE_MIN_INFO || is_huge(r))
		return false;
	return surprises >= SURPRISE_MIN_PAGES && surprises * SURPRISE_SHARE > r->nr_present;
}

/* Pages of @r at each level as it was, and which of them were young now. */
static void calibrate(struct ember_score_pass *pass, const struct ember_region *r,
		      const uint64_t young[EMBER_PLANE_WORDS])
{
	struct ember_calibration *c = pass->info.calibration;
	uint64_t present[EMBER_PLANE_WORDS];

	ember_calibration_interval(c, is_huge(r) ? 1 : r->nr_present,
				   pass->info.interval_ns / NSEC_PER_USEC);
	if (is_huge(r)) {
		ember_calibration_add(c, EMBER_PAGE_HUGE, r->level, 1, young[0] & 1);
		return;
	}
	ember_region_plane(r, EMBER_PLANE_PRESENT, present);
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++) {
		if (!r->heat) {
			ember_calibration_add(c, EMBER_PAGE_BASE, r->level,
					      __builtin_popcountll(present[w]),
					      __builtin_popcountll(young[w]));
			continue;
		}
		for (uint64_t bits = present[w]; bits; bits &= bits - 1) {
			unsigned int i = __builtin_ctzll(bits);

			ember_calibration_add(c, EMBER_PAGE_BASE, r->heat[w * 64 + i], 1,
					      (young[w] >> i) & 1);
		}
	}
}

/* A part is as good as all where there are many; the same regions are asked in a whole round. */
static bool asked(const struct ember_score_pass *pass, const struct ember_region *r)
{
	uint64_t seed = r->addr ^ pass->regions->clock_ms;

	return pass->info.calibration && pass->info.interval_ns &&
	       (pass->regions->nr < CALIBRATE_ALL || draw(&seed) % CALIBRATE_ONE_IN == 0);
}

/* What the record says of heat. */
static int look_at_region(struct ember_score_pass *pass, struct ember_region *r,
			  const uint64_t young[EMBER_PLANE_WORDS], unsigned int nr_young)
{
	struct look look = make_look(pass->regions, r, pass->gain_offset);
	bool uniform = !nr_young || nr_young == r->nr_present; /* all alike */
	unsigned int surprises = 0;
	int err;

	if (!r->heat && uniform) {
		r->level =
		    take_step(step_of(&look, r->level, !!nr_young), draw(&look.seed), &surprises);
		surprises *= r->nr_present;
	} else {
		err = ember_region_split_heat(pass->regions, r);
		if (err < 0)
			return err;
		surprises = look_at_pages(&look, &pass->steps, r->heat, young);
		if (draw(&look.seed) % MERGE_EVERY == 0)
			merge_if_even(pass->regions, r);
	}
	if (surprising(r, surprises)) {
		r->info = 0;
		pass->stats.nr_surprises++;
	}
	add_info(r, pass->info_clock);
	return 0;
}

static int score_record(struct ember_score_pass *pass, const struct ember_region_rec *rec)
{
	struct ember_regions *rs = pass->regions;
	struct ember_region *r = ember_regions_find(rs, rec->addr);
	uint64_t young[EMBER_PLANE_WORDS];
	unsigned int nr_young = 0;
	int err;

	ember_score_catch_up(rs, r);
	err = admit_new_pages(pass, r, rec);
	if (!err)
		err = ember_region_set_record(rs, r, rec);
	if (err < 0)
		return err;
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		young[w] = rec->young[w] & rec->present[w];
		nr_young += __builtin_popcountll(young[w]);
	}
	pass->stats.nr_young += nr_young;
	pass->stats.nr_present += r->nr_present;
	r->seen = 1;
	/* a pass that this look comes in the middle of may have brought the region ahead already */
	if (pass->info.part)
		return 0;
	if (asked(pass, r))
		calibrate(pass, r, young);
	/* the clock gets there if the scan completes; until then the region is ahead of it */
	r->stamp_ms = rs->clock_ms + pass->info.interval_ns / NSEC_PER_MSEC;
	return pass->info.interval_ns ? look_at_region(pass, r, young, nr_young) : 0;
}

/* Make regions for the valid ones of @recs; their number in *ret_nr is at most BATCH. */
static int insert_batch(struct ember_score_pass *pass, const struct ember_region_rec *recs,
			size_t nr, bool ok[BATCH])
{
	uint64_t addrs[BATCH];
	size_t nr_addrs = 0;

	for (size_t i = 0; i < nr; i++) {
		ok[i] = valid(pass, &recs[i]);
		pass->stats.nr_refused += !ok[i];
		if (!ok[i])
			continue;
		pass->last_addr = recs[i].addr;
		pass->any = true;
		addrs[nr_addrs++] = recs[i].addr;
	}
	pass->stats.nr_records += nr;
	return ember_regions_insert(pass->regions, addrs, nr_addrs);
}

int ember_score_records(struct ember_score_pass *pass, const struct ember_region_rec *recs,
			size_t nr)
{
	bool ok[BATCH];
	int ret = 0;

	for (size_t done = 0; done < nr; done += BATCH) {
		size_t n = nr - done < BATCH ? nr - done : BATCH;
		int err = insert_batch(pass, recs + done, n, ok);

		if (err < 0) {
			pass->stats.nr_nomem += n;
			ret = err;
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			if (!ok[i])
				continue;
			err = score_record(pass, &recs[done + i]);
			if (err < 0) {
				pass->stats.nr_nomem++;
				ret = err;
			}
		}
	}
	return ret;
}

/* What a complete scan did not report was not touched. */
static void calibrate_unseen(struct ember_score_pass *pass)
{
	static const uint64_t none[EMBER_PLANE_WORDS];

	for (uint32_t i = 0; pass->info.calibration && i < pass->regions->nr; i++) {
		struct ember_region *r = &pass->regions->regions[i];

		if (r->seen || !asked(pass, r))
			continue;
		ember_score_catch_up(pass->regions, r);
		calibrate(pass, r, none);
	}
}

void ember_score_end(struct ember_score_pass *pass, bool complete)
{
	struct ember_regions *rs = pass->regions;
	uint32_t full = EMBER_SCAN_FULL | EMBER_SCAN_COLD;

	if (pass->info.part || !complete || pass->stats.nr_nomem || pass->stats.nr_refused)
		return;
	calibrate_unseen(pass);
	if (pass->info.interval_ns) {
		rs->clock_ms += pass->info.interval_ns / NSEC_PER_MSEC;
		rs->info_clock = pass->info_clock;
		rs->info_rest_q8 = pass->info_rest_q8 % 256;
	}
	if ((pass->info.flags & full) == full)
		ember_regions_drop_unseen(rs);
}
