// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doing one request: process identity -> mm, then region by region.
 *
 * The reference on the mm (mm_users) keeps page tables alive, and with them it
 * would keep the memory of a process that wants to exit. So it is held for one
 * request only, and the request ends at the next region once mm_users says that
 * nobody else is left (exit and exec; another temporary user, say a reader of
 * /proc/PID/mem, hides that until it lets go). It is dropped with mmput_async():
 * tearing a whole address space down is not this worker's job.
 *
 * Locks of the process are only ever tried for, a bounded number of times. Their
 * holders may sleep on whatever the process likes: mmap_lock is held while a file
 * system in user space answers (mmap(2) of a FUSE file invalidates its page cache),
 * exec_update_lock while exec waits for the mmap_lock of memory that another process
 * shares, and in 6.12 while it closes files. A worker cannot be killed, so one that
 * waited for such a lock would hold up its client, and rmmod, for ever.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "migrate.h"
#include "request.h"
#include "respect.h"

/*
 * Workers that share one request. One page costs much more bookkeeping than copying,
 * so one CPU does not use up the bandwidth between two memories. Two hands leave
 * most CPUs to the target.
 */
#define NR_HANDS 2U

/*
 * Tries for a lock before its pages are reported as busy. The pauses between them
 * grow from 0.1 to 10 ms, 0.1 s in all (twice that at most).
 */
#define LOCK_TRIES 16
#define LOCK_PAUSE_US 100
#define LOCK_PAUSE_MAX_US 10000

/* With a limit: pages of the first hold, and the fewest of any. */
#define FIRST_PAGES 32U
#define MIN_PAGES 4U

/**
 * ember_request_alloc() - a request with all fields zero but nr_regions
 * @nr_regions: room for so many
 *
 * Charged to the memory cgroup of the client. Return: NULL when out of memory.
 */
struct ember_request *ember_request_alloc(unsigned int nr_regions)
{
	struct ember_request *req;

	req = kvzalloc(struct_size(req, regions, nr_regions), GFP_KERNEL_ACCOUNT);
	if (req)
		req->nr_regions = nr_regions;
	return req;
}

void ember_request_free(struct ember_request *req)
{
	kvfree(req);
}

/* Is there a reason to try no further region? 0: no. */
static int stop_reason(const struct ember_request *req, struct mm_struct *mm)
{
	if (READ_ONCE(req->cancelled))
		return -ECANCELED;
	if (ember_mm_is_dying(mm))
		return -ESRCH;
	return 0;
}

static u8 status_outcome(int status)
{
	switch (status) {
	case -ESRCH:
		return EMBER_OUTCOME_GONE;
	case -ECANCELED:
		return EMBER_OUTCOME_CANCELLED;
	case -EAGAIN:
		return EMBER_OUTCOME_BUSY;
	default:
		return EMBER_OUTCOME_NO_MEMORY;
	}
}

/* All pages from @first on. */
static void fill_region(struct ember_region *region, unsigned int first, int status)
{
	memset(region->outcome + first, status_outcome(status), sizeof(region->outcome) - first);
}

/* Pages at a time, so that what waits for them waits no longer than it shall. */
struct pace {
	u32 limit_ns; /* 0: none */
	u32 page_ns;  /* moving average of what a page takes; 0: not known yet */
};

/* One of several that share the regions of a request between them. */
struct hand {
	struct work_struct work;
	struct crew *crew;
	struct ember_batch *batch;
	struct ember_wishes wishes;
	struct pace pace;
};

struct crew {
	struct ember_request *req;
	struct mm_struct *mm;
	atomic_t next_region;
	atomic_t nr_moved;
	atomic64_t longest_lock_ns;
	atomic64_t longest_unmapped_ns;
	int status; /* the first error; written with cmpxchg() */
	int batch_err; /* of a hand without working memory: counts if regions are left over */
	struct hand hands[NR_HANDS];
};

/* A pause that grows from try to try. Return: false after the last try. */
static bool pause_before_try(unsigned int try)
{
	unsigned int us = min(LOCK_PAUSE_US << try, LOCK_PAUSE_MAX_US);

	if (try == LOCK_TRIES)
		return false;
	usleep_range(us, 2 * us);
	return true;
}

static int ask(const struct ember_request *req, struct ember_wishes *wishes)
{
	u64 begin_ns = ktime_get_ns();
	int err;

	if (ember_wishes_are_fresh(wishes))
		return 0;
	err = ember_target_respect(&req->target, &wishes->respect);
	if (err)
		return err; /* nothing was learnt */
	/* To be left out of every cpuset is what makes such a node. */
	if (req->flags & EMBER_MIGRATE_RESTRICTED)
		nodes_setall(wishes->respect.cpuset);
	ember_wishes_note(wishes, begin_ns);
	return 0;
}

/*
 * The threads are asked before each try, so that nobody waits for the lock meanwhile.
 *
 * Return: 0 with the lock held, a reason to stop, or -EAGAIN: somebody else kept it.
 */
static int lock_mm(const struct ember_request *req, struct mm_struct *mm,
		   struct ember_wishes *wishes)
{
	unsigned int try = 0;
	int err;

	do {
		err = stop_reason(req, mm);
		if (!err)
			err = ask(req, wishes);
		if (err)
			return err;
		if (mmap_read_trylock(mm))
			return 0;
	} while (pause_before_try(try++));
	return -EAGAIN;
}

/* Three quarters of the limit: what the average hides must fit, too. */
static unsigned int pages_at_a_time(const struct pace *pace)
{
	if (!pace->limit_ns)
		return EMBER_REGION_PAGES;
	if (!pace->page_ns)
		return FIRST_PAGES;
	return clamp_t(u32, pace->limit_ns / 4 * 3 / pace->page_ns, MIN_PAGES, EMBER_REGION_PAGES);
}

static void learn_pace(struct pace *pace, unsigned int nr_pages, u64 took_ns)
{
	u32 sample = min_t(u64, div_u64(took_ns, nr_pages), U32_MAX / 4);

	pace->page_ns = pace->page_ns ? (3 * pace->page_ns + sample) / 4 : sample;
	pace->page_ns = max(pace->page_ns, 1U);
}

/* The end of the window from @first on that holds @nr asked pages; *ret_nr: those that it has. */
static unsigned int window_end(const struct ember_region *region, unsigned int first,
			       unsigned int nr, unsigned int *ret_nr)
{
	unsigned int page;

	*ret_nr = 0;
	for (page = first; page < EMBER_REGION_PAGES && *ret_nr < nr; page++)
		*ret_nr += region->asked[page / 64] >> (page % 64) & 1;
	return page;
}

static void raise(atomic64_t *longest, u64 ns)
{
	s64 old = atomic64_read(longest);

	while (old < (s64)ns && !atomic64_try_cmpxchg(longest, &old, ns))
		;
}

/* One hold of the lock. Return: 0, or why it was not to be had. */
static int do_window(struct hand *hand, struct ember_region *region, unsigned int first,
		     unsigned int last, u64 *ret_took_ns)
{
	struct crew *crew = hand->crew;
	int err = lock_mm(crew->req, crew->mm, &hand->wishes);
	u64 begin_ns = ktime_get_ns();

	if (err)
		return err;
	atomic_add(ember_migrate_pages(hand->batch, crew->mm, region, first, last,
				       &hand->wishes.respect),
		   &crew->nr_moved);
	mmap_read_unlock(crew->mm);
	*ret_took_ns = ktime_get_ns() - begin_ns;
	raise(&crew->longest_lock_ns, *ret_took_ns);
	return 0;
}

static void do_region(struct hand *hand, struct ember_region *region)
{
	struct pace *pace = &hand->pace;
	unsigned int first, last, nr;
	u64 took_ns;
	int err;

	for (first = 0; first < EMBER_REGION_PAGES; first = last) {
		last = window_end(region, first, pages_at_a_time(pace), &nr);
		if (!nr)
			break;
		err = do_window(hand, region, first, last, &took_ns);
		if (err) {
			/* A busy region has been tried like any other: no status of the request. */
			if (err != -EAGAIN)
				cmpxchg(&hand->crew->status, 0, err);
			fill_region(region, first, err);
			return;
		}
		learn_pace(pace, nr, took_ns);
	}
}

static void hand_work(struct work_struct *work)
{
	struct hand *hand = container_of(work, struct hand, work);
	struct crew *crew = hand->crew;
	struct ember_request *req = crew->req;
	u32 i;
	int err;

	err = ember_batch_alloc(&req->dest, req->flags, &hand->batch);
	if (err) {
		WRITE_ONCE(crew->batch_err, err); /* another hand may have one */
		return;
	}
	while ((i = atomic_fetch_inc(&crew->next_region)) < req->nr_regions) {
		do_region(hand, &req->regions[i]);
		cond_resched();
	}
	raise(&crew->longest_unmapped_ns, ember_batch_longest_unmapped_ns(hand->batch));
	ember_batch_free(hand->batch);
}

/*
 * The caller is one of the hands, so the work is done even if no worker ever comes
 * to help; a helper that has not begun by then is called off.
 */
static void run_regions(struct crew *crew, struct workqueue_struct *wq)
{
	unsigned int nr = min3(NR_HANDS, crew->req->nr_regions, num_online_cpus());

	for (unsigned int i = 0; i < nr; i++) {
		crew->hands[i].crew = crew;
		crew->hands[i].pace.limit_ns = crew->req->limit_ns;
		INIT_WORK(&crew->hands[i].work, hand_work);
	}
	for (unsigned int i = 1; i < nr; i++)
		queue_work(wq, &crew->hands[i].work);
	hand_work(&crew->hands[0].work);
	for (unsigned int i = 1; i < nr; i++)
		cancel_work_sync(&crew->hands[i].work);
}

static struct mm_struct *target_mm(const struct ember_request *req)
{
	struct mm_struct *mm;
	unsigned int try = 0;

	do {
		if (READ_ONCE(req->cancelled))
			return ERR_PTR(-ECANCELED);
		mm = ember_target_mm(&req->target);
	} while (mm == ERR_PTR(-EAGAIN) && pause_before_try(try++));
	return mm;
}

/* *ret_begun: regions that have their outcomes. */
static int run(struct ember_request *req, struct workqueue_struct *wq, u32 *ret_begun)
{
	struct crew *crew;
	int err;

	crew = kzalloc(sizeof(*crew), GFP_KERNEL);
	if (!crew)
		return -ENOMEM;
	crew->req = req;
	crew->mm = target_mm(req);
	if (IS_ERR(crew->mm)) {
		err = PTR_ERR(crew->mm);
		kfree(crew);
		return err == -ESTALE ? -ESRCH : err;
	}
	run_regions(crew, wq);
	mmput_async(crew->mm);
	req->nr_moved = atomic_read(&crew->nr_moved);
	req->longest_lock_ns = atomic64_read(&crew->longest_lock_ns);
	req->longest_unmapped_ns = atomic64_read(&crew->longest_unmapped_ns);
	*ret_begun = min_t(u32, atomic_read(&crew->next_region), req->nr_regions);
	err = *ret_begun < req->nr_regions ? crew->batch_err : crew->status;
	kfree(crew);
	return err;
}

/**
 * ember_request_run() - do the work and fill in the result
 * @req: nobody else writes to it meanwhile, but for cancelled
 * @wq: where to find helpers; the caller may be a worker of it
 *
 * Sleeps. Afterwards every asked page has an outcome, and status, time_ns and
 * nr_moved are set.
 */
void ember_request_run(struct ember_request *req, struct workqueue_struct *wq)
{
	u64 begin_ns = ktime_get_ns();
	u32 begun = 0;
	int err;

	err = run(req, wq, &begun);
	for (u32 i = begun; i < req->nr_regions; i++)
		fill_region(&req->regions[i], 0, err);
	req->status = err == -EAGAIN ? 0 : err;
	req->time_ns = ktime_get_ns() - begin_ns;
}
