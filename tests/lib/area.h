/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of tests: areas of base pages at 2 MiB aligned addresses, on a chosen node. */
#ifndef EMBER_TESTS_AREA_H
#define EMBER_TESTS_AREA_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096UL
#define REGION_BYTES (2UL << 20)
#define REGION_PAGES 512UL

/* Private anonymous memory, 2 MiB aligned, no huge pages, not touched. Exits on failure. */
void *area_map(size_t nr_pages);
/* Binds (nr_pages from addr) to a node, touches every page, unbinds. */
void area_fill(void *addr, size_t nr_pages, int node, uint64_t seed);
/* Number of pages whose contents area_fill() did not write. */
size_t area_check(const void *addr, size_t nr_pages, uint64_t seed);
/* Node of each page, or a negative errno; as move_pages(2) with no nodes says. */
void area_nodes(const void *addr, size_t nr_pages, int *ret_nodes);
/* Number of pages that lie on the node. */
size_t area_count(const void *addr, size_t nr_pages, int node);

#endif /* EMBER_TESTS_AREA_H */
