/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checking program for every kind of memory: private, shared, tmpfs and file, in folios of 4K,
 * 64K, 2M and in hugetlb pages, read, written and counted in by two processes (private: by two
 * threads of one) while its pages move from every destination to every other, by the mover that
 * ember uses for that kind: the module for private 4K (in turns with move_pages(2)), else
 * the daemon's own code around move_pages(2).
 *
 * In the second half of its time the process forks, again and again: for private memory the child
 * has a copy of what the pages should say, checks them against it, writes and counts on its own;
 * meanwhile the pages of both move. For a file, fsync(2) is called all the time; in the end the
 * page cache is dropped and what is on the disk is compared.
 *
 *	migrate_kinds [--seconds N] [--min-moved N] [--dest node:N[,node:N]...]
 *		      [--only KIND/SIZE[,KIND/SIZE]...] [--pools START+BYTES] [--break flip]
 *
 * --pools: each half of this range, which the kernel's command line sets apart, is a pool and one
 * more destination. Private 4K goes there and back by the module, and from one to the other, with
 * all of the above going on; for every other kind the module is asked, too, and must refuse each
 * page for the reason that is documented. Pools come before each combination and are removed while
 * its process is at work, with its pages in them: all of these must get out. In the end nothing
 * must be left behind on any node.
 *
 * --seconds is for all combinations together. Fails on any mismatch or lost count, on a combination
 * in which a way from one destination to another was not taken, no page moved in folios of
 * that size, or nobody forked; and when fewer than --min-moved pages moved in all. --break flip
 * changes a bit now and then: fails when that is NOT found in each combination.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <numaif.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/movepages.h"
#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/image.h"
#include "tests/lib/memory.h"
#include "tests/lib/pool.h"
#include "tests/lib/settled.h"
#include "tests/lib/textfile.h"

#define NR_REGIONS 4
#define NR_PAGES (NR_REGIONS * REGION_PAGES)
#define AREA_BYTES (NR_PAGES * PAGE_BYTES)
#define MAX_DESTS 8

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* --- Where to ------------------------------------------------------------------------------------
 */

struct dest {
	const struct dest_kind *kind;
	unsigned int id;
	uint64_t start, bytes; /* of a pool */
};

/* A row for each kind of destination that ember has. */
struct dest_kind {
	const char *name;
	uint32_t bit; /* of its id in requests */
	/* move_pages(2) does not know it, and of all kinds of pages only private 4K goes there. */
	bool module_only;
	/* Which pages of the process lie there? @nodes is what move_pages(2) says of them. */
	void (*find)(const struct dest *dest, pid_t pid, const int *nodes, uint8_t *ret_there);
};

static void find_on_node(const struct dest *dest, pid_t pid, const int *nodes, uint8_t *ret_there);
static void find_in_pool(const struct dest *dest, pid_t pid, const int *nodes, uint8_t *ret_there);

static const struct dest_kind node_kind = {"node", 0, false, find_on_node};
static const struct dest_kind pool_kind = {"pool", EMBER_NL_POOL_BIT, true, find_in_pool};

static struct options {
	double seconds;
	unsigned long min_moved;
	const char *only;
	bool flip;
	struct dest dests[MAX_DESTS];
	unsigned int nr_dests, first_pool; /* pools are the last ones */
} options = {.seconds = 60};

/* --- What all processes of a combination share
 * ---------------------------------------------------- */

struct who {
	struct ember_identity identity;
	bool lives;
};

static struct world {
	bool stop, forks;
	bool ready;
	struct memory memory;
	struct who owner, child; /* written by them */
	unsigned long nr_mismatches, nr_verified, nr_forks;
} *world;

/* What the pages should say: shared, or the process's own if the pages are. */
static struct truths {
	unsigned long nr_counted;
	struct truth page[NR_PAGES];
} *truths;

/* Held for reading while a thread is at a page, for writing around a fork. */
static pthread_rwlock_t at_pages;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

static void *map_for_all(size_t bytes, int flags)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	return at;
}

/* --- Those who use the memory
 * --------------------------------------------------------------------- */

static struct image *images(void)
{
	return (struct image *)world->memory.area;
}

static void verify(const struct image *image, size_t page)
{
	uint64_t generation = truths->page[page].generation;

	__atomic_fetch_add(&world->nr_verified, 1, __ATOMIC_RELAXED);
	if (image_is(image, page, generation))
		return;
	if (__atomic_fetch_add(&world->nr_mismatches, 1, __ATOMIC_RELAXED) < 10 && !options.flip)
		image_print(image, page, generation);
}

static void check_page(size_t page)
{
	truth_lock(&truths->page[page]);
	verify(&images()[page], page);
	truth_unlock(&truths->page[page]);
}

static void write_page(size_t page)
{
	truth_lock(&truths->page[page]);
	verify(&images()[page], page);
	image_write(&images()[page], page, ++truths->page[page].generation);
	truth_unlock(&truths->page[page]);
}

static void count_in_page(size_t page)
{
	__atomic_fetch_add(&images()[page].counter, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&truths->nr_counted, 1, __ATOMIC_RELAXED);
}

static void *write_always(void *arg)
{
	uint64_t random = (uint64_t)getpid();

	while (!is_set(&world->stop)) {
		pthread_rwlock_rdlock(&at_pages);
		write_page(random_next(&random) % NR_PAGES);
		count_in_page(random_next(&random) % NR_PAGES);
		pthread_rwlock_unlock(&at_pages);
	}
	return arg;
}

static void *read_always(void *arg)
{
	uint64_t random = 1;

	for (size_t page = 0; !is_set(&world->stop); page = (page + 1) % NR_PAGES) {
		pthread_rwlock_rdlock(&at_pages);
		check_page(page);
		count_in_page(random_next(&random) % NR_PAGES);
		pthread_rwlock_unlock(&at_pages);
	}
	return arg;
}

static void *sync_always(void *arg)
{
	while (!is_set(&world->stop)) {
		if (fsync(world->memory.fd))
			fail("fsync: %s", strerror(errno));
		usleep(20000);
	}
	return arg;
}

static void introduce(struct who *who)
{
	int err = ember_nl_self(&who->identity);

	if (err)
		fail("own identity: %s", strerror(-err));
	set(&who->lives, true);
}

/*
 * What the child has of private memory is a snapshot, and so is what it knows of it. It writes
 * every second page: these are copied, on one side or the other.
 */
_Noreturn static void be_child(void)
{
	unsigned long counted = truths->nr_counted;

	introduce(&world->child);
	for (size_t page = 0; page < NR_PAGES; page++)
		if (page % 2)
			write_page(page);
		else
			check_page(page);
	for (size_t page = 0; page < NR_PAGES; page += 3)
		count_in_page(page);
	for (size_t page = 0; page < NR_PAGES; page++)
		check_page(page);
	set(&world->child.lives, false);
	if (world->memory.kind == MEMORY_PRIVATE)
		_exit(truths->nr_counted == counted + (NR_PAGES + 2) / 3 &&
			      image_sum(images(), NR_PAGES) == truths->nr_counted
			  ? 0
			  : 1);
	_exit(0);
}

static void fork_once(void)
{
	int status = 1;
	pid_t child;

	pthread_rwlock_wrlock(&at_pages);
	child = fork();
	if (child == 0)
		be_child();
	pthread_rwlock_unlock(&at_pages);
	if (child < 0)
		fail("fork: %s", strerror(errno));
	waitpid(child, &status, 0);
	set(&world->child.lives, false);
	if (status)
		printf("mismatch: a child ended with %#x: counts were lost, or it was killed\n",
		       status);
	__atomic_fetch_add(&world->nr_mismatches, status != 0, __ATOMIC_RELAXED);
	world->nr_forks++;
	/* What was copied on write are small pages. */
	if (world->memory.kind == MEMORY_PRIVATE && world->memory.size == MEMORY_2M)
		madvise(world->memory.area, AREA_BYTES, MADV_COLLAPSE);
}

static void *fork_always(void *arg)
{
	while (!is_set(&world->stop)) {
		if (is_set(&world->forks))
			fork_once();
		usleep(5000);
	}
	return arg;
}

static void start(pthread_t *thread, void *(*fn)(void *))
{
	if (pthread_create(thread, NULL, fn, NULL))
		fail("pthread_create");
}

/* Another process that maps the same: it reads. */
static pid_t start_reader(void)
{
	pid_t reader = fork();

	if (reader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		read_always(NULL);
		_exit(0);
	}
	return reader;
}

/* What is on the disk, when nothing of it is in memory any more. */
static void check_file(struct memory *m)
{
	struct image *copy = aligned_alloc(PAGE_BYTES, AREA_BYTES);
	uint8_t resident[NR_PAGES] = {0};
	size_t nr_resident = 0;

	if (fsync(m->fd) || !copy)
		fail("fsync: %s", strerror(errno));
	munmap(m->area, AREA_BYTES);
	textfile_write("/proc/sys/vm/drop_caches", "1");
	m->area = mmap(m->area, AREA_BYTES, PROT_READ, MAP_SHARED, m->fd, 0);
	if (m->area == MAP_FAILED || mincore(m->area, AREA_BYTES, resident))
		fail("mincore: %s", strerror(errno));
	for (size_t page = 0; page < NR_PAGES; page++)
		nr_resident += resident[page] & 1;
	if (pread(m->fd, copy, AREA_BYTES, 0) != (ssize_t)AREA_BYTES)
		fail("read: %s", strerror(errno));
	for (size_t page = 0; page < NR_PAGES; page++)
		verify(&copy[page], page);
	expect(!nr_resident && (image_sum(copy, NR_PAGES) == truths->nr_counted || options.flip),
	       "          on the disk: want %lu counts and 0 pages that were still cached, saw %lu "
	       "and %zu",
	       truths->nr_counted, (unsigned long)image_sum(copy, NR_PAGES), nr_resident);
	free(copy);
}

static void prepare_locks(void)
{
	pthread_rwlockattr_t attr;

	/* Readers come and go all the time: else a writer would never get it. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&at_pages, &attr);
}

static void fill(void *page, size_t nr)
{
	image_write(page, nr, 0);
}

/* The process whose memory it is. */
_Noreturn static void be_owner(void)
{
	struct memory *m = &world->memory;
	bool private = m->kind == MEMORY_PRIVATE;
	pthread_t threads[4];
	unsigned int nr = 0;
	pid_t reader = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	expect_failures = 0; /* those of its parent */
	prepare_locks();
	truths = map_for_all(sizeof(*truths), private ? MAP_PRIVATE : MAP_SHARED);
	memory_map(m, fill);
	introduce(&world->owner);
	if (!private)
		reader = start_reader();
	start(&threads[nr++], write_always);
	start(&threads[nr++], fork_always);
	if (private)
		start(&threads[nr++], read_always);
	if (m->kind == MEMORY_FILE)
		start(&threads[nr++], sync_always);
	set(&world->ready, true);
	while (nr)
		pthread_join(threads[--nr], NULL);
	if (reader)
		waitpid(reader, NULL, 0);
	for (size_t page = 0; page < NR_PAGES; page++)
		check_page(page);
	expect(image_sum(images(), NR_PAGES) == truths->nr_counted,
	       "          counted: want %lu, saw %lu", truths->nr_counted,
	       (unsigned long)image_sum(images(), NR_PAGES));
	if (m->kind == MEMORY_FILE)
		check_file(m);
	memory_unmap(m);
	exit(expect_status());
}

/* --- The one who moves them
 * ----------------------------------------------------------------------- */

static struct ember_nl nl;

struct tally {
	unsigned long nr_module, nr_syscall; /* pages moved by */
	unsigned long nr_whole;              /* in folios of the size under test */
	unsigned long nr_of_child;
	/* Asked for a pool that does not take them: refused as documented, small pages by then. */
	unsigned long nr_asked, nr_refused, nr_changed, nr_other[EMBER_OUTCOME_MAX + 1];
	unsigned long from_to[MAX_DESTS][MAX_DESTS];
};

struct selection {
	unsigned int from, to; /* indices of destinations */
	uint8_t mask[NR_PAGES];
	uint8_t moved[NR_PAGES];
};

static bool goes_by_module(void)
{
	return world->memory.kind == MEMORY_PRIVATE && world->memory.size == MEMORY_4K;
}

static bool is_module_only(unsigned int dest)
{
	return options.dests[dest].kind->module_only;
}

static uint32_t dest_of_request(unsigned int dest)
{
	return options.dests[dest].kind->bit | options.dests[dest].id;
}

static void find_on_node(const struct dest *dest, pid_t pid, const int *nodes, uint8_t *ret_there)
{
	for (size_t i = 0; i < NR_PAGES; i++)
		ret_there[i] = nodes[i] == (int)dest->id;
}

static void find_in_pool(const struct dest *dest, pid_t pid, const int *nodes, uint8_t *ret_there)
{
	pool_find(pid, world->memory.area, NR_PAGES, dest->start, dest->bytes, ret_there);
}

/* Index of the destination in which each page lies; options.nr_dests for none. */
static bool find_places(pid_t pid, unsigned int place[NR_PAGES], unsigned int nr[MAX_DESTS + 1])
{
	static void *pages[NR_PAGES];
	static int nodes[NR_PAGES];
	static uint8_t there[NR_PAGES];

	memset(nr, 0, (MAX_DESTS + 1) * sizeof(*nr));
	for (size_t i = 0; i < NR_PAGES; i++) {
		pages[i] = world->memory.area + i * PAGE_BYTES;
		place[i] = options.nr_dests;
	}
	if (move_pages(pid, NR_PAGES, pages, NULL, nodes, 0) < 0)
		return false;
	for (unsigned int d = 0; d < options.nr_dests; d++) {
		options.dests[d].kind->find(&options.dests[d], pid, nodes, there);
		for (size_t i = 0; i < NR_PAGES; i++)
			place[i] = there[i] ? d : place[i];
	}
	for (size_t i = 0; i < NR_PAGES; i++)
		nr[place[i]]++;
	return true;
}

/* From a pool goes what has come there, of any kind. */
static bool is_way(unsigned int from, unsigned int to)
{
	return from != to && (goes_by_module() || !is_module_only(to));
}

/* The way that was taken least so far, among those that start where pages are. */
static bool choose_way(const struct tally *tally, const unsigned int nr[], struct selection *s)
{
	unsigned long least = ~0UL;

	for (unsigned int from = 0; from < options.nr_dests; from++)
		for (unsigned int to = 0; nr[from] && to < options.nr_dests; to++) {
			if (!is_way(from, to) || tally->from_to[from][to] >= least)
				continue;
			least = tally->from_to[from][to];
			s->from = from;
			s->to = to;
		}
	return least != ~0UL;
}

/* All that lies there, every second folio, or a random eighth. */
static void choose_pages(const unsigned int place[], uint64_t *random, struct selection *s)
{
	size_t step = memory_folio_pages(world->memory.size);
	unsigned int how = random_next(random) % 3;

	for (size_t page = 0; page < NR_PAGES; page++) {
		size_t folio = page / step;

		if (page % step)
			s->mask[page] = s->mask[page - 1];
		else
			s->mask[page] = how == 0 || (how == 1 && folio % 2) ||
					(how == 2 && random_next(random) % 8 == 0);
	}
	for (size_t page = 0; page < NR_PAGES; page++)
		s->mask[page] &= place[page] == s->from;
}

/* false: the process is gone. */
static bool move_by_module(const struct who *who, struct selection *s)
{
	static uint8_t outcome[NR_PAGES];
	long moved;

	memset(outcome, 0, sizeof(outcome));
	moved = ember_nl_move(&nl, &who->identity, world->memory.area, NR_PAGES, s->mask,
			      dest_of_request(s->to), EMBER_MIGRATE_SHARED, outcome);
	if (moved == -ESRCH)
		return false;
	if (moved < 0)
		fail("the module: %s", strerror((int)-moved));
	for (size_t page = 0; page < NR_PAGES; page++)
		s->moved[page] = outcome[page] == EMBER_OUTCOME_MOVED;
	return true;
}

static unsigned int fill_region(struct ember_move_region *region, const uint8_t *mask)
{
	unsigned int nr = 0;

	memset(region->pages, 0, sizeof(region->pages));
	for (unsigned int page = 0; page < REGION_PAGES; page++) {
		region->pages[page / 64] |= (uint64_t)mask[page] << (page % 64);
		nr += mask[page];
	}
	region->nr_pages = nr;
	return nr;
}

/* The runs cover the selected pages in order. */
static void take_fates(const struct ember_fate_run *runs, size_t nr_runs, struct selection *s)
{
	size_t run = 0, used = 0;

	for (size_t page = 0; page < NR_PAGES; page++) {
		s->moved[page] = 0;
		if (!s->mask[page])
			continue;
		if (run == nr_runs)
			fail("the runs of move_pages(2) end at page %zu", page);
		s->moved[page] = runs[run].outcome == EMBER_FATE_MOVED;
		if (++used == runs[run].nr_pages) {
			run++;
			used = 0;
		}
	}
}

static bool move_by_syscall(const struct who *who, struct selection *s)
{
	struct ember_move_region regions[NR_REGIONS] = {0};
	struct ember_move move = {.id = {.tgid = who->identity.tgid,
					 .start_boottime_ns = who->identity.start_ns,
					 .self_exec_id = who->identity.exec_id},
				  .dest = options.dests[s->to].id,
				  .mover = EMBER_MOVER_MOVE_SHARED};
	struct ember_fate_run *runs;
	size_t nr_runs;

	for (unsigned int i = 0; i < NR_REGIONS; i++) {
		struct ember_move_region *region = &regions[move.nr_regions];

		region->addr = (uintptr_t)world->memory.area + i * REGION_BYTES;
		move.nr_pages += fill_region(region, s->mask + i * REGION_PAGES);
		move.nr_regions += region->nr_pages != 0;
	}
	if (!move.nr_pages)
		return true;
	if (ember_movepages_run(&move, regions, 0, &runs, &nr_runs) < 0)
		fail("no memory");
	take_fates(runs, nr_runs, s);
	free(runs);
	return true;
}

static void enter(struct tally *tally, const struct selection *s, const uint8_t *whole,
		  unsigned long *ret_by)
{
	for (size_t page = 0; page < NR_PAGES; page++) {
		*ret_by += s->moved[page];
		tally->nr_whole += s->moved[page] & whole[page];
		tally->from_to[s->from][s->to] += s->moved[page];
	}
}

/* Changes one bit of a page behind everybody's back. */
static void flip(uint64_t *random)
{
	struct image *image = &images()[random_next(random) % NR_PAGES];
	uint64_t word;
	struct iovec here = {&word, sizeof(word)}, there = {&image->body[7], sizeof(word)};
	pid_t pid = (pid_t)world->owner.identity.tgid;

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
		fail("process_vm_readv: %s", strerror(errno));
	word ^= 1;
	process_vm_writev(pid, &here, 1, &there, 1, 0);
}

static void move_once(struct tally *tally, unsigned int round, uint64_t *random)
{
	bool of_child = round % 3 == 1 && is_set(&world->child.lives);
	struct who who = of_child ? world->child : world->owner;
	pid_t pid = (pid_t)who.identity.tgid;
	unsigned int place[NR_PAGES], nr[MAX_DESTS + 1];
	static uint8_t whole[NR_PAGES];
	static struct selection s;
	unsigned long moved = 0;
	bool by_module;

	memset(&s, 0, sizeof(s));
	if (!find_places(pid, place, nr) || !choose_way(tally, nr, &s))
		return;
	choose_pages(place, random, &s);
	if (!of_child)
		memory_find_whole(pid, world->memory.area, NR_PAGES, world->memory.size, whole);
	else
		memset(whole, 0, sizeof(whole));
	by_module =
	    (goes_by_module() && round % 4 != 3) || is_module_only(s.from) || is_module_only(s.to);
	if (!(by_module ? move_by_module : move_by_syscall)(&who, &s))
		return;
	enter(tally, &s, whole, &moved);
	*(by_module ? &tally->nr_module : &tally->nr_syscall) += moved;
	tally->nr_of_child += of_child ? moved : 0;
}

/* Why the module does not bring such pages to a pool: docs/pools.md, include/uapi/linux/ember.h. */
static enum ember_outcome documented_reason(void)
{
	if (world->memory.size == MEMORY_HUGETLB)
		return EMBER_OUTCOME_SPECIAL;
	return world->memory.kind == MEMORY_PRIVATE ? EMBER_OUTCOME_LARGE_FOLIO
						    : EMBER_OUTCOME_NOT_ANON;
}

/*
 * Asks for a pool that takes none of these pages. What a process and its child write after a fork
 * is copied to small pages, which it does take; what else is refused is refused for this reason.
 */
static void ask_in_vain(struct tally *tally, unsigned int pool)
{
	bool may_change = world->memory.kind == MEMORY_PRIVATE && is_set(&world->forks);
	static uint8_t whole[NR_PAGES], outcome[NR_PAGES];
	long moved;

	memory_find_whole((pid_t)world->owner.identity.tgid, world->memory.area, NR_PAGES,
			  world->memory.size, whole);
	moved = ember_nl_move(&nl, &world->owner.identity, world->memory.area, NR_PAGES, whole,
			      dest_of_request(pool), EMBER_MIGRATE_SHARED, outcome);
	if (moved < 0)
		fail("asked for a pool: %s", strerror((int)-moved));
	for (size_t page = 0; page < NR_PAGES; page++) {
		if (!whole[page])
			continue;
		tally->nr_asked++;
		if (outcome[page] == documented_reason())
			tally->nr_refused++;
		else if (may_change)
			tally->nr_changed++;
		else
			tally->nr_other[outcome[page]]++;
	}
}

static void ask_pools_in_vain(struct tally *tally)
{
	for (unsigned int d = options.first_pool; d < options.nr_dests; d++)
		ask_in_vain(tally, d);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool all_ways_taken(const struct tally *tally)
{
	for (unsigned int from = 0; from < options.nr_dests; from++)
		for (unsigned int to = 0; to < options.nr_dests; to++)
			if (is_way(from, to) && !tally->from_to[from][to] &&
			    (goes_by_module() || !is_module_only(from)))
				return false;
	return true;
}

/* Half of the time without forks, half with; longer where the machine is too slow for that. */
static void move_for(double seconds, struct tally *tally, pid_t owner)
{
	double begin_s = now_s(), limit_s = seconds + 60;
	uint64_t random = 1;

	for (unsigned int round = 0;; round++) {
		double lasted_s = now_s() - begin_s;

		if (lasted_s > seconds / 2)
			set(&world->forks, true);
		if ((lasted_s > seconds && all_ways_taken(tally) && tally->nr_whole &&
		     world->nr_forks > 0) ||
		    lasted_s > limit_s || kill(owner, 0))
			break;
		move_once(tally, round, &random);
		if (!goes_by_module() && round % 4 == 0)
			ask_pools_in_vain(tally);
		if (options.flip)
			flip(&random);
	}
}

/* --- The pools among the destinations
 * ------------------------------------------------------------- */

static void add_pools(void)
{
	for (unsigned int d = options.first_pool; d < options.nr_dests; d++)
		options.dests[d].id =
		    (unsigned int)pool_add(&nl, options.dests[d].start, options.dests[d].bytes);
}

/* All that goes there: a part of it for each. */
static void fill_pools(const struct who *owner)
{
	unsigned int nr_pools = options.nr_dests - options.first_pool;
	static struct selection s;

	for (unsigned int i = 0; i < nr_pools; i++) {
		s.to = options.first_pool + i;
		for (size_t page = 0; page < NR_PAGES; page++)
			s.mask[page] = page % nr_pools == i;
		move_by_module(owner, &s);
	}
}

/* While the process reads, writes and forks. */
static void remove_pools(pid_t owner)
{
	if (goes_by_module())
		fill_pools(&world->owner);
	for (unsigned int d = options.first_pool; d < options.nr_dests; d++) {
		const struct dest *pool = &options.dests[d];
		size_t nr =
		    pool_find(owner, world->memory.area, NR_PAGES, pool->start, pool->bytes, NULL);
		bool gone = pool_remove(&nl, (int)pool->id);

		expect(gone && (nr || !goes_by_module()),
		       "          pool:%u with %zu pages in it is removed%s%s", pool->id, nr,
		       gone ? "" : ": not, because of ",
		       gone ? "" : pool_file((int)pool->id, "stuck"));
	}
}

static void judge_refusals(const struct tally *tally)
{
	bool fine = tally->nr_refused > 0;

	if (goes_by_module() || options.first_pool == options.nr_dests)
		return;
	for (unsigned int i = 0; i <= EMBER_OUTCOME_MAX; i++)
		fine &= !tally->nr_other[i];
	expect(fine,
	       "          of %lu pages asked for a pool %lu stayed as %s, and %lu were small pages "
	       "after a fork: want no others",
	       tally->nr_asked, tally->nr_refused, ember_outcome_name(documented_reason()),
	       tally->nr_changed);
	for (unsigned int i = 0; i <= EMBER_OUTCOME_MAX; i++)
		if (tally->nr_other[i])
			printf("            %s %lu\n", ember_outcome_name(i), tally->nr_other[i]);
}

static pid_t start_owner(enum memory_kind kind, enum memory_size size)
{
	pid_t owner;

	memset(world, 0, sizeof(*world));
	world->memory = (struct memory){.kind = kind, .size = size, .nr_pages = NR_PAGES, .fd = -1};
	owner = fork();
	if (owner == 0)
		be_owner();
	while (!is_set(&world->ready))
		if (waitpid(owner, NULL, WNOHANG))
			fail("the owner of %s/%s has failed", memory_kind_name(kind),
			     memory_size_name(size));
		else
			usleep(1000);
	return owner;
}

static void judge(const char *name, const struct tally *tally, int status, double lasted_s)
{
	bool fine = !world->nr_mismatches && !status;

	expect(options.flip ? !fine : fine,
	       "%-15s %3.0f s: want %s mismatches and a good end, saw %lu and %#x, of %lu pages "
	       "verified",
	       name, lasted_s, options.flip ? "some" : "0", world->nr_mismatches, status,
	       world->nr_verified);
	expect(tally->nr_whole && all_ways_taken(tally) && world->nr_forks,
	       "          moved by the module %lu, by move_pages(2) %lu; %lu in folios of that "
	       "size, %lu of a child's; %lu forks",
	       tally->nr_module, tally->nr_syscall, tally->nr_whole, tally->nr_of_child,
	       world->nr_forks);
	printf("          ");
	for (unsigned int from = 0; from < options.nr_dests; from++)
		for (unsigned int to = 0; to < options.nr_dests; to++)
			if (is_way(from, to))
				printf(" %s:%u>%s:%u %lu", options.dests[from].kind->name,
				       options.dests[from].id, options.dests[to].kind->name,
				       options.dests[to].id, tally->from_to[from][to]);
	printf("\n");
}

/* Returns the number of pages moved. */
static unsigned long run_combination(enum memory_kind kind, enum memory_size size, double seconds)
{
	static uint8_t whole[NR_PAGES];
	struct tally tally = {0};
	double begin_s = now_s();
	int status = 1;
	char name[32];
	pid_t owner;
	size_t nr;

	snprintf(name, sizeof(name), "%s/%s", memory_kind_name(kind), memory_size_name(size));
	memory_set(kind, size);
	add_pools();
	owner = start_owner(kind, size);
	nr = memory_find_whole(owner, world->memory.area, NR_PAGES, size, whole);
	expect(nr >= NR_PAGES / 2,
	       "%-15s %zu of %lu pages begin in folios of that size: want at least half", name, nr,
	       NR_PAGES);
	move_for(seconds, &tally, owner);
	remove_pools(owner);
	set(&world->stop, true);
	waitpid(owner, &status, 0);
	judge(name, &tally, status, now_s() - begin_s);
	judge_refusals(&tally);
	memory_unset();
	return tally.nr_module + tally.nr_syscall;
}

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

static bool is_wanted(enum memory_kind kind, enum memory_size size)
{
	char name[32];

	snprintf(name, sizeof(name), "%s/%s", memory_kind_name(kind), memory_size_name(size));
	if (options.only && !is_listed(options.only, name))
		return false;
	if (memory_hole(kind, size))
		printf("none %s: %s\n", name, memory_hole(kind, size));
	return !memory_hole(kind, size);
}

static void run_all(void)
{
	bool wanted[NR_MEMORY_KINDS][NR_MEMORY_SIZES];
	unsigned long nr_moved = 0;
	unsigned int nr = 0;

	for (int kind = 0; kind < NR_MEMORY_KINDS; kind++)
		for (int size = 0; size < NR_MEMORY_SIZES; size++)
			nr += wanted[kind][size] = is_wanted(kind, size);
	for (int kind = 0; kind < NR_MEMORY_KINDS; kind++)
		for (int size = 0; size < NR_MEMORY_SIZES; size++)
			if (wanted[kind][size])
				nr_moved += run_combination(kind, size, options.seconds / nr);
	expect(nr && nr_moved >= options.min_moved,
	       "%u combinations: want at least %lu pages moved, saw %lu", nr, options.min_moved,
	       nr_moved);
}

/* --- Options
 * --------------------------------------------------------------------------------------- */

static void add_dest(struct dest dest)
{
	if (options.nr_dests == MAX_DESTS)
		fail("more than %d destinations", MAX_DESTS);
	options.dests[options.nr_dests++] = dest;
}

static void add_node(const char *text)
{
	if (strncmp(text, "node:", 5))
		fail("--dest %s: not a destination", text);
	add_dest(
	    (struct dest){.kind = &node_kind, .id = (unsigned int)strtoul(text + 5, NULL, 10)});
}

static void parse_dests(char *list)
{
	char *saved = NULL;

	for (char *at = strtok_r(list, ",", &saved); at; at = strtok_r(NULL, ",", &saved))
		add_node(at);
}

/* START+BYTES: two pools. */
static void add_pool_dests(const char *text)
{
	char *end;
	uint64_t start = strtoull(text, &end, 0),
		 half = strtoull(*end ? end + 1 : end, NULL, 0) / 2;

	if (*end != '+' || !half || half % REGION_BYTES)
		fail("--pools %s: not START+BYTES, of which each half is a multiple of 2 MiB",
		     text);
	for (uint64_t i = 0; i < 2; i++)
		add_dest(
		    (struct dest){.kind = &pool_kind, .start = start + i * half, .bytes = half});
}

/* All nodes that have memory. */
static void default_dests(void)
{
	char path[64], text[16];

	for (unsigned int node = 0; node < MAX_DESTS; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", node);
		snprintf(text, sizeof(text), "node:%u", node);
		if (!access(path, F_OK))
			add_node(text);
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
	    {"seconds", required_argument, NULL, 's'},
	    {"min-moved", required_argument, NULL, 'm'},
	    {"dest", required_argument, NULL, 'd'},
	    {"only", required_argument, NULL, 'o'},
	    {"break", required_argument, NULL, 'b'},
	    {"pools", required_argument, NULL, 'p'},
	    {0},
	};
	const char *pools = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 's')
			options.seconds = strtod(optarg, NULL);
		else if (option == 'm')
			options.min_moved = strtoul(optarg, NULL, 0);
		else if (option == 'd')
			parse_dests(optarg);
		else if (option == 'o')
			options.only = optarg;
		else if (option == 'p')
			pools = optarg;
		else if (option == 'b' && !strcmp(optarg, "flip"))
			options.flip = true;
		else
			exit(2);
	}
	if (!options.nr_dests)
		default_dests();
	options.first_pool = options.nr_dests;
	if (pools)
		add_pool_dests(pools);
	if (options.nr_dests < 2)
		fail("%u destinations: pages cannot move", options.nr_dests);
}

int main(int argc, char **argv)
{
	struct ember_identity self;
	struct settled before;

	setvbuf(stdout, NULL, _IOLBF, 0); /* or children would say it again */
	parse_options(argc, argv);
	ember_nl_begin(&nl, &self);
	world = map_for_all(sizeof(*world), MAP_SHARED);
	if (options.first_pool < options.nr_dests)
		settled_read(&before);
	run_all();
	ember_nl_close(&nl);
	if (options.first_pool < options.nr_dests)
		expect_failures += !settled_expect(&before, "in all");
	return expect_status();
}
