/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of the kernel that are borrowed: the value of each is remembered, also in a file of
 * its own, before it is changed, and put back unless somebody else has changed it since.
 */
#ifndef EMBER_HELPER_SETTING_H
#define EMBER_HELPER_SETTING_H

#define HELPER_DIR "/run/ember-helper"

/* A value as the kernel prints it, without the newline, ending in a NUL. */
#define HELPER_VALUE_SIZE 16

enum helper_setting {
	HELPER_NUMA_BALANCING, /* kernel.numa_balancing: "0" to "4" */
	HELPER_DAMON_STAT,     /* damon_stat.enabled: "Y" or "N" */
	HELPER_NR_SETTINGS,
};

/* "kernel.numa_balancing" */
const char *helper_setting_name(enum helper_setting which);

/*
 * Set @which to @value. @ret_original: what it was before ember. 0; -EEXIST: it was changed
 * already and somebody has changed it again; or the error of reading (-ENOENT: not in this
 * kernel), of writing or of remembering (then nothing was changed).
 */
int helper_borrow(enum helper_setting which, const char *value,
		  char ret_original[static HELPER_VALUE_SIZE]);

/* Put back what its file says was changed, and remove the file. Says on stderr what it did. */
int helper_give_back(enum helper_setting which);

/* The same for every setting; the first error, after all were tried. */
int helper_give_back_all(void);

#endif
