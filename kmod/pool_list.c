// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pools there are: adding and removing them, and /sys/kernel/ember/poolN.
 *
 * A pool goes ADDING -> READY -> DRAINING -> gone, from DRAINING back to READY if not
 * everything could be moved out, and from ADDING to FAILED. Adding initialises a struct
 * page for each page (seconds for a TiB) and removing moves data, so both are done by a
 * work item; the asker watches the state.
 *
 * One mutex guards the list and all states. It is never held while pages move, while
 * memory is plugged, or while sysfs waits for its readers, who take it.
 */
#include <linux/bitmap.h>
#include <linux/ioport.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/numa.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>

#include <ember/sample.h>

#include "memory.h"
#include "pool.h"

/* memremap_pages() plugs memory in subsections. */
#define POOL_ALIGN SZ_2M

LIST_HEAD(ember_pools);
static DEFINE_MUTEX(pools_mutex);
static struct workqueue_struct *pool_wq;
static struct kobject *ember_kobj;
static bool pools_asleep; /* for hibernation; under pools_mutex, as is what follows */
static DECLARE_BITMAP(pool_ids, EMBER_MEM_UNKNOWN); /* taken until the directory is gone */

static struct ember_pool *find_pool(u32 id)
{
	struct ember_pool *pool;

	lockdep_assert_held(&pools_mutex);
	list_for_each_entry(pool, &ember_pools, node)
		if (pool->id == id)
			return pool;
	return NULL;
}

/**
 * ember_pool_get() - a pool to put pages into
 * @id: of the pool
 *
 * Return: NULL unless it is ready; else with a reference for ember_pool_put().
 */
struct ember_pool *ember_pool_get(u32 id)
{
	struct ember_pool *pool;

	mutex_lock(&pools_mutex);
	pool = find_pool(id);
	if (pool && pool->state == EMBER_POOL_READY)
		refcount_inc(&pool->users);
	else
		pool = NULL;
	mutex_unlock(&pools_mutex);
	return pool;
}

void ember_pool_put(struct ember_pool *pool)
{
	if (refcount_dec_and_test(&pool->users))
		complete(&pool->unused);
}

/**
 * ember_pool_index_at() - the mem index of a physical range
 * @start: physical address
 * @bytes: length
 * @ret_part: true if a pool covers only part of it
 *
 * Return: EMBER_MEM_UNKNOWN unless one pool covers it all.
 */
unsigned int ember_pool_index_at(u64 start, u64 bytes, bool *ret_part)
{
	unsigned int index = EMBER_MEM_UNKNOWN;
	struct ember_pool *pool;

	*ret_part = false;
	mutex_lock(&pools_mutex);
	list_for_each_entry(pool, &ember_pools, node) {
		if (start >= pool->start + pool->bytes || start + bytes <= pool->start)
			continue;
		if (start >= pool->start && start + bytes <= pool->start + pool->bytes)
			index = pool->id;
		else
			*ret_part = true;
	}
	mutex_unlock(&pools_mutex);
	return index;
}

/* ---- sysfs ---- */

static const char *const state_words[] = {
#define WORD(NAME, word) [EMBER_POOL_##NAME] = word,
	EMBER_POOL_STATES(WORD)
#undef WORD
};

static const char *const outcome_words[EMBER_OUTCOME_MAX + 1] = {
#define WORD(NAME, value, name, sentence) [value] = name,
	EMBER_OUTCOMES(WORD)
#undef WORD
};

/* "pinned 12", "unmapped 3", "locked 1", "process 4711": a line each; empty: nothing. */
static ssize_t print_stuck(const struct ember_pool_stuck *stuck, char *buf)
{
	ssize_t len = 0;

	for (unsigned int i = 1; i <= EMBER_OUTCOME_MAX; i++)
		if (stuck->nr_by_outcome[i])
			len += sysfs_emit_at(buf, len, "%s %lu\n", outcome_words[i],
					     stuck->nr_by_outcome[i]);
	if (stuck->nr_unmapped)
		len += sysfs_emit_at(buf, len, "unmapped %lu\n", stuck->nr_unmapped);
	if (stuck->nr_locked)
		len += sysfs_emit_at(buf, len, "locked %lu\n", stuck->nr_locked);
	if (stuck->tgid)
		len += sysfs_emit_at(buf, len, "process %u\n", stuck->tgid);
	return len;
}

static ssize_t print_pages(char *buf, unsigned long nr)
{
	return sysfs_emit(buf, "%llu\n", (u64)nr << PAGE_SHIFT);
}

static ssize_t print_attr(const struct ember_pool *pool, const char *name, char *buf)
{
	if (!strcmp(name, "start"))
		return sysfs_emit(buf, "0x%llx\n", pool->start);
	if (!strcmp(name, "bytes"))
		return sysfs_emit(buf, "%llu\n", pool->bytes);
	if (!strcmp(name, "node"))
		return sysfs_emit(buf, "%d\n", pool->nid);
	if (!strcmp(name, "used_bytes"))
		return print_pages(buf, atomic_long_read(&pool->nr_used));
	if (!strcmp(name, "bad_bytes"))
		return print_pages(buf, atomic_long_read(&pool->nr_bad));
	if (!strcmp(name, "state"))
		return sysfs_emit(buf, "%s\n", state_words[pool->state]);
	if (!strcmp(name, "error"))
		return sysfs_emit(buf, "%d\n", pool->error);
	return print_stuck(&pool->stuck, buf);
}

static ssize_t show_attr(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ember_pool *pool;
	ssize_t len = -ENODEV;

	mutex_lock(&pools_mutex);
	list_for_each_entry(pool, &ember_pools, node)
		if (pool->kobj == kobj)
			len = print_attr(pool, attr->attr.name, buf);
	mutex_unlock(&pools_mutex);
	return len;
}

#define POOL_ATTR(_name)                                                                           \
	static struct kobj_attribute _name##_attr = {                                              \
		.attr = { .name = #_name, .mode = 0444 },                                          \
		.show = show_attr,                                                                 \
	}

POOL_ATTR(start);
POOL_ATTR(bytes);
POOL_ATTR(node);
POOL_ATTR(used_bytes);
POOL_ATTR(bad_bytes);
POOL_ATTR(state);
POOL_ATTR(error);
POOL_ATTR(stuck);

static struct attribute *pool_attrs[] = {
	&start_attr.attr,     &bytes_attr.attr, &node_attr.attr,  &used_bytes_attr.attr,
	&bad_bytes_attr.attr, &state_attr.attr, &error_attr.attr, &stuck_attr.attr,
	NULL,
};

static const struct attribute_group pool_group = { .attrs = pool_attrs };

/* ---- one pool ---- */

static int add_size(struct resource *res, void *arg)
{
	*(u64 *)arg += resource_size(res);
	return 0;
}

/*
 * Is all of the range memory of this kind, and nothing else? region_intersects() alone would
 * also take one that is memory in part, and otherwise nothing at all: writes there are lost.
 */
static bool is_all(u64 start, u64 bytes, unsigned long kind)
{
	u64 covered = 0;

	if (region_intersects(start, bytes, IORESOURCE_MEM, kind) != REGION_INTERSECTS)
		return false;
	walk_iomem_res_desc(kind, IORESOURCE_MEM, start, start + bytes - 1, &covered, add_size);
	return covered == bytes;
}

/*
 * Soft-reserved memory that no driver has published yet: since 7.0 it waits in a tree of its
 * own. What is published meanwhile is busy with us.
 */
static bool is_soft_reserve(u64 start, u64 bytes)
{
	u64 covered = 0;

#ifdef EMBER_HAVE_SOFT_RESERVE_TREE
	if (region_intersects(start, bytes, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT)
		return false;
	walk_soft_reserve_res(start, start + bytes - 1, &covered, add_size);
#endif
	return covered == bytes;
}

/*
 * Only memory that the firmware or the boot loader's user has set apart. Ordinary memory
 * is the kernel's, a device's registers are nobody's memory, and what a driver uses is
 * marked as busy, which request_mem_region() finds out.
 */
static bool is_set_apart(u64 start, u64 bytes)
{
	return is_all(start, bytes, IORES_DESC_RESERVED) ||
	       is_all(start, bytes, IORES_DESC_SOFT_RESERVED) || is_soft_reserve(start, bytes);
}

/* Plug the memory. Afterwards the books know its pages, and nobody has any. */
static int pool_plug(struct ember_pool *pool)
{
	void *addr;
	int err;

	if (!is_set_apart(pool->start, pool->bytes))
		return -ENXIO;
	if (!request_mem_region(pool->start, pool->bytes, "ember pool"))
		return -EBUSY;
	err = ember_pool_books_init(pool);
	if (err)
		goto release_region;
	addr = memremap_pages(&pool->pgmap, pool->nid);
	if (IS_ERR(addr)) {
		err = PTR_ERR(addr);
		goto exit_books;
	}
	ember_pool_leave_out_bad(pool);
	pool->plugged = true;
	return 0;

exit_books:
	ember_pool_books_exit(pool);
release_region:
	release_mem_region(pool->start, pool->bytes);
	return err;
}

/* No page is in use, and nobody can take one: memunmap_pages() does not wait. */
static void pool_unplug(struct ember_pool *pool)
{
	memunmap_pages(&pool->pgmap);
	ember_pool_books_exit(pool);
	release_mem_region(pool->start, pool->bytes);
}

static void add_work(struct work_struct *work)
{
	struct ember_pool *pool = container_of(work, struct ember_pool, add_work);
	int err = pool_plug(pool);

	if (err)
		pr_warn_ratelimited("ember: pool %u, %llu bytes at 0x%llx, cannot be added: %d\n",
				    pool->id, pool->bytes, pool->start, err);
	else if (ember_memory_update()) /* before the first page is there to be looked up */
		pr_warn("ember: no memory for the table of nodes; places are unknown for now\n");
	mutex_lock(&pools_mutex);
	pool->error = err;
	pool->state = err ? EMBER_POOL_FAILED : EMBER_POOL_READY;
	if (pools_asleep)
		ember_pool_close(pool);
	mutex_unlock(&pools_mutex);
}

/* Off the list nobody finds it; sysfs and users are waited for. */
static void pool_delete(struct ember_pool *pool)
{
	mutex_lock(&pools_mutex);
	list_del(&pool->node);
	mutex_unlock(&pools_mutex);
	/* kobject_put() alone may leave the files, and so our code in use, until later. */
	kobject_del(pool->kobj);
	kobject_put(pool->kobj);
	mutex_lock(&pools_mutex);
	__clear_bit(pool->id, pool_ids);
	mutex_unlock(&pools_mutex);
	ember_memory_update();
	ember_pool_put(pool);
	wait_for_completion(&pool->unused);
	if (pool->plugged)
		pool_unplug(pool);
	kfree(pool);
}

static void remove_work(struct work_struct *work)
{
	struct ember_pool *pool = container_of(work, struct ember_pool, remove_work);
	struct ember_pool_stuck stuck = {};
	int err = pool->plugged ? ember_pool_empty(pool, &stuck) : 0;

	if (!err) {
		pool_delete(pool);
		return;
	}
	pr_info("ember: pool %u stays: %ld pages could not be moved out\n", pool->id,
		atomic_long_read(&pool->nr_used));
	mutex_lock(&pools_mutex);
	pool->stuck = stuck;
	pool->error = err;
	pool->state = EMBER_POOL_READY;
	if (!pools_asleep)
		ember_pool_open(pool);
	mutex_unlock(&pools_mutex);
}

/* ---- all pools ---- */

/* The highest index that is neither a node's nor a pool's, or EMBER_MEM_UNKNOWN. */
static u32 free_id(void)
{
	u32 id = EMBER_MEM_UNKNOWN;

	while (id-- > 0)
		if (!node_possible(id) && !test_bit(id, pool_ids))
			return id;
	return EMBER_MEM_UNKNOWN;
}

static bool overlaps(u64 start, u64 bytes)
{
	struct ember_pool *pool;

	list_for_each_entry(pool, &ember_pools, node)
		if (start < pool->start + pool->bytes && pool->start < start + bytes)
			return true;
	return false;
}

/* The node that the firmware says the range belongs to, or one that is there. */
static int node_of(u64 start, int nid)
{
	if (nid == NUMA_NO_NODE)
		nid = phys_to_target_node(start);
	return nid >= 0 && nid < MAX_NUMNODES && node_online(nid) ? nid : first_online_node;
}

static int check_range(u64 start, u64 bytes)
{
	struct range pluggable = mhp_get_pluggable_range(true);

	if (!bytes || !IS_ALIGNED(start, POOL_ALIGN) || !IS_ALIGNED(bytes, POOL_ALIGN))
		return -EINVAL;
	if (start + bytes < start || start < pluggable.start || start + bytes - 1 > pluggable.end)
		return -ERANGE;
	return 0;
}

/*
 * Without the mutex: should a file be taken back because the next one found no memory, sysfs
 * waits for its readers. A pool that fails here is deleted like any other.
 */
static int pool_publish(struct ember_pool *pool)
{
	struct kobject *kobj;
	char name[16];

	snprintf(name, sizeof(name), "pool%u", pool->id);
	kobj = kobject_create_and_add(name, ember_kobj);
	if (!kobj)
		return -ENOMEM;
	mutex_lock(&pools_mutex); /* readers look for it in the list */
	pool->kobj = kobj;
	mutex_unlock(&pools_mutex);
	return sysfs_create_group(kobj, &pool_group);
}

static int pool_enlist(struct ember_pool *pool)
{
	lockdep_assert_held(&pools_mutex);
	if (overlaps(pool->start, pool->bytes))
		return -EEXIST;
	pool->id = free_id();
	if (pool->id == EMBER_MEM_UNKNOWN)
		return -ENOSPC;
	__set_bit(pool->id, pool_ids);
	list_add_tail(&pool->node, &ember_pools);
	return 0;
}

/**
 * ember_pool_add() - begin to own a physical range
 * @start: physical address
 * @bytes: length; both multiples of 2 MiB
 * @nid: the node to account it to, or NUMA_NO_NODE: what the firmware says
 * @ret_id: of the new pool, whose state says how it goes on
 *
 * Return: 0, -EINVAL, -ERANGE (no such address on this machine), -EEXIST (overlaps another
 * pool), -ENOSPC (no index left), -ENODEV (no such node), -ENOMEM.
 */
int ember_pool_add(u64 start, u64 bytes, int nid, u32 *ret_id)
{
	struct ember_pool *pool;
	int err;

	err = check_range(start, bytes);
	if (err)
		return err;
	if (nid != NUMA_NO_NODE && (nid < 0 || nid >= MAX_NUMNODES || !node_online(nid)))
		return -ENODEV;
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return -ENOMEM;
	pool->start = start;
	pool->bytes = bytes;
	pool->nid = node_of(start, nid);
	spin_lock_init(&pool->lock); /* also one that is never plugged is closed */
	refcount_set(&pool->users, 1);
	init_completion(&pool->unused);
	INIT_WORK(&pool->add_work, add_work);
	INIT_WORK(&pool->remove_work, remove_work);
	mutex_lock(&pools_mutex);
	err = pool_enlist(pool);
	mutex_unlock(&pools_mutex);
	if (err) {
		kfree(pool);
		return err;
	}
	/* It is being added, so it cannot be removed, and stays ours until the work is queued. */
	err = pool_publish(pool);
	if (err) {
		pool_delete(pool);
		return err;
	}
	*ret_id = pool->id;
	queue_work(pool_wq, &pool->add_work);
	return 0;
}

/**
 * ember_pool_remove() - begin to empty a pool and give its range back
 * @id: of the pool
 *
 * It is gone when all that is in it could be moved elsewhere; else it becomes ready again,
 * and "stuck" says what was in the way. Return: 0, -ENOENT, -EBUSY (being added or emptied).
 */
int ember_pool_remove(u32 id)
{
	struct ember_pool *pool;
	int err = 0;

	mutex_lock(&pools_mutex);
	pool = find_pool(id);
	if (!pool) {
		err = -ENOENT;
	} else if (pool->state == EMBER_POOL_ADDING || pool->state == EMBER_POOL_DRAINING) {
		err = -EBUSY;
	} else {
		pool->state = EMBER_POOL_DRAINING;
		/* What requests under way have taken is counted by now, and moved out again. */
		ember_pool_close(pool);
		memset(&pool->stuck, 0, sizeof(pool->stuck));
		pool->error = 0;
		queue_work(pool_wq, &pool->remove_work);
	}
	mutex_unlock(&pools_mutex);
	return err;
}

/* ---- hibernation ---- */

/*
 * The image on disk holds no device memory: what is in a pool when the machine goes off is
 * lost. So it does not, as long as a page is in use; and none is taken from then on.
 */
static void pools_wake(void)
{
	struct ember_pool *pool;

	pools_asleep = false;
	list_for_each_entry(pool, &ember_pools, node)
		if (pool->state == EMBER_POOL_READY)
			ember_pool_open(pool);
}

static int pools_sleep(void)
{
	struct ember_pool *pool;
	int err = 0;

	pools_asleep = true;
	list_for_each_entry(pool, &ember_pools, node) {
		ember_pool_close(pool);
		if (atomic_long_read(&pool->nr_used))
			err = -EBUSY;
	}
	if (err)
		pools_wake();
	return err;
}

static int pm_event(struct notifier_block *nb, unsigned long event, void *arg)
{
	int err = 0;

	mutex_lock(&pools_mutex);
	if (event == PM_HIBERNATION_PREPARE)
		err = pools_sleep();
	else if (event == PM_POST_HIBERNATION)
		pools_wake();
	mutex_unlock(&pools_mutex);
	if (err)
		pr_warn("ember: no hibernation while pools hold memory of processes\n");
	return notifier_from_errno(err);
}

static struct notifier_block pm_notifier = { .notifier_call = pm_event };

/**
 * ember_pools_init() - own what the parameter "pools" names
 *
 * Return: 0 or a negative errno.
 */
int ember_pools_init(void)
{
	int err = -ENOMEM;

	ember_kobj = kobject_create_and_add("ember", kernel_kobj);
	if (!ember_kobj)
		return -ENOMEM;
	pool_wq = alloc_ordered_workqueue("ember_pool", 0);
	if (!pool_wq)
		goto put_kobj;
	err = register_pm_notifier(&pm_notifier);
	if (err)
		goto destroy_wq;
	ember_pools_add_from_parameter();
	flush_workqueue(pool_wq); /* whoever loads the module for its pools finds them there */
	return 0;

destroy_wq:
	destroy_workqueue(pool_wq);
put_kobj:
	kobject_put(ember_kobj);
	return err;
}

/**
 * ember_pools_exit() - give all ranges back
 *
 * Nobody is left to take pages or to add pools, and none is in use: a page in use holds the
 * module. Pools being added or emptied are waited for.
 */
void ember_pools_exit(void)
{
	struct ember_pool *pool, *next;

	unregister_pm_notifier(&pm_notifier);
	destroy_workqueue(pool_wq);
	list_for_each_entry_safe(pool, next, &ember_pools, node)
		pool_delete(pool);
	ember_pool_forget_bad();
	kobject_del(ember_kobj);
	kobject_put(ember_kobj);
}
