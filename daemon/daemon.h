/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control thread: signals, watchdog, status, policy reload, and the sysctl that ember may have
 * to hold. It never blocks on memory of other processes.
 */
#ifndef EMBER_DAEMON_H
#define EMBER_DAEMON_H

#include <stdbool.h>

/* The first belongs to root and holds policy.d, the second to the daemon's user. */
#define EMBER_RUN_DIR "/run/ember"
#define EMBER_RUNTIME_DIR EMBER_RUN_DIR "/daemon"

/* Exit statuses; emberd(8) lists them. */
enum ember_exit {
	EMBER_EXIT_OK = 0,
	EMBER_EXIT_FAILURE = 1,
	EMBER_EXIT_USAGE = 2,
	EMBER_EXIT_POLICY = 10,       /* the policy cannot be read */
	EMBER_EXIT_NO_MODULE = 11,    /* the module is not loaded */
	EMBER_EXIT_OTHER_MODULE = 12, /* the module is of another version */
	EMBER_EXIT_NO_BPF = 13,       /* the kernel lacks what the BPF programs need */
	EMBER_EXIT_ONE_TIER = 14,     /* one memory tier: nothing to do */
	EMBER_EXIT_RUNNING = 15,      /* another emberd runs */
	EMBER_EXIT_PRIVILEGE = 16,    /* a capability is missing */
};

struct ember_options {
	const char *const *policy_dirs; /* NULL-terminated */
	const char *runtime_dir;        /* of the status socket: EMBER_RUNTIME_DIR */
	const char *helper_socket;      /* "/run/ember-helper/socket" */
	bool observe_only;
	bool check_only; /* parse the policy and end */
};

/* Runs until told to stop. Returns an exit status; has logged why. */
enum ember_exit ember_daemon_run(const struct ember_options *options);

#endif /* EMBER_DAEMON_H */
