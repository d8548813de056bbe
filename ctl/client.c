// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ctl/client.h"
#include "daemon/util/cleanup.h"

/* The daemon answers from its last snapshot: more than this is a hang. */
#define TIMEOUT_US (CLIENT_TIMEOUT_S * 1000000ULL)

int client_connect(const char *path, sd_varlink **ret)
{
	_cleanup_(sd_varlink_close_unrefp) sd_varlink *link = NULL;
	int r = sd_varlink_connect_address(&link, path);

	if (r < 0)
		return r;
	r = sd_varlink_set_relative_timeout(link, TIMEOUT_US);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(link);
	return 0;
}

int client_get_status(sd_varlink *link, sd_json_variant **ret, const char **ret_error)
{
	sd_json_variant *reply = NULL, *status; /* reply belongs to the link */
	const char *error = NULL;
	int r = sd_varlink_call(link, "io.ember.Daemon.GetStatus", NULL, &reply, &error);

	if (r == -ETIME || (error && !strcmp(error, SD_VARLINK_ERROR_TIMEOUT)))
		return -ETIMEDOUT;
	if (r < 0)
		return r;
	if (error && !strcmp(error, SD_VARLINK_ERROR_DISCONNECTED))
		return -ECONNRESET;
	if (error) {
		*ret_error = error;
		return -EREMOTEIO;
	}
	status = sd_json_variant_by_key(reply, "status");
	if (!sd_json_variant_is_object(status))
		return -EPROTO;
	*ret = sd_json_variant_ref(status);
	return 0;
}

bool client_is_absence(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET ||
	       error == -EPIPE || error == -ENOTCONN;
}
