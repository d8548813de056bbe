// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"
#include "helper/sysctl.h"

#define SYSCTL "/proc/sys/kernel/numa_balancing"
#define SAVED HELPER_DIR "/saved"
#define SAVED_NEW HELPER_DIR "/saved.new"
#define SAVED_FORMAT "kernel.numa_balancing original %d set %d\n"

struct saved {
	int original;
	int set;
};

/* The whole of a small file, ending in a NUL. */
static int read_text(const char *path, char *ret, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

static int write_text(const char *path, int flags, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	ssize_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	return n == len ? 0 : -EIO;
}

static int read_setting(int *ret)
{
	char text[16];
	int r = read_text(SYSCTL, text, sizeof(text));

	if (r < 0)
		return r;
	return sscanf(text, "%d", ret) == 1 ? 0 : -EBADMSG;
}

static int write_setting(int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", value);
	return write_text(SYSCTL, 0, text);
}

/* -ENOENT: nothing is borrowed. */
static int load(struct saved *ret)
{
	char text[128];
	int r = read_text(SAVED, text, sizeof(text));

	if (r < 0)
		return r;
	return sscanf(text, SAVED_FORMAT, &ret->original, &ret->set) == 2 ? 0 : -EBADMSG;
}

/* By renaming: whenever the helper dies, the file is whole or not there. */
static int save(const struct saved *saved)
{
	char text[128];
	int r;

	snprintf(text, sizeof(text), SAVED_FORMAT, saved->original, saved->set);
	r = write_text(SAVED_NEW, O_CREAT | O_TRUNC, text);
	if (r < 0)
		return r;
	return rename(SAVED_NEW, SAVED) < 0 ? -errno : 0;
}

static int borrow_first(int value, int current, int *ret_original)
{
	struct saved saved = {.original = current, .set = value};
	int r;

	if (current != value) {
		r = save(&saved);
		if (r < 0)
			return r;
		r = write_setting(value);
		if (r < 0) {
			unlink(SAVED);
			return r;
		}
		fprintf(stderr, "kernel.numa_balancing: %d, was %d\n", value, current);
	}
	*ret_original = current;
	return 0;
}

int helper_borrow_numa_balancing(int value, int *ret_original)
{
	struct saved saved;
	int current, r = read_setting(&current);

	if (r < 0)
		return r;
	r = load(&saved);
	if (r == -ENOENT)
		return borrow_first(value, current, ret_original);
	if (r < 0)
		return r;
	/* Borrowed already: only the same again can be asked for. */
	if (current != saved.set || value != saved.set)
		return -EEXIST;
	*ret_original = saved.original;
	return 0;
}

int helper_give_back(void)
{
	struct saved saved;
	int current, r = load(&saved);

	if (r == -ENOENT)
		return 0;
	if (r == -EBADMSG) {
		fprintf(stderr, "%s is not readable: nothing put back\n", SAVED);
		unlink(SAVED);
		return r;
	}
	if (r >= 0)
		r = read_setting(&current);
	if (r < 0)
		return r;
	if (current != saved.set) {
		/* also after a crash between remembering and changing: then it is the original */
		fprintf(stderr,
			"kernel.numa_balancing: is %d, not the %d that was set: left alone\n",
			current, saved.set);
	} else {
		r = write_setting(saved.original);
		if (r < 0)
			return r; /* the file stays: tried again at the next start */
		fprintf(stderr, "kernel.numa_balancing: %d, put back\n", saved.original);
	}
	unlink(SAVED);
	return 0;
}
