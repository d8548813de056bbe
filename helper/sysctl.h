/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One setting of the kernel that is borrowed: its value is remembered, also in a file, before
 * it is changed, and put back unless somebody else has changed it since.
 */
#ifndef EMBER_HELPER_SYSCTL_H
#define EMBER_HELPER_SYSCTL_H

#define HELPER_DIR "/run/ember-helper"

/*
 * Set kernel.numa_balancing to @value (0 to 4). *ret_original: what it was before ember. 0;
 * -EEXIST: it was changed already and somebody has changed it again; or the error of reading, of
 * writing or of remembering (then nothing was changed).
 */
int helper_borrow_numa_balancing(int value, int *ret_original);

/* Put back what the file says was changed, and remove the file. Says on stderr what it did. */
int helper_give_back(void);

#endif
