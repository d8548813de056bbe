/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest test expects and what it saw, one line each; exit status at the end. */
#ifndef EMBER_TESTS_EXPECT_H
#define EMBER_TESTS_EXPECT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_SKIP 77

static unsigned int expect_failures;

/* Prints "ok" or "FAIL", what was expected, and what was seen. */
__attribute__((format(printf, 2, 3))) static inline bool expect(bool ok, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("%-4s ", ok ? "ok" : "FAIL");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	expect_failures += !ok;
	return ok;
}

/* The test cannot go on: its own preparation failed. */
__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	exit(1);
}

static inline int expect_status(void)
{
	return expect_failures ? 1 : 0;
}

#endif /* EMBER_TESTS_EXPECT_H */
