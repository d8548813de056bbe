/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Speaking the netlink family "ember" from tests. Raw netlink on purpose: the tests
 * must be able to send what a library refuses to build, and must not share mistakes
 * with the daemon's client.
 *
 * Functions return 0 or a count on success and a negative errno otherwise.
 */
#ifndef EMBER_TESTS_EMBER_NL_H
#define EMBER_TESTS_EMBER_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/ember.h>
#include <linux/netlink.h>

#define EMBER_NL_REGION_PAGES 512
#define EMBER_NL_REGION_BYTES (2UL << 20)

/* As a destination: the pool of this id. */
#define EMBER_NL_POOL_BIT 0x40000000U
#define EMBER_NL_POOL(id) (EMBER_NL_POOL_BIT | (id))

static inline bool ember_nl_is_pool(uint32_t node)
{
	return node & EMBER_NL_POOL_BIT;
}

struct ember_identity {
	uint32_t tgid;
	uint64_t start_ns;
	uint32_t exec_id;
};

struct ember_nl_region {
	uint64_t addr;
	uint64_t pages[8];    /* asked */
	unsigned int nr_runs; /* of a result */
	struct ember_run runs[EMBER_NL_REGION_PAGES];
};

/* A request, and later its result. */
struct ember_nl_job {
	uint64_t id;
	struct ember_identity target;
	uint32_t node; /* or EMBER_NL_POOL(id) */
	uint32_t flags;
	uint32_t limit_ns; /* 0: not asked for */
	unsigned int nr_regions;
	struct ember_nl_region regions[EMBER_MAX_REGIONS];
	/* Result. */
	uint32_t state;
	int32_t status;
	uint64_t time_ns;
	uint64_t longest_lock_ns;
	uint64_t longest_unmapped_ns;
	uint32_t nr_asked;
	uint32_t nr_moved;
};

/* EMBER_A_INFO_COPY */
struct ember_nl_copy {
	uint32_t channels;
	uint64_t cpu_pages;
	uint64_t dma_pages;
	uint64_t fallbacks;
	uint64_t timeouts;
	uint64_t leaked_pages;
	uint32_t cpu_ns[EMBER_COPY_CLASSES];
	uint32_t dma_ns[EMBER_COPY_CLASSES];
};

struct ember_nl_info {
	uint32_t abi;
	uint32_t features;
	uint32_t max_regions;
	uint32_t credits;
	char version[64];
	struct ember_nl_copy copy;
};

/* A netlink message under construction, or a received payload. */
struct ember_nl_msg {
	size_t len;
	uint8_t data[65536];
};

struct ember_nl {
	int fd;
	uint16_t family;
	uint32_t seq;
	bool lossy;            /* answers may be lost, too: ENOBUFS ends the wait for one */
	unsigned int nr_early; /* RESULTs that came while something else was awaited */
	struct ember_nl_job *early[4 * EMBER_CREDITS];
};

/* -ENOENT: the module is not loaded. */
int ember_nl_open(struct ember_nl *nl);
/* Loads the module first. */
int ember_nl_start(struct ember_nl *nl);
void ember_nl_close(struct ember_nl *nl);
/* Identity of the calling process. Needs CAP_BPF and CAP_PERFMON. */
int ember_nl_self(struct ember_identity *ret_identity);

/* Both, with the module; without the identity if NULL. Exits on failure. */
void ember_nl_begin(struct ember_nl *nl, struct ember_identity *ret_self);

int ember_nl_get_info(struct ember_nl *nl, struct ember_nl_info *ret_info);
int ember_nl_migrate(struct ember_nl *nl, const struct ember_nl_job *job);
/* Sends the request and does not wait for its acknowledgement. */
int ember_nl_post(struct ember_nl *nl, const struct ember_nl_job *job);
int ember_nl_wait(struct ember_nl *nl, struct ember_nl_job *job, int timeout_ms);
int ember_nl_get_result(struct ember_nl *nl, struct ember_nl_job *job);
int ember_nl_ack(struct ember_nl *nl, uint64_t id);
int ember_nl_cancel(struct ember_nl *nl, uint64_t id);
int ember_nl_dump(struct ember_nl *nl, struct ember_nl_job *ret_jobs, unsigned int max);

/* Own physical memory; @node -1: as the firmware says. Returns the pool's id; not ready yet. */
int ember_nl_pool_add(struct ember_nl *nl, uint64_t start, uint64_t bytes, int node);
/* Begins to remove it. */
int ember_nl_pool_remove(struct ember_nl *nl, uint32_t id);

/* Message building, for tests that send nonsense. */
void ember_nl_msg_init(struct ember_nl_msg *msg, uint16_t type, uint16_t flags, uint8_t cmd);
void *ember_nl_put(struct ember_nl_msg *msg, uint16_t type, const void *data, size_t len);
void ember_nl_put_u32(struct ember_nl_msg *msg, uint16_t type, uint32_t value);
void ember_nl_put_u64(struct ember_nl_msg *msg, uint16_t type, uint64_t value);
size_t ember_nl_nest(struct ember_nl_msg *msg, uint16_t type);
void ember_nl_nest_end(struct ember_nl_msg *msg, size_t nest);
/* Sends, calls fn for every message of the answer, and returns the error of the acknowledgement. */
int ember_nl_ask(struct ember_nl *nl, struct ember_nl_msg *msg,
		 void (*fn)(const struct nlmsghdr *hdr, void *arg), void *arg);

/* Reading of what the kernel sends. */
typedef void (*ember_nl_attr_fn)(unsigned int type, const void *data, size_t len, void *arg);
void ember_nl_each(const void *data, size_t len, ember_nl_attr_fn fn, void *arg);
/* A RESULT or an answer of GET_RESULT. */
void ember_nl_parse(const struct nlmsghdr *hdr, struct ember_nl_job *ret_job);
/* Sends and returns the error of the acknowledgement. */
int ember_nl_send(struct ember_nl *nl, struct ember_nl_msg *msg);

/* A job for nr pages from addr; mask: byte per page, 0: not asked; NULL: all. */
int ember_nl_job_fill(struct ember_nl_job *job, const void *addr, size_t nr, const uint8_t *mask);
/* Checks that the runs cover what was asked; writes them to a byte per page from addr. */
int ember_nl_job_outcomes(const struct ember_nl_job *job, const void *addr, size_t nr,
			  uint8_t *outcome);
/* Number of pages of each outcome, by the runs. */
void ember_nl_job_count(const struct ember_nl_job *job, size_t count[EMBER_OUTCOME_MAX + 1]);
/* As many requests in turn as it takes. Returns the number of pages moved. */
long ember_nl_move(struct ember_nl *nl, const struct ember_identity *target, const void *addr,
		   size_t nr, const uint8_t *mask, uint32_t node, uint32_t flags, uint8_t *outcome);

const char *ember_outcome_name(unsigned int outcome);

#endif /* EMBER_TESTS_EMBER_NL_H */
