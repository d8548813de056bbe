/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status socket: varlink, interface io.ember.Daemon. Everybody may connect; what an
 * answer holds depends on the peer (status_json.h). Answers come from @get, in the thread of
 * the event loop. What a client can make it hold or do is bounded: connections per user and in
 * all, bytes of a request, answers per user and second (allowance.h); clients that do not
 * read their answers are dropped.
 */
#ifndef EMBER_STATUS_SERVER_H
#define EMBER_STATUS_SERVER_H

#include <systemd/sd-event.h>

#include "status.h"

/* Members see the totals of all processes. */
#define EMBER_VIEW_GROUP "ember-view"

struct ember_status_server;

/* Copies the last snapshot to *ret. 0 or a negative errno, which the client gets. */
typedef int (*ember_status_get_t)(struct ember_status *ret, void *userdata);

/*
 * Listen at @path, attached to @event (which must outlive the server). A socket that a dead
 * daemon left there is replaced. 0 or a negative errno.
 */
int ember_status_server_new(sd_event *event, const char *path, ember_status_get_t get,
			    void *userdata, struct ember_status_server **ret);
void ember_status_server_free(struct ember_status_server *server);

static inline void ember_status_server_freep(struct ember_status_server **server)
{
	ember_status_server_free(*server);
}

#endif
