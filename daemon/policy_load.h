/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding and reading policy files safely; what they mean is policy.h's concern. */
#ifndef EMBER_POLICY_LOAD_H
#define EMBER_POLICY_LOAD_H

#include "policy.h"

/*
 * The directories, least important first; a file in a later one masks the file of the
 * same name in an earlier one, a link to /dev/null there disables it.
 */
extern const char *const ember_policy_dirs[]; /* NULL-terminated */

/*
 * Read *.json of @dirs (NULL-terminated; missing directories are skipped) and parse them. A file
 * must be regular, owned by @owner (root in service; tests run as they are), writable by its owner
 * only, reached without a symbolic link and at most 1 MiB. Errors as ember_policy_parse(), and
 * -EPERM for a file that is not safe, or the errno of reading, with *ret_error filled.
 */
int ember_policy_load(const char *const *dirs, unsigned int owner, struct ember_policy **ret,
		      struct ember_policy_error *ret_error);

#endif
