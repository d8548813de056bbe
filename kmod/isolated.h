/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUs that nobody is to interrupt. */
#ifndef EMBER_ISOLATED_H
#define EMBER_ISOLATED_H

#include <linux/types.h>

struct mm_struct;

bool ember_cpu_is_isolated(int cpu);
bool ember_runs_isolated(const struct mm_struct *mm);

#endif /* EMBER_ISOLATED_H */
