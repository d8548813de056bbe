/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Honest books: a process in a memory cgroup has pages of many kinds; the module moves what
 * it can to and fro, and three books tell the same, page by page: the results,
 * pgmigrate_success and pgmigrate_fail of /proc/vmstat, and memory.numa_stat of the cgroup.
 * In the end the same is asked of move_pages(2), by which the kernel's own books are known.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/cgroup.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/textfile.h"

#define SEED 0xb00c
#define CGROUP "ember-books"
#define NUMA_STAT "/sys/fs/cgroup/" CGROUP "/memory.numa_stat"
#define NR_NODES 2

/* What other processes of the guest may do to the pages of a node meanwhile. */
#define NODE_NOISE_PAGES 256

/* The target's memory, a region of 512 pages after the other. */
enum part {
	PLAIN,      /* 4 regions of pages on node 0 */
	SHARED = 4, /* mapped by a child too */
	PINNED,     /* the first NR_PINNED of them wait in a pipe */
	ZERO,       /* only read */
	UNTOUCHED,
	SHMEM,
	HOLE,  /* no area */
	THERE, /* pages on node 1 */
	NR_PARTS,
};
#define NR_PAGES (NR_PARTS * REGION_PAGES)
#define NR_PINNED 16UL /* a pipe holds as many by itself */

static struct ember_nl nl;
static char *area; /* at the same address here and in the target */

struct target {
	struct ember_identity identity;
	pid_t child; /* of the target */
	bool ready;
};
static struct target *target;

/* ---- the target ---- */

static char *part(enum part which)
{
	return area + which * REGION_BYTES;
}

static void pin(void)
{
	struct iovec iov = {.iov_base = part(PINNED), .iov_len = NR_PINNED * PAGE_BYTES};
	int fds[2];

	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)iov.iov_len)
		fail("vmsplice: %s", strerror(errno));
}

static void make_shmem(void)
{
	if (mmap(part(SHMEM), REGION_BYTES, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	area_fill(part(SHMEM), REGION_PAGES, 0, SEED);
}

static void read_zeroes(void)
{
	for (size_t i = 0; i < REGION_PAGES; i++)
		(void)*(volatile char *)(part(ZERO) + i * PAGE_BYTES);
}

/* Written to before anything else is: a fork maps all of it twice, and a write ends that. */
static void make_parts(void)
{
	pid_t child;

	area_fill(part(SHARED), REGION_PAGES, 0, SEED);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	target->child = child; /* not by the child too: it shares *target */
	area_fill(part(PLAIN), 4 * REGION_PAGES, 0, SEED);
	area_fill(part(PINNED), REGION_PAGES, 0, SEED);
	area_fill(part(THERE), REGION_PAGES, 1, SEED);
	make_shmem();
	read_zeroes();
	pin();
	munmap(part(HOLE), REGION_BYTES);
}

static pid_t start_target(void)
{
	pid_t pid;

	cgroup_make(CGROUP, "+memory");
	pid = fork();
	if (pid == 0) {
		cgroup_join(CGROUP, getpid());
		make_parts();
		if (ember_nl_self(&target->identity))
			fail("the target's identity");
		__atomic_store_n(&target->ready, true, __ATOMIC_RELEASE);
		pause();
		_exit(0);
	}
	while (!__atomic_load_n(&target->ready, __ATOMIC_ACQUIRE)) {
		if (waitpid(pid, NULL, WNOHANG))
			fail("the target did not start");
		usleep(10000);
	}
	return pid;
}

static void stop_target(pid_t pid)
{
	kill(target->child, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cgroup_remove(CGROUP);
}

/* ---- the kernel's books ---- */

struct books {
	long success, fail;
	long anon[NR_NODES]; /* pages of the cgroup, by memory.numa_stat */
	long shmem[NR_NODES];
	long all_anon[NR_NODES]; /* of all processes, by the nodes' vmstat */
};

static void numa_stat(const char *name, long ret_pages[NR_NODES])
{
	char text[4096], word[64], *at;
	unsigned long bytes[NR_NODES];

	snprintf(word, sizeof(word), "\n%s N0=", name);
	text[0] = '\n';
	textfile_read(NUMA_STAT, text + 1, sizeof(text) - 1);
	at = strstr(text, word);
	if (!at || sscanf(at + strlen(word), "%lu N1=%lu", &bytes[0], &bytes[1]) != 2)
		fail("no %s in %s", name, NUMA_STAT);
	for (int i = 0; i < NR_NODES; i++)
		ret_pages[i] = (long)(bytes[i] / PAGE_BYTES);
}

static void read_books(struct books *ret_books)
{
	static const char *const nodes[] = {"/sys/devices/system/node/node0/vmstat",
					    "/sys/devices/system/node/node1/vmstat"};

	textfile_write("/proc/sys/vm/stat_refresh", "1");
	ret_books->success = (long)textfile_number("/proc/vmstat", "pgmigrate_success");
	ret_books->fail = (long)textfile_number("/proc/vmstat", "pgmigrate_fail");
	numa_stat("anon", ret_books->anon);
	numa_stat("shmem", ret_books->shmem);
	for (int i = 0; i < NR_NODES; i++)
		ret_books->all_anon[i] = (long)textfile_number(nodes[i], "nr_anon_pages");
}

/*
 * memory.numa_stat is brought up to date when much has changed, else by a worker every 2 s:
 * read until it has what is wanted, and well beyond that time if it never has.
 */
static void read_flushed(struct books *ret_books, const struct books *before, int node,
			 long nr_moved)
{
	for (int i = 0; i < 60; i++) {
		read_books(ret_books);
		if (ret_books->anon[node] - before->anon[node] == nr_moved &&
		    ret_books->anon[!node] - before->anon[!node] == -nr_moved)
			return;
		usleep(250000);
	}
}

static void compare(const char *what, const struct books *before, int node, long nr_moved,
		    long nr_failed)
{
	struct books after;
	long noise;

	read_flushed(&after, before, node, nr_moved);
	expect(after.success - before->success == nr_moved,
	       "%s: pgmigrate_success: want %ld more, saw %ld", what, nr_moved,
	       after.success - before->success);
	expect(after.fail - before->fail == nr_failed, "%s: pgmigrate_fail: want %ld more, saw %ld",
	       what, nr_failed, after.fail - before->fail);
	for (int i = 0; i < NR_NODES; i++) {
		long want = i == node ? nr_moved : -nr_moved;

		expect(after.anon[i] - before->anon[i] == want,
		       "%s: memory.numa_stat, anon of node %d: want %+ld pages, saw %+ld", what, i,
		       want, after.anon[i] - before->anon[i]);
		expect(after.shmem[i] == before->shmem[i],
		       "%s: memory.numa_stat, shmem of node %d: want %ld pages, saw %ld", what, i,
		       before->shmem[i], after.shmem[i]);
		noise = after.all_anon[i] - before->all_anon[i] - want;
		expect(labs(noise) <= NODE_NOISE_PAGES,
		       "%s: nr_anon_pages of node %d: want %+ld and at most %d of others, saw %+ld",
		       what, i, want, NODE_NOISE_PAGES, want + noise);
	}
}

/* ---- the module's ---- */

struct wanted {
	enum ember_outcome outcome;
	size_t nr;
};

static void check_outcomes(const char *what, const uint8_t *outcome, const struct wanted *wanted,
			   size_t nr_wanted)
{
	size_t count[EMBER_OUTCOME_MAX + 1] = {0}, sum = 0;

	for (size_t i = 0; i < NR_PAGES; i++)
		count[outcome[i]]++;
	for (size_t i = 0; i < nr_wanted; i++) {
		expect(count[wanted[i].outcome] == wanted[i].nr, "%s: %s: want %zu, saw %zu", what,
		       ember_outcome_name(wanted[i].outcome), wanted[i].nr,
		       count[wanted[i].outcome]);
		sum += count[wanted[i].outcome];
	}
	expect(sum == NR_PAGES, "%s: asked = moved + refused by these reasons: want %lu, saw %zu",
	       what, NR_PAGES, sum);
}

static void move_all(const char *what, int node, uint32_t flags, const struct wanted *wanted,
		     size_t nr_wanted)
{
	static uint8_t outcome[NR_PAGES];
	struct books before;
	long nr_moved, nr_failed = 0;

	memset(outcome, 0, sizeof(outcome));
	read_books(&before);
	nr_moved = ember_nl_move(&nl, &target->identity, area, NR_PAGES, NULL, (uint32_t)node,
				 flags, outcome);
	if (nr_moved < 0)
		fail("%s: %s", what, strerror((int)-nr_moved));
	check_outcomes(what, outcome, wanted, nr_wanted);
	/* Of these only what is pinned was ever tried; the others are left alone after a look. */
	for (size_t i = 0; i < NR_PAGES; i++)
		nr_failed += outcome[i] == EMBER_OUTCOME_PINNED;
	compare(what, &before, node, nr_moved, nr_failed);
}

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static void by_module(void)
{
	static const struct wanted up[] = {
	    {EMBER_OUTCOME_MOVED, 5 * REGION_PAGES - NR_PINNED},
	    {EMBER_OUTCOME_PINNED, NR_PINNED},
	    {EMBER_OUTCOME_SHARED, REGION_PAGES},
	    {EMBER_OUTCOME_ZERO_PAGE, REGION_PAGES},
	    {EMBER_OUTCOME_NOT_PRESENT, REGION_PAGES},
	    {EMBER_OUTCOME_NOT_ANON, REGION_PAGES},
	    {EMBER_OUTCOME_NO_AREA, REGION_PAGES},
	    {EMBER_OUTCOME_ALREADY_THERE, REGION_PAGES},
	};
	static const struct wanted down[] = {
	    {EMBER_OUTCOME_MOVED, 6 * REGION_PAGES - NR_PINNED},
	    {EMBER_OUTCOME_ALREADY_THERE, REGION_PAGES + NR_PINNED},
	    {EMBER_OUTCOME_ZERO_PAGE, REGION_PAGES},
	    {EMBER_OUTCOME_NOT_PRESENT, REGION_PAGES},
	    {EMBER_OUTCOME_NOT_ANON, REGION_PAGES},
	    {EMBER_OUTCOME_NO_AREA, REGION_PAGES},
	};
	static const struct wanted shared_too[] = {
	    {EMBER_OUTCOME_MOVED, 7 * REGION_PAGES - NR_PINNED},
	    {EMBER_OUTCOME_PINNED, NR_PINNED},
	    {EMBER_OUTCOME_ZERO_PAGE, REGION_PAGES},
	    {EMBER_OUTCOME_NOT_PRESENT, REGION_PAGES},
	    {EMBER_OUTCOME_NOT_ANON, REGION_PAGES},
	    {EMBER_OUTCOME_NO_AREA, REGION_PAGES},
	};

	move_all("to node 1", 1, 0, up, NR(up));
	move_all("back to node 0", 0, 0, down, NR(down));
	move_all("to node 1, shared ones too", 1, EMBER_MIGRATE_SHARED, shared_too, NR(shared_too));
}

/* The plain pages alone, back to node 0. */
static void by_move_pages(pid_t pid)
{
	static void *pages[4 * REGION_PAGES];
	static int nodes[4 * REGION_PAGES], status[4 * REGION_PAGES];
	struct books before;
	long nr_moved = 0;

	for (size_t i = 0; i < NR(pages); i++)
		pages[i] = part(PLAIN) + i * PAGE_BYTES;
	read_books(&before);
	if (move_pages(pid, NR(pages), pages, nodes, status, MPOL_MF_MOVE) < 0)
		fail("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < NR(pages); i++)
		nr_moved += status[i] == 0;
	expect(nr_moved == (long)NR(pages), "move_pages(2): want %zu pages on node 0, saw %ld",
	       NR(pages), nr_moved);
	compare("move_pages(2)", &before, 0, nr_moved, 0);
}

int main(void)
{
	pid_t pid;

	target =
	    mmap(NULL, sizeof(*target), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (target == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	ember_nl_begin(&nl, NULL);
	textfile_write("/proc/sys/kernel/numa_balancing", "0"); /* it moves pages, too */
	area = area_map(NR_PAGES);
	pid = start_target();
	sleep(5); /* until all that the target has done is counted */
	by_module();
	by_move_pages(pid);
	stop_target(pid);
	ember_nl_close(&nl);
	return expect_status();
}
