// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cooldown.h"
#include "mix.h"

#define WAYS 8
#define NSEC_PER_MSEC 1000000ULL

static uint64_t key_of(const struct ember_proc_id *p, uint64_t addr)
{
	uint64_t key = ember_mix(((uint64_t)p->self_exec_id << 32) | p->tgid);

	key = ember_mix(p->start_boottime_ns ^ key);
	key = ember_mix(key ^ (addr >> 12));
	return key ? key : 1;
}

static struct ember_cooldown_entry *set_of(const struct ember_cooldown *cd, uint64_t key)
{
	return cd->entries + (size_t)(key & (cd->nr_sets - 1)) * WAYS;
}

/*
 * Milliseconds wrap after 49 days, so differences decide. What seems to end later than any
 * wait can is an entry that ended weeks ago and that nobody needed the place of.
 */
static int32_t ms_left(const struct ember_cooldown_entry *e, uint32_t now_ms)
{
	int32_t left = (int32_t)(e->until_ms - now_ms);

	return left > EMBER_COOLDOWN_MAX_MS ? INT32_MIN : left;
}

int ember_cooldown_init(struct ember_cooldown *cd, uint32_t max_entries)
{
	uint32_t nr_sets = 1;

	while (nr_sets * WAYS < max_entries && nr_sets < 1U << 24)
		nr_sets *= 2;
	*cd = (struct ember_cooldown){.nr_sets = nr_sets};
	cd->entries = calloc((size_t)nr_sets * WAYS, sizeof(*cd->entries));
	return cd->entries ? 0 : -ENOMEM;
}

void ember_cooldown_destroy(struct ember_cooldown *cd)
{
	free(cd->entries);
	*cd = (struct ember_cooldown){0};
}

static struct ember_cooldown_entry *find(const struct ember_cooldown *cd, uint64_t key)
{
	struct ember_cooldown_entry *set = set_of(cd, key);

	for (int i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* The entry of @key, made if need be in the place of the one that ends first. */
static struct ember_cooldown_entry *find_or_make(struct ember_cooldown *cd, uint64_t key,
						 uint32_t now_ms)
{
	struct ember_cooldown_entry *e = find(cd, key), *set = set_of(cd, key);

	if (e)
		return e;
	e = set;
	for (int i = 0; i < WAYS && e->key; i++)
		if (!set[i].key || ms_left(&set[i], now_ms) < ms_left(e, now_ms))
			e = &set[i];
	if (e->key && ms_left(e, now_ms) > 0)
		cd->nr_evicted++;
	*e = (struct ember_cooldown_entry){.key = key, .until_ms = now_ms};
	return e;
}

static bool holds_back(enum ember_cooldown_move last, enum ember_cooldown_move next)
{
	if (next == EMBER_COOL_SIDEWAYS)
		return true;
	return (last == EMBER_COOL_DOWN) != (next == EMBER_COOL_DOWN);
}

enum ember_cooldown_state ember_cooldown_look(const struct ember_cooldown *cd,
					      const struct ember_proc_id *proc, uint64_t addr,
					      enum ember_cooldown_move move, uint64_t now_ns)
{
	const struct ember_cooldown_entry *e = find(cd, key_of(proc, addr));

	if (!e || ms_left(e, now_ns / NSEC_PER_MSEC) <= 0)
		return EMBER_COOL_FREE;
	if (e->refused)
		return EMBER_COOL_REFUSED;
	return holds_back(e->last, move) ? EMBER_COOL_MOVED : EMBER_COOL_AGAIN;
}

/* The time doubles with every @trip. */
static void moved(struct ember_cooldown_entry *e, enum ember_cooldown_move move, bool trip,
		  uint32_t now_ms)
{
	uint32_t time_ms = EMBER_COOLDOWN_FIRST_MS;

	if (trip && e->trips < 15)
		e->trips++;
	for (int i = 0; i < e->trips && time_ms < EMBER_COOLDOWN_LONGEST_MS; i++)
		time_ms *= 2;
	e->until_ms = now_ms + time_ms;
	e->last = move;
	e->moved = 1;
	e->refused = 0;
}

void ember_cooldown_moved(struct ember_cooldown *cd, const struct ember_proc_id *proc,
			  uint64_t addr, enum ember_cooldown_move move, uint64_t now_ns)
{
	uint32_t now_ms = now_ns / NSEC_PER_MSEC;
	struct ember_cooldown_entry *e = find_or_make(cd, key_of(proc, addr), now_ms);

	moved(e, move, e->moved && holds_back(e->last, move), now_ms);
}

void ember_cooldown_moved_shared(struct ember_cooldown *cd, const struct ember_proc_id *proc,
				 uint64_t addr, enum ember_cooldown_move move, uint64_t now_ns)
{
	uint32_t now_ms = now_ns / NSEC_PER_MSEC;
	struct ember_cooldown_entry *e = find_or_make(cd, key_of(proc, addr), now_ms);

	moved(e, move, e->moved, now_ms);
}

static const struct {
	uint32_t first_ms, longest_ms;
} backoffs[EMBER_NR_REFUSED] = {
    [EMBER_REFUSED_BUSY] = {2000, 320000},
    /* a full node holds back whatever should go there: not for longer than the node is full */
    [EMBER_REFUSED_NO_MEMORY] = {2000, 2000},
    [EMBER_REFUSED_UNSPLIT] = {2000, 2000},
    [EMBER_REFUSED_LASTING] = {60000, EMBER_COOLDOWN_MAX_MS},
};

#define PATIENCE 2 /* refusals before the time grows */

uint32_t ember_cooldown_backoff_ms(enum ember_refused why, unsigned int nr)
{
	uint32_t time_ms;

	if (why == EMBER_REFUSED_UNSPLIT && nr > PATIENCE)
		return ember_cooldown_backoff_ms(EMBER_REFUSED_LASTING, nr - PATIENCE);
	time_ms = backoffs[why].first_ms;
	for (unsigned int i = PATIENCE; i < nr && time_ms < backoffs[why].longest_ms; i++)
		time_ms *= 2;
	return time_ms < backoffs[why].longest_ms ? time_ms : backoffs[why].longest_ms;
}

void ember_cooldown_refused(struct ember_cooldown *cd, const struct ember_proc_id *proc,
			    uint64_t addr, enum ember_refused why, uint64_t now_ns)
{
	uint32_t now_ms = now_ns / NSEC_PER_MSEC;
	struct ember_cooldown_entry *e = find_or_make(cd, key_of(proc, addr), now_ms);

	if (ms_left(e, now_ms) < -EMBER_BACKOFF_FORGET_MS)
		e->refused = 0;
	/* What a full node refuses is not counted against the page. */
	if (!e->refused || (why != EMBER_REFUSED_NO_MEMORY && e->refused < UINT8_MAX))
		e->refused++;
	e->until_ms = now_ms + ember_cooldown_backoff_ms(why, e->refused);
}
