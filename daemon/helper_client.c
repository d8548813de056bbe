// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "helper_client.h"
#include "util/cleanup.h"

/* It may have to be started first, on a machine that is busy. */
#define TIMEOUT_S 10

int ember_helper_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	_cleanup_close_ int fd = -1;
	size_t len = strlen(path);

	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* @text begins with the word @word: what follows it, or NULL. */
static const char *after_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(text, word, len) != 0 || (text[len] != ' ' && text[len] != '\0'))
		return NULL;
	return text[len] ? text + len + 1 : text + len;
}

int ember_helper_call(int fd, const char *request, char *reply, size_t size)
{
	char text[EMBER_HELPER_MAX_REPLY + 1];
	const char *rest;
	ssize_t n;
	int r = 0;

	/* A helper that is busy answers and hangs up before it is asked: read that, too. */
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	n = recv(fd, text, sizeof(text) - 1, 0);
	if (n < 0 && errno == ECONNRESET) /* told first; the answer is behind it */
		n = recv(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n == 0)
		return -EPIPE;
	text[n] = '\0';
	rest = after_word(text, "ok");
	if (!rest) {
		rest = after_word(text, "error");
		r = rest ? -EREMOTEIO : -EBADMSG;
	}
	snprintf(reply, size, "%s", rest ? rest : "");
	return r;
}
