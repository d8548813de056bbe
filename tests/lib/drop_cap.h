/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EMBER_TESTS_DROP_CAP_H
#define EMBER_TESTS_DROP_CAP_H

#include <linux/capability.h>

/* This process goes on without the capability (CAP_...). Exits on failure. */
void drop_cap(unsigned int cap);

#endif /* EMBER_TESTS_DROP_CAP_H */
