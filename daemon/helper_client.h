/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking ember-helper(8). The connection is the lease: what the helper changed stays
 * changed as long as it is open, and is put back when it closes, by ember_closep() or by death.
 * POLLHUP on it tells that the helper has died, which puts everything back as well.
 */
#ifndef EMBER_HELPER_CLIENT_H
#define EMBER_HELPER_CLIENT_H

#include <stddef.h>

#define EMBER_HELPER_SOCKET "/run/ember-helper/socket"
#define EMBER_HELPER_MAX_REPLY 128

/* 0; -ENOENT or -ECONNREFUSED: its socket is not there; or another errno. */
int ember_helper_connect(const char *path, int *ret_fd);

/*
 * Send one request ("numa_balancing 0") and wait at most ten seconds for its answer. @reply gets
 * the text after "ok " or "error ", always ending in a NUL, "" where there is none. 0: done;
 * -EREMOTEIO: the helper said no, @reply says why; -ETIMEDOUT; -EPIPE: it is gone; or another
 * errno.
 */
int ember_helper_call(int fd, const char *request, char *reply, size_t size);

#endif
