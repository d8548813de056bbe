/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DAMON_STAT, the kernel's own watcher of memory (since 6.17; running by default in Debian's
 * 7.3), clears the accessed bits of the pages that it samples. What it clears between a touch
 * and the scan after it, ember does not see: docs/sampling.md has how much. Whether it runs only
 * root may read, so the helper is asked. Pure.
 */
#ifndef EMBER_DAMONSTAT_H
#define EMBER_DAMONSTAT_H

#include <stdbool.h>
#include <stdint.h>

/* Name, word, sentence ("DAMON_STAT …"). */
#define EMBER_DAMONSTAT_STATES(X)                                                                  \
	X(ABSENT, "absent", "is not in this kernel")                                               \
	X(UNKNOWN, "unknown", "is in this kernel; whether it runs only root may know")             \
	X(OFF, "off", "did not run when emberd asked")                                             \
	X(STEALS, "steals", "clears accessed bits before ember has read them")

enum ember_damonstat {
#define X(name, word, sentence) EMBER_DAMONSTAT_##name,
	EMBER_DAMONSTAT_STATES(X)
#undef X
	    EMBER_NR_DAMONSTAT_STATES,
};

/*
 * Nobody was followed for so long: then it is given back. Its intervals tune themselves over
 * minutes, and begin anew with every start; so not at once.
 */
#define EMBER_DAMONSTAT_LINGER_NS (60 * 1000000000ULL)

/* @found: what the helper found, "Y" or "N"; NULL: it was not asked or did not say. */
enum ember_damonstat ember_damonstat_judge(bool present, const char *found);

/*
 * Should it be off? @mode: enum ember_borrow of the policy; @idle_ns: since the last process was
 * followed, 0 while any is, UINT64_MAX if none ever was.
 */
bool ember_damonstat_wanted(uint32_t mode, uint64_t idle_ns);

const char *ember_damonstat_word(enum ember_damonstat state);
const char *ember_damonstat_sentence(enum ember_damonstat state);

#endif /* EMBER_DAMONSTAT_H */
