// SPDX-License-Identifier: GPL-2.0-only
/*
 * ember_test_hold: writes to a page of the caller through a plain reference, later.
 *
 * What a network file system does for a direct read: get_user_pages_fast() without pinning, the
 * data when the reply comes, set_page_dirty() without the folio's lock, and the reference dropped.
 * Neither NFS nor 9p can be told when the reply comes; this can.
 *
 * A write(2) of a struct ember_test_hold to /dev/ember_test_hold returns when it is done.
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

struct ember_test_hold {
	u64 addr; /* of a u64 in memory of the caller */
	u64 value;
	u64 delay_us; /* between taking the reference and writing the value */
};

static int hold(const struct ember_test_hold *order)
{
	unsigned long addr = order->addr;
	struct page *page;
	u64 *words;

	if (!IS_ALIGNED(addr, sizeof(u64)) || order->delay_us > USEC_PER_SEC)
		return -EINVAL;
	if (get_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	if (order->delay_us)
		usleep_range(order->delay_us, order->delay_us + 10);
	words = kmap_local_page(page);
	WRITE_ONCE(words[offset_in_page(addr) / sizeof(u64)], order->value);
	kunmap_local(words);
	set_page_dirty(page);
	put_page(page);
	return 0;
}

static ssize_t hold_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	struct ember_test_hold order;
	int err;

	if (len != sizeof(order))
		return -EINVAL;
	if (copy_from_user(&order, text, sizeof(order)))
		return -EFAULT;
	err = hold(&order);
	return err ? err : (ssize_t)len;
}

static const struct file_operations hold_ops = {
	.owner = THIS_MODULE,
	.write = hold_write,
};

static struct miscdevice hold_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ember_test_hold",
	.fops = &hold_ops,
	.mode = 0600,
};
module_misc_device(hold_device);

MODULE_DESCRIPTION("Test only: writes to user memory through a plain reference");
MODULE_LICENSE("GPL");
