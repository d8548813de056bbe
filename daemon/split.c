// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MADV_COLD on a part of a large folio splits it, on the way to deactivating that part
 * (mm/madvise.c: madvise_cold_or_pageout_pte_range(), 6.12 and 7.3, for folios that a PMD maps and
 * for those that PTEs map): unless other processes may map it, somebody has it locked, or holds a
 * reference (split_folio() fails then, and leaves the folio whole). In an area that is locked into
 * memory it is EINVAL. It says nothing of a folio that stays whole: the module's next look does.
 *
 * The side effect is that the page that is named counts as not accessed and stands first in line
 * for reclaim until it is used again; so as few pages are named as do. MADV_PAGEOUT would split as
 * well, and swap out.
 */
#include "split.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log.h"
#include "topology.h"
#include "util/cleanup.h"

#define PAGE_BYTES 4096UL

/* No anonymous large folio is smaller, and one that was mapped where it lies is aligned. */
#define SMALLEST_PAGES 4
#define GROUPS (EMBER_REGION_PAGES / SMALLEST_PAGES)

/* ---- outcomes, page by page ---- */

/* Run lengths as one outcome for each of @nr pages; what they do not cover is unknown. */
static uint8_t *unfold(const struct ember_fate_run *runs, size_t nr_runs, uint32_t nr)
{
	uint8_t *fates = calloc(nr ? nr : 1, sizeof(*fates));
	uint32_t page = 0;

	if (!fates)
		return NULL;
	for (size_t i = 0; i < nr_runs; i++)
		for (uint32_t k = 0; k < runs[i].nr_pages && page < nr; k++)
			fates[page++] = runs[i].outcome;
	memset(fates + page, EMBER_FATE_UNKNOWN, nr - page);
	return fates;
}

/* The other way round. *ret as in a job, NULL if there is no memory: all are unknown then. */
static void fold(const uint8_t *fates, uint32_t nr, struct ember_fate_run **ret, size_t *ret_nr)
{
	struct ember_fate_run *runs = calloc(nr ? nr : 1, sizeof(*runs));
	size_t nr_runs = 0;

	for (uint32_t page = 0; runs && page < nr; page++) {
		if (!nr_runs || runs[nr_runs - 1].outcome != fates[page])
			runs[nr_runs++].outcome = fates[page];
		runs[nr_runs - 1].nr_pages++;
	}
	*ret = runs;
	*ret_nr = nr_runs;
}

static uint64_t nr_large(const struct ember_job *job)
{
	uint64_t n = 0;

	for (size_t i = 0; i < job->nr_runs; i++)
		n += job->runs[i].outcome == EMBER_FATE_LARGE ? job->runs[i].nr_pages : 0;
	return n;
}

static bool give_up(struct ember_job *job, enum ember_fate why)
{
	job->nr_unsplit += why == EMBER_FATE_UNSPLITTABLE ? nr_large(job) : 0;
	for (size_t i = 0; i < job->nr_runs; i++)
		if (job->runs[i].outcome == EMBER_FATE_LARGE)
			job->runs[i].outcome = why;
	return false;
}

bool ember_split_is_due(const struct ember_job *job)
{
	return job->move.split && !job->first_runs && nr_large(job);
}

/* What became of a page of which the module said first @before and then @after. */
static uint8_t join(struct ember_job *job, uint8_t before, uint8_t after)
{
	if (before == EMBER_FATE_MOVED) /* it is there already, or has gone on since */
		return before;
	if (before == EMBER_FATE_UNSPLITTABLE && after == EMBER_FATE_LARGE)
		return before;
	if (before != EMBER_FATE_LARGE)
		return after == EMBER_FATE_UNKNOWN ? before : after;
	job->nr_split += after == EMBER_FATE_MOVED;
	job->nr_unsplit += after == EMBER_FATE_LARGE;
	return after == EMBER_FATE_LARGE ? EMBER_FATE_UNSPLIT : after;
}

void ember_split_settle(struct ember_job *job)
{
	uint32_t nr = job->move.nr_pages;
	_cleanup_free_ uint8_t *before = unfold(job->first_runs, job->nr_first_runs, nr);
	_cleanup_free_ uint8_t *after = unfold(job->runs, job->nr_runs, nr);

	free(job->runs);
	job->runs = NULL;
	job->nr_runs = 0;
	if (before && after) {
		for (uint32_t page = 0; page < nr; page++)
			after[page] = join(job, before[page], after[page]);
		fold(after, nr, &job->runs, &job->nr_runs);
	}
	if (job->runs) {
		free(job->first_runs);
	} else { /* no memory: what moved at first has moved, of the large ones nothing is known */
		job->runs = job->first_runs;
		job->nr_runs = job->nr_first_runs;
		(void)give_up(job, EMBER_FATE_UNKNOWN);
	}
	job->first_runs = NULL;
	job->nr_first_runs = 0;
}

/* ---- the call ---- */

void ember_split_choose(const struct ember_move_region *region,
			const uint64_t large[EMBER_PLANE_WORDS], uint64_t ret[EMBER_PLANE_WORDS])
{
	unsigned int step = region->order == EMBER_ORDER_PMD ? EMBER_REGION_PAGES : SMALLEST_PAGES;
	unsigned int next = 0; /* first page of the next group */

	memset(ret, 0, EMBER_PLANE_WORDS * sizeof(*ret));
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++)
		for (uint64_t bits = large[w]; bits; bits &= bits - 1) {
			unsigned int page = w * 64 + __builtin_ctzll(bits);

			if (page < next)
				continue;
			ret[w] |= bits & -bits;
			next = (page / step + 1) * step;
		}
}

/* Pages of @region that are named to the kernel by one of them. */
static unsigned int group_of(const struct ember_move_region *region, unsigned int page)
{
	return region->order == EMBER_ORDER_PMD ? 0 : page / SMALLEST_PAGES;
}

/* In @ret_locked the groups in areas that are locked into memory: nothing is ever split there. */
static int cold(int pidfd, const struct ember_move_region *region, const struct iovec *pages,
		unsigned int nr, bool ret_locked[GROUPS])
{
	/* It ends at the first that it cannot do: go on behind it, unless all will be the same. */
	for (unsigned int i = 0; i < nr;) {
		long done =
		    syscall(SYS_process_madvise, pidfd, pages + i, (size_t)(nr - i), MADV_COLD, 0U);

		if (done < 0 &&
		    (errno == EPERM || errno == EACCES || errno == ESRCH || errno == ENOSYS))
			return -errno;
		if (done < 0 && errno == EINVAL)
			ret_locked[group_of(region, ((uint64_t)pages[i].iov_base - region->addr) /
							PAGE_BYTES)] = true;
		i += done > 0 ? done / PAGE_BYTES : 1;
	}
	return 0;
}

static int split_region(int pidfd, const struct ember_move_region *region,
			const uint64_t large[EMBER_PLANE_WORDS], bool ret_locked[GROUPS])
{
	struct iovec pages[GROUPS];
	uint64_t chosen[EMBER_PLANE_WORDS];
	unsigned int nr = 0;
	int r;

	ember_split_choose(region, large, chosen);
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++)
		for (uint64_t bits = chosen[w]; bits; bits &= bits - 1)
			pages[nr++] = (struct iovec){
			    (void *)(region->addr + (w * 64 + __builtin_ctzll(bits)) * PAGE_BYTES),
			    PAGE_BYTES};
	r = cold(pidfd, region, pages, nr, ret_locked);
	/*
	 * The last of them now waits in a batch of this CPU for its place on a list, and the module
	 * would have the batches of all CPUs emptied with the mmap_lock held. For pages that are
	 * there this call does nothing but empty those of this CPU, at its end.
	 */
	if (r == 0 && nr)
		(void)syscall(SYS_process_madvise, pidfd, pages + nr - 1, (size_t)1, MADV_WILLNEED,
			      0U);
	return r;
}

/* Pages of @region whose outcome is "large". */
static void large_of(const struct ember_move_region *region, const uint8_t *fates,
		     uint64_t ret[EMBER_PLANE_WORDS])
{
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++) {
		ret[w] = 0;
		for (uint64_t bits = region->pages[w]; bits; bits &= bits - 1)
			ret[w] |= *fates++ == EMBER_FATE_LARGE ? bits & -bits : 0;
	}
}

static void note_locked(const struct ember_move_region *region, const bool locked[GROUPS],
			uint8_t *fates)
{
	for (unsigned int w = 0; w < EMBER_PLANE_WORDS; w++)
		for (uint64_t bits = region->pages[w]; bits; bits &= bits - 1, fates++)
			if (*fates == EMBER_FATE_LARGE &&
			    locked[group_of(region, w * 64 + __builtin_ctzll(bits))])
				*fates = EMBER_FATE_UNSPLITTABLE;
}

/* The plan has counted on this room; since then somebody may have taken it. */
static bool has_room(const struct ember_job *job)
{
	uint64_t free_bytes = 0, needed = job->floor_bytes + nr_large(job) * PAGE_BYTES;

	if (job->move.to_pool)
		free_bytes = ember_topology_read_pool_free("/sys", job->move.dest);
	else if (ember_topology_read_free("/sys", job->move.dest, &free_bytes) < 0)
		return false;
	return free_bytes >= needed;
}

static int open_process(const struct ember_proc_id *id)
{
	_cleanup_close_ int fd = syscall(SYS_pidfd_open, id->tgid, 0U);

	if (fd < 0)
		return -errno;
	/* asked afterwards: a number that was reused before that names somebody else now */
	return ember_proc_id_is_alive(id) ? TAKE_FD(fd) : -ESRCH;
}

/* Without memory the old ones stay, and the locked pages count as large ones that may split. */
static void set_fates(struct ember_job *job, const uint8_t *fates)
{
	uint64_t nr_before = nr_large(job);
	struct ember_fate_run *runs;
	size_t nr_runs;

	fold(fates, job->move.nr_pages, &runs, &nr_runs);
	if (!runs)
		return;
	free(job->runs);
	job->runs = runs;
	job->nr_runs = nr_runs;
	job->nr_unsplit += nr_before - nr_large(job);
}

static int split_all(struct ember_job *job, int pidfd)
{
	_cleanup_free_ uint8_t *fates = unfold(job->runs, job->nr_runs, job->move.nr_pages);
	uint8_t *next = fates;
	int r = fates ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < job->move.nr_regions && r == 0; i++) {
		uint64_t large[EMBER_PLANE_WORDS];
		bool locked[GROUPS] = {false};

		large_of(&job->regions[i], next, large);
		r = split_region(pidfd, &job->regions[i], large, locked);
		note_locked(&job->regions[i], locked, next);
		next += job->regions[i].nr_pages;
	}
	if (r == 0)
		set_fates(job, fates);
	return r;
}

/* Once: it is about how ember was started, and every huge page that is hot asks for it. */
static void warn_not_permitted(int error)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (atomic_flag_test_and_set(&said))
		return;
	log_warning("huge pages cannot be split: process_madvise(2): %s. They stay where they are; "
		    "allow the call in SystemCallFilter= of the unit, and CAP_SYS_NICE, or use a "
		    "kernel with CONFIG_ADVISE_SYSCALLS",
		    strerror(-error));
}

/* Not "denied": that would keep the whole process from the destination, base pages as well. */
static enum ember_fate fate_of_errno(int error)
{
	switch (error) {
	case -ESRCH:
		return EMBER_FATE_GONE;
	case -EPERM:
	case -EACCES:
	case -ENOSYS:
		warn_not_permitted(error);
		return EMBER_FATE_UNSPLITTABLE;
	default:
		return EMBER_FATE_FAILED;
	}
}

bool ember_split_run(struct ember_job *job)
{
	_cleanup_close_ int pidfd = -1;
	int r;

	if (!has_room(job))
		return give_up(job, EMBER_FATE_NO_MEMORY);
	pidfd = open_process(&job->move.id);
	r = pidfd < 0 ? pidfd : split_all(job, pidfd);
	if (r < 0)
		return give_up(job, fate_of_errno(r));
	if (!nr_large(job)) /* all are locked into memory: why ask the module again? */
		return false;
	job->first_runs = TAKE_PTR(job->runs);
	job->nr_first_runs = job->nr_runs;
	job->nr_runs = 0;
	return true;
}
