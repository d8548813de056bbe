/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands between a client of the status socket and sd-varlink, which would collect up to
 * 16 MiB of a request that has no end, for every connection, and has no setting for that. The gate
 * reads from the client and hands whole requests on through a pipe; of what it has not handed on it
 * holds at most EMBER_GATE_MAX_REQUEST bytes, and the pipe at most 64 KiB. Answers do not go
 * through it.
 */
#ifndef EMBER_STATUS_GATE_H
#define EMBER_STATUS_GATE_H

#include <stdint.h>

#include <systemd/sd-event.h>

/* A request that is not whole within so many bytes is none. Ours have 40. */
#define EMBER_GATE_MAX_REQUEST 4096 /* PIPE_BUF: what is written at once, or not at all */

struct ember_gate;

/* The client breaks the rules: no more is read of it. May free the gate. */
typedef void (*ember_gate_cut_off_t)(void *userdata);

/*
 * @client: the connected socket, which stays the caller's. *ret_requests: where whole requests come
 * out; it ends when the client sends no more. The caller's to close.
 */
int ember_gate_new(sd_event *event, int64_t priority, int client, ember_gate_cut_off_t cut_off,
		   void *userdata, struct ember_gate **ret, int *ret_requests);
void ember_gate_free(struct ember_gate *gate);

static inline void ember_gate_freep(struct ember_gate **gate)
{
	ember_gate_free(*gate);
}

#endif /* EMBER_STATUS_GATE_H */
