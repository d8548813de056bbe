/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checking program: its pages have known contents all the time, and it verifies
 * them all the time, while they move between two nodes.
 *
 * Pages are images (tests/lib/image.h). Writer threads verify a page, then write its next
 * generation, and increase counters. A mover thread moves random selections there and back, by the
 *module and by move_pages(2) in turns.
 *
 *	migrate_check [--seconds N] [--pages N] [--writers N] [--min-moved N]
 *		      [--dma] [--break flip|drop]
 *
 * --dma: the module shall have the pages copied by a DMA engine, if it has one.
 * Fails on any mismatch, and when the module moved fewer pages than --min-moved. With --break
 * the mover is broken on purpose, and the program fails when it does NOT find out:
 *
 *	flip	changes one bit of a page after a move
 *	drop	moves pages itself, by copying and remapping without stopping
 *		the writers, so that updates in between are lost
 */
#include <errno.h>
#include <getopt.h>
#include <numaif.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/image.h"

#define MAX_WRITERS 8

enum breakage {
	BREAK_NOTHING,
	BREAK_FLIP,
	BREAK_DROP,
};

static struct options {
	unsigned int seconds;
	size_t nr_pages;
	unsigned int nr_writers;
	unsigned long min_moved;
	uint32_t flags; /* EMBER_MIGRATE_* */
	enum breakage breakage;
} options = {.seconds = 20, .nr_pages = 8192, .nr_writers = 2, .min_moved = 15000};

static struct image *area;
static struct truth *truths;
static bool stop;
static unsigned long nr_mismatches, nr_verified, nr_counted;
static unsigned long nr_moved_module, nr_moved_syscall, nr_to_node[2];

static uint64_t place_of(const struct image *image)
{
	return (uint64_t)(uintptr_t)image;
}

static void verify(const struct image *image, uint64_t generation)
{
	__atomic_fetch_add(&nr_verified, 1, __ATOMIC_RELAXED);
	if (image_is(image, place_of(image), generation))
		return;
	if (__atomic_fetch_add(&nr_mismatches, 1, __ATOMIC_RELAXED) < 10)
		image_print(image, place_of(image), generation);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* Writes pages at random and verifies the whole area from end to end, in turns. */
static void *writer(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	size_t next = 0, page;

	while (!stopped()) {
		page = random_next(&random) % options.nr_pages;
		truth_lock(&truths[page]);
		verify(&area[page], truths[page].generation);
		image_write(&area[page], place_of(&area[page]), ++truths[page].generation);
		truth_unlock(&truths[page]);

		page = next++ % options.nr_pages;
		truth_lock(&truths[page]);
		verify(&area[page], truths[page].generation);
		truth_unlock(&truths[page]);

		page = random_next(&random) % options.nr_pages;
		__atomic_fetch_add(&area[page].counter, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&nr_counted, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void flip(uint64_t *random)
{
	size_t page = random_next(random) % options.nr_pages;

	__atomic_fetch_xor(&area[page].body[random_next(random) % IMAGE_BODY_WORDS], 1,
			   __ATOMIC_RELAXED);
}

/* A move as one would write it who forgets the writers. */
static void copy_and_remap(const uint8_t *mask)
{
	for (size_t page = 0; page < options.nr_pages; page++) {
		char *copy;

		if (!mask[page])
			continue;
		copy = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
		if (copy == MAP_FAILED)
			fail("mmap: %s", strerror(errno));
		memcpy(copy, &area[page], PAGE_BYTES);
		if (mremap(copy, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
			   &area[page]) == MAP_FAILED)
			fail("mremap: %s", strerror(errno));
	}
}

static void move_by_module(struct ember_nl *nl, const struct ember_identity *self,
			   const uint8_t *mask, uint8_t *outcome, uint32_t node)
{
	long moved =
	    ember_nl_move(nl, self, area, options.nr_pages, mask, node, options.flags, outcome);

	if (moved < 0)
		fail("the module: %s", strerror((int)-moved));
	nr_moved_module += (unsigned long)moved;
	nr_to_node[node] += (unsigned long)moved;
}

static void move_by_syscall(const uint8_t *mask, int node)
{
	static void *pages[65536];
	static int nodes[65536], status[65536];
	size_t nr = 0;

	for (size_t page = 0; page < options.nr_pages && nr < 65536; page++) {
		if (!mask[page])
			continue;
		pages[nr] = &area[page];
		status[nr] = -1;
		nodes[nr++] = node;
	}
	if (move_pages(0, nr, pages, NULL, status, 0) < 0)
		fail("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < nr; i++)
		nr_moved_syscall -= status[i] == node;
	move_pages(0, nr, pages, nodes, status, MPOL_MF_MOVE);
	if (move_pages(0, nr, pages, NULL, status, 0) < 0)
		fail("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < nr; i++)
		nr_moved_syscall += status[i] == node;
}

/* Dense, every second, or a random eighth: runs of all lengths. */
static void choose(uint8_t *mask, uint64_t *random)
{
	unsigned int kind = random_next(random) % 3;

	for (size_t page = 0; page < options.nr_pages; page++)
		mask[page] = kind == 0 || (kind == 1 && page % 2) ||
			     (kind == 2 && random_next(random) % 8 == 0);
}

static void *mover(void *arg)
{
	uint8_t *mask = calloc(2, options.nr_pages), *outcome = mask + options.nr_pages;
	struct ember_identity self;
	uint64_t random = 1;
	struct ember_nl nl;
	int err;

	err = ember_nl_start(&nl);
	if (!err)
		err = ember_nl_self(&self);
	if (err || !mask)
		fail("family ember: %s", strerror(-err));
	for (unsigned int round = 0; !stopped(); round++) {
		uint32_t node = round / 2 % 2;

		choose(mask, &random);
		if (options.breakage == BREAK_DROP)
			copy_and_remap(mask);
		else if (round % 4 == 3)
			move_by_syscall(mask, (int)node);
		else
			move_by_module(&nl, &self, mask, outcome, node);
		if (options.breakage == BREAK_FLIP)
			flip(&random);
	}
	ember_nl_close(&nl);
	free(mask);
	return NULL;
}

static enum breakage parse_breakage(const char *text)
{
	if (!strcmp(text, "flip"))
		return BREAK_FLIP;
	if (!strcmp(text, "drop"))
		return BREAK_DROP;
	fail("--break %s: flip or drop", text);
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
	    {"seconds", required_argument, NULL, 's'},
	    {"pages", required_argument, NULL, 'p'},
	    {"writers", required_argument, NULL, 'w'},
	    {"min-moved", required_argument, NULL, 'm'},
	    {"break", required_argument, NULL, 'b'},
	    {"dma", no_argument, NULL, 'd'},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 's')
			options.seconds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 'p')
			options.nr_pages = strtoul(optarg, NULL, 0);
		else if (option == 'w')
			options.nr_writers = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 'm')
			options.min_moved = strtoul(optarg, NULL, 0);
		else if (option == 'd')
			options.flags |= EMBER_MIGRATE_DMA;
		else if (option == 'b')
			options.breakage = parse_breakage(optarg);
		else
			exit(2);
	}
	if (!options.seconds || !options.nr_pages || options.nr_writers > MAX_WRITERS)
		fail("bad option");
}

static void prepare(void)
{
	area = area_map(options.nr_pages);
	truths = calloc(options.nr_pages, sizeof(*truths));
	if (!truths)
		fail("out of memory");
	for (size_t page = 0; page < options.nr_pages; page++)
		image_write(&area[page], place_of(&area[page]), 0);
}

static void run(void)
{
	pthread_t threads[MAX_WRITERS + 1];
	unsigned int nr = 0;

	for (; nr < options.nr_writers; nr++)
		pthread_create(&threads[nr], NULL, writer, (void *)(uintptr_t)(nr + 1));
	pthread_create(&threads[nr++], NULL, mover, NULL);
	sleep(options.seconds);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	while (nr)
		pthread_join(threads[--nr], NULL);
	for (size_t page = 0; page < options.nr_pages; page++)
		verify(&area[page], truths[page].generation);
}

int main(int argc, char **argv)
{
	unsigned long counted;

	parse_options(argc, argv);
	prepare();
	run();
	counted = image_sum(area, options.nr_pages);
	printf("moved by the module %lu (to node 0: %lu, to node 1: %lu), by move_pages(2) %lu; "
	       "verified %lu pages; counted %lu\n",
	       nr_moved_module, nr_to_node[0], nr_to_node[1], nr_moved_syscall, nr_verified,
	       nr_counted);
	if (options.breakage) {
		expect(nr_mismatches || counted != nr_counted,
		       "a broken mover is caught: want mismatches or lost counts, saw %lu "
		       "mismatches, %lu counts lost",
		       nr_mismatches, nr_counted - counted);
		return expect_status();
	}
	expect(!nr_mismatches, "mismatches: want 0, saw %lu", nr_mismatches);
	expect(counted == nr_counted, "sum of the counters: want %lu, saw %lu", nr_counted,
	       counted);
	expect(nr_moved_module >= options.min_moved,
	       "pages moved by the module in %u s: want at least %lu, saw %lu", options.seconds,
	       options.min_moved, nr_moved_module);
	expect(nr_to_node[0] && nr_to_node[1], "both ways: saw %lu and %lu", nr_to_node[0],
	       nr_to_node[1]);
	return expect_status();
}
