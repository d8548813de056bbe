/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pools: memory that nobody can allocate from but ember.
 */
#ifndef EMBER_POOL_H
#define EMBER_POOL_H

#include <linux/completion.h>
#include <linux/ember.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mm_types.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "compat.h"

/* X(NAME, "word"): the word is what sysfs says. */
#define EMBER_POOL_STATES(X)                                                                       \
	X(ADDING, "adding")                                                                        \
	X(READY, "ready")                                                                          \
	X(DRAINING, "draining")                                                                    \
	X(FAILED, "failed")

enum ember_pool_state {
#define EMBER_POOL_STATE_ENUM(NAME, word) EMBER_POOL_##NAME,
	EMBER_POOL_STATES(EMBER_POOL_STATE_ENUM)
#undef EMBER_POOL_STATE_ENUM
};

/* Why a pool could not be emptied: pages that stayed, by reason, and one process that has some. */
struct ember_pool_stuck {
	unsigned long nr_by_outcome[EMBER_OUTCOME_MAX + 1];
	unsigned long nr_unmapped; /* held by somebody, mapped by nobody */
	unsigned long nr_locked;   /* processes that did not let go of their memory's lock */
	u32 tgid;		   /* 0: none */
};

struct ember_pool {
	struct dev_pagemap pgmap; /* valid from READY on */
	struct list_head node;	  /* under pools_mutex, as is state */
	enum ember_pool_state state;
	int error;	   /* negative errno of FAILED */
	u32 id;		   /* its mem index, see ember/sample.h */
	int nid;	   /* the node that it belongs to */
	u64 start;	   /* physical address */
	u64 bytes;
	bool plugged; /* written by its work items only */
	struct kobject *kobj;
	struct work_struct add_work;
	struct work_struct remove_work;
	refcount_t users;  /* one for the list; requests and walkers */
	struct completion unused;
	struct ember_pool_stuck stuck; /* under pools_mutex */

	/* The books. A set bit is a page that nobody has. */
	unsigned long first_pfn;
	unsigned long nr_pages;
	unsigned long *free;
	atomic_t *chunk_free; /* how many bits are set, in pieces of it; see pool.c */
	atomic_long_t nr_used;
	atomic_long_t nr_bad; /* broken memory, never given out again */
	spinlock_t lock;      /* of what follows, and of taking */
	unsigned long cursor;
	bool closed; /* no page is given out any more */
};

/* What hmm_vma_migrate() tells ember's device memory from others' by. */
extern struct list_head ember_pools;
#define ember_pool_owner ((void *)&ember_pools)

/**
 * ember_pool_of() - the pool that a folio lies in
 * @folio: with a reference, or mapped by a table whose lock is held: either keeps its pool
 *
 * Return: NULL if in none.
 */
static inline struct ember_pool *ember_pool_of(const struct folio *folio)
{
	struct dev_pagemap *pgmap;

	if (!folio_is_device_coherent(folio))
		return NULL;
	pgmap = ember_page_pgmap(&folio->page);
	return pgmap->owner == ember_pool_owner ? container_of(pgmap, struct ember_pool, pgmap) :
						  NULL;
}

/* pool.c: the books of one pool */
int ember_pool_books_init(struct ember_pool *pool);
void ember_pool_books_exit(struct ember_pool *pool);
void ember_pool_leave_out_bad(struct ember_pool *pool);
void ember_pool_forget_bad(void);
void ember_pool_close(struct ember_pool *pool);
void ember_pool_open(struct ember_pool *pool);
unsigned int ember_pool_take(struct ember_pool *pool, unsigned int nr, struct page **ret_pages);

/* pool_list.c: which pools there are */
int ember_pools_init(void);
void ember_pools_exit(void);
struct ember_pool *ember_pool_get(u32 id);
void ember_pool_put(struct ember_pool *pool);
int ember_pool_add(u64 start, u64 bytes, int nid, u32 *ret_id);
int ember_pool_remove(u32 id);
unsigned int ember_pool_index_at(u64 start, u64 bytes, bool *ret_part);

/* pool_param.c */
void ember_pools_add_from_parameter(void);

/* pool_empty.c */
int ember_pool_empty(struct ember_pool *pool, struct ember_pool_stuck *ret_stuck);

#endif /* EMBER_POOL_H */
