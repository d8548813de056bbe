/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef EMBER_KMOD_FLUSH_H
#define EMBER_KMOD_FLUSH_H

struct mm_struct;

unsigned int ember_flush_mm(struct mm_struct *mm);

#endif /* EMBER_KMOD_FLUSH_H */
