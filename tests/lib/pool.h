/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pools of device memory, as tests see them: /sys/kernel/ember/poolN, and where pages lie. */
#ifndef EMBER_TESTS_POOL_H
#define EMBER_TESTS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ember_nl.h"

/* A file of the pool without its last newline; "" if there is no such pool. The last four stay. */
const char *pool_file(int id, const char *name);
long pool_number(int id, const char *name);
bool pool_exists(int id);

/* Waits while its state is this one; the state then, "" if it is gone. */
const char *pool_settle(int id, const char *state);

/* Adds a pool and waits until it is ready. Exits on failure. */
int pool_add(struct ember_nl *nl, uint64_t start, uint64_t bytes);

/* Begins to remove it and waits: is it gone? */
bool pool_remove(struct ember_nl *nl, int id);

/*
 * Does used_bytes become that many pages? At once, but for references that the kernel keeps in
 * lists of its CPUs for a while (mlock), which are drained.
 */
bool pool_used_is(int id, size_t nr_pages);

/* Each CPU puts away what it has kept for later, as it does when memory is unmapped there. */
void drain_cpus(void);

/* Pages of a process (0: this one) that lie in a range of physical memory, by its pagemap. */
size_t pool_count(pid_t pid, const void *addr, size_t nr_pages, uint64_t start, uint64_t bytes);

/* The same; also sets a byte for each page: does it lie there? */
size_t pool_find(pid_t pid, const void *addr, size_t nr_pages, uint64_t start, uint64_t bytes,
		 uint8_t *ret_there);

/* The number for all areas of all processes. */
size_t pool_count_all(uint64_t start, uint64_t bytes);

/* A number of /proc/meminfo or the like: "NAME: VALUE kB" or "NAME VALUE"; -1: not there. */
long proc_number(const char *path, const char *name);

/* Exits on failure. */
void write_text(const char *path, const char *text);

#endif /* EMBER_TESTS_POOL_H */
