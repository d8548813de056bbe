// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int parse_number(const char *text, const char **end, uint64_t *ret)
{
	int base = strncmp(text, "0x", 2) == 0 ? 16 : 10;
	uint64_t value;
	char *stop;

	if (!isxdigit((unsigned char)text[base == 16 ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &stop, base);
	if (errno || stop == text)
		return -EINVAL;
	*end = stop;
	*ret = value;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
	const char *end;
	uint64_t value;

	if (parse_number(text, &end, &value) < 0 || *end)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* Returns the shift that a unit stands for, or -EINVAL. */
static int unit_shift(const char *unit)
{
	static const char letters[] = "KMG";
	const char *letter;

	if (!*unit)
		return 0;
	letter = strchr(letters, *unit);
	if (!letter || (unit[1] && strcmp(unit + 1, "iB") != 0))
		return -EINVAL;
	return 10 * (letter - letters + 1);
}

int parse_bytes(const char *text, uint64_t *ret)
{
	const char *end;
	uint64_t value;
	int shift;

	if (parse_number(text, &end, &value) < 0)
		return -EINVAL;
	shift = unit_shift(end);
	if (shift < 0 || value << shift >> shift != value)
		return -EINVAL;
	*ret = value << shift;
	return 0;
}

/* Digits with one point at most; strtod() alone would take "nan", "1e9" and blanks. */
static int parse_decimal_part(const char *text, const char **end, double *ret)
{
	size_t len = strspn(text, "0123456789.");

	if (!isdigit((unsigned char)text[0]) || memchr(text, '.', len) != memrchr(text, '.', len))
		return -EINVAL;
	*ret = strtod(text, NULL);
	*end = text + len;
	return 0;
}

int parse_share(const char *text, double *ret)
{
	const char *end;
	double value;

	if (parse_decimal_part(text, &end, &value) < 0)
		return -EINVAL;
	if (*end == '%') {
		value /= 100;
		end++;
	}
	if (*end || value > 1)
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_decimal(const char *text, double *ret)
{
	const char *end;
	double value;

	if (parse_decimal_part(text, &end, &value) < 0 || *end)
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_seconds_ns(const char *text, uint64_t *ret)
{
	double value;

	if (parse_decimal(text, &value) < 0 || value > 1e9)
		return -EINVAL;
	*ret = (uint64_t)llround(value * 1e9);
	return 0;
}
