/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of emberctl share. */
#ifndef EMBER_CTL_H
#define EMBER_CTL_H

/* Exit statuses, as emberctl(1) documents them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_ERROR = 1,
	CTL_USAGE = 2,
	CTL_NOT_KEPT = 1, /* check-node: this is an answer */
	CTL_NOT_RUNNING = 3,
	CTL_UNKNOWN = 4, /* check-node: there is no answer */
};

/* Subcommands: argv[0] is the command's name. They return an exit status. */
int ctl_status(int argc, char **argv);
int ctl_check_node(int argc, char **argv);
int ctl_pool(int argc, char **argv);

#endif
