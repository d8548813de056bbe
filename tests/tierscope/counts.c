// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "counts.h"

void counts_read(struct counts *now, const struct vcpu_counts *vcpu)
{
	for (uint32_t m = 0; m < COUNTS_NR; m++) {
		const struct count *count = &vcpu->counts.of[m];

		now->of[m].hits = __atomic_load_n(&count->hits, __ATOMIC_RELAXED);
		now->of[m].misses = __atomic_load_n(&count->misses, __ATOMIC_RELAXED);
	}
}

void counts_sum(struct counts *sum, const struct counts *parts, uint32_t nr_parts)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < nr_parts; i++) {
		for (uint32_t m = 0; m < COUNTS_NR; m++) {
			sum->of[m].hits += parts[i].of[m].hits;
			sum->of[m].misses += parts[i].of[m].misses;
		}
	}
}

void counts_diff(struct counts *diff, const struct counts *now, const struct counts *before)
{
	for (uint32_t m = 0; m < COUNTS_NR; m++) {
		diff->of[m].hits = now->of[m].hits - before->of[m].hits;
		diff->of[m].misses = now->of[m].misses - before->of[m].misses;
	}
}

/* Appends to buf at *used; remembers in *used that it did not fit. */
__attribute__((format(printf, 4, 5))) static void append(char *buf, size_t len, size_t *used,
							 const char *format, ...)
{
	va_list args;
	int n;

	if (*used >= len)
		return;
	va_start(args, format);
	n = vsnprintf(buf + *used, len - *used, format, args);
	va_end(args);
	*used = n < 0 ? len : *used + n;
}

static int length_or_error(size_t used, size_t len)
{
	return used < len ? (int)used : -ENOSPC;
}

static void append_time(char *buf, size_t len, size_t *used, uint64_t time_ms)
{
	append(buf, len, used, "%" PRIu64 ".%03" PRIu64, time_ms / 1000, time_ms % 1000);
}

int counts_format_tiers(char *buf, size_t len, uint64_t time_ms, const struct counts *diff,
			const struct mem *mems, uint32_t nr_mems)
{
	struct count tiers[] = {[TIER_FAST] = {0, 0}, [TIER_SLOW] = {0, 0}};
	size_t used = 0;

	for (uint32_t m = 0; m < nr_mems; m++) {
		tiers[mems[m].tier].hits += diff->of[m].hits;
		tiers[mems[m].tier].misses += diff->of[m].misses;
	}

	append_time(buf, len, &used, time_ms);
	append(buf, len, &used, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	       tiers[TIER_FAST].hits, tiers[TIER_FAST].misses, tiers[TIER_SLOW].hits,
	       tiers[TIER_SLOW].misses);
	return length_or_error(used, len);
}

int counts_format_mems(char *buf, size_t len, uint64_t time_ms, const struct counts *diff,
		       uint32_t nr_mems)
{
	const struct count *other = &diff->of[MEMMAP_OTHER];
	size_t used = 0;

	append_time(buf, len, &used, time_ms);
	for (uint32_t m = 0; m < nr_mems; m++)
		append(buf, len, &used, " %" PRIu64 " %" PRIu64, diff->of[m].hits,
		       diff->of[m].misses);
	append(buf, len, &used, " %" PRIu64 "\n", other->hits + other->misses);
	return length_or_error(used, len);
}

int counts_format_vcpus(char *buf, size_t len, uint64_t time_ms, const struct counts *diffs,
			uint32_t nr_vcpus, uint32_t nr_mems)
{
	size_t used = 0;

	append_time(buf, len, &used, time_ms);
	for (uint32_t v = 0; v < nr_vcpus; v++)
		for (uint32_t m = 0; m < nr_mems; m++)
			append(buf, len, &used, " %" PRIu64, diffs[v].of[m].misses);
	append(buf, len, &used, "\n");
	return length_or_error(used, len);
}

int counts_format_vcpus_header(char *buf, size_t len, uint32_t nr_vcpus, const struct mem *mems,
			       uint32_t nr_mems)
{
	size_t used = 0;

	append(buf, len, &used, "seconds");
	for (uint32_t v = 0; v < nr_vcpus; v++)
		for (uint32_t m = 0; m < nr_mems; m++)
			append(buf, len, &used, " cpu%" PRIu32 "_%s", v, mems[m].name);
	append(buf, len, &used, "\n");
	return length_or_error(used, len);
}

int counts_format_mems_header(char *buf, size_t len, const struct mem *mems, uint32_t nr_mems)
{
	size_t used = 0;

	append(buf, len, &used, "seconds");
	for (uint32_t m = 0; m < nr_mems; m++)
		append(buf, len, &used, " %s_hits %s_misses", mems[m].name, mems[m].name);
	append(buf, len, &used, " other\n");
	return length_or_error(used, len);
}
