// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying pairs of pages, by a DMA engine or by this CPU: whichever engine_choice.c says, from
 * the times that earlier batches took. What an engine leaves, this CPU copies.
 *
 * The CPU reads around memory errors (folio_mc_copy()): a pair that meets one is not
 * copied, and both pages stay the caller's.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/timekeeping.h>

#include "copy.h"
#include "dma.h"
#include "engine_choice.h"

/*
 * What is known of batches of one class. Several workers read and write it without a
 * lock: a sample that gets lost makes an average a little older, no more.
 */
static struct {
	u32 ns[EMBER_NR_ENGINES];
	u32 since[EMBER_NR_ENGINES];
} times[EMBER_COPY_CLASSES];

static atomic64_t nr_copied[EMBER_NR_ENGINES];
static atomic64_t nr_fallbacks = ATOMIC64_INIT(0);

static void copy_by_cpu(struct ember_pairs *pairs)
{
	unsigned int i;

	for_each_clear_bit(i, pairs->copied, pairs->nr) {
		if (test_bit(i, pairs->lost))
			continue;
		if (!folio_mc_copy(page_folio(pairs->dst[i]), page_folio(pairs->src[i])))
			__set_bit(i, pairs->copied);
	}
}

static enum ember_engine choose(const struct ember_pairs *pairs)
{
	unsigned int class = ember_engine_class(pairs->nr);
	struct ember_engine_case c = {
		.nr_pages = pairs->nr,
		.ready = ember_dma_ready(),
		.asked = pairs->prefer_dma,
	};

	for (unsigned int i = 0; i < EMBER_NR_ENGINES; i++) {
		c.ns[i] = READ_ONCE(times[class].ns[i]);
		c.since[i] = READ_ONCE(times[class].since[i]);
	}
	return ember_engine_choose(&c);
}

static void learn(enum ember_engine engine, unsigned int nr_pages, u64 took_ns)
{
	unsigned int class = ember_engine_class(nr_pages);
	u32 *ns = &times[class].ns[engine];

	WRITE_ONCE(*ns, ember_engine_average(READ_ONCE(*ns), div_u64(took_ns, nr_pages)));
	for (unsigned int i = 0; i < EMBER_NR_ENGINES; i++) {
		u32 *since = &times[class].since[i];

		WRITE_ONCE(*since, i == engine ? 0 : READ_ONCE(*since) + 1);
	}
}

static void count(enum ember_engine engine, unsigned int by_dma, unsigned int by_cpu)
{
	atomic64_add(by_dma, &nr_copied[EMBER_ENGINE_DMA]);
	atomic64_add(by_cpu, &nr_copied[EMBER_ENGINE_CPU]);
	if (engine == EMBER_ENGINE_DMA)
		atomic64_add(by_cpu, &nr_fallbacks);
}

/**
 * ember_copy() - copy each source to its destination
 * @pairs: the bitmaps say what became of each
 *
 * Sleeps. What an engine costs includes what the CPU had to do after it.
 */
void ember_copy(struct ember_pairs *pairs)
{
	enum ember_engine engine = EMBER_ENGINE_CPU;
	u64 begin_ns = ktime_get_ns();
	unsigned int by_dma;

	bitmap_zero(pairs->copied, EMBER_COPY_PAGES);
	bitmap_zero(pairs->lost, EMBER_COPY_PAGES);
	if (!pairs->nr)
		return;
	if (choose(pairs) == EMBER_ENGINE_DMA && ember_dma_copy(pairs))
		engine = EMBER_ENGINE_DMA;
	by_dma = bitmap_weight(pairs->copied, pairs->nr);
	copy_by_cpu(pairs);
	count(engine, by_dma, bitmap_weight(pairs->copied, pairs->nr) - by_dma);
	learn(engine, pairs->nr, ktime_get_ns() - begin_ns);
}

/* Other channels may be of another engine: what was measured of the last ones says nothing. */
void ember_copy_forget_dma(void)
{
	for (unsigned int i = 0; i < EMBER_COPY_CLASSES; i++)
		WRITE_ONCE(times[i].ns[EMBER_ENGINE_DMA], 0);
}

/* Each number is right by itself; they are not all of one moment. */
void ember_copy_stats(struct ember_copy_stats *ret_stats)
{
	ret_stats->cpu_pages = atomic64_read(&nr_copied[EMBER_ENGINE_CPU]);
	ret_stats->dma_pages = atomic64_read(&nr_copied[EMBER_ENGINE_DMA]);
	ret_stats->fallbacks = atomic64_read(&nr_fallbacks);
	for (unsigned int i = 0; i < EMBER_COPY_CLASSES; i++) {
		ret_stats->cpu_ns[i] = READ_ONCE(times[i].ns[EMBER_ENGINE_CPU]);
		ret_stats->dma_ns[i] = READ_ONCE(times[i].ns[EMBER_ENGINE_DMA]);
	}
}
