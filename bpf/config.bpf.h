/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that can be set, in one block. Written by daemon/sample.c between
 * open and load; the verifier then knows the values and drops the branches that
 * they exclude. The values here are those of a program loaded by other tools.
 */
#ifndef EMBER_CONFIG_BPF_H
#define EMBER_CONFIG_BPF_H

struct ember_bpf_config {
	/*
	 * Sampled faults of an untracked process between reports of its growth; each
	 * report doubles the distance to the next. 0: no reports.
	 */
	__u32 grow_samples;
	/* Report fork and exec of every process, not only of tracked ones. */
	__u32 all_processes;
};

const volatile struct ember_bpf_config ember_config __weak = {
	.grow_samples = 64,
	.all_processes = 1,
};

#endif /* EMBER_CONFIG_BPF_H */
