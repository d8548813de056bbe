// SPDX-License-Identifier: GPL-2.0-or-later
#include "sampling.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

struct ember_sampler *start_sampler_with(const struct ember_sampler_config *config)
{
	enum ember_sampler_reason reason;
	struct ember_sampler *sampler;
	int r;

	if (access("/sys/module/ember", F_OK) < 0 && system("modprobe ember") != 0)
		die("FAIL: the module cannot be loaded");
	r = ember_sampler_open(config, &sampler, &reason);
	if (r < 0)
		die("FAIL: no sampler: %s (%s)", ember_sampler_reason_text(reason), strerror(-r));
	return sampler;
}

struct ember_sampler *start_sampler(void)
{
	const struct ember_sampler_config config = {.max_tracked = 16, .ring_bytes = 65536};

	return start_sampler_with(&config);
}

struct ember_proc_id identify(struct ember_sampler *sampler, uint32_t tgid)
{
	struct ember_proc_id id;

	if (ember_sampler_identify(sampler, tgid, &id) < 0)
		die("FAIL: process %u has no identity", tgid);
	return id;
}

bool scan_part(struct ember_sampler *sampler, const struct ember_proc_id *id,
	       struct ember_scan_req *req, const struct ember_region_rec **ret_recs)
{
	int r = ember_sampler_scan(sampler, id, req, ret_recs);

	if (r < 0)
		die("FAIL: scan: %s", strerror(-r));
	switch (req->stop) {
	case EMBER_STOP_DONE:
		return false;
	case EMBER_STOP_BUFFER:
	case EMBER_STOP_TIME:
	case EMBER_STOP_LOCK:
		return true;
	default:
		die("FAIL: scan stopped for reason %u", req->stop);
	}
}

uint32_t mark_young(const struct ember_region_rec *rec, uint64_t base, bool *seen)
{
	uint64_t first = (rec->addr - base) / 4096;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < EMBER_REGION_PAGES; i++)
		if (rec->young[i / 64] >> (i % 64) & 1) {
			seen[first + i] = true;
			nr++;
		}
	return nr;
}
