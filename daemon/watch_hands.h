/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hear of placements by hand (bpf/hands.bpf.c). Apart from the sampler: a kernel that lacks what
 * these programs attach to is no reason not to sample. All of it is file descriptors of
 * this process, as with the sampler. One thread at a time.
 */
#ifndef EMBER_WATCH_HANDS_H
#define EMBER_WATCH_HANDS_H

#include <stdint.h>

#include "ember/hands.h"

struct ember_hands_watch;

/* From now on; needs CAP_BPF and CAP_PERFMON. 0 or -errno. */
int ember_hands_watch_open(struct ember_hands_watch **ret);

/* NULL is fine. Returns NULL. */
struct ember_hands_watch *ember_hands_watch_close(struct ember_hands_watch *watch);

/* @event is valid during the call. */
typedef void (*ember_hand_handler)(const struct ember_hand_event *event, void *userdata);

/* Hand what waits to @handler, in order. Never blocks. NULL is fine. */
void ember_hands_watch_consume(struct ember_hands_watch *watch, ember_hand_handler handler,
			       void *userdata);

/* Placements that were not heard of since it was opened. NULL: 0. */
uint64_t ember_hands_watch_lost(const struct ember_hands_watch *watch);

#endif /* EMBER_WATCH_HANDS_H */
