/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that can be set, in one block. Written by daemon/sample.c between
 * open and load; the verifier then knows the values and drops the branches that
 * they exclude. The values here are those of a program loaded by other tools.
 */
#ifndef EMBER_CONFIG_BPF_H
#define EMBER_CONFIG_BPF_H

#include "kernel.bpf.h"

/* Faults of a CPU per sample. The program is not attached where sampling is off. */
const volatile __u32 fault_period __weak = 64;

/*
 * Sampled faults of an untracked process between reports of its growth; each report
 * doubles the distance to the next. 0: no reports.
 */
const volatile __u32 grow_samples __weak = 64;

/* Report fork and exec of every process, not only of tracked ones. */
const volatile bool all_processes __weak = true;

#endif /* EMBER_CONFIG_BPF_H */
