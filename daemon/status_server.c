// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-varlink.h>

#include "allowance.h"
#include "status_gate.h"
#include "status_idl.h"
#include "status_json.h"
#include "status_server.h"
#include "util/cleanup.h"

#define METHOD "io.ember.Daemon.GetStatus"

#define MAX_CONNECTIONS 64
#define MAX_CONNECTIONS_PER_UID 8

/* Behind signals, timers and the watchdog. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

/* One connection. */
struct conn {
	struct ember_status_server *server;
	int fd;           /* the client's socket; the link's to close */
	sd_varlink *link; /* reads from the gate, writes to the client */
	struct ember_gate *gate;
	sd_event_source *timer; /* when the answer that is due may be sent */
};

struct ember_status_server {
	sd_event *event;
	sd_varlink_server *varlink;
	sd_event_source *listener;
	char *path;
	ember_status_get_t get;
	void *userdata;
	gid_t view_gid;
	bool has_view_gid;
	struct ember_allowance allowance;
	struct conn *conns[MAX_CONNECTIONS]; /* NULL: free */
	struct ember_status snapshot;        /* scratch memory of one answer */
};

/* Supplementary groups, as they were when the peer connected. */
static int peer_groups(int fd, gid_t **ret, size_t *ret_nr)
{
	_cleanup_free_ gid_t *groups = NULL;
	socklen_t size = 64 * sizeof(gid_t);

	for (;;) {
		gid_t *bigger = realloc(groups, size + 1); /* not 0 */

		if (!bigger)
			return -ENOMEM;
		groups = bigger;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
			break;
		if (errno != ERANGE) /* the kernel has put the size it needs into @size */
			return -errno;
	}
	*ret = TAKE_PTR(groups);
	*ret_nr = size / sizeof(gid_t);
	return 0;
}

static bool in_view_group(const struct ember_status_server *server, const struct conn *c)
{
	_cleanup_free_ gid_t *groups = NULL;
	size_t nr_groups = 0;
	gid_t gid;

	if (!server->has_view_gid)
		return false;
	if (sd_varlink_get_peer_gid(c->link, &gid) >= 0 && gid == server->view_gid)
		return true;
	if (peer_groups(c->fd, &groups, &nr_groups) < 0)
		return false;
	for (size_t i = 0; i < nr_groups; i++)
		if (groups[i] == server->view_gid)
			return true;
	return false;
}

static int reply_status(const struct conn *c)
{
	struct ember_status_server *server = c->server;
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *json = NULL;
	struct ember_status_viewer viewer = {0};
	uid_t uid;
	int r = sd_varlink_get_peer_uid(c->link, &uid);

	if (r < 0)
		return r;
	viewer.uid = uid;
	viewer.sees_all = in_view_group(server, c);
	r = server->get(&server->snapshot, server->userdata);
	if (r < 0)
		return r;
	r = ember_status_json(&server->snapshot, &viewer, &json);
	if (r < 0)
		return r;
	return sd_varlink_replybo(c->link, SD_JSON_BUILD_PAIR_VARIANT("status", json));
}

/* ---- connections ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void conn_free(struct conn *c)
{
	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++)
		if (c->server->conns[i] == c)
			c->server->conns[i] = NULL;
	ember_gate_free(c->gate);
	sd_event_source_disable_unref(c->timer);
	sd_varlink_unref(c->link);
	free(c);
}

static void on_disconnect(sd_varlink_server *varlink, sd_varlink *link, void *userdata)
{
	struct ember_status_server *server = userdata;

	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++)
		if (server->conns[i] && server->conns[i]->link == link)
			conn_free(server->conns[i]);
}

static void on_cut_off(void *userdata)
{
	struct conn *c = userdata;

	sd_varlink_close(c->link); /* and on_disconnect() */
}

static int on_answer_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct conn *c = userdata;
	int r = reply_status(c);

	if (r < 0)
		sd_varlink_error_errno(c->link, r);
	return 0;
}

/* Until then sd-varlink reads no more of this connection. */
static int answer_later(struct conn *c, uint64_t due_ns)
{
	int r = sd_event_source_set_time(c->timer, due_ns / 1000 + 1);

	return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static int on_get_status(sd_varlink *link, sd_json_variant *parameters,
			 sd_varlink_method_flags_t flags, void *userdata)
{
	struct conn *c = userdata;
	uint64_t now = now_ns(), due;
	uid_t uid;
	int r = sd_varlink_dispatch(link, parameters, (sd_json_dispatch_field[]){{0}}, NULL);

	if (r != 0)
		return r;
	/* Still waiting to send the last answer: a client that asks without reading. */
	if (sd_varlink_get_events(link) & EPOLLOUT)
		return sd_varlink_close(link);
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	due = ember_allowance_take(&c->server->allowance, uid, now);
	return due <= now ? reply_status(c) : answer_later(c, due);
}

static int add_timer(struct conn *c)
{
	int r =
	    sd_event_add_time(c->server->event, &c->timer, CLOCK_MONOTONIC, 0, 1, on_answer_due, c);

	if (r >= 0)
		r = sd_event_source_set_priority(c->timer, PRIORITY);
	return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

/* 0: @fd belongs to the connection now. */
static int add_link(struct conn *c, int fd)
{
	_cleanup_close_ int requests = -1;
	socklen_t len = sizeof(struct ucred);
	struct ucred peer;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	r = ember_gate_new(c->server->event, PRIORITY, fd, on_cut_off, c, &c->gate, &requests);
	if (r < 0)
		return r;
	/* Refuses with -EPERM what is beyond the limits. */
	r = sd_varlink_server_add_connection_pair(c->server->varlink, requests, fd, &peer,
						  &c->link);
	if (r < 0)
		return r;
	sd_varlink_ref(c->link); /* it came without a reference of our own */
	sd_varlink_set_userdata(c->link, c);
	c->fd = fd;
	TAKE_FD(requests);
	return 0;
}

static int on_listener(sd_event_source *source, int listener, uint32_t revents, void *userdata)
{
	struct ember_status_server *server = userdata;
	_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;
	unsigned int i = 0;

	while (i < MAX_CONNECTIONS && server->conns[i])
		i++;
	if (fd < 0 || i == MAX_CONNECTIONS)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	c->server = server;
	if (add_timer(c) < 0 || add_link(c, fd) < 0) {
		conn_free(c);
		return 0;
	}
	server->conns[i] = c;
	TAKE_FD(fd);
	return 0;
}

/* ---- the server ---- */

static void find_view_group(struct ember_status_server *server)
{
	const struct group *group = getgrnam(EMBER_VIEW_GROUP);

	server->has_view_gid = group;
	if (group)
		server->view_gid = group->gr_gid;
}

static int set_up_varlink(struct ember_status_server *server)
{
	int r = sd_varlink_server_new(&server->varlink, SD_VARLINK_SERVER_ACCOUNT_UID |
							    SD_VARLINK_SERVER_INHERIT_USERDATA);

	if (r < 0)
		return r;
	sd_varlink_server_set_userdata(server->varlink, server);
	r = sd_varlink_server_set_info(server->varlink, "ember", "emberd", EMBER_VERSION, NULL);
	if (r < 0)
		return r;
	r = sd_varlink_server_set_connections_max(server->varlink, MAX_CONNECTIONS);
	if (r < 0)
		return r;
	r = sd_varlink_server_set_connections_per_uid_max(server->varlink, MAX_CONNECTIONS_PER_UID);
	if (r < 0)
		return r;
	r = sd_varlink_server_add_interface(server->varlink, &ember_status_interface);
	if (r < 0)
		return r;
	r = sd_varlink_server_bind_method(server->varlink, METHOD, on_get_status);
	if (r < 0)
		return r;
	r = sd_varlink_server_bind_disconnect(server->varlink, on_disconnect);
	if (r < 0)
		return r;
	r = sd_varlink_server_attach_event(server->varlink, server->event, PRIORITY);
	return r < 0 ? r : 0;
}

/* A socket that everybody may connect to. */
static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int set_up_listener(struct ember_status_server *server)
{
	_cleanup_close_ int fd = listen_at(server->path);
	int r;

	if (fd < 0)
		return fd;
	r = sd_event_add_io(server->event, &server->listener, fd, EPOLLIN, on_listener, server);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(server->listener, true);
	if (r < 0)
		return r;
	TAKE_FD(fd);
	return sd_event_source_set_priority(server->listener, PRIORITY);
}

int ember_status_server_new(sd_event *event, const char *path, ember_status_get_t get,
			    void *userdata, struct ember_status_server **ret)
{
	_cleanup_(ember_status_server_freep) struct ember_status_server *server =
	    calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->get = get;
	server->userdata = userdata;
	server->path = strdup(path);
	if (!server->path)
		return -ENOMEM;
	find_view_group(server);
	server->event = sd_event_ref(event);
	r = set_up_varlink(server);
	if (r >= 0)
		r = set_up_listener(server);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(server);
	return 0;
}

void ember_status_server_free(struct ember_status_server *server)
{
	if (!server)
		return;
	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++)
		if (server->conns[i])
			sd_varlink_close(server->conns[i]->link); /* frees it: on_disconnect() */
	if (server->listener)
		unlink(server->path);
	sd_event_source_disable_unref(server->listener);
	sd_varlink_server_unref(server->varlink);
	sd_event_unref(server->event);
	free(server->path);
	free(server);
}
