// SPDX-License-Identifier: GPL-2.0-only
/*
 * ember_test_dma: a DMA engine in software, with faults to order.
 *
 * No machine that the tests can have offers Debian's kernels an engine with DMA_MEMCPY, so
 * this one stands in for the hardware only: dmaengine above it is the kernel's own. Each
 * channel has a ring of descriptors and a thread that works it off. What a thread does
 * is decided by the module parameters at the time, which may be written while it runs.
 *
 * As hardware does, it reads and writes memory when it gets to a descriptor, whatever
 * has become of the memory since: a client that takes pages back before the channel is
 * stopped finds them overwritten.
 */
#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>

#define DRIVER_NAME "ember_test_dma"
#define MAX_CHANNELS 8
#define MAX_RING 4096
#define GARBAGE 0xe5 /* what a descriptor that fails leaves in the destination */

static unsigned int channels = 2;
module_param(channels, uint, 0444);
MODULE_PARM_DESC(channels, "channels of the engine, 1 to 8");

/* Faults. 0 is none; "every" counts the descriptors of all channels. */
#define FAULT(name, value, text)                                                                   \
	static unsigned int name = value;                                                          \
	module_param(name, uint, 0644);                                                            \
	MODULE_PARM_DESC(name, text)

FAULT(ring, 256, "descriptors of a channel, read when a channel is requested");
FAULT(max_bytes, 0, "longest descriptor; longer ones are refused");
FAULT(delay_us, 0, "wait before each descriptor");
FAULT(fail_every, 0, "of so many one writes garbage and reports an error");
FAULT(stall_every, 0, "of so many one waits stall_ms, if the channel is not stopped before");
FAULT(stall_ms, 0, "how long a stalled one waits, before it is executed after all");
FAULT(reverse, 0, "the newest descriptor is executed first");
FAULT(refuse_stop, 0, "device_terminate_all fails and does nothing");
FAULT(stop_ms, 0, "device_synchronize takes so long");

/* What has happened. */
#define COUNTER(name, text)                                                                        \
	static unsigned int name;                                                                  \
	module_param(name, uint, 0444);                                                            \
	MODULE_PARM_DESC(name, text)

COUNTER(nr_copied, "descriptors copied");
COUNTER(nr_pages, "pages in these");
COUNTER(nr_failed, "descriptors failed");
COUNTER(nr_stalled, "descriptors stalled");
COUNTER(nr_late, "of these executed after all");
COUNTER(nr_dropped, "descriptors dropped when the channel was stopped");
COUNTER(nr_full, "descriptors refused because the ring was full");
COUNTER(nr_too_long, "descriptors refused because of their length");
COUNTER(nr_overtaken, "descriptors executed before an older one");

struct test_desc {
	struct dma_async_tx_descriptor tx;
	struct list_head node;
	dma_addr_t dst, src;
	size_t len;
};

struct test_chan {
	struct dma_chan chan;
	struct task_struct *thread;
	struct test_desc *ring;
	wait_queue_head_t wait;
	spinlock_t lock; /* the following */
	struct list_head free;
	struct list_head submitted;
	struct list_head issued;
	unsigned int epoch; /* counts the times that it was stopped */
	/* Held while memory is written and the client called back: who has it has stopped both. */
	struct mutex engine;
};

static struct test_chan test_chans[MAX_CHANNELS];
static struct dma_device test_device;
static DEFINE_SPINLOCK(counters_lock); /* the counters */
static unsigned int nr_begun; /* descriptors that a thread has got to */

static struct test_chan *to_test_chan(struct dma_chan *chan)
{
	return container_of(chan, struct test_chan, chan);
}

static void count(unsigned int *counter, unsigned int nr)
{
	spin_lock_bh(&counters_lock);
	*counter += nr;
	spin_unlock_bh(&counters_lock);
}

static bool every(unsigned int nth, unsigned int nr)
{
	return nth && nr % nth == nth - 1;
}

static unsigned int begin_number(void)
{
	unsigned int nr;

	spin_lock_bh(&counters_lock);
	nr = nr_begun++;
	spin_unlock_bh(&counters_lock);
	return nr;
}

/* Return: NULL: there is none. */
static struct test_desc *take_issued(struct test_chan *tc, unsigned int *ret_epoch)
{
	struct test_desc *desc = NULL;

	spin_lock_bh(&tc->lock);
	if (!list_empty(&tc->issued)) {
		bool newest = READ_ONCE(reverse);

		if (newest && !list_is_singular(&tc->issued))
			count(&nr_overtaken, 1);
		desc = newest ? list_last_entry(&tc->issued, struct test_desc, node) :
				list_first_entry(&tc->issued, struct test_desc, node);
		list_del(&desc->node);
		*ret_epoch = tc->epoch;
	}
	spin_unlock_bh(&tc->lock);
	return desc;
}

static void free_desc(struct test_chan *tc, struct test_desc *desc)
{
	spin_lock_bh(&tc->lock);
	list_add_tail(&desc->node, &tc->free);
	spin_unlock_bh(&tc->lock);
}

/* Return: false: the channel was stopped meanwhile. */
static bool wait_for(struct test_chan *tc, unsigned int epoch, unsigned long jiffies_)
{
	return !wait_event_timeout(tc->wait, READ_ONCE(tc->epoch) != epoch, jiffies_);
}

static void *memory_at(dma_addr_t addr)
{
	return phys_to_virt(dma_to_phys(test_device.dev, addr));
}

/* With the engine held. A client is called back with bottom halves off, as from a tasklet. */
static void execute(struct test_desc *desc, bool fail)
{
	struct dmaengine_result result = {
		.result = fail ? DMA_TRANS_WRITE_FAILED : DMA_TRANS_NOERROR,
	};

	if (fail)
		memset(memory_at(desc->dst), GARBAGE, desc->len);
	else
		memcpy(memory_at(desc->dst), memory_at(desc->src), desc->len);
	count(fail ? &nr_failed : &nr_copied, 1);
	if (!fail)
		count(&nr_pages, desc->len / PAGE_SIZE);
	local_bh_disable();
	if (desc->tx.callback_result)
		desc->tx.callback_result(desc->tx.callback_param, &result);
	else if (desc->tx.callback)
		desc->tx.callback(desc->tx.callback_param);
	local_bh_enable();
}

static void do_desc(struct test_chan *tc, struct test_desc *desc, unsigned int epoch)
{
	unsigned int nr = begin_number(), us = READ_ONCE(delay_us);
	bool stall = every(READ_ONCE(stall_every), nr), fail = every(READ_ONCE(fail_every), nr);
	bool running = true;

	if (us)
		fsleep(us);
	if (stall) {
		count(&nr_stalled, 1);
		running = wait_for(tc, epoch, msecs_to_jiffies(READ_ONCE(stall_ms)));
	}
	mutex_lock(&tc->engine);
	/* Whoever stops the channel counts the epoch first, then waits for the engine. */
	if (running && READ_ONCE(tc->epoch) == epoch) {
		count(&nr_late, stall);
		execute(desc, fail);
	} else {
		count(&nr_dropped, 1);
	}
	mutex_unlock(&tc->engine);
	free_desc(tc, desc);
}

static int channel_thread(void *arg)
{
	struct test_chan *tc = arg;
	struct test_desc *desc;
	unsigned int epoch;

	while (!kthread_should_stop()) {
		wait_event_interruptible(tc->wait, kthread_should_stop() ||
					 !list_empty_careful(&tc->issued));
		desc = take_issued(tc, &epoch);
		if (desc)
			do_desc(tc, desc, epoch);
		cond_resched();
	}
	return 0;
}

static dma_cookie_t submit(struct dma_async_tx_descriptor *tx)
{
	struct test_desc *desc = container_of(tx, struct test_desc, tx);
	struct test_chan *tc = to_test_chan(tx->chan);
	dma_cookie_t cookie;

	spin_lock_bh(&tc->lock);
	cookie = tc->chan.cookie + 1;
	if (cookie < DMA_MIN_COOKIE)
		cookie = DMA_MIN_COOKIE;
	tx->cookie = cookie;
	tc->chan.cookie = cookie;
	list_add_tail(&desc->node, &tc->submitted);
	spin_unlock_bh(&tc->lock);
	return cookie;
}

static struct dma_async_tx_descriptor *prep_memcpy(struct dma_chan *chan, dma_addr_t dst,
						   dma_addr_t src, size_t len, unsigned long flags)
{
	struct test_chan *tc = to_test_chan(chan);
	unsigned int limit = READ_ONCE(max_bytes);
	struct test_desc *desc;

	if (limit && len > limit) {
		count(&nr_too_long, 1);
		return NULL;
	}
	spin_lock_bh(&tc->lock);
	desc = list_first_entry_or_null(&tc->free, struct test_desc, node);
	if (desc)
		list_del(&desc->node);
	spin_unlock_bh(&tc->lock);
	if (!desc) {
		count(&nr_full, 1);
		return NULL;
	}
	memset(&desc->tx, 0, sizeof(desc->tx));
	dma_async_tx_descriptor_init(&desc->tx, chan);
	desc->tx.tx_submit = submit;
	desc->tx.flags = flags;
	desc->dst = dst;
	desc->src = src;
	desc->len = len;
	return &desc->tx;
}

static void issue_pending(struct dma_chan *chan)
{
	struct test_chan *tc = to_test_chan(chan);

	spin_lock_bh(&tc->lock);
	list_splice_tail_init(&tc->submitted, &tc->issued);
	spin_unlock_bh(&tc->lock);
	wake_up(&tc->wait);
}

/* DMA_COMPLETION_NO_ORDER: that a cookie is done says nothing about those before it. */
static enum dma_status tx_status(struct dma_chan *chan, dma_cookie_t cookie,
				 struct dma_tx_state *state)
{
	return DMA_OUT_OF_ORDER;
}

static int terminate_all(struct dma_chan *chan)
{
	struct test_chan *tc = to_test_chan(chan);
	unsigned int nr;

	if (READ_ONCE(refuse_stop))
		return -EIO;
	spin_lock_bh(&tc->lock);
	WRITE_ONCE(tc->epoch, tc->epoch + 1);
	nr = list_count_nodes(&tc->submitted) + list_count_nodes(&tc->issued);
	list_splice_tail_init(&tc->submitted, &tc->free);
	list_splice_tail_init(&tc->issued, &tc->free);
	spin_unlock_bh(&tc->lock);
	count(&nr_dropped, nr);
	wake_up(&tc->wait);
	return 0;
}

static void synchronize(struct dma_chan *chan)
{
	struct test_chan *tc = to_test_chan(chan);

	msleep(READ_ONCE(stop_ms));
	mutex_lock(&tc->engine);
	mutex_unlock(&tc->engine);
}

static int alloc_chan_resources(struct dma_chan *chan)
{
	struct test_chan *tc = to_test_chan(chan);
	unsigned int nr = clamp(READ_ONCE(ring), 1U, MAX_RING);

	tc->ring = kvcalloc(nr, sizeof(*tc->ring), GFP_KERNEL);
	if (!tc->ring)
		return -ENOMEM;
	INIT_LIST_HEAD(&tc->free);
	INIT_LIST_HEAD(&tc->submitted);
	INIT_LIST_HEAD(&tc->issued);
	for (unsigned int i = 0; i < nr; i++)
		list_add_tail(&tc->ring[i].node, &tc->free);
	tc->thread = kthread_run(channel_thread, tc, DRIVER_NAME "/%d", chan->chan_id);
	if (IS_ERR(tc->thread)) {
		kvfree(tc->ring);
		return PTR_ERR(tc->thread);
	}
	/* Which descriptors meet a fault is the same after each request for channels. */
	WRITE_ONCE(nr_begun, 0);
	return nr;
}

static void free_chan_resources(struct dma_chan *chan)
{
	struct test_chan *tc = to_test_chan(chan);

	kthread_stop(tc->thread);
	kvfree(tc->ring);
}

static void init_chan(struct test_chan *tc)
{
	init_waitqueue_head(&tc->wait);
	spin_lock_init(&tc->lock);
	mutex_init(&tc->engine);
	tc->chan.device = &test_device;
	list_add_tail(&tc->chan.device_node, &test_device.channels);
}

static int test_probe(struct platform_device *pdev)
{
	dma_cap_set(DMA_MEMCPY, test_device.cap_mask);
	dma_cap_set(DMA_PRIVATE, test_device.cap_mask);
	dma_cap_set(DMA_COMPLETION_NO_ORDER, test_device.cap_mask);
	test_device.dev = &pdev->dev;
	test_device.copy_align = DMAENGINE_ALIGN_64_BYTES;
	test_device.device_prep_dma_memcpy = prep_memcpy;
	test_device.device_issue_pending = issue_pending;
	test_device.device_tx_status = tx_status;
	test_device.device_terminate_all = terminate_all;
	test_device.device_synchronize = synchronize;
	test_device.device_alloc_chan_resources = alloc_chan_resources;
	test_device.device_free_chan_resources = free_chan_resources;
	INIT_LIST_HEAD(&test_device.channels);
	for (unsigned int i = 0; i < channels; i++)
		init_chan(&test_chans[i]);
	return dma_async_device_register(&test_device);
}

static void test_remove(struct platform_device *pdev)
{
	dma_async_device_unregister(&test_device);
}

/* Unbinding would pull the device from under its clients; unloading waits for them. */
static struct platform_driver test_driver = {
	.probe = test_probe,
	.remove = test_remove,
	.driver = {
		.name = DRIVER_NAME,
		.suppress_bind_attrs = true,
	},
};

static struct platform_device *test_pdev;

static int __init test_init(void)
{
	const struct platform_device_info info = {
		.name = DRIVER_NAME,
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};
	int err;

	channels = clamp(channels, 1U, (unsigned int)MAX_CHANNELS);
	err = platform_driver_register(&test_driver);
	if (err)
		return err;
	test_pdev = platform_device_register_full(&info);
	if (IS_ERR(test_pdev)) {
		platform_driver_unregister(&test_driver);
		return PTR_ERR(test_pdev);
	}
	return 0;
}

static void __exit test_exit(void)
{
	platform_device_unregister(test_pdev);
	platform_driver_unregister(&test_driver);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("DMA engine in software with faults to order, for ember's tests");
MODULE_AUTHOR("ember developers");
MODULE_LICENSE("GPL");
