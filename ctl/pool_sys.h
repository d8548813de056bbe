/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells of pools and of physical memory. Roots are named, so that tests run on
 * directories. */
#ifndef EMBER_CTL_POOL_SYS_H
#define EMBER_CTL_POOL_SYS_H

#include "ctl/pool_text.h"

/* 0; -ENOENT: there is no such pool (any more). */
int pool_sys_read(const char *sys_root, uint32_t id, struct pool_info *ret);

/* All pools by id; *ret is to be freed. 0; -ENOENT: the module is not loaded; -errno. */
int pool_sys_read_all(const char *sys_root, struct pool_info **ret, size_t *ret_nr);

/* The firmware's own map; *ret is to be freed. 0; -ENOENT: this kernel keeps none; -errno. */
int pool_sys_firmware(const char *sys_root, struct pool_range **ret, size_t *ret_nr);

#endif
