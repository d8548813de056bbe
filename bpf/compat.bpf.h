/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs need of the kernel beyond BTF, and where kernels differ.
 *
 * sched_process_exit has a second argument, group_dead, in 7.3 and not in 6.12. It is
 * not used: without it the last thread cannot be told from signal->live alone (two
 * threads may both have decremented it before either reaches the tracepoint), so
 * lifecycle.bpf.c lets the removal from the map of tracked processes decide, which
 * is right on both.
 */
#ifndef EMBER_COMPAT_BPF_H
#define EMBER_COMPAT_BPF_H

#include "kernel.bpf.h"

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern int ember_scan(struct ember_scan_ctx *ctx, void *buf, u32 buf__sz) __ksym;

#endif /* EMBER_COMPAT_BPF_H */
