/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "expect.h"
#include "textfile.h"

#define ROOT "/sys/fs/cgroup"
#define PATH_BYTES 256

static void path_of(char path[PATH_BYTES], const char *name, const char *file)
{
	snprintf(path, PATH_BYTES, "%s/%s/%s", ROOT, name, file);
}

void cgroup_write(const char *name, const char *file, const char *text)
{
	char path[PATH_BYTES];

	path_of(path, name, file);
	textfile_write(path, text);
}

void cgroup_make(const char *name, const char *controllers)
{
	char path[PATH_BYTES];

	if (*controllers)
		textfile_write(ROOT "/cgroup.subtree_control", controllers);
	path_of(path, name, "");
	if (mkdir(path, 0755) && errno != EEXIST)
		fail("%s: %s", path, strerror(errno));
}

void cgroup_remove(const char *name)
{
	char path[PATH_BYTES];

	path_of(path, name, "");
	for (int tries = 0; rmdir(path); tries++) {
		if (errno != EBUSY || tries == 1000)
			fail("rmdir %s: %s", path, strerror(errno));
		usleep(10000);
	}
}

int cgroup_says(const char *name, const char *file, const char *line)
{
	char path[PATH_BYTES], text[4096], *saved = NULL;

	path_of(path, name, file);
	textfile_read(path, text, sizeof(text));
	for (char *at = strtok_r(text, "\n", &saved); at; at = strtok_r(NULL, "\n", &saved))
		if (!strcmp(at, line))
			return 1;
	return 0;
}

void cgroup_join(const char *name, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	cgroup_write(name, "cgroup.procs", text);
}
