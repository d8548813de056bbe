/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sample: what was touched? The only file that knows libbpf.
 *
 * A sampler is the set of loaded BPF programs, their maps and attachments. Everything
 * it holds is file descriptors of this process: when the process ends, however it ends,
 * nothing stays attached.
 *
 * Not thread-safe: one thread at a time, normally the scan thread, uses a sampler. Two
 * samplers may exist side by side and do not see each other's processes, but share the
 * accessed bits.
 *
 * Functions return 0 (or a count) on success and a negative errno on failure, and leave
 * ret_* untouched then.
 */
#ifndef EMBER_SAMPLE_DAEMON_H
#define EMBER_SAMPLE_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ember/sample.h"
#include "ember/stats.h"
#include "proc_id.h"

struct ember_sampler;

struct ember_sampler_config {
	/* One sample in this many page faults of each CPU. 0: no fault sampling. */
	uint32_t fault_period;
	/* EMBER_EVENT_GROW after this many samples of an untracked process. 0: never. */
	uint32_t grow_samples;
	/* Room for processes to track. */
	uint32_t max_tracked;
	/* Size of the event ring; a power of two and a multiple of the page size. */
	uint32_t ring_bytes;
	/* Fork and exec of every process, not only of tracked ones. */
	bool all_processes;
};

/* 64: some 40 samples per 10 MiB touched; 256 KiB: 5400 events. */
#define EMBER_SAMPLER_CONFIG_DEFAULT                                                               \
	((struct ember_sampler_config){                                                            \
	    .fault_period = 64,                                                                    \
	    .grow_samples = 64,                                                                    \
	    .max_tracked = 4096,                                                                   \
	    .ring_bytes = 256 * 1024,                                                              \
	    .all_processes = true,                                                                 \
	})

/* Why there is no sampler. One line of text each, saying what to do. */
enum ember_sampler_reason {
	EMBER_SAMPLER_OK,
	EMBER_SAMPLER_NO_BTF,
	EMBER_SAMPLER_NO_MODULE,
	EMBER_SAMPLER_OTHER_MODULE,
	EMBER_SAMPLER_NO_CAPABILITY,
	EMBER_SAMPLER_NO_MEMORY,
	EMBER_SAMPLER_REFUSED,
};

const char *ember_sampler_reason_text(enum ember_sampler_reason reason);

/**
 * ember_sampler_open - load and attach everything
 * @config: copied
 * @ret: the sampler; to be given to ember_sampler_close()
 * @ret_reason: what to tell the user on failure; may be NULL
 *
 * Needs CAP_BPF and CAP_PERFMON and the module. Takes some 10 ms.
 */
int ember_sampler_open(const struct ember_sampler_config *config, struct ember_sampler **ret,
		       enum ember_sampler_reason *ret_reason);

/* Detaches, unloads and frees; NULL is fine. Returns NULL. */
struct ember_sampler *ember_sampler_close(struct ember_sampler *sampler);

static inline void ember_sampler_closep(struct ember_sampler **sampler)
{
	ember_sampler_close(*sampler);
}

/**
 * ember_sampler_identify - who has this process number now?
 * @tgid: number in the initial pid namespace
 *
 * Errors: -ESRCH (no such process, or the number of a thread).
 */
int ember_sampler_identify(struct ember_sampler *sampler, uint32_t tgid, struct ember_proc_id *ret);

/**
 * ember_sampler_track - report faults and the end of a process
 *
 * Tracking again is no error. Ends by itself on exit and exec.
 * Errors: -ESRCH, -ESTALE (the number belongs to another process or image by now),
 * -E2BIG (max_tracked).
 */
int ember_sampler_track(struct ember_sampler *sampler, const struct ember_proc_id *id);

/* No error if it is not tracked. */
int ember_sampler_untrack(struct ember_sampler *sampler, const struct ember_proc_id *id);

/* Becomes readable when events wait. Owned by the sampler. */
int ember_sampler_event_fd(const struct ember_sampler *sampler);

/* @event is valid during the call. A negative result ends the consuming with this event. */
typedef int (*ember_event_handler)(const struct ember_event *event, void *userdata);

/**
 * ember_sampler_consume - hand waiting events to @handler, in order
 *
 * Never blocks. Return: number of events, or what @handler returned if negative.
 */
int ember_sampler_consume(struct ember_sampler *sampler, ember_event_handler handler,
			  void *userdata);

/**
 * ember_sampler_scan - read the accessed bits of a part of a process
 * @id: whose
 * @req: (in/out) begin with {.cursor, .end, .flags, .budget_ns} and zeros. While
 *       req->stop is BUFFER, TIME or LOCK, call again with the same request for the
 *       rest; every call overwrites the counts.
 * @ret_recs: req->nr_recs records, ordered by address; valid until the next scan
 *
 * Errors: -ESRCH (process is gone), -ESTALE (it is another by now), -EINVAL.
 */
int ember_sampler_scan(struct ember_sampler *sampler, const struct ember_proc_id *id,
		       struct ember_scan_req *req, const struct ember_region_rec **ret_recs);

/* What the programs of a sampler have done since it was opened. */
struct ember_sampler_stats {
	uint64_t counters[EMBER_NR_STATS]; /* enum ember_stat, all CPUs */
	/*
	 * Runs that the kernel left out, since it does not start a program on a CPU where
	 * that program is preempted: as many events may have been lost, unseen. Scans find
	 * them out later, like events without room in the ring.
	 */
	uint64_t nr_missed;
	/*
	 * Time and runs of all programs. Counted by the kernel only while
	 * kernel.bpf_stats_enabled is 1 or the caller may switch it on (CAP_SYS_ADMIN);
	 * scans report their own time in any case.
	 */
	bool cost_known;
	uint64_t run_ns;
	uint64_t nr_runs;
};

int ember_sampler_stats(struct ember_sampler *sampler, struct ember_sampler_stats *ret);

/* Short name and sentence of a counter; NULL beyond the last. */
const char *ember_stat_name(enum ember_stat stat);
const char *ember_stat_sentence(enum ember_stat stat);

#endif /* EMBER_SAMPLE_DAEMON_H */
