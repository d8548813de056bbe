// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>
#include <string.h>

#include "policy_value.h"

#define MAX_DECIMALS 3

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1000000}, {"s", 1000000000}, {"min", 60000000000}, {NULL, 0}};

static const struct unit sizes[] = {{"B", 1},
				    {"kB", 1000},
				    {"MB", 1000000},
				    {"GB", 1000000000},
				    {"TB", 1000000000000},
				    {"KiB", 1ULL << 10},
				    {"MiB", 1ULL << 20},
				    {"GiB", 1ULL << 30},
				    {"TiB", 1ULL << 40},
				    {NULL, 0}};

static const struct unit bandwidths[] = {
    {"MB/s", 1000000},     {"GB/s", 1000000000},  {"kB/s", 1000}, {"KiB/s", 1ULL << 10},
    {"MiB/s", 1ULL << 20}, {"GiB/s", 1ULL << 30}, {NULL, 0}};

static const struct unit percents[] = {{"%", 100}, {NULL, 0}};

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits, and at most three decimals; the value is *ret_number / *ret_scale. */
static enum ember_value_error parse_number(const char **text, uint64_t *ret_number,
					   uint64_t *ret_scale)
{
	uint64_t number = 0, scale = 1;
	unsigned int decimals = 0;
	const char *p = *text;

	if (!is_digit(*p))
		return EMBER_VALUE_NO_NUMBER;
	for (; is_digit(*p) || (*p == '.' && scale == 1 && is_digit(p[1]) && !decimals); p++) {
		if (*p == '.') {
			decimals = 1;
			continue;
		}
		decimals += decimals > 0;
		if (decimals > MAX_DECIMALS + 1)
			return EMBER_VALUE_TOO_FINE;
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
			return EMBER_VALUE_TOO_LARGE;
		scale *= decimals ? 10 : 1;
	}
	*text = p;
	*ret_number = number;
	*ret_scale = scale;
	return EMBER_VALUE_OK;
}

static enum ember_value_error parse(const char *text, const struct unit *units, uint64_t *ret)
{
	uint64_t number, scale, product;
	enum ember_value_error err = parse_number(&text, &number, &scale);

	if (err)
		return err;
	if (!*text)
		return EMBER_VALUE_NO_UNIT;
	while (units->name && strcmp(units->name, text))
		units++;
	if (!units->name)
		return EMBER_VALUE_BAD_UNIT;
	if (__builtin_mul_overflow(number, units->factor, &product))
		return EMBER_VALUE_TOO_LARGE;
	if (product % scale)
		return EMBER_VALUE_TOO_FINE;
	*ret = product / scale;
	return EMBER_VALUE_OK;
}

enum ember_value_error ember_value_duration(const char *text, uint64_t *ret_ns)
{
	return parse(text, durations, ret_ns);
}

enum ember_value_error ember_value_size(const char *text, uint64_t *ret_bytes)
{
	return parse(text, sizes, ret_bytes);
}

enum ember_value_error ember_value_bandwidth(const char *text, uint64_t *ret_bytes_per_s)
{
	return parse(text, bandwidths, ret_bytes_per_s);
}

enum ember_value_error ember_value_percent(const char *text, uint64_t *ret_bp)
{
	return parse(text, percents, ret_bp);
}
