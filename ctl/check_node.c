// SPDX-License-Identifier: GPL-2.0-or-later
/* emberctl check-node: is a node kept for ember alone? */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/node_report.h"
#include "daemon/util/cleanup.h"

struct request {
	const char *socket;
	bool json;
	unsigned int node;
};

static const char help_text[] =
    "usage: emberctl check-node [OPTION]... NODE\n"
    "\n"
    "  --json           the report as one JSON object\n"
    "  --socket=PATH    ask emberd at PATH instead of " CLIENT_SOCKET "\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 kept for ember, 1 not kept, or something leaks in, 2 wrong usage,\n"
    "3 not known, as emberd is not running, 4 the check could not be made.\n";

static const struct node_roots roots = {.proc = "/proc", .sys = "/sys", .cgroup = "/sys/fs/cgroup"};

static int fail(const struct request *req, int error)
{
	fputs("emberctl: ", stderr);
	node_report_explain(error, &roots, req->node, stderr);
	return CTL_UNKNOWN;
}

/* 0 with *ret, or with NULL: emberd is not running. */
static int ask(const struct request *req, sd_json_variant **ret)
{
	_cleanup_(sd_varlink_close_unrefp) sd_varlink *link = NULL;
	const char *detail = NULL;
	int r = client_connect(req->socket, &link);

	if (r >= 0)
		r = client_get_status(link, ret, &detail);
	return client_is_absence(r) ? 0 : r;
}

static int parse_node(const char *text, unsigned int *ret)
{
	unsigned long node;
	char *end;

	errno = 0;
	node = strtoul(text, &end, 10);
	if (errno || text[0] < '0' || text[0] > '9' || *end || node > 1023)
		return -EINVAL;
	*ret = node;
	return 0;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct request *req)
{
	enum { OPT_JSON = 1, OPT_SOCKET, OPT_HELP };
	static const struct option options[] = {
	    {"json", no_argument, NULL, OPT_JSON},
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
	if (optind + 1 == argc && parse_node(argv[optind], &req->node) == 0)
		return -1;
	fprintf(stderr, "emberctl check-node: name one node by its number (emberctl check-node "
			"--help)\n");
	return CTL_USAGE;
}

static int exit_status(sd_json_variant *report)
{
	sd_json_variant *kept = sd_json_variant_by_key(report, "kept");

	if (!kept)
		return CTL_NOT_RUNNING;
	return sd_json_variant_boolean(kept) ? CTL_OK : CTL_NOT_KEPT;
}

int ctl_check_node(int argc, char **argv)
{
	struct request req = {.socket = CLIENT_SOCKET};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *status = NULL, *report = NULL;
	int r = parse(argc, argv, &req);

	if (r >= 0)
		return r;
	r = ask(&req, &status);
	if (r >= 0)
		r = node_report_make(&roots, req.node, status, &report);
	if (r < 0)
		return fail(&req, r);
	if (req.json)
		r = sd_json_variant_dump(report, SD_JSON_FORMAT_NEWLINE | SD_JSON_FORMAT_PRETTY,
					 stdout, NULL);
	else
		node_report_print(report, stdout);
	return r < 0 ? fail(&req, r) : exit_status(report);
}
