/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `emberctl pool` understands and says. Pure, but for the stream that it writes to. */
#ifndef EMBER_CTL_POOL_TEXT_H
#define EMBER_CTL_POOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <systemd/sd-json.h>

/* One pool as /sys/kernel/ember tells of it. */
struct pool_info {
	uint32_t id;
	uint32_t node;
	uint64_t start;
	uint64_t bytes;
	uint64_t used_bytes;
	uint64_t bad_bytes;
	int error;        /* why it could not be added or emptied: 0 or -errno */
	char state[16];   /* adding, ready, draining, failed */
	char stuck[1024]; /* as the module writes it: "WORD PAGES" and "process ID" lines */
};

/* Physical memory [start, end], as the firmware or the kernel calls it. */
struct pool_range {
	uint64_t start;
	uint64_t end;
	char what[64];
};

/* "512M", "0x20000000": bytes, with K, M, G or T for powers of 1024. 0, -EINVAL, -ERANGE. */
int pool_parse_bytes(const char *text, uint64_t *ret);

/* "14" or "pool14". 0 or -EINVAL. */
int pool_parse_id(const char *text, uint32_t *ret);

/* What is wrong with a range for a pool; NULL: nothing that can be seen from here. */
const char *pool_range_fault(uint64_t start, uint64_t bytes);

/*
 * Is [start, start + bytes) memory that was the kernel's to give, by the firmware's own map, where
 * what memmap= sets apart is still System RAM? true; or false with the first part that is not: what
 * it is called, "" if the map says nothing of it.
 */
bool pool_firmware_agrees(const struct pool_range *map, size_t nr, uint64_t start, uint64_t bytes,
			  struct pool_range *ret_first);

/* Lines of /proc/iomem that touch the range, the innermost ones: indented. Returns how many. */
unsigned int pool_print_owners(FILE *iomem, uint64_t start, uint64_t bytes, FILE *out);

/* Why a range cannot be a pool, and what to do. @error: -errno of the module. */
void pool_explain_add(int error, uint64_t start, uint64_t bytes, FILE *out);
void pool_explain_remove(int error, uint32_t id, FILE *out);
/* What the module said to being asked at all. */
void pool_explain_module(int error, FILE *out);

void pool_print_list(const struct pool_info *pools, size_t nr, FILE *out);

/* What is in the way of its removal, a line each. */
void pool_print_stuck(const struct pool_info *pool, FILE *out);

/* The process that the module names as an example. 0: none. */
uint32_t pool_stuck_process(const struct pool_info *pool);

int pool_json(const struct pool_info *pool, sd_json_variant **ret);

#endif
