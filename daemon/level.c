// SPDX-License-Identifier: GPL-2.0-or-later
#include "level.h"

#define NSEC_PER_SEC 1000000000ULL

/* Squaring method: each squaring of the mantissa yields one bit of the logarithm. */
int32_t ember_log2_q8(uint64_t value)
{
	int msb = 63 - __builtin_clzll(value);
	uint64_t m = msb > 31 ? value >> (msb - 31) : value << (31 - msb); /* [1, 2) in 1.31 */
	int32_t log = msb * 256;

	for (int32_t bit = 128; bit; bit >>= 1) {
		m = (m * m) >> 31;
		if (m >> 32) {
			m >>= 1;
			log += bit;
		}
	}
	return log;
}

uint8_t ember_level_of_interval(uint64_t interval_ns)
{
	int32_t log, level;

	if (!interval_ns)
		return EMBER_LEVELS - 1;
	log = ember_log2_q8(NSEC_PER_SEC) - ember_log2_q8(interval_ns);
	level = EMBER_LEVEL_1HZ + ((log * EMBER_LEVELS_PER_OCTAVE + 128) >> 8);
	if (level < 0)
		return 0;
	return level >= EMBER_LEVELS ? EMBER_LEVELS - 1 : level;
}

uint64_t ember_level_interval_ns(uint8_t level)
{
	/* 2^(k/6) in 1.31 */
	static const uint32_t root[EMBER_LEVELS_PER_OCTAVE] = {
	    2147483648U, 2410468894U, 2705659852U, 3037000500U, 3408917802U, 3826380858U};
	/* 9 octaves below 1 Hz at level 0: 512 s */
	uint32_t down = level; /* sixths of an octave above level 0 */
	uint32_t octaves = down / EMBER_LEVELS_PER_OCTAVE;
	uint64_t ns = (512 * NSEC_PER_SEC) >> octaves;

	return (ns << 20) / (root[down % EMBER_LEVELS_PER_OCTAVE] >> 11);
}
