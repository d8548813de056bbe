// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "llc.h"

int llc_init(struct llc *llc, uint64_t size_bytes, uint32_t nr_ways)
{
	uint64_t nr_sets;

	if (nr_ways == 0 || nr_ways > LLC_MAX_WAYS)
		return -EINVAL;
	nr_sets = size_bytes / nr_ways >> LLC_LINE_SHIFT;
	if (nr_sets == 0 || nr_sets > 1u << 24 || (nr_sets & (nr_sets - 1)) ||
	    (nr_sets * nr_ways << LLC_LINE_SHIFT) != size_bytes)
		return -EINVAL;

	llc->nr_ways = nr_ways;
	llc->set_shift = __builtin_ctzll(nr_sets);
	/* With 16 ways a set is one line of the host's cache, if it is aligned. */
	llc->tags = aligned_alloc(64, (nr_sets * nr_ways * sizeof(uint32_t) + 63) & ~63ull);
	llc->locks = calloc(nr_sets, 1);
	if (!llc->tags || !llc->locks) {
		llc_free(llc);
		return -ENOMEM;
	}
	memset(llc->tags, 0, nr_sets * nr_ways * sizeof(uint32_t));
	return 0;
}

void llc_free(struct llc *llc)
{
	free(llc->tags);
	free(llc->locks);
	llc->tags = NULL;
	llc->locks = NULL;
}

/* Held for some tens of instructions, so waiting means spinning. */
static void lock_set(uint8_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(lock, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static void unlock_set(uint8_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* Puts tag at the front; those before its old place (or all, on a miss) move back by one. */
static bool touch(uint32_t *tags, uint32_t nr_ways, uint32_t tag)
{
	uint32_t i;

	for (i = 0; i < nr_ways - 1 && tags[i] != tag; i++)
		;
	bool hit = tags[i] == tag;

	memmove(&tags[1], &tags[0], i * sizeof(*tags));
	__atomic_store_n(&tags[0], tag, __ATOMIC_RELAXED);
	return hit;
}

bool llc_access(struct llc *llc, uint64_t paddr)
{
	uint64_t line = paddr >> LLC_LINE_SHIFT;
	uint64_t set = line & ((1ull << llc->set_shift) - 1);
	uint32_t tag = (uint32_t)(line >> llc->set_shift) + 1;
	uint32_t *tags = &llc->tags[set * llc->nr_ways];
	bool hit;

	if (__atomic_load_n(&tags[0], __ATOMIC_RELAXED) == tag)
		return true;

	lock_set(&llc->locks[set]);
	hit = touch(tags, llc->nr_ways, tag);
	unlock_set(&llc->locks[set]);
	return hit;
}
