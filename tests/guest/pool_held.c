// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes through plain references (kmod/tests/ember_test_hold.c), as a reply to a direct read makes
 * them, to pages that come and go between a node and a pool: none is lost.
 *
 *	pool_held START BYTES [SECONDS]		a range that the kernel's command line sets apart
 *
 * Fails if the writes and the moves did not meet: pages that were refused because somebody held
 *them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/pool.h"

#define NR 64UL
#define LONGEST_US 3000

struct order {
	uint64_t addr, value, delay_us;
};

struct writer {
	uint64_t *area;
	int fd;
	unsigned long nr_written, nr_lost;
	bool stop;
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void load_module(void)
{
	struct utsname name;
	char command[160];

	uname(&name);
	snprintf(command, sizeof(command),
		 "insmod /usr/lib/ember/tests/modules/%s/ember_test_hold.ko", name.release);
	if (access("/dev/ember_test_hold", W_OK) && system(command))
		fail("%s", command);
}

/* Waits of all lengths, so that some end in the middle of a move. */
static void *keep_writing(void *arg)
{
	struct writer *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		uint64_t nr = ++w->nr_written;
		uint64_t *at = w->area + nr % NR * (PAGE_BYTES / sizeof(uint64_t));
		struct order order = {(uint64_t)(uintptr_t)at, nr, nr * 7919 % LONGEST_US};

		if (write(w->fd, &order, sizeof(order)) != sizeof(order))
			fail("ember_test_hold: %s", strerror(errno));
		w->nr_lost += __atomic_load_n(at, __ATOMIC_RELAXED) != nr;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	size_t count[EMBER_OUTCOME_MAX + 1] = {0};
	struct ember_identity self;
	struct writer writer = {0};
	uint8_t outcome[NR];
	struct ember_nl nl;
	pthread_t thread;
	double deadline;
	int pool;

	if (argc < 3)
		return 2;
	load_module();
	ember_nl_begin(&nl, &self);
	pool = pool_add(&nl, strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
	writer.area = area_map(NR);
	area_fill(writer.area, NR, 0, 1);
	writer.fd = open("/dev/ember_test_hold", O_WRONLY | O_CLOEXEC);
	if (writer.fd < 0 || pthread_create(&thread, NULL, keep_writing, &writer))
		fail("the writer: %s", strerror(errno));
	deadline = now_s() + (argc > 3 ? strtod(argv[3], NULL) : 10);
	for (unsigned int i = 0; now_s() < deadline; i++) {
		if (ember_nl_move(&nl, &self, writer.area, NR, NULL,
				  i % 2 ? 0 : EMBER_NL_POOL(pool), 0, outcome) < 0)
			fail("a request failed");
		for (size_t page = 0; i % 2 && page < NR; page++)
			count[outcome[page]]++;
	}
	__atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	expect(!writer.nr_lost,
	       "%lu writes through references to pages that move: want 0 lost, saw %lu",
	       writer.nr_written, writer.nr_lost);
	expect(
	    count[EMBER_OUTCOME_MOVED] > NR &&
		count[EMBER_OUTCOME_PINNED] + count[EMBER_OUTCOME_BUSY],
	    "out of the pool: %zu pages moved, %zu were held, %zu no longer when it was asked why",
	    count[EMBER_OUTCOME_MOVED], count[EMBER_OUTCOME_PINNED], count[EMBER_OUTCOME_BUSY]);
	close(writer.fd);
	expect(pool_remove(&nl, pool), "the pool goes");
	ember_nl_close(&nl);
	return expect_status();
}
