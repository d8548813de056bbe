/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files below a root, so that tests can give another one than the system's. */
#ifndef EMBER_UTIL_OPEN_AT_H
#define EMBER_UTIL_OPEN_AT_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

/* For reading; NULL with errno. */
__attribute__((format(printf, 2, 3))) static inline FILE *open_at(const char *root, const char *fmt,
								  ...)
{
	char name[PATH_MAX / 2], path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(path, "re");
}

#endif /* EMBER_UTIL_OPEN_AT_H */
