/* SPDX-License-Identifier: GPL-2.0-only */
/* Which engine copies a batch of pages. Pure: also built for user space by the unit tests. */
#ifndef EMBER_ENGINE_CHOICE_H
#define EMBER_ENGINE_CHOICE_H

#include <linux/ember.h>
#include <linux/types.h>

enum ember_engine {
	EMBER_ENGINE_CPU,
	EMBER_ENGINE_DMA,
	EMBER_NR_ENGINES,
};

/* What is known when a batch is to be copied; ns and since are of batches of its class. */
struct ember_engine_case {
	__u32 nr_pages; /* of this batch, at least 1 */
	__u32 ns[EMBER_NR_ENGINES]; /* moving average per page; 0: never measured */
	__u32 since[EMBER_NR_ENGINES]; /* batches that others copied since this engine's last */
	_Bool ready; /* a DMA engine can be had now */
	_Bool asked; /* for DMA, to keep the CPU free */
};

unsigned int ember_engine_class(__u32 nr_pages);
enum ember_engine ember_engine_choose(const struct ember_engine_case *c);
__u32 ember_engine_average(__u32 average, __u64 sample);

#endif /* EMBER_ENGINE_CHOICE_H */
