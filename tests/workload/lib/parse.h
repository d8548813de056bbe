/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict parsing of option values: the whole text must be a value, and nothing is
 * cut or guessed. Each returns 0 and sets *ret, or returns -EINVAL.
 */
#ifndef WORKLOAD_PARSE_H
#define WORKLOAD_PARSE_H

#include <stdint.h>

/* "4096", "0x1000", "512KiB", "400MiB", "2GiB"; also with K, M or G alone. */
int parse_bytes(const char *text, uint64_t *ret);

/* A decimal or, with 0x, hexadecimal number. */
int parse_u64(const char *text, uint64_t *ret);

/* A part from 0 to 1, written "0.9" or "90%". */
int parse_share(const char *text, double *ret);

/* Seconds >= 0 with decimals: "0.5", "20". */
int parse_seconds_ns(const char *text, uint64_t *ret);

/* A number >= 0 with decimals: "0.99", "2". */
int parse_decimal(const char *text, double *ret);

#endif /* WORKLOAD_PARSE_H */
