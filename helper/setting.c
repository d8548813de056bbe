// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"
#include "helper/setting.h"

struct setting {
	const char *name; /* in messages and in the file */
	const char *path;
	const char *saved;
	const char *saved_new;
};

#define SAVED(name) HELPER_DIR "/saved." name, HELPER_DIR "/saved." name ".new"

static const struct setting settings[HELPER_NR_SETTINGS] = {
    [HELPER_NUMA_BALANCING] = {"kernel.numa_balancing", "/proc/sys/kernel/numa_balancing",
			       SAVED("numa_balancing")},
    [HELPER_DAMON_STAT] = {"damon_stat.enabled", "/sys/module/damon_stat/parameters/enabled",
			   SAVED("damon_stat")},
};

struct saved {
	char original[HELPER_VALUE_SIZE];
	char set[HELPER_VALUE_SIZE];
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

static int read_setting(const struct setting *s, char ret[static HELPER_VALUE_SIZE])
{
	char text[HELPER_VALUE_SIZE];
	int r = read_text(s->path, text, sizeof(text));

	if (r < 0)
		return r;
	return sscanf(text, "%15s", ret) == 1 ? 0 : -EBADMSG;
}

static int write_setting(const struct setting *s, const char *value)
{
	char text[HELPER_VALUE_SIZE + 1];

	snprintf(text, sizeof(text), "%s\n", value);
	return write_text(s->path, 0, text);
}

/* -ENOENT: nothing is borrowed. -EBADMSG also where the file tells of another setting. */
static int load(const struct setting *s, struct saved *ret)
{
	char text[128], name[64], end;
	int r = read_text(s->saved, text, sizeof(text));

	if (r < 0)
		return r;
	r = sscanf(text, "%63s original %15s set %15s%c", name, ret->original, ret->set, &end);
	return r == 4 && end == '\n' && !strcmp(name, s->name) ? 0 : -EBADMSG;
}

/* By renaming: whenever the helper dies, the file is whole or not there. */
static int save(const struct setting *s, const struct saved *saved)
{
	char text[128];
	int r;

	snprintf(text, sizeof(text), "%s original %s set %s\n", s->name, saved->original,
		 saved->set);
	r = write_text(s->saved_new, O_CREAT | O_TRUNC, text);
	if (r < 0)
		return r;
	return rename(s->saved_new, s->saved) < 0 ? -errno : 0;
}

static int borrow_first(const struct setting *s, const char *value, const char *current)
{
	struct saved saved;
	int r;

	if (!strcmp(current, value))
		return 0;
	snprintf(saved.original, sizeof(saved.original), "%s", current);
	snprintf(saved.set, sizeof(saved.set), "%s", value);
	r = save(s, &saved);
	if (r < 0)
		return r;
	r = write_setting(s, value);
	if (r < 0) {
		unlink(s->saved);
		return r;
	}
	fprintf(stderr, "%s: %s, was %s\n", s->name, value, current);
	return 0;
}

const char *helper_setting_name(enum helper_setting which)
{
	return settings[which].name;
}

int helper_borrow(enum helper_setting which, const char *value,
		  char ret_original[static HELPER_VALUE_SIZE])
{
	const struct setting *s = &settings[which];
	char current[HELPER_VALUE_SIZE];
	struct saved saved;
	int r = read_setting(s, current);

	if (r < 0)
		return r;
	r = load(s, &saved);
	if (r == -ENOENT) {
		r = borrow_first(s, value, current);
		if (r == 0)
			memcpy(ret_original, current, sizeof(current));
		return r;
	}
	if (r < 0)
		return r;
	/* Borrowed already: only the same again can be asked for. */
	if (strcmp(current, saved.set) || strcmp(value, saved.set))
		return -EEXIST;
	memcpy(ret_original, saved.original, sizeof(saved.original));
	return 0;
}

int helper_give_back(enum helper_setting which)
{
	const struct setting *s = &settings[which];
	char current[HELPER_VALUE_SIZE];
	struct saved saved;
	int r = load(s, &saved);

	if (r == -ENOENT)
		return 0;
	if (r == -EBADMSG) {
		fprintf(stderr, "%s is not readable: nothing put back\n", s->saved);
		unlink(s->saved);
		return r;
	}
	if (r >= 0)
		r = read_setting(s, current);
	if (r < 0)
		return r;
	if (strcmp(current, saved.set)) {
		/* also after a crash between remembering and changing: then it is the original */
		fprintf(stderr, "%s: is %s, not the %s that was set: left alone\n", s->name,
			current, saved.set);
	} else {
		r = write_setting(s, saved.original);
		if (r < 0)
			return r; /* the file stays: tried again at the next start */
		fprintf(stderr, "%s: %s, put back\n", s->name, saved.original);
	}
	unlink(s->saved);
	return 0;
}

int helper_give_back_all(void)
{
	int first = 0;

	for (unsigned int i = 0; i < HELPER_NR_SETTINGS; i++) {
		int r = helper_give_back(i);

		if (r < 0) {
			fprintf(stderr, "Failed to put back %s: %s\n", settings[i].name,
				strerror(-r));
			first = first < 0 ? first : r;
		}
	}
	return first;
}
