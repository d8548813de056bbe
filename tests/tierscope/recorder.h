/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes what was counted, once a second, and cuts the time at markers that somebody
 * else appends to the same file. Has a thread of its own from recorder_start() to
 * recorder_stop(). README.md specifies the files.
 */
#ifndef TIERSCOPE_RECORDER_H
#define TIERSCOPE_RECORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "counts.h"
#include "options.h"
#include "pages.h"

#define RECORDER_MARKER_LEN 64

struct recorder {
	const struct options *options;
	const struct vcpu_counts *vcpus;
	uint32_t nr_vcpus;
	struct pages *pages; /* NULL: not counted */

	int fd;      /* FILE */
	int mem_fd;  /* FILE.mem, or -1 */
	int vcpu_fd; /* FILE.vcpu, or -1 */
	off_t seen;  /* FILE has been looked at up to here */

	uint64_t load_ns;   /* when the plugin was loaded; the clock's 0 */
	uint64_t second_ns; /* begin of the second that is running */
	uint64_t dump_ns;   /* when the pages were last written */
	struct counts before[COUNTS_MAX_VCPUS];

	uint32_t phase; /* number of markers so far */
	char marker[RECORDER_MARKER_LEN];
	uint64_t phase_ns; /* when the phase began */

	pthread_t thread;
	bool started;
	bool stop;
};

/*
 * Opens the files. Returns 0 or a negative errno. options, vcpus and pages stay the
 * caller's and must outlive the recorder.
 */
int recorder_open(struct recorder *recorder, const struct options *options,
		  const struct vcpu_counts *vcpus, uint32_t nr_vcpus, struct pages *pages);

/* Starts the thread. Returns 0 or a negative errno. */
int recorder_start(struct recorder *recorder);

/* Ends the thread, writes what was counted since the last line, closes the files. */
void recorder_stop(struct recorder *recorder);

#endif /* TIERSCOPE_RECORDER_H */
