/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's types and libbpf's helpers, in the order that works. Every header
 * here begins with it.
 */
#ifndef EMBER_KERNEL_BPF_H
#define EMBER_KERNEL_BPF_H

/* A newer bpftool declares kfuncs too; those of compat.bpf.h are the only ones. */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <ember/sample.h>
#include <ember/stats.h>

#endif /* EMBER_KERNEL_BPF_H */
