// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file that anybody but its owner may change must not steer a daemon that moves other
 * people's memory; so what is checked is the open descriptor, and links are not followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy_load.h"
#include "util/cleanup.h"

#define MAX_FILES 256

const char *const ember_policy_dirs[] = {"/usr/lib/ember/policy.d", "/run/ember/policy.d",
					 "/etc/ember/policy.d", NULL};

struct found {
	char *name;
	const char *dir; /* the last that has the name */
	char *bytes;     /* NULL: masked */
	size_t len;
};

struct list {
	struct found files[MAX_FILES];
	size_t nr;
};

static void free_list(struct list **l)
{
	for (size_t i = 0; *l && i < (*l)->nr; i++) {
		free((*l)->files[i].name);
		free((*l)->files[i].bytes);
	}
	free(*l);
}

static int fail(struct ember_policy_error *error, int err, const char *dir, const char *name,
		const char *what)
{
	snprintf(error->text, sizeof(error->text), "%s%s%s: %s", dir, name ? "/" : "",
		 name ? name : "", what);
	return err;
}

static bool is_policy_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && !strcmp(name + len - 5, ".json");
}

/* Only its owner, the right one, may change it. */
static const char *unsafe(const struct stat *st, unsigned int owner)
{
	if (st->st_uid != owner)
		return owner ? "does not belong to the user who should own it"
			     : "does not belong to root (chown root it)";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "may be written by others than its owner (chmod go-w it)";
	return NULL;
}

static int add_name(struct list *list, const char *dir, const char *name,
		    struct ember_policy_error *error)
{
	for (size_t i = 0; i < list->nr; i++)
		if (!strcmp(list->files[i].name, name)) {
			list->files[i].dir = dir;
			return 0;
		}
	if (list->nr == MAX_FILES)
		return fail(error, -E2BIG, dir, NULL, "too many policy files");
	list->files[list->nr].name = strdup(name);
	if (!list->files[list->nr].name)
		return -ENOMEM;
	list->files[list->nr++].dir = dir;
	return 0;
}

static int list_dir(struct list *list, const char *path, unsigned int owner,
		    struct ember_policy_error *error)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *d;
	struct stat st;
	int fd;

	if (!dir)
		return errno == ENOENT ? 0 : fail(error, -errno, path, NULL, strerror(errno));
	fd = dirfd(dir);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(error, -errno, path, NULL, strerror(errno));
	if (unsafe(&st, owner))
		return fail(error, -EPERM, path, NULL, unsafe(&st, owner));
	while ((d = readdir(dir))) {
		int err = is_policy_name(d->d_name) ? add_name(list, path, d->d_name, error) : 0;

		if (err < 0)
			return err;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* A link is refused, but for the one that means "not this file". 1: it is that one. */
static int check_link(int dir, const struct found *f, struct ember_policy_error *error)
{
	char target[16];
	ssize_t len = readlinkat(dir, f->name, target, sizeof(target));

	if (len < 0)
		return errno == EINVAL ? 0 : fail(error, -errno, f->dir, f->name, strerror(errno));
	if (len == 9 && !memcmp(target, "/dev/null", 9))
		return 1;
	return fail(error, -EPERM, f->dir, f->name, "is a symbolic link (copy the file)");
}

static int read_all(int fd, struct found *f, struct ember_policy_error *error)
{
	size_t room = EMBER_POLICY_MAX_FILE_BYTES + 1;
	_cleanup_free_ char *bytes = malloc(room);
	size_t len = 0;

	if (!bytes)
		return -ENOMEM;
	while (len < room) {
		ssize_t n = read(fd, bytes + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(error, -errno, f->dir, f->name, strerror(errno));
		if (!n)
			break;
		len += n;
	}
	if (len == room)
		return fail(error, -EFBIG, f->dir, f->name, "is larger than 1 MiB");
	f->bytes = TAKE_PTR(bytes);
	f->len = len;
	return 0;
}

static int read_file(struct found *f, unsigned int owner, struct ember_policy_error *error)
{
	_cleanup_close_ int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int link;

	if (dir < 0)
		return fail(error, -errno, f->dir, NULL, strerror(errno));
	link = check_link(dir, f, error);
	if (link)
		return link < 0 ? link : 0;
	/* non-blocking: a FIFO must not hold us up before we see that it is one */
	fd = openat(dir, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(error, -errno, f->dir, f->name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(error, -EPERM, f->dir, f->name, "is not a regular file");
	if (unsafe(&st, owner))
		return fail(error, -EPERM, f->dir, f->name, unsafe(&st, owner));
	return read_all(fd, f, error);
}

int ember_policy_load(const char *const *dirs, unsigned int owner, struct ember_policy **ret,
		      struct ember_policy_error *ret_error)
{
	_cleanup_(free_list) struct list *list = calloc(1, sizeof(*list));
	struct ember_policy_file files[MAX_FILES];
	size_t nr = 0;
	int err = list ? 0 : -ENOMEM;

	for (; !err && *dirs; dirs++)
		err = list_dir(list, *dirs, owner, ret_error);
	if (err < 0)
		return err;
	qsort(list->files, list->nr, sizeof(list->files[0]), by_name);
	for (size_t i = 0; i < list->nr; i++) {
		struct found *f = &list->files[i];

		err = read_file(f, owner, ret_error);
		if (err < 0)
			return err;
		if (f->bytes)
			files[nr++] = (struct ember_policy_file){f->name, f->bytes, f->len};
	}
	return ember_policy_parse(files, nr, ret, ret_error);
}
