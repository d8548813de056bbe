// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define USER_END (1ull << 47) /* first address that is not the user's, with 4 levels */

/* Reads "0x1000", "4096" or "4K" and leaves *text behind it. */
static int parse_number(const char **text, uint64_t *ret)
{
	bool hex = strncmp(*text, "0x", 2) == 0;
	uint64_t value;
	int shift = 0;
	char *end;

	if (!isxdigit((unsigned char)(*text)[hex ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(*text, &end, hex ? 16 : 10);
	if (errno || end == *text)
		return -EINVAL;

	switch (hex ? 0 : *end) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	}
	if (shift && value << shift >> shift != value)
		return -EINVAL;

	*text = end + (shift != 0);
	*ret = value << shift;
	return 0;
}

/* A number that must fill the whole argument. */
static int parse_whole_number(const char *text, uint64_t *ret)
{
	uint64_t value;
	int r = parse_number(&text, &value);

	if (r < 0 || *text)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* "LO-HI", not empty; leaves *text behind it. */
static int parse_range(const char **text, struct range *ret)
{
	struct range range;

	if (parse_number(text, &range.start) < 0 || *(*text)++ != '-' ||
	    parse_number(text, &range.end) < 0 || range.start >= range.end)
		return -EINVAL;
	*ret = range;
	return 0;
}

static int parse_vrange(const char *text, struct range *ret)
{
	struct range range;

	if (parse_range(&text, &range) < 0 || *text || range.end > USER_END)
		return -EINVAL;
	*ret = range;
	return 0;
}

/* "LO-HI+LO-HI..." */
static int parse_pieces(const char *text, struct mem *mem)
{
	for (;; text++) {
		if (mem->nr_pieces == MEMMAP_MAX_PIECES ||
		    parse_range(&text, &mem->pieces[mem->nr_pieces]) < 0)
			return -EINVAL;
		mem->nr_pieces++;
		if (*text != '+')
			return *text ? -EINVAL : 0;
	}
}

static bool name_ok(const char *name, size_t len)
{
	return len > 0 && len < MEMMAP_NAME_LEN &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") >= len;
}

/* "[NAME:]LO-HI+LO-HI..." */
static int parse_mem(struct options *options, enum tier tier, const char *text)
{
	struct mem *mem = &options->mems[options->nr_mems];
	const char *colon = strchr(text, ':');
	int r;

	if (options->nr_mems == MEMMAP_MAX_MEMS || (colon && !name_ok(text, colon - text)))
		return -EINVAL;

	memset(mem, 0, sizeof(*mem));
	mem->tier = tier;
	if (colon) {
		memcpy(mem->name, text, colon - text);
		text = colon + 1;
	} else {
		snprintf(mem->name, sizeof(mem->name), "node%u", options->nr_mems);
	}

	r = parse_pieces(text, mem);
	if (r < 0)
		return r;
	options->nr_mems++;
	return 0;
}

static int parse_switch(const char *text, bool *ret)
{
	bool on = strcmp(text, "on") == 0;

	if (!on && strcmp(text, "off") != 0)
		return -EINVAL;
	*ret = on;
	return 0;
}

static int parse_path(const char *text, const char **ret)
{
	if (!*text)
		return -EINVAL;
	*ret = text;
	return 0;
}

static int parse_one(struct options *options, const char *key, const char *value)
{
	if (strcmp(key, "out") == 0)
		return parse_path(value, &options->out);
	if (strcmp(key, "pages") == 0)
		return parse_path(value, &options->pages);
	if (strcmp(key, "fast") == 0)
		return parse_mem(options, TIER_FAST, value);
	if (strcmp(key, "slow") == 0)
		return parse_mem(options, TIER_SLOW, value);
	if (strcmp(key, "llc") == 0)
		return parse_whole_number(value, &options->llc_bytes);
	if (strcmp(key, "ways") == 0)
		return parse_whole_number(value, &options->nr_ways);
	if (strcmp(key, "vrange") == 0)
		return parse_vrange(value, &options->vrange);
	if (strcmp(key, "pages_every") == 0)
		return parse_whole_number(value, &options->pages_every_s);
	if (strcmp(key, "early") == 0)
		return parse_switch(value, &options->early);
	return -ENOENT;
}

static int check(const struct options *options, char *err, size_t err_len)
{
	if (!options->out)
		snprintf(err, err_len, "out=FILE is missing");
	else if (!options->nr_mems)
		snprintf(err, err_len, "no memory given: fast=LO-HI and slow=LO-HI");
	else if (!options->pages_every_s)
		snprintf(err, err_len, "pages_every must be at least 1");
	else
		return 0;
	return -EINVAL;
}

int options_parse(struct options *options, int argc, char **argv, char *err, size_t err_len)
{
	*options = (struct options){
	    .llc_bytes = 2 << 20,
	    .nr_ways = 16,
	    .pages_every_s = 10,
	};

	for (int i = 0; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		char key[16] = "";
		int r = -ENOENT;

		if (equals && (size_t)(equals - argv[i]) < sizeof(key)) {
			memcpy(key, argv[i], equals - argv[i]);
			r = parse_one(options, key, equals + 1);
		}
		if (r < 0) {
			snprintf(err, err_len, "%s: %s",
				 r == -ENOENT ? "unknown argument" : "bad value", argv[i]);
			return -EINVAL;
		}
	}
	return check(options, err, err_len);
}
