// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-varlink.h>

#include "status_idl.h"
#include "status_json.h"
#include "status_server.h"
#include "util/cleanup.h"

#define METHOD "io.ember.Daemon.GetStatus"

/* sd-varlink buffers up to 16 MiB of a request that has no end: so few connections per user. */
#define MAX_CONNECTIONS 64
#define MAX_CONNECTIONS_PER_UID 8

struct ember_status_server {
	sd_varlink_server *varlink;
	char *path;
	ember_status_get_t get;
	void *userdata;
	gid_t view_gid;
	bool has_view_gid;
	struct ember_status snapshot; /* scratch memory of one answer */
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

static bool in_view_group(const struct ember_status_server *server, sd_varlink *link)
{
	_cleanup_free_ gid_t *groups = NULL;
	size_t nr_groups = 0;
	gid_t gid;

	if (!server->has_view_gid)
		return false;
	if (sd_varlink_get_peer_gid(link, &gid) >= 0 && gid == server->view_gid)
		return true;
	if (peer_groups(sd_varlink_get_fd(link), &groups, &nr_groups) < 0)
		return false;
	for (size_t i = 0; i < nr_groups; i++)
		if (groups[i] == server->view_gid)
			return true;
	return false;
}

static int reply_status(sd_varlink *link, struct ember_status_server *server)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *json = NULL;
	struct ember_status_viewer viewer = {0};
	uid_t uid;
	int r = sd_varlink_get_peer_uid(link, &uid);

	if (r < 0)
		return r;
	viewer.uid = uid;
	viewer.sees_all = in_view_group(server, link);
	r = server->get(&server->snapshot, server->userdata);
	if (r < 0)
		return r;
	r = ember_status_json(&server->snapshot, &viewer, &json);
	if (r < 0)
		return r;
	return sd_varlink_replybo(link, SD_JSON_BUILD_PAIR_VARIANT("status", json));
}

static int on_get_status(sd_varlink *link, sd_json_variant *parameters,
			 sd_varlink_method_flags_t flags, void *userdata)
{
	struct ember_status_server *server = userdata;
	int r = sd_varlink_dispatch(link, parameters, (sd_json_dispatch_field[]){{0}}, NULL);

	if (r != 0)
		return r;
	/* Still waiting to send the last answer: a client that asks without reading. */
	if (sd_varlink_get_events(link) & EPOLLOUT)
		return sd_varlink_close(link);
	return reply_status(link, server);
}

static void find_view_group(struct ember_status_server *server)
{
	const struct group *group = getgrnam(EMBER_VIEW_GROUP);

	server->has_view_gid = group;
	if (group)
		server->view_gid = group->gr_gid;
}

static int set_up(struct ember_status_server *server, sd_event *event)
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
	/* Behind signals, timers and the watchdog. */
	r = sd_varlink_server_attach_event(server->varlink, event, SD_EVENT_PRIORITY_NORMAL + 10);
	if (r < 0)
		return r;
	return sd_varlink_server_listen_address(server->varlink, server->path, 0666);
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
	r = set_up(server, event);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(server);
	return 0;
}

void ember_status_server_free(struct ember_status_server *server)
{
	if (!server)
		return;
	if (server->varlink && sd_varlink_server_shutdown(server->varlink) >= 0)
		unlink(server->path);
	sd_varlink_server_unref(server->varlink);
	free(server->path);
	free(server);
}
