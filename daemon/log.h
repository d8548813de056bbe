/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages: to the journal with fields when the journal listens, else to standard error.
 * One line per event, never one per page.
 */
#ifndef EMBER_LOG_H
#define EMBER_LOG_H

#include <syslog.h>

/* Messages below this priority (numerically above it) are dropped. Default LOG_INFO. */
void ember_log_set_max(int priority);

void ember_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* @fields: NULL-terminated array of "EMBER_NAME=value" strings, kept with the message. */
void ember_log_with(int priority, const char *const *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_err(...) ember_log(LOG_ERR, __VA_ARGS__)
#define log_warning(...) ember_log(LOG_WARNING, __VA_ARGS__)
#define log_info(...) ember_log(LOG_INFO, __VA_ARGS__)
#define log_debug(...) ember_log(LOG_DEBUG, __VA_ARGS__)

#endif /* EMBER_LOG_H */
