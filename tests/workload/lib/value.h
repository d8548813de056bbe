/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is stored under a key: a function of the key alone, so that whoever reads it back can
 * tell whether it is whole. No two keys have a word in common at the same place.
 */
#ifndef WORKLOAD_VALUE_H
#define WORKLOAD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the value of a key, len bytes of it. */
void value_fill(uint64_t key, char *buf, size_t len);

/* Whether buf is the value of the key, to the last byte. */
bool value_is(uint64_t key, const char *buf, size_t len);

#endif /* WORKLOAD_VALUE_H */
