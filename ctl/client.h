/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connection to emberd's status socket. */
#ifndef EMBER_CTL_CLIENT_H
#define EMBER_CTL_CLIENT_H

#include <stdbool.h>

#include <systemd/sd-varlink.h>

#define CLIENT_SOCKET "/run/ember/daemon/status.sock"
#define CLIENT_TIMEOUT_S 5

/* 0; -ENOENT or -ECONNREFUSED: no daemon listens there; or another errno. */
int client_connect(const char *path, sd_varlink **ret);

/*
 * The object "status" of one GetStatus(). 0; -EREMOTEIO with *ret_error (owned by @link) naming the
 * varlink error; -EPROTO: an answer without it; -ETIMEDOUT; or the error of the connection.
 */
int client_get_status(sd_varlink *link, sd_json_variant **ret, const char **ret_error);

/* The daemon is not there, or went away. */
bool client_is_absence(int error);

#endif
