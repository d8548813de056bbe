/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process whose memory accesses are known exactly: it touches a given set of pages
 * when told, and nothing else of its area.
 */
#ifndef EMBER_TESTS_TARGET_H
#define EMBER_TESTS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TARGET_BASE 0x100000000000UL
#define TARGET_MAX_PAGES 65536

struct target_config {
	uint32_t nr_pages;   /* of 4 KiB; the area begins at TARGET_BASE */
	uint32_t nr_threads; /* they share out the pages of a round */
	bool huge;           /* MADV_HUGEPAGE, else MADV_NOHUGEPAGE */
	bool switching;      /* change places with other processes all the time, also when idle */
	bool spinning;       /* never leave the last CPU, also when idle; the caller stays off it */
};

struct target;

/* Starts the process; it has written to every page when this returns. Exits on failure. */
struct target *target_start(const struct target_config *config);
void target_stop(struct target *target);
pid_t target_pid(const struct target *target);

/* Have the first @nr of round @seed's pages touched, every second one written. Waits. */
void target_touch(struct target *target, uint64_t seed, uint32_t nr);

/* The pages that target_touch() of the same seed and number touches. */
void target_expected(const struct target *target, uint64_t seed, uint32_t nr,
		     bool touched[static TARGET_MAX_PAGES]);

/* How often the process was switched away from its CPU so far. */
uint64_t target_nr_switches(const struct target *target);

/*
 * Switch off what else in the kernel clears accessed bits (DAMON_STAT, on by default in
 * Debian's 7.3), until this process exits.
 */
void stop_other_aging(void);

/* Print and exit(1) */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
