// SPDX-License-Identifier: GPL-2.0-or-later
#include "gain.h"

struct ember_gain ember_gains[EMBER_NR_GAINS][2][EMBER_NR_X];
uint8_t ember_gain_rows[EMBER_NR_GAINS][EMBER_LEVELS];

#define ONE_Q16 65536ULL
#define LOG2_E_Q16 94548ULL
#define X_SMALL (-12 * EMBER_LEVELS_PER_OCTAVE) /* below it x counts as 0 */
#define X_LARGE (12 * EMBER_LEVELS_PER_OCTAVE)
#define STEP_MAX (EMBER_LEVELS * 256 - 1) /* down from any level to the lowest */

int ember_gain_offset(uint64_t interval_ns)
{
	int32_t log = ember_log2_q8(interval_ns ? interval_ns : 1) - ember_log2_q8(1000000000ULL);
	int offset = ((log * EMBER_LEVELS_PER_OCTAVE + 128) >> 8) - EMBER_LEVEL_1HZ;

	if (offset < EMBER_X_MIN)
		return EMBER_X_MIN;
	return offset > EMBER_X_MAX - EMBER_LEVELS ? EMBER_X_MAX - EMBER_LEVELS : offset;
}

/* 2^@q16 in 16 bits of fraction, for 0 <= @q16 < 30 in 1/65536; cubic, within 0.02 %. */
static uint64_t exp2_q16(uint64_t q16)
{
	uint64_t f = q16 % ONE_Q16;
	uint64_t m = 5089;

	m = 14733 + ((m * f) >> 16);
	m = 45714 + ((m * f) >> 16);
	m = ONE_Q16 + ((m * f) >> 16);
	return m << (q16 / ONE_Q16);
}

/* 2^(@lx/6), or 0 where it is small, in 16 bits of fraction. */
static uint64_t x_q16(int lx)
{
	if (lx < X_SMALL)
		return 0;
	return exp2_q16((lx - X_SMALL) * ONE_Q16 / EMBER_LEVELS_PER_OCTAVE) >> 12;
}

/* x/(exp(x)-1) in 16 bits of fraction. */
static uint64_t young_gain_q16(int lx)
{
	uint64_t x, e;

	if (lx > 4 * EMBER_LEVELS_PER_OCTAVE) /* x > 16: nothing */
		return 0;
	x = x_q16(lx);
	if (x < ONE_Q16 / 16) /* 1 - x/2: the quotient would lose all its digits */
		return ONE_Q16 - x / 2;
	e = exp2_q16((x * LOG2_E_Q16) >> 16);
	return (x << 16) / (e - ONE_Q16);
}

/* Sixths of an octave in 1/256 from 1 to 1 + @q16 * 2/@n. */
static int32_t octaves(uint64_t q16, unsigned int n)
{
	return (ember_log2_q8(ONE_Q16 + 2 * q16 / n) - ember_log2_q8(ONE_Q16)) *
	       EMBER_LEVELS_PER_OCTAVE;
}

/* Change of the level in 1/256. */
static int16_t step(unsigned int n, int young, int lx)
{
	int32_t down;

	if (young)
		return octaves(young_gain_q16(lx), n);
	/* log2(1 + kx) is log2(kx) where x is large: no need of 2^30 in fixed point */
	if (lx > X_LARGE)
		down = lx * 256 + (256 - ember_log2_q8(n)) * EMBER_LEVELS_PER_OCTAVE;
	else
		down = octaves(x_q16(lx), n);
	return down > STEP_MAX ? -STEP_MAX : -down;
}

uint32_t ember_gain_info_q8(int lx)
{
	/* x * x/(exp(x)-1) */
	return (x_q16(lx) * young_gain_q16(lx) >> 24) * EMBER_INFO_ONE;
}

static struct ember_gain gain(unsigned int n, int young, int lx)
{
	int surprise = young ? lx < EMBER_X_RARE : lx > EMBER_X_SURE;

	return (struct ember_gain){.step = step(n, young, lx), .surprise = surprise};
}

/* Constants that no one would want to read as numbers; done before main() starts threads. */
__attribute__((constructor)) static void fill_gains(void)
{
	for (unsigned int n = 0; n < EMBER_NR_GAINS; n++)
		for (int young = 0; young < 2; young++)
			for (int i = 0; i < EMBER_NR_X; i++)
				ember_gains[n][young][i] = gain(n + 1, young, i + EMBER_X_MIN);
	for (unsigned int n = 0; n < EMBER_NR_GAINS; n++)
		for (unsigned int below = 0; below < EMBER_LEVELS; below++) {
			uint64_t up =
			    below < 72 ? below : 72; /* 12 octaves: more than n has bits */

			ember_gain_rows[n][below] =
			    (n << 16) / exp2_q16(up * ONE_Q16 / EMBER_LEVELS_PER_OCTAVE);
		}
}
