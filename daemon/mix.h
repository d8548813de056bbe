/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EMBER_MIX_H
#define EMBER_MIX_H

#include <stdint.h>

/* Finalizer of MurmurHash3 (public domain): every input bit changes every output bit. */
static inline uint64_t ember_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

#endif /* EMBER_MIX_H */
