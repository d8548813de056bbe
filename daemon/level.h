/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Levels: the rate at which a page is touched, on a logarithmic scale, in 7 bits.
 *
 * Level l stands for 2^(l/6 - 9) touches per second: level 0 is once in 512 s or
 * less, level 54 once per second, level 127 about 4600 per second. Integers only.
 */
#ifndef EMBER_LEVEL_H
#define EMBER_LEVEL_H

#include <stdint.h>

#define EMBER_LEVELS 128
#define EMBER_LEVELS_PER_OCTAVE 6
#define EMBER_LEVEL_1HZ 54 /* once per second */

/* Level of a rate given as its mean interval; clamped to the scale. 0 ns gives the top level. */
uint8_t ember_level_of_interval(uint64_t interval_ns);

/* The mean interval between touches at @level, in ns. */
uint64_t ember_level_interval_ns(uint8_t level);

/* log2(@value) in 1/256; @value must not be 0. */
int32_t ember_log2_q8(uint64_t value);

#endif
