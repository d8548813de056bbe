// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc_id.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

bool ember_proc_id_is_alive(const struct ember_proc_id *id)
{
	char path[64], text[1024];
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long ticks = 0;
	const char *p;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%u/stat", id->tgid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p + 1, ' ');
	}
	if (!p || sscanf(p, " %llu", &ticks) != 1)
		return false;
	return ticks == id->start_boottime_ns / (1000000000ULL / sysconf(_SC_CLK_TCK));
}
