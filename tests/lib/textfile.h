/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's small text files. All exit on failure. */
#ifndef EMBER_TESTS_TEXTFILE_H
#define EMBER_TESTS_TEXTFILE_H

#include <stddef.h>

void textfile_write(const char *path, const char *text);
/* At most @size - 1 bytes, and a zero. */
void textfile_read(const char *path, char *text, size_t size);
/* The number behind "NAME " at the beginning of a line; 0 if there is none. */
unsigned long textfile_number(const char *path, const char *name);

#endif /* EMBER_TESTS_TEXTFILE_H */
