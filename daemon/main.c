// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "log.h"
#include "policy_load.h"

static void usage(FILE *out)
{
	fputs(
	    "usage: emberd [OPTION]...\n"
	    "\n"
	    "Keeps the hot pages of the processes that the policy names in the fastest memory.\n"
	    "Normally started by systemd (emberd.service).\n"
	    "\n"
	    "  --check              read the policy, say whether it is sound, and end\n"
	    "  --observe-only       do everything but move pages\n"
	    "  --policy-dir DIR     take the policy from DIR alone\n"
	    "  --runtime-dir DIR    for the status socket (default " EMBER_RUNTIME_DIR ")\n"
	    "  --debug              log more\n"
	    "  --version            print the version and end\n"
	    "  -h, --help           print this and end\n"
	    "\n"
	    "Exit status: 0 stopped; 1 failure; 2 usage; 10 the policy cannot be read; 11 the module is\n"
	    "not loaded; 12 the module is of another version; 13 the kernel lacks what BPF needs; 14 one\n"
	    "memory tier; 15 another emberd runs; 16 a capability is missing.\n",
	    out);
}

enum option_code {
	OPT_CHECK = 256,
	OPT_OBSERVE,
	OPT_POLICY_DIR,
	OPT_RUNTIME_DIR,
	OPT_DEBUG,
	OPT_VERSION
};

static const struct option long_options[] = {
    {"check", no_argument, NULL, OPT_CHECK},
    {"observe-only", no_argument, NULL, OPT_OBSERVE},
    {"policy-dir", required_argument, NULL, OPT_POLICY_DIR},
    {"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
    {"debug", no_argument, NULL, OPT_DEBUG},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {},
};

int main(int argc, char **argv)
{
	const char *one_dir[2] = {};
	struct ember_options options = {.policy_dirs = ember_policy_dirs,
					.runtime_dir = EMBER_RUNTIME_DIR,
					.helper_socket = "/run/ember-helper/socket"};
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_CHECK:
			options.check_only = true;
			break;
		case OPT_OBSERVE:
			options.observe_only = true;
			break;
		case OPT_POLICY_DIR:
			one_dir[0] = optarg;
			options.policy_dirs = one_dir;
			break;
		case OPT_RUNTIME_DIR:
			options.runtime_dir = optarg;
			break;
		case OPT_DEBUG:
			ember_log_set_max(LOG_DEBUG);
			break;
		case OPT_VERSION:
			puts("emberd " EMBER_VERSION);
			return EMBER_EXIT_OK;
		case 'h':
			usage(stdout);
			return EMBER_EXIT_OK;
		default:
			usage(stderr);
			return EMBER_EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "emberd: unexpected argument \"%s\"\n", argv[optind]);
		usage(stderr);
		return EMBER_EXIT_USAGE;
	}
	return ember_daemon_run(&options);
}
