// SPDX-License-Identifier: GPL-2.0-or-later
#include "capability.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/capability.h>

#include "util/cleanup.h"

/* The same list as in emberd.service, which says what each is for. */
static const struct {
	unsigned int nr;
	const char *name;
} needed[] = {
    {CAP_BPF, "CAP_BPF"},
    {CAP_PERFMON, "CAP_PERFMON"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
    {CAP_SYS_NICE, "CAP_SYS_NICE"},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
};

void ember_capability_missing(uint64_t effective, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = 0;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(effective >> needed[i].nr & 1) && len < size)
			len += snprintf(ret + len, size - len, "%s%s", len ? ", " : "",
					needed[i].name);
}

uint64_t ember_capability_parse(const char *status)
{
	const char *line = strstr(status, "\nCapEff:");

	return line ? strtoull(line + strlen("\nCapEff:"), NULL, 16) : 0;
}

uint64_t ember_capability_effective(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char text[8192];
	size_t n;

	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	return ember_capability_parse(text);
}
