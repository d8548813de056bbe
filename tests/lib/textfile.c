/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expect.h"

void textfile_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("write \"%s\" to %s: %s", text, path, strerror(errno));
	close(fd);
}

void textfile_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = 1;

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	while (got > 0 && len < size - 1) {
		got = read(fd, text + len, size - 1 - len);
		if (got < 0)
			fail("%s: %s", path, strerror(errno));
		len += (size_t)got;
	}
	text[len] = 0;
	close(fd);
}

unsigned long textfile_number(const char *path, const char *name)
{
	static _Thread_local char text[65536];
	size_t len = strlen(name);

	textfile_read(path, text, sizeof(text));
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += line != text;
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoul(line + len, NULL, 10);
	}
	return 0;
}
