/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin's arguments; README.md is their specification. */
#ifndef TIERSCOPE_OPTIONS_H
#define TIERSCOPE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memmap.h"

struct options {
	const char *out;   /* points into argv, as pages does */
	const char *pages; /* NULL: not counted */
	uint64_t llc_bytes;
	uint64_t nr_ways;
	uint64_t pages_every_s;
	struct range vrange; /* empty: all user addresses */
	bool early;          /* also count what runs before the kernel does */
	uint32_t nr_mems;
	struct mem mems[MEMMAP_MAX_MEMS];
};

/*
 * Parses "key=value" arguments over the defaults. Returns 0, or -EINVAL with one
 * sentence about what is wrong in err (err_len bytes, always terminated).
 */
int options_parse(struct options *options, int argc, char **argv, char *err, size_t err_len);

#endif /* TIERSCOPE_OPTIONS_H */
