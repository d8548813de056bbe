// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a process has said about where its memory shall be is kept to: memory policies of areas and
 * of threads, and its cpuset; also while they change under a stream of requests. And a scan tells
 * of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/sampling.h"

#define FAST 0UL
#define SLOW 1UL
#define ONLY(node) (1UL << (node))
#define BOTH (ONLY(FAST) | ONLY(SLOW))
#define MASK_BITS (sizeof(unsigned long) * 8)

#define NR_PAGES (2 * REGION_PAGES)
#define SEED 0x4e59
#define CGROUP "/sys/fs/cgroup"
#define OWN_CGROUP CGROUP "/ember-respect"

/* Rounds of a policy set and dropped again under fire. */
#define NR_CHANGES 200

static struct ember_nl nl;
static struct ember_identity self;
static struct ember_sampler *sampler;
static char *area;

static void bind_area(int mode, unsigned long nodes, unsigned int flags)
{
	if (mbind(area, NR_PAGES * PAGE_BYTES, mode, nodes ? &nodes : NULL, nodes ? MASK_BITS : 0,
		  flags))
		fail("mbind: %s", strerror(errno));
}

static void bind_thread(int mode, unsigned long nodes)
{
	if (set_mempolicy(mode, nodes ? &nodes : NULL, nodes ? MASK_BITS : 0))
		fail("set_mempolicy: %s", strerror(errno));
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* What the scan says of the area: is its first record bound, and do threads and cpuset want FAST?
 */
static void check_scan(bool want_bound, bool want_fast)
{
	const struct ember_proc_id id = identify(sampler, getpid());
	struct ember_scan_req req = {.cursor = (uintptr_t)area,
				     .end = (uintptr_t)area + NR_PAGES * PAGE_BYTES,
				     .flags = EMBER_SCAN_FULL | EMBER_SCAN_COLD};
	const struct ember_region_rec *recs;
	bool bound, fast;

	scan_part(sampler, &id, &req, &recs);
	if (!req.nr_recs)
		fail("the scan sees nothing");
	bound = recs[0].flags & EMBER_REC_BOUND;
	fast = req.nodes & ONLY(FAST);
	expect(bound == want_bound && fast == want_fast,
	       "  the scan: want %sbound, threads %s node %lu; saw %d, nodes %#x",
	       want_bound ? "" : "not ", want_fast ? "allow" : "leave out", FAST, bound, req.nodes);
}

/* All pages lie on SLOW and are asked to go to FAST. */
static void check(const char *what, bool want_moved, bool want_bound, bool want_fast)
{
	static uint8_t outcome[NR_PAGES];
	enum ember_outcome want = want_moved ? EMBER_OUTCOME_MOVED : EMBER_OUTCOME_NOT_ALLOWED;
	size_t nr = 0, nr_there;

	ember_nl_move(&nl, &self, area, NR_PAGES, NULL, FAST, 0, outcome);
	for (size_t i = 0; i < NR_PAGES; i++)
		nr += outcome[i] == want;
	nr_there = area_count(area, NR_PAGES, want_moved ? FAST : SLOW);
	expect(nr == NR_PAGES && nr_there == NR_PAGES,
	       "%s: want %lu %s, saw %zu (the first is %s), %zu lie there", what, NR_PAGES,
	       ember_outcome_name(want), nr, ember_outcome_name(outcome[0]), nr_there);
	check_scan(want_bound, want_fast);
}

static void fill_slow(void)
{
	static uint8_t outcome[NR_PAGES];

	area_fill(area, NR_PAGES, SLOW,
		  SEED); /* touches; what lies elsewhere already stays there */
	ember_nl_move(&nl, &self, area, NR_PAGES, NULL, SLOW, 0, outcome);
}

static void areas(void)
{
	static const struct {
		const char *what;
		int mode;
		unsigned long nodes;
		bool moves, bound;
	} cases[] = {
	    {"bound elsewhere", MPOL_BIND, ONLY(SLOW), false, true},
	    {"bound to both", MPOL_BIND, BOTH, true, true},
	    {"interleaved elsewhere", MPOL_INTERLEAVE, ONLY(SLOW), false, true},
	    {"preferred elsewhere", MPOL_PREFERRED, ONLY(SLOW), true, false},
	    {"local", MPOL_LOCAL, 0, true, false},
	    {"no policy", MPOL_DEFAULT, 0, true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill_slow();
		bind_area(cases[i].mode, cases[i].nodes, 0);
		check(cases[i].what, cases[i].moves, cases[i].bound, true);
		bind_area(MPOL_DEFAULT, 0, 0);
	}
}

/* The policy of shared memory is its file's, whoever set it through whichever mapping. */
static void shared_memory(void)
{
	const size_t bytes = NR_PAGES * PAGE_BYTES;
	unsigned long nodes = ONLY(SLOW);
	char *own = area, *other;
	int fd = memfd_create("respect", 0);

	if (fd < 0 || ftruncate(fd, bytes))
		fail("memfd: %s", strerror(errno));
	area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	other = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED || other == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	memset(area, 1, bytes);
	printf("     shared memory without a policy\n");
	check_scan(false, true);
	if (mbind(other, bytes, MPOL_BIND, &nodes, MASK_BITS, 0))
		fail("mbind: %s", strerror(errno));
	printf("     with one that was set through another mapping\n");
	check_scan(true, true);
	munmap(area, bytes);
	munmap(other, bytes);
	close(fd);
	area = own;
}

static void threads_own(void)
{
	fill_slow();
	bind_thread(MPOL_BIND, ONLY(SLOW));
	check("the thread is bound elsewhere", false, false, false);
	bind_area(MPOL_PREFERRED, ONLY(SLOW), 0);
	check("but its area has a policy of its own", true, false, false);
	bind_area(MPOL_DEFAULT, 0, 0);
	bind_thread(MPOL_DEFAULT, 0);
	fill_slow();
	check("it is not any more", true, false, true);
}

static pid_t thread_id;

static void *bound_thread(void *arg)
{
	int *pipes = arg;
	char c;

	thread_id = gettid();
	bind_thread(MPOL_BIND, ONLY(SLOW));
	if (write(pipes[3], "x", 1) != 1 || read(pipes[0], &c, 1) != 1)
		fail("pipe: %s", strerror(errno));
	return NULL;
}

static void other_thread(void)
{
	pthread_t thread;
	char path[64], c;
	int pipes[4];

	fill_slow();
	if (pipe(pipes) || pipe(pipes + 2))
		fail("pipe: %s", strerror(errno));
	pthread_create(&thread, NULL, bound_thread, pipes);
	if (read(pipes[2], &c, 1) != 1)
		fail("pipe: %s", strerror(errno));
	check("another thread is bound elsewhere", false, false, false);
	if (write(pipes[1], "x", 1) != 1)
		fail("pipe: %s", strerror(errno));
	pthread_join(thread, NULL);
	for (int i = 0; i < 4; i++)
		close(pipes[i]);
	/* it is joined before the kernel has let go of its policy */
	snprintf(path, sizeof(path), "/proc/self/task/%d", thread_id);
	while (!access(path, F_OK))
		usleep(1000);
	check("it has ended", true, false, true);
}

static void enter_cpuset(const char *nodes)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_to(CGROUP "/cgroup.subtree_control", "+cpuset");
	if (mkdir(OWN_CGROUP, 0755) && errno != EEXIST)
		fail("%s: %s", OWN_CGROUP, strerror(errno));
	write_to(OWN_CGROUP "/cpuset.mems", nodes);
	write_to(OWN_CGROUP "/cgroup.procs", pid);
}

static void leave_cpuset(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_to(CGROUP "/cgroup.procs", pid);
	rmdir(OWN_CGROUP);
}

static void cpuset(void)
{
	fill_slow();
	enter_cpuset("1");
	check("its cpuset leaves the node out", false, false, false);
	write_to(OWN_CGROUP "/cpuset.mems", "0-1");
	check("its cpuset holds it again", true, false, true);
	leave_cpuset();
}

/* The area lies on FAST, its cpuset holds nothing else, and SLOW is said to be restricted. */
static void check_restricted(const char *what, uint32_t flags, bool want_moved,
			     unsigned long want_policy_nodes)
{
	static uint8_t outcome[NR_PAGES];
	enum ember_outcome want = want_moved ? EMBER_OUTCOME_MOVED : EMBER_OUTCOME_NOT_ALLOWED;
	const struct ember_proc_id id = identify(sampler, getpid());
	struct ember_scan_req req = {.cursor = (uintptr_t)area,
				     .end = (uintptr_t)area + NR_PAGES * PAGE_BYTES,
				     .flags = EMBER_SCAN_FULL | EMBER_SCAN_COLD};
	const struct ember_region_rec *recs;
	size_t nr = 0;

	ember_nl_move(&nl, &self, area, NR_PAGES, NULL, FAST, 0, outcome);
	scan_part(sampler, &id, &req, &recs);
	ember_nl_move(&nl, &self, area, NR_PAGES, NULL, SLOW, flags, outcome);
	for (size_t i = 0; i < NR_PAGES; i++)
		nr += outcome[i] == want;
	expect(nr == NR_PAGES && area_count(area, NR_PAGES, want_moved ? SLOW : FAST) == NR_PAGES,
	       "%s: want %lu %s, saw %zu (the first is %s)", what, NR_PAGES,
	       ember_outcome_name(want), nr, ember_outcome_name(outcome[0]));
	expect((req.nodes & BOTH) == ONLY(FAST) && (req.policy_nodes & BOTH) == want_policy_nodes,
	       "  the scan: want nodes %#lx, those of policies %#lx, saw %#x, %#x", ONLY(FAST),
	       want_policy_nodes, req.nodes, req.policy_nodes);
}

static void restricted(void)
{
	void *page = area;
	int node = SLOW, status, err;

	enter_cpuset("0");
	check_restricted("its cpuset leaves the node out", 0, false, BOTH);
	err = move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE) ? errno : 0;
	expect(err == EACCES, "move_pages(2): want EACCES, saw %s", strerror(err));
	check_restricted("but the node is restricted", EMBER_MIGRATE_RESTRICTED, true, BOTH);
	bind_thread(MPOL_BIND, ONLY(FAST));
	check_restricted("and the thread is bound elsewhere", EMBER_MIGRATE_RESTRICTED, false,
			 ONLY(FAST));
	bind_thread(MPOL_DEFAULT, 0);
	bind_area(MPOL_BIND, ONLY(FAST), 0);
	check_restricted("and the area is bound elsewhere", EMBER_MIGRATE_RESTRICTED, false, BOTH);
	bind_area(MPOL_DEFAULT, 0, 0);
	check_restricted("not any more", EMBER_MIGRATE_RESTRICTED, true, BOTH);
	leave_cpuset();
}

static atomic_bool changes_done;
static unsigned int nr_bound, nr_astray;

/* Once mbind(2) has brought all pages to SLOW, none may leave it until the policy is dropped. */
static void *change_all_the_time(void *arg)
{
	unsigned long nodes = ONLY(SLOW);

	for (int i = 0; i < NR_CHANGES; i++) {
		bool bound = !mbind(area, NR_PAGES * PAGE_BYTES, MPOL_BIND, &nodes, MASK_BITS,
				    MPOL_MF_MOVE | MPOL_MF_STRICT);

		for (int look = 0; bound && look < 3; look++) {
			nr_astray += area_count(area, NR_PAGES, FAST);
			usleep(500);
		}
		nr_bound += bound;
		bind_area(MPOL_DEFAULT, 0, 0);
		usleep(2000);
	}
	changes_done = true;
	return arg;
}

static void changes(void)
{
	static uint8_t outcome[NR_PAGES];
	long nr_moved = 0, nr_refused = 0;
	pthread_t thread;

	fill_slow();
	pthread_create(&thread, NULL, change_all_the_time, NULL);
	while (!changes_done) {
		nr_moved += ember_nl_move(&nl, &self, area, NR_PAGES, NULL, FAST, 0, outcome);
		for (size_t i = 0; i < NR_PAGES; i++)
			nr_refused += outcome[i] == EMBER_OUTCOME_NOT_ALLOWED;
	}
	pthread_join(thread, NULL);
	expect(nr_astray == 0,
	       "bound and released %d times under fire: want no page out of bounds, saw %u",
	       NR_CHANGES, nr_astray);
	expect(nr_bound >= NR_CHANGES / 4 && nr_moved > 0 && nr_refused > 0,
	       "both sides at work: bound %u times, %ld pages moved, %ld refused", nr_bound,
	       nr_moved, nr_refused);
	expect(!area_check(area, NR_PAGES, SEED), "contents: want 0 bad pages, saw %zu",
	       area_check(area, NR_PAGES, SEED));
}

int main(void)
{
	ember_nl_begin(&nl, &self);
	sampler = start_sampler();
	area = area_map(NR_PAGES);
	areas();
	shared_memory();
	threads_own();
	other_thread();
	cpuset();
	restricted();
	changes();
	return expect_status();
}
