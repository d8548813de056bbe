// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch_hands.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* The light skeleton, as in sample.c. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "hands.skel.h"
#pragma GCC diagnostic pop

#include "util/cleanup.h"

/* More than the ring holds: who places as fast as this reads does not keep it from ending. */
#define MAX_CONSUMED 16384
#define MAX_OVERFLOWS 1024

struct ember_hands_watch {
	struct hands *skel;
	struct ring_buffer *ring;

	/* During ember_hands_watch_consume() only. */
	ember_hand_handler handler;
	void *userdata;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int handle_event(void *context, void *data, size_t size)
{
	struct ember_hands_watch *watch = context;

	if (size >= sizeof(struct ember_hand_event))
		watch->handler(data, watch->userdata);
	return 0;
}

static int bring_up(struct ember_hands_watch *watch)
{
	int r;

	watch->skel = hands__open();
	if (!watch->skel)
		return -ENOMEM;
	watch->skel->rodata->own_tgid = getpid();
	r = hands__load(watch->skel);
	if (r < 0)
		return r;
	watch->ring =
	    ring_buffer__new(watch->skel->maps.hand_events.map_fd, handle_event, watch, NULL);
	if (!watch->ring)
		return -errno;
	return hands__attach(watch->skel);
}

static void closep(struct ember_hands_watch **watch)
{
	ember_hands_watch_close(*watch);
}

int ember_hands_watch_open(struct ember_hands_watch **ret)
{
	_cleanup_(closep) struct ember_hands_watch *watch = calloc(1, sizeof(*watch));
	int r = watch ? bring_up(watch) : -ENOMEM;

	if (r < 0)
		return r;
	*ret = TAKE_PTR(watch);
	return 0;
}

struct ember_hands_watch *ember_hands_watch_close(struct ember_hands_watch *watch)
{
	if (!watch)
		return NULL;
	ring_buffer__free(watch->ring);
	if (watch->skel)
		hands__destroy(watch->skel);
	free(watch);
	return NULL;
}

/*
 * Of processes that overflowed the ring. With the time of now: it must not shorten what the ring
 * has told of them since. Taken out one by one, and no more than there is room for: who adds as
 * fast as this reads does not keep it from ending.
 */
static void take_overflows(struct ember_hands_watch *watch)
{
	int fd = watch->skel->maps.hand_overflows.map_fd;
	struct ember_hand_event event;
	uint32_t tgid;

	for (int i = 0; i < MAX_OVERFLOWS && bpf_map_get_next_key(fd, NULL, &tgid) == 0; i++) {
		if (bpf_map_lookup_and_delete_elem(fd, &tgid, &event) < 0)
			continue;
		event.time_ns = now_ns();
		watch->handler(&event, watch->userdata);
	}
}

void ember_hands_watch_consume(struct ember_hands_watch *watch, ember_hand_handler handler,
			       void *userdata)
{
	if (!watch)
		return;
	watch->handler = handler;
	watch->userdata = userdata;
	ring_buffer__consume_n(watch->ring, MAX_CONSUMED);
	take_overflows(watch);
}

/* The kernel does not start a program on a CPU where it is preempted in that program. */
static uint64_t missed_runs(int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 info_bytes = sizeof(info);

	return bpf_prog_get_info_by_fd(prog_fd, &info, &info_bytes) < 0 ? 0 : info.recursion_misses;
}

uint64_t ember_hands_watch_lost(const struct ember_hands_watch *watch)
{
	if (!watch)
		return 0;
	return watch->skel->bss->nr_lost + watch->skel->bss->nr_unread +
	       missed_runs(watch->skel->progs.ember_mbind.prog_fd) +
	       missed_runs(watch->skel->progs.ember_move_pages.prog_fd) +
	       missed_runs(watch->skel->progs.ember_movememory.prog_fd);
}
