/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process may do to its memory while pages of it are asked to move, and the board on which
 * it and those around it write down what has happened at the same time as what.
 */
#ifndef EMBER_TESTS_ACTS_H
#define EMBER_TESTS_ACTS_H

#include <stdbool.h>
#include <stddef.h>

#define ACTS_SEED 0xaceUL
#define NOBODY (-1)

/* One for all processes of a test. Each word has one writer at a time, but for the events. */
struct board {
	unsigned int nr_sent, nr_taken; /* requests, and results of them; written by who asks */
	/* Counted up before and after a time in which no page may go to @forbidden. */
	unsigned int epoch;
	int forbidden; /* node or NOBODY */
	unsigned long nr_events, nr_overlapped;
};

extern struct board *board;

/* Before the first fork. Exits on failure. */
void board_make(void);
void board_clear(void);
unsigned int board_in_flight(void);
/* An event: begin; do it; end, with what begin gave and whether it has come about. */
unsigned int event_begin(void);
void event_end(unsigned int in_flight, bool happened);

/*
 * Acts: on a filled area (area_fill() with ACTS_SEED), which is filled again on return. They give
 * the number of pages that were wrong. The event that is counted is the one in the name.
 */
typedef size_t (*act_fn)(char *area, size_t nr_pages);

size_t act_nothing(char *area, size_t nr_pages); /* no event */
size_t act_mprotect(char *area, size_t nr_pages);
size_t act_munmap(char *area, size_t nr_pages);
size_t act_mremap(char *area, size_t nr_pages);
size_t act_dontneed(char *area, size_t nr_pages);
size_t act_free(char *area, size_t nr_pages);
size_t act_fork(char *area, size_t nr_pages);
size_t act_collapse(char *area, size_t nr_pages);
size_t act_split(char *area, size_t nr_pages); /* needs debugfs */
size_t act_swap(char *area, size_t nr_pages);  /* in a cgroup that is too small for the area */
size_t act_exit(char *area, size_t nr_pages);  /* does not return */
size_t act_exec(char *area, size_t nr_pages);  /* neither */

#endif /* EMBER_TESTS_ACTS_H */
