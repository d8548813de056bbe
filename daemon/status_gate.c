// SPDX-License-Identifier: GPL-2.0-or-later
#include "status_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

_Static_assert(EMBER_GATE_MAX_REQUEST <= PIPE_BUF, "requests are written whole or not at all");

struct ember_gate {
	int client;   /* our own descriptor: an epoll takes each only once, and sd-varlink has the
			 other */
	int requests; /* the writing end of the pipe; -1: the client sends no more */
	sd_event_source *io;
	ember_gate_cut_off_t cut_off;
	void *userdata;
	size_t used;
	char buffer[EMBER_GATE_MAX_REQUEST];
};

static void end_of_requests(struct ember_gate *gate)
{
	gate->io = sd_event_source_disable_unref(gate->io);
	close(gate->requests);
	gate->requests = -1;
}

/* Hand on what is whole. False if it cannot be: the client asks and asks without waiting. */
static bool hand_on(struct ember_gate *gate)
{
	const char *last = memrchr(gate->buffer, '\0', gate->used);
	size_t whole = last ? (size_t)(last + 1 - gate->buffer) : 0;

	if (whole && write(gate->requests, gate->buffer, whole) != (ssize_t)whole)
		return false;
	gate->used -= whole;
	memmove(gate->buffer, gate->buffer + whole, gate->used);
	return true;
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct ember_gate *gate = userdata;
	ssize_t n = recv(gate->client, gate->buffer + gate->used, sizeof(gate->buffer) - gate->used,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		end_of_requests(gate);
		return 0;
	}
	gate->used += n;
	if (!hand_on(gate) || gate->used == sizeof(gate->buffer)) {
		end_of_requests(gate);
		gate->cut_off(gate->userdata);
	}
	return 0;
}

int ember_gate_new(sd_event *event, int64_t priority, int client, ember_gate_cut_off_t cut_off,
		   void *userdata, struct ember_gate **ret, int *ret_requests)
{
	_cleanup_(ember_gate_freep) struct ember_gate *gate = calloc(1, sizeof(*gate));
	_cleanup_close_ int requests = -1;
	int pipe_fds[2], r;

	if (!gate)
		return -ENOMEM;
	gate->cut_off = cut_off;
	gate->userdata = userdata;
	gate->requests = -1;
	gate->client = fcntl(client, F_DUPFD_CLOEXEC, 3);
	if (gate->client < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	requests = pipe_fds[0];
	gate->requests = pipe_fds[1];
	r = sd_event_add_io(event, &gate->io, gate->client, EPOLLIN, on_client, gate);
	if (r >= 0)
		r = sd_event_source_set_priority(gate->io, priority);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(gate);
	*ret_requests = TAKE_FD(requests);
	return 0;
}

void ember_gate_free(struct ember_gate *gate)
{
	if (!gate)
		return;
	sd_event_source_disable_unref(gate->io);
	if (gate->client >= 0)
		close(gate->client);
	if (gate->requests >= 0)
		close(gate->requests);
	free(gate);
}
