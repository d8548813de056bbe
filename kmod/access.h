/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef EMBER_KMOD_ACCESS_H
#define EMBER_KMOD_ACCESS_H

int ember_access_init(void);
void ember_access_exit(void);

#endif /* EMBER_KMOD_ACCESS_H */
