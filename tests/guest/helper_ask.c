// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * helper_ask [--hold] REQUEST[,REQUEST]...: ask ember-helper as the daemon does and print its
 * answers; with --hold stay connected until killed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../daemon/helper_client.c"

static void ask(int fd, const char *request)
{
	char reply[EMBER_HELPER_MAX_REPLY];
	int r = ember_helper_call(fd, request, reply, sizeof(reply));

	if (r == 0 || r == -EREMOTEIO)
		printf("%s%s%s\n", r == 0 ? "ok" : "error", reply[0] ? " " : "", reply);
	else
		printf("call: %s\n", strerror(-r));
}

int main(int argc, char **argv)
{
	int hold = argc > 1 && !strcmp(argv[1], "--hold");
	char *requests = argc > 1 + hold ? argv[1 + hold] : NULL;
	int fd, r;

	if (!requests)
		return 2;
	r = ember_helper_connect(EMBER_HELPER_SOCKET, &fd);
	if (r < 0) {
		fprintf(stderr, "connect: %s\n", strerror(-r));
		return 1;
	}
	for (char *request; (request = strsep(&requests, ","));)
		ask(fd, request);
	fflush(stdout);
	if (hold)
		pause();
	return 0;
}
