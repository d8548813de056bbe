// SPDX-License-Identifier: GPL-2.0-or-later
/* emberctl status: ask, print, once or again and again. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/render.h"
#include "daemon/util/cleanup.h"

#define WATCH_MIN_S 0.1
#define WATCH_MAX_S 3600

struct request {
	const char *socket;
	bool json;
	double watch_s; /* 0: once */
	struct render_options render;
};

static const char help_text[] =
    "usage: emberctl status [OPTION]...\n"
    "\n"
    "  --json           the daemon's own object (io.ember.Daemon.GetStatus), for programs\n"
    "  --watch[=S]      again every S seconds (default 1), until interrupted\n"
    "  --areas          also the newly found memory areas of your own processes\n"
    "  --socket=PATH    ask at PATH instead of " CLIENT_SOCKET "\n"
    "  --help           this text\n";

static int report(const struct request *req, int error, const char *detail)
{
	if (client_is_absence(error)) {
		fprintf(stderr,
			"emberctl: emberd is not running (nobody listens at %s)\n"
			"  start it:      systemctl start emberd\n"
			"  why it ended:  systemctl status emberd\n",
			req->socket);
		return CTL_NOT_RUNNING;
	}
	if (error == -ETIMEDOUT)
		fprintf(stderr, "emberctl: emberd at %s has not answered for %d seconds\n",
			req->socket, CLIENT_TIMEOUT_S);
	else if (error == -EPROTO)
		fprintf(stderr,
			"emberctl: emberd's answer cannot be read: "
			"is it of another version than emberctl %s?\n",
			EMBER_VERSION);
	else
		fprintf(stderr, "emberctl: asking emberd at %s failed: %s\n", req->socket,
			detail ? detail : strerror(-error));
	return CTL_ERROR;
}

static int print_json(const struct request *req, sd_json_variant *status)
{
	/* one object a line when there will be several */
	sd_json_format_flags_t flags = SD_JSON_FORMAT_NEWLINE | SD_JSON_FORMAT_FLUSH;

	if (!(req->watch_s > 0))
		flags |= SD_JSON_FORMAT_PRETTY;
	return sd_json_variant_dump(status, flags, stdout, NULL);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int print_text(const struct request *req, sd_json_variant *status)
{
	struct render_options options = req->render;

	options.now_ns = now_ns();
	if (req->watch_s > 0)
		fputs(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n", stdout);
	return render_status(status, &options, stdout);
}

static int ask_and_print(const struct request *req, sd_varlink *link)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *status = NULL;
	const char *detail = NULL;
	int r = client_get_status(link, &status, &detail);

	if (r >= 0)
		r = req->json ? print_json(req, status) : print_text(req, status);
	if (r < 0)
		return report(req, r, detail);
	return fflush(stdout) == 0 ? CTL_OK : CTL_ERROR;
}

static void wait_s(double seconds)
{
	struct timespec ts = {.tv_sec = (time_t)seconds};

	ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static int parse_watch(const char *text, double *ret)
{
	char *end;

	if (!text) {
		*ret = 1;
		return 0;
	}
	errno = 0;
	*ret = strtod(text, &end);
	if (errno || end == text || *end || !(*ret >= WATCH_MIN_S && *ret <= WATCH_MAX_S))
		return -EINVAL;
	return 0;
}

static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
	       !(term && !strcmp(term, "dumb"));
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct request *req)
{
	enum { OPT_JSON = 1, OPT_WATCH, OPT_AREAS, OPT_SOCKET, OPT_HELP };
	static const struct option options[] = {
	    {"json", no_argument, NULL, OPT_JSON},
	    {"watch", optional_argument, NULL, OPT_WATCH},
	    {"areas", no_argument, NULL, OPT_AREAS},
	    {"socket", required_argument, NULL, OPT_SOCKET},
	    {"help", no_argument, NULL, OPT_HELP},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_JSON:
			req->json = true;
			break;
		case OPT_WATCH:
			if (parse_watch(optarg, &req->watch_s) == 0)
				break;
			fprintf(stderr, "emberctl status: --watch=%s: from %g to %d seconds\n",
				optarg, WATCH_MIN_S, WATCH_MAX_S);
			return CTL_USAGE;
		case OPT_AREAS:
			req->render.areas = true;
			break;
		case OPT_SOCKET:
			req->socket = optarg;
			break;
		case OPT_HELP:
		case 'h':
			fputs(help_text, stdout);
			return CTL_OK;
		default:
			fputs(help_text, stderr);
			return CTL_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "emberctl status: what is \"%s\"? (emberctl status --help)\n",
			argv[optind]);
		return CTL_USAGE;
	}
	return -1;
}

int ctl_status(int argc, char **argv)
{
	struct request req = {.socket = CLIENT_SOCKET, .render.colour = wants_colour()};
	_cleanup_(sd_varlink_close_unrefp) sd_varlink *link = NULL;
	int r = parse(argc, argv, &req);

	if (r >= 0)
		return r;
	r = client_connect(req.socket, &link);
	if (r < 0)
		return report(&req, r, NULL);
	for (;;) {
		r = ask_and_print(&req, link);
		if (r != CTL_OK || !(req.watch_s > 0))
			return r;
		wait_s(req.watch_s);
	}
}
