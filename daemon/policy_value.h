/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values with a unit as people write them: "200MB/s", "1s", "64MiB", "0.5%". */
#ifndef EMBER_POLICY_VALUE_H
#define EMBER_POLICY_VALUE_H

#include <stdint.h>

enum ember_value_error {
	EMBER_VALUE_OK,
	EMBER_VALUE_NO_NUMBER, /* does not begin with a number */
	EMBER_VALUE_NO_UNIT,   /* a bare number */
	EMBER_VALUE_BAD_UNIT,  /* something else stands behind the number */
	EMBER_VALUE_TOO_LARGE, /* does not fit 64 bits */
	EMBER_VALUE_TOO_FINE,  /* less than the smallest unit, but not zero; or too many digits */
};

/* *ret is untouched unless EMBER_VALUE_OK. */
enum ember_value_error ember_value_duration(const char *text, uint64_t *ret_ns); /* ms s min */
enum ember_value_error ember_value_size(const char *text, uint64_t *ret_bytes);  /* B kB … TiB */
enum ember_value_error ember_value_bandwidth(const char *text, uint64_t *ret_bytes_per_s); /* …/s */
enum ember_value_error ember_value_percent(const char *text, uint64_t *ret_bp); /* in 1/10000 */

#endif
