// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which engine copies a batch of pages: the CPU or a DMA engine?
 *
 * By measured time, not by a size from a table: what an engine costs per page depends on
 * the size of the batch (descriptors, an interrupt and a wake-up are paid once a batch), on
 * the memories and on what else the machine does. So times are kept by classes of size,
 * and batches of one class are compared with each other only.
 *
 * A time that is never taken again stays what it was, however wrong. So the engine that
 * seems to be the slower one gets a batch now and then. Such a trial costs about as many
 * batches of the better one as it is times slower; the rarer the costlier, trials take
 * about 1/TRIAL_SHARE of the time that copying takes.
 *
 * Who asks for DMA wants the CPU free and does not care that it takes longer; but the
 * pages of a batch cannot be accessed while it lasts, so there is a limit.
 */
#include "engine_choice.h"

#define TRIAL_SHARE 64
#define HOLD_LIMIT_NS 20000000ULL /* for a batch by DMA because it was asked for */
#define AVERAGE_WEIGHT 8 /* of what was known against one sample */

/**
 * ember_engine_class() - batches that are measured together
 * @nr_pages: size of a batch, at least 1
 *
 * Return: class i has [2^i, 2^(i+1)) pages, the last one all that are larger.
 */
unsigned int ember_engine_class(__u32 nr_pages)
{
	unsigned int class = 31 - __builtin_clz(nr_pages | 1);

	return class < EMBER_COPY_CLASSES ? class : EMBER_COPY_CLASSES - 1;
}

static enum ember_engine better(const struct ember_engine_case *c)
{
	if (c->asked)
		return (__u64)c->nr_pages * c->ns[EMBER_ENGINE_DMA] <= HOLD_LIMIT_NS ?
			       EMBER_ENGINE_DMA :
			       EMBER_ENGINE_CPU;
	return c->ns[EMBER_ENGINE_DMA] < c->ns[EMBER_ENGINE_CPU] ? EMBER_ENGINE_DMA :
								   EMBER_ENGINE_CPU;
}

/* Batches of the better engine between two trials of the other. */
static __u64 trial_period(__u32 best_ns, __u32 other_ns)
{
	if (!best_ns || other_ns <= best_ns)
		return TRIAL_SHARE;
	return (__u64)TRIAL_SHARE * (other_ns / best_ns);
}

/**
 * ember_engine_choose() - the engine for one batch
 * @c: what is known
 */
enum ember_engine ember_engine_choose(const struct ember_engine_case *c)
{
	enum ember_engine best, other;

	if (!c->ready)
		return EMBER_ENGINE_CPU;
	/* Until both are measured, the one that is not; DMA first if it is asked for. */
	if (!c->ns[EMBER_ENGINE_DMA])
		return EMBER_ENGINE_DMA;
	if (!c->ns[EMBER_ENGINE_CPU] && !c->asked)
		return EMBER_ENGINE_CPU;
	best = better(c);
	if (best == EMBER_ENGINE_DMA && c->asked)
		return best;
	other = best == EMBER_ENGINE_DMA ? EMBER_ENGINE_CPU : EMBER_ENGINE_DMA;
	return c->since[other] >= trial_period(c->ns[best], c->ns[other]) ? other : best;
}

/**
 * ember_engine_average() - a moving average with one more sample
 * @average: of the samples so far; 0: there are none
 * @sample: any
 *
 * Return: never 0, which stands for "never measured".
 */
__u32 ember_engine_average(__u32 average, __u64 sample)
{
	__u64 next;

	if (sample > 0xffffffffULL)
		sample = 0xffffffffULL;
	next = average ? ((__u64)average * (AVERAGE_WEIGHT - 1) + sample) / AVERAGE_WEIGHT :
			 sample;
	return next ? next : 1;
}
