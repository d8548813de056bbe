// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ember-helper: what only root may do, on behalf of emberd. Started by systemd when emberd
 * connects to its socket; serves one client; gives back what it borrowed when that client goes,
 * however it goes; ends when nobody has come for a while.
 *
 * One request is one packet of text, one of a closed list. One packet answers it: "ok",
 * "ok TEXT" or "error TEXT".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "daemon/util/cleanup.h"
#include "helper/setting.h"

#define EMBER_USER "ember"
#define MAX_REQUEST 64
#define IDLE_MS 10000

struct helper {
	int listener;
	int signals;
	int client; /* -1: none */
};

__attribute__((format(printf, 2, 3))) static void answer(int fd, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* a client that does not read its answers misses them: never waited for */
	if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		fprintf(stderr, "Failed to answer, ignoring: %s\n", strerror(errno));
}

/* ---- requests ---- */

struct request {
	const char *text;
	void (*run)(int fd, const struct request *request);
	enum helper_setting setting; /* for those that are about one */
	const char *value;
};

static void do_ping(int fd, const struct request *request)
{
	answer(fd, "ok");
}

static void do_version(int fd, const struct request *request)
{
	answer(fd, "ok %s", EMBER_VERSION);
}

static void do_borrow(int fd, const struct request *request)
{
	const char *name = helper_setting_name(request->setting);
	char original[HELPER_VALUE_SIZE];
	int r = helper_borrow(request->setting, request->value, original);

	if (r == -EEXIST)
		answer(fd, "error %s was changed by somebody else: left alone", name);
	else if (r < 0)
		answer(fd, "error %s: %s", name, strerror(-r));
	else
		answer(fd, "ok %s", original);
}

static void do_give_back(int fd, const struct request *request)
{
	int r = helper_give_back(request->setting);

	if (r < 0)
		answer(fd, "error %s: %s", helper_setting_name(request->setting), strerror(-r));
	else
		answer(fd, "ok");
}

/* The closed list: verb and argument in full, so that there is nothing to parse. */
static const struct request requests[] = {
    {.text = "ping", .run = do_ping},
    {.text = "version", .run = do_version},
    {"numa_balancing 0", do_borrow, HELPER_NUMA_BALANCING, "0"},
    {"numa_balancing back", do_give_back, HELPER_NUMA_BALANCING, NULL},
    {"damon_stat N", do_borrow, HELPER_DAMON_STAT, "N"},
    {"damon_stat back", do_give_back, HELPER_DAMON_STAT, NULL},
};

static void run_request(int fd, const char *text)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (strcmp(text, requests[i].text) == 0) {
			requests[i].run(fd, &requests[i]);
			return;
		}
	answer(fd, "error unknown request");
}

/* ---- clients ---- */

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	const struct passwd *ember = getpwnam(EMBER_USER);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || (ember && peer.uid == ember->pw_uid);
}

static void take_client(struct helper *h)
{
	_cleanup_close_ int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!may_ask(fd))
		answer(fd, "error not permitted");
	else if (h->client >= 0)
		answer(fd, "error busy: another client is connected");
	else
		h->client = TAKE_FD(fd);
}

static void drop_client(struct helper *h)
{
	helper_give_back_all(); /* has said what it could not */
	close(h->client);
	h->client = -1;
}

static void serve_client(struct helper *h)
{
	char request[MAX_REQUEST + 1];
	ssize_t n;

	if (h->client < 0)
		return;
	n = recv(h->client, request, MAX_REQUEST, MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* gone */
		drop_client(h);
		return;
	}
	if (n > MAX_REQUEST || memchr(request, '\0', n)) {
		answer(h->client, "error bad request");
		return;
	}
	request[n] = '\0';
	run_request(h->client, request);
}

/* Until a signal, or until nobody has come for IDLE_MS. */
static void serve(struct helper *h)
{
	for (;;) {
		struct pollfd fds[] = {
		    {.fd = h->signals, .events = POLLIN},
		    {.fd = h->listener, .events = POLLIN},
		    {.fd = h->client, .events = POLLIN},
		};
		int n = poll(fds, 3, h->client < 0 ? IDLE_MS : -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || fds[0].revents)
			break;
		/* a dead client makes room before the next one is looked at */
		if (fds[2].revents & (POLLHUP | POLLERR))
			drop_client(h);
		else if (fds[2].revents)
			serve_client(h);
		if (fds[1].revents)
			take_client(h);
	}
	if (h->client >= 0)
		drop_client(h);
}

/* ---- start ---- */

/* Only one process at a time may give back: locked as long as it lives. */
static int lock_dir(void)
{
	int fd = open(HELPER_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		fprintf(stderr, "%s: %s\n", HELPER_DIR,
			errno == EWOULDBLOCK ? "another ember-helper is running" : strerror(errno));
		exit(EXIT_FAILURE);
	}
	return fd;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	struct helper h = {.client = -1};
	int r;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("ember-helper %s\n", EMBER_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--restore"))) {
		fprintf(stderr, "usage: ember-helper [--restore|--version]\n");
		return 2;
	}
	lock_dir();
	r = helper_give_back_all(); /* what a killed predecessor left */
	if (argc == 2)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (sd_listen_fds(1) != 1 ||
	    sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_SEQPACKET, 1) <= 0) {
		fprintf(stderr,
			"Started without its socket: use systemctl start ember-helper.socket\n");
		return EXIT_FAILURE;
	}
	h.listener = SD_LISTEN_FDS_START;
	h.signals = open_signals();
	if (h.signals < 0)
		return EXIT_FAILURE;
	serve(&h);
	return EXIT_SUCCESS;
}
