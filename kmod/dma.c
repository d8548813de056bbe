// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies by DMA engines.
 *
 * The module parameter dma_channels says how many channels to hold; none by default,
 * for a channel is exclusive and there may be better uses for it. A batch takes half of
 * the channels that are idle (the other worker of the request comes at the same time),
 * shares its pairs out among them, and waits.
 *
 * The mmap_lock and the locks of the folios are held meanwhile, so the wait is short. After
 * it the channel is stopped, and only then is memory used again that it was to write: the
 * CPU copies what the engine has not confirmed, descriptor by descriptor (engines may
 * complete out of order). A channel that does not stop in time is lost: the pages that it
 * may still write to, their mappings, the descriptors' records and the module stay until it
 * has stopped after all. Where it refused to, a write to dma_channels tries again.
 *
 * A channel belongs to whoever took it from the list, and nobody else touches it but the
 * engine's callbacks; only lists and counts need the lock.
 */
#define pr_fmt(fmt) "ember: " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "copy.h"
#include "dma.h"

#define MAX_CHANNELS 16

/* Together the longest time that a batch is held up by an engine: 0.1 s. */
#define COPY_LIMIT_MS 50
#define STOP_LIMIT_MS 50
/* Where nobody is held up: when channels are to be closed. */
#define CLOSE_LIMIT_MS 3000

/* After a batch in which it confirmed nothing or hung a channel is left alone, longer each time. */
#define REST_MS 1000
#define REST_DOUBLINGS 6

enum segment_state {
	SEGMENT_SUBMITTED,
	SEGMENT_DONE,
	SEGMENT_FAILED, /* the engine is done with it all the same */
};

/* One descriptor: pages that follow each other on both sides. */
struct segment {
	struct channel *channel;
	struct page *dst; /* the first page */
	dma_addr_t src_addr;
	dma_addr_t dst_addr;
	unsigned int first; /* pair */
	unsigned int nr; /* pages; 0: nothing is mapped any more */
	enum segment_state state; /* release/acquire: see segment_done() */
};

struct channel {
	struct list_head node;
	struct dma_chan *chan;
	unsigned int max_pages; /* of one descriptor */
	unsigned int nr_failures; /* batches in a row */
	unsigned long rest_until; /* jiffies */

	/* Of the batch under way. */
	unsigned int next, end; /* pairs of its share that have not been submitted */
	unsigned int nr_segments;
	bool waiting; /* this round submitted to it */
	bool hung;
	atomic_t pending; /* descriptors that have not called back, and the submitter */
	struct completion drained; /* pending has become 0 */

	/* Stopping it. */
	struct work_struct stop_work;
	struct completion stopped;
	bool unstoppable; /* the engine refused */
	bool stopping; /* the worker is at it; under channels_lock, as lost is */
	bool lost; /* in the list of these */
	bool keeps; /* segments with pages that it may still write to */
	bool pinned; /* holds a reference on this module */

	struct segment segments[EMBER_COPY_PAGES]; /* where callbacks point to */
};

static DEFINE_MUTEX(config_lock); /* opening, closing */
static bool is_up;
static unsigned int wanted; /* until the module is up */
static struct workqueue_struct *stop_wq;

static DEFINE_SPINLOCK(channels_lock); /* the following */
static LIST_HEAD(idle_channels);
static LIST_HEAD(lost_channels);
static unsigned int nr_busy;
static bool closing;
static DECLARE_WAIT_QUEUE_HEAD(nobody_busy);

static atomic64_t nr_timeouts = ATOMIC64_INIT(0);
static atomic64_t nr_leaked = ATOMIC64_INIT(0);

static struct device *device_of(const struct channel *ch)
{
	return dmaengine_get_dma_device(ch->chan);
}

/* The engine's callback. Any context; a lost channel's may come at any later time. */
static void segment_done(void *arg, const struct dmaengine_result *result)
{
	struct segment *seg = arg;
	struct channel *ch = seg->channel;
	bool ok = result && result->result == DMA_TRANS_NOERROR;

	/* Pairs with finish_segment() where a channel that did not stop is looked at. */
	smp_store_release(&seg->state, ok ? SEGMENT_DONE : SEGMENT_FAILED);
	if (atomic_dec_and_test(&ch->pending))
		complete(&ch->drained);
}

static bool map_segment(const struct channel *ch, struct segment *seg,
			const struct ember_pairs *pairs)
{
	struct device *dev = device_of(ch);
	size_t len = seg->nr * PAGE_SIZE;

	seg->src_addr = dma_map_page(dev, pairs->src[seg->first], 0, len, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, seg->src_addr))
		return false;
	seg->dst_addr = dma_map_page(dev, pairs->dst[seg->first], 0, len, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, seg->dst_addr)) {
		dma_unmap_page(dev, seg->src_addr, len, DMA_TO_DEVICE);
		return false;
	}
	return true;
}

/* Before the CPU reads or writes the pages: it may be what brings them up to date. */
static void unmap_segment(const struct channel *ch, struct segment *seg)
{
	struct device *dev = device_of(ch);
	size_t len = seg->nr * PAGE_SIZE;

	dma_unmap_page(dev, seg->dst_addr, len, DMA_FROM_DEVICE);
	dma_unmap_page(dev, seg->src_addr, len, DMA_TO_DEVICE);
	seg->nr = 0;
}

/* Pages from pair @first on that follow each other in memory on both sides. */
static unsigned int run_length(const struct ember_pairs *pairs, unsigned int first,
			       unsigned int max)
{
	unsigned long src = page_to_pfn(pairs->src[first]), dst = page_to_pfn(pairs->dst[first]);
	unsigned int n = 1;

	while (n < max && page_to_pfn(pairs->src[first + n]) == src + n &&
	       page_to_pfn(pairs->dst[first + n]) == dst + n)
		n++;
	return n;
}

/*
 * From prep to submit nothing may sleep: some engines hold a lock from one to the other.
 * Return: -EAGAIN: no descriptor was to be had, for the ring is full or the length too
 * much; other errors: not for this engine.
 */
static int submit_segment(struct channel *ch, struct segment *seg)
{
	struct dma_async_tx_descriptor *tx;
	size_t len = seg->nr * PAGE_SIZE;

	if (!is_dma_copy_aligned(ch->chan->device, seg->src_addr, seg->dst_addr, len))
		return -EINVAL;
	tx = dmaengine_prep_dma_memcpy(ch->chan, seg->dst_addr, seg->src_addr, len,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx)
		return -EAGAIN;
	tx->callback_result = segment_done;
	tx->callback_param = seg;
	/* Before submit: an engine may begin, and call back, at once. */
	atomic_inc(&ch->pending);
	if (dma_submit_error(dmaengine_submit(tx))) {
		atomic_dec(&ch->pending); /* not the last: the submitter counts */
		return -EIO;
	}
	return 0;
}

/* Return: false: not now. Pages that the engine cannot copy are left to the CPU. */
static bool submit_next(struct channel *ch, const struct ember_pairs *pairs)
{
	struct segment *seg = &ch->segments[ch->nr_segments];
	unsigned int nr;
	int err;

	seg->channel = ch;
	seg->first = ch->next;
	seg->nr = run_length(pairs, ch->next, min(ch->max_pages, ch->end - ch->next));
	seg->dst = pairs->dst[ch->next];
	seg->state = SEGMENT_SUBMITTED;
	nr = seg->nr;
	if (map_segment(ch, seg, pairs)) {
		err = submit_segment(ch, seg);
		if (!err)
			ch->nr_segments++;
		else
			unmap_segment(ch, seg);
		if (err == -EAGAIN)
			return false;
	}
	ch->next += nr;
	return true;
}

/*
 * As much as the ring takes. The submitter counts as pending, or the first descriptor
 * could be done, and the round seem over, before the second is submitted.
 */
static void submit_round(struct channel *ch, const struct ember_pairs *pairs)
{
	unsigned int before = ch->nr_segments;

	ch->waiting = ch->next < ch->end;
	if (!ch->waiting)
		return;
	reinit_completion(&ch->drained);
	atomic_set(&ch->pending, 1);
	while (ch->next < ch->end && submit_next(ch, pairs))
		;
	dma_async_issue_pending(ch->chan);
	if (atomic_dec_and_test(&ch->pending))
		complete(&ch->drained);
	if (ch->next == ch->end || ch->nr_segments > before)
		return;
	/* Nothing is under way and the engine refuses: too long for it, or it is not well. */
	if (ch->max_pages > 1)
		ch->max_pages /= 2;
	else
		ch->next = ch->end;
}

static unsigned long ticks_until(unsigned long deadline)
{
	unsigned long now = jiffies;

	return time_before(now, deadline) ? deadline - now : 1;
}

/* Return: whether there is more to submit. */
static bool wait_round(struct channel *ch, unsigned long deadline)
{
	if (!ch->waiting)
		return false;
	if (!wait_for_completion_timeout(&ch->drained, ticks_until(deadline))) {
		ch->hung = true;
		ch->next = ch->end;
	}
	if (time_after_eq(jiffies, deadline))
		ch->next = ch->end;
	return ch->next < ch->end;
}

/* Tells the engine to; that it has stopped is for the worker to find out, for it may take long. */
static void begin_stop(struct channel *ch)
{
	ch->unstoppable = dmaengine_terminate_async(ch->chan);
	if (ch->unstoppable)
		return;
	reinit_completion(&ch->stopped);
	spin_lock(&channels_lock);
	ch->stopping = true;
	spin_unlock(&channels_lock);
	queue_work(stop_wq, &ch->stop_work);
}

/* Return: whether the engine will neither touch memory nor call back any more. */
static bool end_stop(struct channel *ch, unsigned long deadline)
{
	return !ch->unstoppable &&
	       wait_for_completion_timeout(&ch->stopped, ticks_until(deadline));
}

/*
 * Return: false: the segment stays mapped, because the channel did not stop and has not
 * said that it is done with it. The reference on its pages is the channel's then.
 */
static bool finish_segment(struct channel *ch, struct segment *seg, bool stopped,
			   struct ember_pairs *pairs)
{
	unsigned int nr = seg->nr;
	/* Pairs with segment_done(): what the engine wrote before it said so is seen. */
	enum segment_state state = smp_load_acquire(&seg->state);

	if (!stopped && state == SEGMENT_SUBMITTED) {
		bitmap_set(pairs->lost, seg->first, nr);
		atomic64_add(nr, &nr_leaked);
		return false;
	}
	unmap_segment(ch, seg);
	if (state == SEGMENT_DONE)
		bitmap_set(pairs->copied, seg->first, nr);
	return true;
}

static void keep(struct channel *ch)
{
	ch->keeps = true;
	pr_warn("%s does not stop: not used until it has, nor are pages that it may write to\n",
		dma_chan_name(ch->chan));
}

static void rest(struct channel *ch, bool failed)
{
	unsigned int doublings;

	ch->nr_failures = failed ? ch->nr_failures + 1 : 0;
	if (!failed)
		return;
	doublings = min(ch->nr_failures - 1, REST_DOUBLINGS);
	ch->rest_until = jiffies + msecs_to_jiffies(REST_MS << doublings);
	pr_warn_ratelimited("%s %s: not used for %u s\n", dma_chan_name(ch->chan),
			    ch->hung ? "timed out" : "copied nothing",
			    (REST_MS << doublings) / 1000);
}

static void finish(struct channel *ch, struct ember_pairs *pairs, unsigned long stop_deadline)
{
	bool stopped = !ch->hung || end_stop(ch, stop_deadline);
	bool all = true, any = false;

	for (unsigned int i = 0; i < ch->nr_segments; i++) {
		struct segment *seg = &ch->segments[i];

		all &= finish_segment(ch, seg, stopped, pairs);
		any |= test_bit(seg->first, pairs->copied);
	}
	/* A callback that has said so may not have ended: only draining tells. */
	if (!stopped && !(all && completion_done(&ch->drained)))
		keep(ch);
	rest(ch, ch->hung || !any);
}

static void finish_all(struct list_head *taken, struct ember_pairs *pairs)
{
	unsigned long stop_deadline = jiffies + msecs_to_jiffies(STOP_LIMIT_MS);
	struct channel *ch;

	list_for_each_entry(ch, taken, node) {
		if (!ch->hung)
			continue;
		atomic64_inc(&nr_timeouts);
		begin_stop(ch);
	}
	list_for_each_entry(ch, taken, node)
		finish(ch, pairs, stop_deadline);
}

static bool is_ready(const struct channel *ch)
{
	return !time_before(jiffies, ch->rest_until);
}

static unsigned int count_ready(void)
{
	const struct channel *ch;
	unsigned int nr = 0;

	lockdep_assert_held(&channels_lock);
	if (closing)
		return 0;
	list_for_each_entry(ch, &idle_channels, node)
		nr += is_ready(ch);
	return nr;
}

/* Whether a batch would find a channel now. */
bool ember_dma_ready(void)
{
	unsigned int nr;

	spin_lock(&channels_lock);
	nr = count_ready();
	spin_unlock(&channels_lock);
	return nr;
}

static unsigned int take_channels(unsigned int max, struct list_head *taken)
{
	struct channel *ch, *next;
	unsigned int nr = 0;

	spin_lock(&channels_lock);
	max = min(max, DIV_ROUND_UP(count_ready(), 2));
	list_for_each_entry_safe(ch, next, &idle_channels, node) {
		if (nr == max)
			break;
		if (!is_ready(ch))
			continue;
		list_move_tail(&ch->node, taken);
		nr++;
	}
	nr_busy += nr;
	spin_unlock(&channels_lock);
	return nr;
}

/* The engine has stopped: what it might have written to is free again. */
static void give_pages_back(struct channel *ch)
{
	for (unsigned int i = 0; i < ch->nr_segments; i++) {
		struct segment *seg = &ch->segments[i];
		unsigned long pfn = page_to_pfn(seg->dst);
		unsigned int nr = seg->nr;

		if (!nr)
			continue;
		unmap_segment(ch, seg);
		for (unsigned int j = 0; j < nr; j++)
			put_page(pfn_to_page(pfn + j));
		atomic64_sub(nr, &nr_leaked);
	}
}

/*
 * A channel that was or would have been lost is as good as any. Called by who has it
 * (counted as busy), which this ends. With the module's reference goes what kept the module:
 * but this runs in workers for which unloading waits, or in a write to dma_channels.
 */
static void revive(struct channel *ch)
{
	give_pages_back(ch);
	ch->keeps = false;
	if (ch->pinned)
		module_put(THIS_MODULE);
	ch->pinned = false;
	spin_lock(&channels_lock);
	list_add_tail(&ch->node, &idle_channels);
	nr_busy--;
	wake_up(&nobody_busy);
	spin_unlock(&channels_lock);
}

/*
 * Whoever sees the end of stopping has the channel: this worker if it is lost by then, else
 * the batch, which still has it. Then it may be gone when the lock is.
 */
static void stop_worker(struct work_struct *work)
{
	struct channel *ch = container_of(work, struct channel, stop_work);
	bool lost;

	dmaengine_synchronize(ch->chan);
	spin_lock(&channels_lock);
	lost = ch->lost;
	if (lost) {
		list_del(&ch->node);
		ch->lost = false;
		nr_busy++;
	}
	ch->stopping = false;
	complete(&ch->stopped);
	spin_unlock(&channels_lock);
	if (lost)
		revive(ch);
}

/*
 * A callback may still come, or the stop worker still wait for the engine: the code that they
 * run must stay. There is no reference to be had only while the module is already being
 * unloaded: ember_dma_exit() waits then.
 */
static void lose(struct channel *ch)
{
	lockdep_assert_held(&channels_lock);
	if (!ch->pinned)
		ch->pinned = try_module_get(THIS_MODULE);
	list_move_tail(&ch->node, &lost_channels);
}

/* Those that have stopped since, and keep pages, are revived; those that have not, lost. */
static void give_channels_back(unsigned int nr, struct list_head *taken)
{
	struct channel *ch, *next;
	LIST_HEAD(stopped);

	spin_lock(&channels_lock);
	list_for_each_entry_safe(ch, next, taken, node) {
		ch->lost = ch->stopping || (ch->keeps && ch->unstoppable);
		if (ch->lost) {
			lose(ch);
		} else if (ch->keeps) {
			list_move_tail(&ch->node, &stopped);
			nr--;
		} else {
			list_move_tail(&ch->node, &idle_channels);
		}
	}
	nr_busy -= nr;
	wake_up(&nobody_busy);
	spin_unlock(&channels_lock);
	list_for_each_entry_safe(ch, next, &stopped, node) {
		list_del(&ch->node);
		revive(ch);
	}
}

/* Shares in one piece each: neighbours stay together. */
static void share_out(const struct ember_pairs *pairs, unsigned int nr_channels,
		      struct list_head *taken)
{
	struct channel *ch;
	unsigned int i = 0;

	list_for_each_entry(ch, taken, node) {
		ch->next = pairs->nr * i / nr_channels;
		ch->end = pairs->nr * ++i / nr_channels;
		ch->nr_segments = 0;
		ch->hung = false;
		ch->unstoppable = false;
	}
}

/**
 * ember_dma_copy() - copy what DMA engines can copy in time
 * @pairs: copied and lost are set for what was copied, and lost; all else is for the CPU
 *
 * Sleeps, for COPY_LIMIT_MS + STOP_LIMIT_MS at most (and a little where CPUs are busy).
 *
 * Return: false: no channel was free, nothing was done.
 */
bool ember_dma_copy(struct ember_pairs *pairs)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(COPY_LIMIT_MS);
	LIST_HEAD(taken);
	unsigned int nr = take_channels(pairs->nr, &taken);
	struct channel *ch;
	bool more;

	if (!nr)
		return false;
	share_out(pairs, nr, &taken);
	do {
		list_for_each_entry(ch, &taken, node)
			submit_round(ch, pairs);
		more = false;
		list_for_each_entry(ch, &taken, node)
			more |= wait_round(ch, deadline);
	} while (more);
	finish_all(&taken, pairs);
	give_channels_back(nr, &taken);
	return true;
}

/* Copies through bounce buffers are no help, nor engines that want more than pages. */
static bool is_suitable(struct dma_chan *chan, void *arg)
{
	struct device *dev = dmaengine_get_dma_device(chan);

	return chan->device->copy_align <= PAGE_SHIFT && !dma_addressing_limited(dev) &&
	       dma_get_max_seg_size(dev) >= PAGE_SIZE && dma_max_mapping_size(dev) >= PAGE_SIZE;
}

static struct channel *open_channel(void)
{
	struct channel *ch = kvzalloc(sizeof(*ch), GFP_KERNEL);
	dma_cap_mask_t mask;
	struct device *dev;

	if (!ch)
		return NULL;
	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	/* It passes by channels that are public to async_tx. */
	ch->chan = dma_request_channel(mask, is_suitable, NULL);
	if (!ch->chan) {
		kvfree(ch);
		return NULL;
	}
	dev = device_of(ch);
	ch->max_pages = min3(dma_get_max_seg_size(dev) / PAGE_SIZE,
			     dma_max_mapping_size(dev) / PAGE_SIZE, (size_t)EMBER_COPY_PAGES);
	ch->rest_until = jiffies;
	init_completion(&ch->drained);
	init_completion(&ch->stopped);
	INIT_WORK(&ch->stop_work, stop_worker);
	return ch;
}

static void close_channel(struct channel *ch)
{
	dma_release_channel(ch->chan);
	kvfree(ch);
}

/*
 * Try once more to stop those that refused. Good as well is one that has called back for
 * every descriptor in the meantime: that is all that an engine can do which knows no stopping.
 */
static void retry_lost(unsigned long deadline)
{
	struct channel *ch, *next;
	unsigned int nr = 0;
	LIST_HEAD(list);

	spin_lock(&channels_lock);
	list_for_each_entry_safe(ch, next, &lost_channels, node) {
		if (ch->stopping)
			continue;
		list_move(&ch->node, &list);
		ch->lost = false;
		nr++;
	}
	nr_busy += nr;
	spin_unlock(&channels_lock);
	list_for_each_entry(ch, &list, node) {
		begin_stop(ch);
		if (!end_stop(ch, deadline) && completion_done(&ch->drained))
			ch->unstoppable = false;
	}
	give_channels_back(nr, &list);
}

static bool none_lost(void)
{
	bool none;

	spin_lock(&channels_lock);
	none = !nr_busy && list_empty(&lost_channels);
	spin_unlock(&channels_lock);
	return none;
}

/*
 * Whoever has a channel gives it back soon, and nobody but a stop worker takes one: it revives
 * a lost one, which then is among the idle ones or, while it is at it, counts as busy.
 *
 * Return: false: somebody has one.
 */
static bool take_all_idle(struct list_head *list, bool *ret_lost)
{
	bool quiet;

	spin_lock(&channels_lock);
	quiet = !nr_busy;
	if (quiet) {
		list_splice_init(&idle_channels, list);
		*ret_lost = !list_empty(&lost_channels);
		closing = false;
	}
	spin_unlock(&channels_lock);
	return quiet;
}

/* Return: -EBUSY: a lost channel still does not stop; all others are closed. */
static int close_channels(void)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(CLOSE_LIMIT_MS);
	struct channel *ch, *next;
	LIST_HEAD(list);
	bool lost = false;

	lockdep_assert_held(&config_lock);
	spin_lock(&channels_lock);
	closing = true;
	spin_unlock(&channels_lock);
	retry_lost(deadline);
	wait_event_timeout(nobody_busy, none_lost(), ticks_until(deadline));
	wait_event(nobody_busy, take_all_idle(&list, &lost));
	list_for_each_entry_safe(ch, next, &list, node)
		close_channel(ch);
	return lost ? -EBUSY : 0;
}

/* Return: the number of channels that there were. */
static unsigned int open_channels(unsigned int nr)
{
	unsigned int opened;

	lockdep_assert_held(&config_lock);
	ember_copy_forget_dma();
	for (opened = 0; opened < nr; opened++) {
		struct channel *ch = open_channel();

		if (!ch)
			break;
		spin_lock(&channels_lock);
		list_add_tail(&ch->node, &idle_channels);
		spin_unlock(&channels_lock);
	}
	if (opened < nr)
		pr_notice("%u of %u DMA channels: there are no more that can copy\n", opened, nr);
	return opened;
}

static int reopen_channels(unsigned int nr)
{
	int err = close_channels();

	if (err)
		return err;
	return open_channels(nr) || !nr ? 0 : -ENODEV;
}

static int set_channels(const char *text, const struct kernel_param *param)
{
	unsigned int nr;
	int err;

	err = kstrtouint(text, 0, &nr);
	if (err)
		return err;
	if (nr > MAX_CHANNELS)
		return -EINVAL;
	mutex_lock(&config_lock);
	/* Before the module is up, and when it goes down, there is nothing to open. */
	if (is_up)
		err = reopen_channels(nr);
	else
		wanted = nr;
	mutex_unlock(&config_lock);
	return err;
}

static unsigned int count_channels(void)
{
	unsigned int nr;

	spin_lock(&channels_lock);
	nr = nr_busy + list_count_nodes(&idle_channels);
	spin_unlock(&channels_lock);
	return nr;
}

static int get_channels(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%u\n", count_channels());
}

static const struct kernel_param_ops channels_ops = {
	.set = set_channels,
	.get = get_channels,
};

module_param_cb(dma_channels, &channels_ops, NULL, 0644);
MODULE_PARM_DESC(dma_channels,
		 "DMA channels to hold for copies: 0 (default) to 16; reads as those that work");

void ember_dma_stats(struct ember_dma_stats *ret_stats)
{
	ret_stats->channels = count_channels();
	ret_stats->timeouts = atomic64_read(&nr_timeouts);
	ret_stats->leaked_pages = atomic64_read(&nr_leaked);
}

/* Fewer channels than wanted are no failure: the CPU can copy everything. */
int ember_dma_init(void)
{
	stop_wq = alloc_workqueue("ember_dma_stop", WQ_UNBOUND, 0);
	if (!stop_wq)
		return -ENOMEM;
	mutex_lock(&config_lock);
	open_channels(wanted);
	is_up = true;
	mutex_unlock(&config_lock);
	return 0;
}

/*
 * No batch is under way and none comes. A lost channel holds the module, unless it was lost
 * while the module was being unloaded: then there is nothing but to wait until it stops, for
 * after this its callbacks would run in freed memory.
 */
void ember_dma_exit(void)
{
	mutex_lock(&config_lock);
	is_up = false;
	while (close_channels())
		msleep(1000);
	mutex_unlock(&config_lock);
	destroy_workqueue(stop_wq);
}
