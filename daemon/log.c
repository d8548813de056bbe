// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define MAX_TEXT 1024
#define MAX_FIELDS 8

static int max_priority = LOG_INFO;

void ember_log_set_max(int priority)
{
	max_priority = priority;
}

static void to_stderr(int priority, const char *text)
{
	static const char *const words[] = {"emergency", "alert",  "critical", "error",
					    "warning",   "notice", "info",     "debug"};

	fprintf(stderr, "emberd: %s: %s\n", words[priority & 7], text);
}

static int to_journal(int priority, const char *const *fields, const char *text)
{
	char message[MAX_TEXT + 16], level[16];
	struct iovec iov[MAX_FIELDS + 2];
	int nr = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", text);
	snprintf(level, sizeof(level), "PRIORITY=%d", priority);
	iov[nr++] = (struct iovec){message, strlen(message)};
	iov[nr++] = (struct iovec){level, strlen(level)};
	for (int i = 0; fields && fields[i] && i < MAX_FIELDS; i++)
		iov[nr++] = (struct iovec){(void *)fields[i], strlen(fields[i])};
	return sd_journal_sendv(iov, nr);
}

static void emit(int priority, const char *const *fields, const char *format, va_list args)
{
	char text[MAX_TEXT];

	if (priority > max_priority)
		return;
	vsnprintf(text, sizeof(text), format, args);
	/* The journal sets JOURNAL_STREAM for services whose standard error it reads. */
	if (!getenv("JOURNAL_STREAM") || to_journal(priority, fields, text) < 0)
		to_stderr(priority, text);
}

void ember_log(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(priority, NULL, format, args);
	va_end(args);
}

void ember_log_with(int priority, const char *const *fields, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(priority, fields, format, args);
	va_end(args);
}
