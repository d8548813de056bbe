// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "marker.h"
#include "recorder.h"

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define POLL_NS (20 * NSEC_PER_MSEC) /* how late a marker is noticed at most */
#define LINE_LEN 1024                /* 16 memories, two columns of 20 digits each */
#define VCPU_LINE_LEN (64 * 1024)    /* 64 vCPUs, a column for each of 16 memories */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static uint64_t since_load_ms(const struct recorder *recorder, uint64_t time_ns)
{
	return (time_ns - recorder->load_ns) / NSEC_PER_MSEC;
}

/* Whole lines only: a short write would tear one. Complaints go where QEMU's go. */
static ssize_t write_line(int fd, const char *line, int len)
{
	ssize_t n = len < 0 ? len : write(fd, line, len);

	if (n != len || n < 0)
		fprintf(stderr, "tierscope: Failed to write a line: %s\n",
			strerror(len < 0 ? -len : errno));
	return n;
}

static void write_mem_line(const struct recorder *recorder, uint64_t time_ns,
			   const struct counts *diff)
{
	char line[LINE_LEN];

	if (recorder->mem_fd < 0)
		return;
	write_line(recorder->mem_fd, line,
		   counts_format_mems(line, sizeof(line), since_load_ms(recorder, time_ns), diff,
				      recorder->options->nr_mems));
}

static void write_vcpu_line(const struct recorder *recorder, uint64_t time_ns,
			    const struct counts *diffs)
{
	static char line[VCPU_LINE_LEN]; /* one thread writes */

	if (recorder->vcpu_fd < 0)
		return;
	write_line(recorder->vcpu_fd, line,
		   counts_format_vcpus(line, sizeof(line), since_load_ms(recorder, time_ns), diffs,
				       recorder->nr_vcpus, recorder->options->nr_mems));
}

/* One line with everything since the line before. */
static void write_counts(struct recorder *recorder, uint64_t time_ns)
{
	const struct options *options = recorder->options;
	static struct counts diffs[COUNTS_MAX_VCPUS]; /* one thread writes */
	struct counts diff;
	char line[LINE_LEN];

	for (uint32_t v = 0; v < recorder->nr_vcpus; v++) {
		struct counts now;

		counts_read(&now, &recorder->vcpus[v]);
		counts_diff(&diffs[v], &now, &recorder->before[v]);
		recorder->before[v] = now;
	}
	counts_sum(&diff, diffs, recorder->nr_vcpus);

	write_line(recorder->fd, line,
		   counts_format_tiers(line, sizeof(line), since_load_ms(recorder, time_ns), &diff,
				       options->mems, options->nr_mems));
	write_mem_line(recorder, time_ns, &diff);
	write_vcpu_line(recorder, time_ns, diffs);
}

static void write_pages_header(const struct recorder *recorder, uint64_t time_ns, FILE *file)
{
	uint64_t from_ms = since_load_ms(recorder, recorder->phase_ns);
	uint64_t to_ms = since_load_ms(recorder, time_ns);

	fprintf(file,
		"# phase %" PRIu32 " marker %s from %" PRIu64 ".%03" PRIu64 " to %" PRIu64
		".%03" PRIu64 "\n",
		recorder->phase, recorder->marker, from_ms / 1000, from_ms % 1000, to_ms / 1000,
		to_ms % 1000);
}

static int write_pages_file(struct recorder *recorder, uint64_t time_ns, const char *path,
			    bool reset)
{
	FILE *file = fopen(path, "we");
	int r;

	if (!file)
		return -errno;
	write_pages_header(recorder, time_ns, file);
	pages_dump(recorder->pages, file, reset);
	r = ferror(file) ? -EIO : 0;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

/* Puts the pages of the running phase in place of what was there; with reset they start anew. */
static void write_pages(struct recorder *recorder, uint64_t time_ns, bool reset)
{
	char path[4096], draft[4096 + 8];
	int r;

	if (!recorder->pages)
		return;
	recorder->dump_ns = time_ns;
	snprintf(path, sizeof(path), "%s.%" PRIu32, recorder->options->pages, recorder->phase);
	snprintf(draft, sizeof(draft), "%s.new", path);
	r = write_pages_file(recorder, time_ns, draft, reset);
	if (r == 0 && rename(draft, path) < 0)
		r = -errno;
	if (r < 0)
		fprintf(stderr, "tierscope: Failed to write %s: %s\n", path, strerror(-r));
}

/*
 * Reads what FILE has grown by since it was last looked at (our own lines are in it,
 * too). Returns how many whole marker lines there are and stores the last one's name.
 */
static int read_markers(struct recorder *recorder, char *name, size_t name_len)
{
	char text[4096];
	struct marker_scan scan;
	ssize_t n;

	n = pread(recorder->fd, text, sizeof(text), recorder->seen);
	if (n <= 0)
		return 0;
	scan = marker_scan(text, n, name, name_len);
	/* A line as long as this is nobody's marker; step over it rather than stop here. */
	recorder->seen += scan.consumed || n < (ssize_t)sizeof(text) ? (ssize_t)scan.consumed : n;
	return scan.nr_markers;
}

/* Closes the time before a marker, then starts a new phase and a new second. */
static void look_for_markers(struct recorder *recorder)
{
	char name[RECORDER_MARKER_LEN];
	int nr_markers;
	uint64_t now;

	nr_markers = read_markers(recorder, name, sizeof(name));
	if (nr_markers == 0)
		return;

	now = now_ns();
	write_counts(recorder, now);
	write_pages(recorder, now, true);

	recorder->second_ns = now;
	recorder->phase_ns = now;
	recorder->phase += nr_markers;
	memcpy(recorder->marker, name, sizeof(name));
}

static void end_second(struct recorder *recorder)
{
	uint64_t now = now_ns();

	write_counts(recorder, now);
	/* Seconds that this thread slept through are one line, not several empty ones. */
	recorder->second_ns += (now - recorder->second_ns) / NSEC_PER_SEC * NSEC_PER_SEC;
	if (recorder->pages)
		pages_switch_bank(recorder->pages);
	if (now - recorder->dump_ns >= recorder->options->pages_every_s * NSEC_PER_SEC)
		write_pages(recorder, now, false);
}

static void *record(void *arg)
{
	struct recorder *recorder = arg;
	const struct timespec pause = {.tv_nsec = POLL_NS};

	while (!__atomic_load_n(&recorder->stop, __ATOMIC_ACQUIRE)) {
		nanosleep(&pause, NULL);
		look_for_markers(recorder);
		if (now_ns() - recorder->second_ns >= NSEC_PER_SEC)
			end_second(recorder);
	}
	return NULL;
}

static int open_for_append(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0644);

	return fd < 0 ? -errno : fd;
}

/* A file beside FILE that nobody else writes to. */
static int open_beside(const struct recorder *recorder, const char *suffix)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s", recorder->options->out, suffix);
	return open_for_append(path, O_TRUNC);
}

/* More than two memories do not show in the tiers' columns. */
static int open_mem_files(struct recorder *recorder)
{
	const struct options *options = recorder->options;
	static char header[VCPU_LINE_LEN];

	recorder->mem_fd = recorder->vcpu_fd = -1;
	if (options->nr_mems <= 2)
		return 0;
	recorder->mem_fd = open_beside(recorder, ".mem");
	if (recorder->mem_fd < 0)
		return recorder->mem_fd;
	write_line(
	    recorder->mem_fd, header,
	    counts_format_mems_header(header, sizeof(header), options->mems, options->nr_mems));
	recorder->vcpu_fd = open_beside(recorder, ".vcpu");
	if (recorder->vcpu_fd < 0)
		return recorder->vcpu_fd;
	write_line(recorder->vcpu_fd, header,
		   counts_format_vcpus_header(header, sizeof(header), recorder->nr_vcpus,
					      options->mems, options->nr_mems));
	return 0;
}

static void close_files(struct recorder *recorder)
{
	close(recorder->fd);
	if (recorder->mem_fd >= 0)
		close(recorder->mem_fd);
	if (recorder->vcpu_fd >= 0)
		close(recorder->vcpu_fd);
}

int recorder_open(struct recorder *recorder, const struct options *options,
		  const struct vcpu_counts *vcpus, uint32_t nr_vcpus, struct pages *pages)
{
	int r;

	*recorder = (struct recorder){
	    .options = options,
	    .vcpus = vcpus,
	    .nr_vcpus = nr_vcpus < COUNTS_MAX_VCPUS ? nr_vcpus : COUNTS_MAX_VCPUS,
	    .pages = pages,
	    .load_ns = now_ns(),
	    .marker = "-",
	};
	recorder->second_ns = recorder->load_ns;
	recorder->phase_ns = recorder->load_ns;
	recorder->dump_ns = recorder->load_ns;

	recorder->fd = open_for_append(options->out, 0);
	if (recorder->fd < 0)
		return recorder->fd;
	/* What an earlier run left in FILE is not ours to interpret. */
	recorder->seen = lseek(recorder->fd, 0, SEEK_END);

	r = open_mem_files(recorder);
	if (r < 0)
		close_files(recorder);
	return r;
}

int recorder_start(struct recorder *recorder)
{
	sigset_t all, before;
	int r;

	/* QEMU's signals are for QEMU's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&recorder->thread, NULL, record, recorder);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	recorder->started = r == 0;
	return -r;
}

void recorder_stop(struct recorder *recorder)
{
	__atomic_store_n(&recorder->stop, true, __ATOMIC_RELEASE);
	if (recorder->started)
		pthread_join(recorder->thread, NULL);

	look_for_markers(recorder);
	write_counts(recorder, now_ns());
	write_pages(recorder, now_ns(), false);
	close_files(recorder);
}
