/* SPDX-License-Identifier: GPL-2.0-only */
/* What every program includes, in the order that works. */
#ifndef EMBER_EMBER_BPF_H
#define EMBER_EMBER_BPF_H

/* A newer bpftool declares kfuncs too; those of compat.bpf.h are the only ones. */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <ember/sample.h>
#include <ember/stats.h>

#include "config.bpf.h"
#include "maps.bpf.h"
#include "sample.bpf.h"
#include "compat.bpf.h"

#endif /* EMBER_EMBER_BPF_H */
