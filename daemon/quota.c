// SPDX-License-Identifier: GPL-2.0-or-later
#include "quota.h"

#define NSEC_PER_SEC 1000000000ULL

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void ember_quota_init(struct ember_quota *q, uint64_t bytes_per_s, uint64_t burst_bytes,
		      uint64_t now_ns)
{
	*q = (struct ember_quota){.last_ns = now_ns};
	q->bytes_per_s = bytes_per_s;
	q->burst_bytes = burst_bytes ? burst_bytes : bytes_per_s;
	q->tokens = q->burst_bytes;
}

void ember_quota_set(struct ember_quota *q, uint64_t bytes_per_s, uint64_t burst_bytes,
		     uint64_t now_ns)
{
	ember_quota_available(q, now_ns);
	q->bytes_per_s = bytes_per_s;
	q->burst_bytes = burst_bytes ? burst_bytes : bytes_per_s;
	q->tokens = min_u64(q->tokens, q->burst_bytes);
	q->rest = 0;
}

uint64_t ember_quota_available(struct ember_quota *q, uint64_t now_ns)
{
	__uint128_t earned;

	if (now_ns <= q->last_ns)
		return q->tokens;
	earned = (__uint128_t)(now_ns - q->last_ns) * q->bytes_per_s + q->rest;
	q->last_ns = now_ns;
	q->rest = earned % NSEC_PER_SEC;
	earned /= NSEC_PER_SEC;
	/* compare before adding: a long sleep must not wrap */
	if (earned >= q->burst_bytes - q->tokens) {
		q->tokens = q->burst_bytes;
		q->rest = 0;
	} else {
		q->tokens += earned;
	}
	return q->tokens;
}

void ember_quota_take(struct ember_quota *q, uint64_t bytes)
{
	q->tokens -= min_u64(bytes, q->tokens);
}

void ember_quota_refund(struct ember_quota *q, uint64_t bytes)
{
	q->tokens += min_u64(bytes, q->burst_bytes - q->tokens);
}
