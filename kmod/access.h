/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef EMBER_KMOD_ACCESS_H
#define EMBER_KMOD_ACCESS_H

#include <linux/types.h>

struct ember_scan_ctx;

int ember_access_init(void);

/* The kfunc; nothing but BPF programs calls it. */
int ember_scan(struct ember_scan_ctx *ctx, void *buf, u32 buf__sz);

#endif /* EMBER_KMOD_ACCESS_H */
