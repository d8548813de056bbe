/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of one process that somebody placed by hand (move_pages(2), mbind(2) with
 * MPOL_MF_MOVE, migrate_pages(2)), and when. Pure: ranges and times in, yes or no out.
 *
 * Ranges are sorted and do not overlap; a later placement takes the place of an earlier one
 * where they meet. Their number is bounded: when there are too many, the two that lie
 * closest together become one, so that rather too much is left alone for a while than
 * something that was placed is moved.
 */
#ifndef EMBER_HANDS_DAEMON_H
#define EMBER_HANDS_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

/* 24 bytes each. */
#define EMBER_HANDS_MAX 1024

/*
 * Adjoining ranges placed within this time are one, of the time of the first: who places page by
 * page shall not fill the list. So much too early a range may be let go.
 */
#define EMBER_HANDS_SAME_NS 100000000ULL

struct ember_hand {
	uint64_t start; /* [start, end) */
	uint64_t end;
	uint64_t time_ns;
};

struct ember_hands {
	struct ember_hand *ranges; /* ascending; NULL: there has been none */
	uint32_t nr;
};

void ember_hands_clear(struct ember_hands *hands); /* frees; may be used again */

/* [start, end) was placed at @time_ns. 0 or -ENOMEM (nothing changed). */
int ember_hands_note(struct ember_hands *hands, uint64_t start, uint64_t end, uint64_t time_ns);

/* Placements that are @hold_ns old or older are over. */
void ember_hands_expire(struct ember_hands *hands, uint64_t hold_ns, uint64_t now_ns);

/* Is @addr in a range that was placed? */
bool ember_hands_hold(const struct ember_hands *hands, uint64_t addr);

#endif /* EMBER_HANDS_DAEMON_H */
