/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A token bucket in bytes. Pure: time is an argument. */
#ifndef EMBER_QUOTA_H
#define EMBER_QUOTA_H

#include <stdint.h>

struct ember_quota {
	uint64_t bytes_per_s; /* 0: nothing may pass */
	uint64_t burst_bytes; /* most that can be saved up */
	uint64_t tokens;
	uint64_t last_ns;
	uint64_t rest; /* byte-nanoseconds not yet turned into a token */
};

/* Starts full. A burst of 0 means one second's worth. */
void ember_quota_init(struct ember_quota *q, uint64_t bytes_per_s, uint64_t burst_bytes,
		      uint64_t now_ns);
/* New rate; what is saved up stays, up to the new burst. */
void ember_quota_set(struct ember_quota *q, uint64_t bytes_per_s, uint64_t burst_bytes,
		     uint64_t now_ns);
/* Bytes that may pass now. A clock that goes backwards gives nothing. */
uint64_t ember_quota_available(struct ember_quota *q, uint64_t now_ns);
/* Take @bytes; more than available leaves zero. */
void ember_quota_take(struct ember_quota *q, uint64_t bytes);
/* Give back what was taken and not used. */
void ember_quota_refund(struct ember_quota *q, uint64_t bytes);

#endif
