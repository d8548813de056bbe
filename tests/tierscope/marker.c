// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "marker.h"

/* Copies up to the first blank or control character: the name ends up in a header line. */
static void copy_word(char *word, size_t word_len, const char *line, size_t line_len)
{
	size_t n = 0;

	while (n < line_len && n < word_len - 1 && line[n] > ' ' && line[n] <= '~')
		n++;
	memcpy(word, line, n);
	word[n] = '\0';
}

struct marker_scan marker_scan(const char *text, size_t len, char *last, size_t last_len)
{
	struct marker_scan scan = {0};
	const char *end;

	while (scan.consumed < len &&
	       (end = memchr(text + scan.consumed, '\n', len - scan.consumed))) {
		const char *line = text + scan.consumed;

		if (*line == '#') {
			copy_word(last, last_len, line, end - line);
			scan.nr_markers++;
		}
		scan.consumed = end + 1 - text;
	}
	return scan;
}
