// SPDX-License-Identifier: GPL-2.0-or-later
/* emberctl: one table of subcommands. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static int ctl_version(int argc, char **argv)
{
	if (argc > 1) {
		fprintf(stderr, "emberctl version: takes no arguments\n");
		return CTL_USAGE;
	}
	printf("emberctl %s\n", EMBER_VERSION);
	return CTL_OK;
}

static int ctl_help(int argc, char **argv);

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *summary;
} commands[] = {
    {"status", ctl_status, "[OPTION]...", "what emberd sees, does and costs"},
    {"check-node", ctl_check_node, "NODE", "is a fast node kept for ember alone? (as root)"},
    {"pool", ctl_pool, "[list|add|remove]...", "memory that only ember puts pages into"},
    {"version", ctl_version, "", "the version of emberctl"},
    {"help", ctl_help, "", "this list; COMMAND --help tells more"},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	fprintf(out, "usage: emberctl COMMAND [ARGUMENT]...\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-10s %-21s %s\n", commands[i].name, commands[i].arguments,
			commands[i].summary);
	fprintf(out, "\nExit status: 0 done, 1 error, 2 wrong usage, 3 emberd is not running.\n"
		     "That of check-node: emberctl check-node --help.\n");
}

static int ctl_help(int argc, char **argv)
{
	usage(stdout);
	return CTL_OK;
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return CTL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return ctl_help(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version"))
		return ctl_version(argc - 1, argv + 1);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "emberctl: no command \"%s\" (emberctl help lists them)\n", argv[1]);
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	int status;

	setlocale(LC_ALL, "");
	status = run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("emberctl: writing the output");
		return status ? status : CTL_ERROR;
	}
	return status;
}
