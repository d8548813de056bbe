/* SPDX-License-Identifier: GPL-2.0-only */
/* What every program includes. */
#ifndef EMBER_EMBER_BPF_H
#define EMBER_EMBER_BPF_H

#include "config.bpf.h"
#include "maps.bpf.h"
#include "sample.bpf.h"
#include "compat.bpf.h"

#endif /* EMBER_EMBER_BPF_H */
