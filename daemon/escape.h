/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that other people chose (commands, cgroups, files) made safe to print. What is not UTF-8,
 * moves the cursor or changes the direction of writing becomes \xNN, byte by byte; a
 * backslash becomes \\, so that the original can be had back. Pure.
 */
#ifndef EMBER_ESCAPE_H
#define EMBER_ESCAPE_H

#include <stddef.h>

/* Room for the longest form of @max bytes. */
#define EMBER_ESCAPED_SIZE(max) (4 * (max) + 1)

/*
 * Write @s, up to its NUL but at most @max bytes, to @ret of @size bytes. Always ends with a NUL;
 * what does not fit is left out at a whole character.
 */
void ember_escape(const char *s, size_t max, char *ret, size_t size);

#endif
