/* SPDX-License-Identifier: GPL-2.0-only */
/* Copies by DMA engines that the kernel's dmaengine knows (DMA_MEMCPY). */
#ifndef EMBER_DMA_H
#define EMBER_DMA_H

#include <linux/types.h>

struct ember_pairs;

struct ember_dma_stats {
	unsigned int channels; /* that work */
	u64 timeouts;
	u64 leaked_pages;
};

#ifdef EMBER_HAVE_DMA_ENGINE
int ember_dma_init(void);
void ember_dma_exit(void);
bool ember_dma_ready(void);
bool ember_dma_copy(struct ember_pairs *pairs);
void ember_dma_stats(struct ember_dma_stats *ret_stats);
#else
static inline int ember_dma_init(void)
{
	return 0;
}

static inline void ember_dma_exit(void)
{
}

static inline bool ember_dma_ready(void)
{
	return false;
}

static inline bool ember_dma_copy(struct ember_pairs *pairs)
{
	return false;
}

static inline void ember_dma_stats(struct ember_dma_stats *ret_stats)
{
	*ret_stats = (struct ember_dma_stats){ 0 };
}
#endif

#endif /* EMBER_DMA_H */
