/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds marker lines ("#ready") among the lines of FILE. */
#ifndef TIERSCOPE_MARKER_H
#define TIERSCOPE_MARKER_H

#include <stddef.h>

struct marker_scan {
	size_t consumed; /* up to the end of the last whole line */
	int nr_markers;
};

/*
 * Scans len bytes that begin at the begin of a line. A line that has no end yet is
 * left for the next time. The last marker's first word is stored in last (last_len
 * bytes, always terminated, cut if longer); last is untouched where there is none.
 */
struct marker_scan marker_scan(const char *text, size_t len, char *last, size_t last_len);

#endif /* TIERSCOPE_MARKER_H */
