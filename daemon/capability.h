/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What emberd may do, and what it has to: asked once at the start, so that it can be told by name.
 */
#ifndef EMBER_CAPABILITY_H
#define EMBER_CAPABILITY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Names, joined by ", ", of the capabilities that emberd needs and @effective (as the kernel
 * numbers them) lacks; "" if none. Pure.
 */
void ember_capability_missing(uint64_t effective, char *ret, size_t size);

/* "CapEff:" in the text of /proc/PID/status; 0 if it is not there. Pure. */
uint64_t ember_capability_parse(const char *status);

/* Those that this process has now; 0 if that cannot be read. */
uint64_t ember_capability_effective(void);

#endif /* EMBER_CAPABILITY_H */
