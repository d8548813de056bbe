/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that shall be left alone for a while: those just moved (so that noise does not
 * carry them back; the time doubles with every round trip) and those that a mover
 * refused (so that a pinned page is not tried every round). A table of fixed size: when
 * a set is full the entry that ends first gives way.
 */
#ifndef EMBER_COOLDOWN_H
#define EMBER_COOLDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc_id.h"

/* A page goes back no sooner than this; doubled by each round trip up to the longest. */
#define EMBER_COOLDOWN_FIRST_MS 5000
#define EMBER_COOLDOWN_LONGEST_MS 320000

/* Why a page was refused: how soon is it worth another try? */
enum ember_refused {
	EMBER_REFUSED_BUSY,      /* locked, isolated, being written: may pass at any moment */
	EMBER_REFUSED_NO_MEMORY, /* nothing is wrong with the page: the node was full, or gone */
	EMBER_REFUSED_UNSPLIT,   /* a huge page in use: may pass, and if it does not, lasts */
	EMBER_REFUSED_LASTING,   /* pinned, of a kind that does not move, not permitted */
	EMBER_NR_REFUSED,
};

/* No wait is longer, of whatever kind. */
#define EMBER_COOLDOWN_MAX_MS 960000
/* A page that nobody refused for so long after its wait has a clean slate. */
#define EMBER_BACKOFF_FORGET_MS EMBER_COOLDOWN_MAX_MS

struct ember_cooldown_entry {
	uint64_t key; /* 0: free */
	uint32_t until_ms;
	uint8_t trips;
	uint8_t refused; /* times in a row; 0: what came last was no refusal */
	uint8_t last;    /* enum ember_cooldown_move: the last one */
	uint8_t moved;   /* there was one */
};

struct ember_cooldown {
	struct ember_cooldown_entry *entries; /* sets of 8 */
	uint32_t nr_sets;                     /* power of two */
	uint64_t nr_evicted;                  /* entries that gave way before their time */
};

enum ember_cooldown_move {
	EMBER_COOL_DOWN,
	EMBER_COOL_UP,
	EMBER_COOL_SIDEWAYS, /* to a nearer node of the same tier */
};

enum ember_cooldown_state {
	EMBER_COOL_FREE,    /* may move */
	EMBER_COOL_AGAIN,   /* may move, but went there a short while ago: who brought it back? */
	EMBER_COOL_MOVED,   /* came from there a short while ago */
	EMBER_COOL_REFUSED, /* refused a short while ago */
};

/* At most @max_entries of 16 bytes (rounded up to a power of two). 0 or -ENOMEM. */
int ember_cooldown_init(struct ember_cooldown *cd, uint32_t max_entries);
void ember_cooldown_destroy(struct ember_cooldown *cd);

/*
 * May the page at @addr be moved so? Up and down hold each other back; sideways is held back by any
 * move: a process that is sent from socket to socket shall not drag its memory along each time.
 */
enum ember_cooldown_state ember_cooldown_look(const struct ember_cooldown *cd,
					      const struct ember_proc_id *proc, uint64_t addr,
					      enum ember_cooldown_move move, uint64_t now_ns);
void ember_cooldown_moved(struct ember_cooldown *cd, const struct ember_proc_id *proc,
			  uint64_t addr, enum ember_cooldown_move move, uint64_t now_ns);
/*
 * The same for a page that other processes map: planned for them as well, perhaps to the
 * opposite, so a second move in the same direction counts as a round trip.
 */
void ember_cooldown_moved_shared(struct ember_cooldown *cd, const struct ember_proc_id *proc,
				 uint64_t addr, enum ember_cooldown_move move, uint64_t now_ns);
/*
 * How long a page is left alone that was refused @nr times in a row: the first two times as
 * long as the reason suggests, from the third time on twice as long each time. What is unsplit for
 * the third time is lasting from then on.
 */
uint32_t ember_cooldown_backoff_ms(enum ember_refused why, unsigned int nr);
void ember_cooldown_refused(struct ember_cooldown *cd, const struct ember_proc_id *proc,
			    uint64_t addr, enum ember_refused why, uint64_t now_ns);

#endif
