/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By how much one look at a page changes its level.
 *
 * A page touched at rate r, watched over an interval d, is young with probability
 * p = 1 - exp(-x), x = r*d. The level is log r, so what one look says about it is the
 * derivative of the log likelihood: +x/(exp(x)-1) if young, -x if not. Both are near
 * nothing where nothing can be learnt (young at x >> 1, not young at x << 1), which is
 * what lets looks over windows of any length be added up. What a look can tell is its Fisher
 * information x^2/(exp(x)-1): next to nothing for x << 1 and x >> 1, 0.65 at best. With the
 * information i gathered so far, up to EMBER_INFO_MAX, a look is given the Newton step's
 * weight k = 1/i. A region keeps one i, for pages at the level of an unknown page (the prior,
 * which follows the threshold); for colder ones it is less in proportion to their rate, for
 * what is seldom touched is slowly known:
 *
 *	young:     r := r * (1 + k*x/(exp(x)-1))
 *	not young: r := r / (1 + k*x)
 *
 * The second is exact for a gamma prior of shape i; it holds for any x, so that a hundred
 * unwatched rounds are made up for in one step.
 */
#ifndef EMBER_GAIN_H
#define EMBER_GAIN_H

#include <stdint.h>

#include "level.h"

/* Information in sixteenths, and how finely the tables tell it. */
#define EMBER_INFO_ONE 16
#define EMBER_INFO_MAX 255
#define EMBER_INFO_PER_GAIN 8 /* half a unit */
#define EMBER_NR_GAINS (EMBER_INFO_MAX / EMBER_INFO_PER_GAIN + 1)

/* log2(x) in sixths of an octave: wide enough for any level over any interval, no clamping. */
#define EMBER_X_MIN (-180)
#define EMBER_X_MAX 180
#define EMBER_NR_X (EMBER_X_MAX - EMBER_X_MIN + 1)

/* A look less likely than this is a surprise: young at x < 1/32, not young at x > 3. */
#define EMBER_X_RARE (-30)
#define EMBER_X_SURE 10

struct ember_gain {
	int16_t step;     /* of the level, in 1/256 */
	uint8_t surprise; /* 0 or 1 */
	uint8_t unused;
};

/* [ember_gain_rows][young][log2(x) - EMBER_X_MIN] */
extern struct ember_gain ember_gains[EMBER_NR_GAINS][2][EMBER_NR_X];

/*
 * log2(x) of level 0 over @interval_ns, in sixths of an octave: add the level to it. Held to
 * where every level stays inside the tables (from a microsecond to a day and a half).
 */
int ember_gain_offset(uint64_t interval_ns);

/* First index of ember_gains: [info / EMBER_INFO_PER_GAIN][levels below the prior] */
extern uint8_t ember_gain_rows[EMBER_NR_GAINS][EMBER_LEVELS];

/* Information of one look at log2(x) @lx, in 1/256 of EMBER_INFO_ONE sixteenths. */
uint32_t ember_gain_info_q8(int lx);

#endif
