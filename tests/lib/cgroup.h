/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cgroup (v2) of a test's own, below the root. All exit on failure. */
#ifndef EMBER_TESTS_CGROUP_H
#define EMBER_TESTS_CGROUP_H

#include <sys/types.h>

/* @controllers as cgroup.subtree_control takes them ("+cpuset +memory"), or "" for none. */
void cgroup_make(const char *name, const char *controllers);
/* Waits until what was in it has gone. */
void cgroup_remove(const char *name);
void cgroup_write(const char *name, const char *file, const char *text);
/* Is there a line @line in @file? */
int cgroup_says(const char *name, const char *file, const char *line);
void cgroup_join(const char *name, pid_t pid);

#endif /* EMBER_TESTS_CGROUP_H */
