/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that changes its memory in every way while its pages move and its accessed
 * bits are scanned is no error: each request gets its result, in each result the
 * outcomes add up to what was asked, the contents are right where the process can tell,
 * scans end, and what they report can be true. And nothing is left behind: neither a
 * page nor an address space.
 *
 *	migrate_races [--events N] [--seconds N] [--limit N] [--only NAME] [--each]
 *
 * Each race goes on for --seconds (default 2), and until --events (default 30) of its
 * events have happened with requests in flight; it has failed when that takes longer than
 * --limit seconds (default 1200), or when no page moved. What is left behind is looked for in
 * the end, with --each after each race.
 *
 *	migrate_races --load	no races: ask for one's own pages for ever, until
 *				the family goes away (then exit 0). For the
 *				unload test.
 */
#include <errno.h>
#include <getopt.h>
#include <numaif.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/movepages.h"
#include "tests/lib/acts.h"
#include "tests/lib/area.h"
#include "tests/lib/cgroup.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/sampling.h"
#include "tests/lib/settled.h"
#include "tests/lib/textfile.h"

#define NR_REGIONS 4
#define NR_PAGES (NR_REGIONS * REGION_PAGES)
#define AREA_BYTES (NR_PAGES * PAGE_BYTES)
#define NR_NODES 2
#define CGROUP "ember-races"

static struct options {
	double seconds, limit_s;
	unsigned long events;
	const char *only;
	bool each;
} options = {.seconds = 2, .limit_s = 1200, .events = 30};

static struct ember_nl nl;

struct target;

struct race {
	const char *name;
	act_fn act;
	bool short_lived;   /* one event is the end of a target */
	const char *cgroup; /* the target lives in CGROUP: its controllers */
	/* Beside the races of the target: a thread that has events of its own or moves pages, too.
	 */
	void *(*beside)(void *);
	void (*prepare)(void);
	void (*undo)(void);
};

struct greeting {
	struct ember_identity identity;
	char *area;
};

/* The target: fills its area, tells where it is, then races until told to stop. */
static void be_target(const struct race *race, int out, int in)
{
	struct greeting greeting = {.area = area_map(NR_PAGES)};
	size_t bad = 0;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srand((unsigned int)getpid());
	if (race->cgroup)
		cgroup_join(CGROUP, getpid());
	area_fill(greeting.area, NR_PAGES, 0, ACTS_SEED);
	if (ember_nl_self(&greeting.identity) ||
	    write(out, &greeting, sizeof(greeting)) != sizeof(greeting))
		_exit(1);
	while (!bad && recv(in, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		bad = race->act(greeting.area, NR_PAGES);
	_exit(bad ? 1 : 0);
}

struct target {
	pid_t pid;
	int stop; /* closing it ends the race */
	struct greeting greeting;
};

static void start_target(struct target *target, const struct race *race)
{
	int out[2], in[2];

	if (pipe(out) || socketpair(AF_UNIX, SOCK_STREAM, 0, in))
		fail("pipe: %s", strerror(errno));
	target->pid = fork();
	if (target->pid == 0) {
		close(in[0]);
		be_target(race, out[1], in[1]);
	}
	close(out[1]);
	close(in[1]);
	target->stop = in[0];
	if (read(out[0], &target->greeting, sizeof(target->greeting)) != sizeof(target->greeting))
		fail("the target process failed");
	close(out[0]);
}

static int stop_target(struct target *target)
{
	int status;

	close(target->stop);
	waitpid(target->pid, &status, 0);
	return status;
}

struct books {
	unsigned long nr_requests, nr_refused, nr_asked, nr_moved;
	unsigned long bad;
	unsigned long nr_astray; /* moved to where they must not be */
	double asking_s, busy_s; /* requests were sent; the module was at work on one */
	unsigned long count[EMBER_OUTCOME_MAX + 1];
};

static void make_job(struct ember_nl_job *job, const struct target *target)
{
	static uint8_t mask[NR_PAGES];
	static uint64_t id;

	memset(job, 0, sizeof(*job));
	for (size_t i = 0; i < NR_PAGES; i++)
		mask[i] = rand() % 3 != 0;
	job->id = ++id;
	job->target = target->greeting.identity;
	job->node = (uint32_t)(rand() % NR_NODES);
	job->flags = rand() % 2 ? EMBER_MIGRATE_SHARED : 0;
	if (ember_nl_job_fill(job, target->greeting.area, NR_PAGES, mask))
		fail("the job does not fit");
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Sent after the node was forbidden, and taken before it was allowed again? (An odd epoch is one of
 * these times.)
 */
static bool was_forbidden(const struct ember_nl_job *job, unsigned int epoch)
{
	return epoch % 2 && epoch == __atomic_load_n(&board->epoch, __ATOMIC_ACQUIRE) &&
	       (int)job->node == __atomic_load_n(&board->forbidden, __ATOMIC_RELAXED);
}

/* Every page that was asked for must have one outcome of the list. */
static void enter(struct books *books, struct ember_nl_job *job, unsigned int epoch)
{
	static uint8_t outcome[NR_PAGES];
	void *addr = (void *)(uintptr_t)job->regions[0].addr;
	unsigned long sum = 0;
	int err;

	err = ember_nl_wait(&nl, job, 60000);
	if (err)
		fail("no result within 60 s: %s", strerror(-err));
	__atomic_fetch_add(&board->nr_taken, 1, __ATOMIC_RELEASE);
	memset(outcome, 0, sizeof(outcome));
	books->bad += ember_nl_job_outcomes(job, addr, NR_PAGES, outcome) != 0;
	for (size_t i = 0; i < NR_PAGES; i++) {
		books->count[outcome[i]]++;
		sum += outcome[i] != 0;
	}
	books->bad += sum != job->nr_asked;
	books->busy_s += (double)job->time_ns / 1e9;
	books->bad += job->status && job->status != -ESRCH;
	books->nr_asked += job->nr_asked;
	books->nr_moved += job->nr_moved;
	books->nr_astray += was_forbidden(job, epoch) ? job->nr_moved : 0;
	books->bad += ember_nl_ack(&nl, job->id) != 0;
}

/*
 * How many events have met the module at work: of those with requests in flight, the share of the
 * time in which it was, which is an estimate. Results may wait to be taken while the next request
 * has not been made.
 */
static unsigned long nr_met(const struct books *books)
{
	double share = books->asking_s > 0 ? books->busy_s / books->asking_s : 0;

	return (unsigned long)((share < 1 ? share : 1) *
			       (double)__atomic_load_n(&board->nr_overlapped, __ATOMIC_RELAXED));
}

/* Has the race gone on for long enough? */
static bool enough(const struct books *books, double begin_s)
{
	double lasted_s = now_s() - begin_s;

	return lasted_s > options.limit_s ||
	       (lasted_s > options.seconds && nr_met(books) >= options.events);
}

/* Keeps some requests in flight until it is enough, or until the target is refused. */
static void ask_for(struct books *books, const struct target *target, double begin_s)
{
	static struct ember_nl_job jobs[EMBER_CREDITS];
	static unsigned int epochs[EMBER_CREDITS];
	unsigned int sent = 0, taken = 0, at;
	double before_s = now_s(), asked_s = books->asking_s;
	int err = 0;

	do {
		while (!err && sent - taken < EMBER_CREDITS) {
			at = sent % EMBER_CREDITS;
			make_job(&jobs[at], target);
			epochs[at] = __atomic_load_n(&board->epoch, __ATOMIC_ACQUIRE);
			/* Before: an event that sees it in flight may be over when it is. */
			__atomic_fetch_add(&board->nr_sent, 1, __ATOMIC_RELEASE);
			err = ember_nl_migrate(&nl, &jobs[at]);
			if (err && err != -ESRCH)
				fail("request: %s", strerror(-err));
			__atomic_fetch_add(&board->nr_taken, err != 0, __ATOMIC_RELEASE);
			books->nr_refused += err != 0;
			books->nr_requests += !err;
			sent += !err;
		}
		if (taken < sent) {
			at = taken++ % EMBER_CREDITS;
			enter(books, &jobs[at], epochs[at]);
		}
		books->asking_s = asked_s + now_s() - before_s;
	} while (!err && !enough(books, begin_s));
	while (taken < sent) {
		at = taken++ % EMBER_CREDITS;
		enter(books, &jobs[at], epochs[at]);
	}
	books->asking_s = asked_s + now_s() - before_s;
}

/* Scans the target all the time, in a thread of its own. */
struct scanner {
	pthread_t thread;
	const struct target *target;
	bool stop;
	unsigned int random;
	unsigned long nr_tables, nr_recs, nr_stops[EMBER_STOP_NOTIFIER + 1];
	unsigned long nr_midway; /* stopped for the lock after some tables: flushed by then */
	unsigned long bad;
};

static struct ember_sampler *sampler;

static unsigned int mem_of(const struct ember_region_rec *rec, unsigned int page)
{
	unsigned int index = 0;

	for (unsigned int k = 0; k < EMBER_MEM_PLANES; k++)
		index |= (unsigned int)(rec->mem[k][page / 64] >> (page % 64) & 1) << k;
	return index;
}

/* Entries read from what is no page table any more would show here. */
static bool record_is_sane(const struct ember_region_rec *rec, uint64_t start)
{
	unsigned int nr_young = 0, nr_present = 0;

	for (unsigned int page = 0; page < REGION_PAGES; page++) {
		bool present = rec->present[page / 64] >> (page % 64) & 1;
		bool young = rec->young[page / 64] >> (page % 64) & 1;

		if ((young && !present) || (present && mem_of(rec, page) > 1))
			return false;
		nr_present += present;
		nr_young += young;
	}
	return rec->addr >= start && rec->addr < start + AREA_BYTES && nr_young == rec->nr_young &&
	       nr_present == rec->nr_present;
}

/* One call. Returns whether there is more to scan. */
static bool scan_some(struct scanner *s, struct ember_scan_req *req)
{
	const struct ember_identity *identity = &s->target->greeting.identity;
	const struct ember_proc_id id = {.tgid = identity->tgid,
					 .start_boottime_ns = identity->start_ns,
					 .self_exec_id = identity->exec_id};
	uint64_t start = (uintptr_t)s->target->greeting.area, before = req->cursor;
	const struct ember_region_rec *recs;
	int err = ember_sampler_scan(sampler, &id, req, &recs);

	if (err) {
		s->bad += err != -ESRCH && err != -ESTALE;
		return false;
	}
	s->bad += req->cursor < before || req->cursor > req->end || !req->stop ||
		  req->stop > EMBER_STOP_GONE ||
		  (req->stop == EMBER_STOP_DONE && req->cursor != req->end);
	if (req->stop == EMBER_STOP_LOCK && req->nr_tables) {
		s->nr_midway++;
		s->bad += (req->flags & EMBER_SCAN_FLUSH) && req->nr_unflushed;
	}
	for (unsigned int i = 0; i < req->nr_recs; i++)
		s->bad += !record_is_sane(&recs[i], start);
	s->nr_stops[req->stop]++;
	s->nr_tables += req->nr_tables;
	s->nr_recs += req->nr_recs;
	return req->stop != EMBER_STOP_DONE && req->stop != EMBER_STOP_GONE;
}

static void *scan_always(void *arg)
{
	static const uint32_t flags[] = {
	    EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH,
	    EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH | EMBER_SCAN_FULL,
	    EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH | EMBER_SCAN_FULL | EMBER_SCAN_COLD,
	    EMBER_SCAN_FULL | EMBER_SCAN_COLD,
	};
	struct scanner *s = arg;
	uint64_t start = (uintptr_t)s->target->greeting.area;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		struct ember_scan_req req = {.cursor = start,
					     .end = start + AREA_BYTES,
					     .budget_ns = rand_r(&s->random) % 2,
					     .flags = flags[rand_r(&s->random) % 4]};

		while (scan_some(s, &req) && !__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
			;
	}
	return NULL;
}

static void start_scanner(struct scanner *s, const struct target *target)
{
	s->target = target;
	s->stop = false;
	if (pthread_create(&s->thread, NULL, scan_always, s))
		fail("pthread_create");
}

static void stop_scanner(struct scanner *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_join(s->thread, NULL);
}

static void print_scans(const struct scanner *s)
{
	expect(!s->bad && s->nr_tables && s->nr_recs,
	       "          scanned meanwhile: %lu tables, %lu records; ended %lu times, for time "
	       "%lu, buffer %lu, lock %lu (%lu midway), gone %lu; want 0 wrong, saw %lu",
	       s->nr_tables, s->nr_recs, s->nr_stops[EMBER_STOP_DONE], s->nr_stops[EMBER_STOP_TIME],
	       s->nr_stops[EMBER_STOP_BUFFER], s->nr_stops[EMBER_STOP_LOCK], s->nr_midway,
	       s->nr_stops[EMBER_STOP_GONE], s->bad);
}

/* --- What happens beside -------------------------------------------------------------------------
 */

struct beside {
	pthread_t thread;
	const struct target *target;
	bool stop;
	unsigned long nr_astray, nr_moved;
	unsigned long nr_checked; /* times at which pages could have been astray */
};

static bool stopped(const struct beside *b)
{
	return __atomic_load_n(&b->stop, __ATOMIC_RELAXED);
}

/* Waits until so many results have been taken, or it is over. */
static void wait_taken(const struct beside *b, unsigned int nr)
{
	while (!stopped(b) && (int)(__atomic_load_n(&board->nr_taken, __ATOMIC_ACQUIRE) - nr) < 0)
		usleep(200);
}

/* Until one more request is over: pages have had time to move. */
static void wait_for_one(const struct beside *b)
{
	wait_taken(b, __atomic_load_n(&board->nr_taken, __ATOMIC_ACQUIRE) + 1);
}

static void *freeze_always(void *arg)
{
	struct beside *b = arg;

	while (!stopped(b)) {
		unsigned int in_flight = event_begin();

		cgroup_write(CGROUP, "cgroup.freeze", "1");
		while (!cgroup_says(CGROUP, "cgroup.events", "frozen 1"))
			usleep(200);
		event_end(in_flight, true);
		wait_for_one(b);
		cgroup_write(CGROUP, "cgroup.freeze", "0");
		wait_for_one(b);
	}
	return NULL;
}

/* Pages of the target that lie on @node. */
static unsigned long count_on(const struct target *target, int node)
{
	static void *pages[NR_PAGES];
	static int nodes[NR_PAGES];
	unsigned long nr = 0;

	for (size_t i = 0; i < NR_PAGES; i++)
		pages[i] = target->greeting.area + i * PAGE_BYTES;
	if (move_pages((int)target->greeting.identity.tgid, NR_PAGES, pages, NULL, nodes, 0) < 0)
		fail("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < NR_PAGES; i++)
		nr += nodes[i] == node;
	return nr;
}

/*
 * When the change has returned and the requests are over that were in flight then, no page lies
 * outside the cpuset, and none that is asked for later goes there.
 */
static void *change_cpuset_always(void *arg)
{
	struct beside *b = arg;
	unsigned int nr_sent;

	for (int forbidden = 0; !stopped(b); forbidden = !forbidden) {
		unsigned int in_flight = event_begin();

		cgroup_write(CGROUP, "cpuset.mems", forbidden ? "0" : "1");
		event_end(in_flight, true);
		__atomic_store_n(&board->forbidden, forbidden, __ATOMIC_RELAXED);
		__atomic_fetch_add(&board->epoch, 1, __ATOMIC_RELEASE);
		nr_sent = __atomic_load_n(&board->nr_sent, __ATOMIC_ACQUIRE);
		wait_taken(b, nr_sent);
		if (!stopped(b)) {
			b->nr_astray += count_on(b->target, forbidden);
			b->nr_checked++;
		}
		wait_taken(b, nr_sent + 2);
		__atomic_fetch_add(&board->epoch, 1, __ATOMIC_RELEASE);
		cgroup_write(CGROUP, "cpuset.mems", "0-1");
		wait_for_one(b);
	}
	return NULL;
}

/* The daemon's other mover: huge pages are its business. */
static void *move_by_syscall_always(void *arg)
{
	struct beside *b = arg;
	const struct ember_identity *id = &b->target->greeting.identity;
	struct ember_move move = {.id = {.tgid = id->tgid,
					 .start_boottime_ns = id->start_ns,
					 .self_exec_id = id->exec_id},
				  .nr_regions = NR_REGIONS,
				  .nr_pages = NR_PAGES,
				  .mover = EMBER_MOVER_MOVE_PAGES};
	struct ember_move_region regions[NR_REGIONS] = {0};
	struct ember_fate_run *runs;
	size_t nr_runs;

	for (int i = 0; i < NR_REGIONS; i++) {
		regions[i].addr = (uintptr_t)b->target->greeting.area + i * REGION_BYTES;
		regions[i].nr_pages = REGION_PAGES;
		memset(regions[i].pages, 0xff, sizeof(regions[i].pages));
	}
	for (; !stopped(b); move.dest = !move.dest) {
		if (ember_movepages_run(&move, regions, 0, &runs, &nr_runs) < 0)
			fail("no memory");
		for (size_t i = 0; i < nr_runs; i++)
			b->nr_moved += runs[i].outcome == EMBER_FATE_MOVED ? runs[i].nr_pages : 0;
		free(runs);
	}
	return NULL;
}

static void start_beside(struct beside *b, const struct race *race, const struct target *target)
{
	b->target = target;
	b->stop = false;
	if (race->beside && pthread_create(&b->thread, NULL, race->beside, b))
		fail("pthread_create");
}

static void stop_beside(struct beside *b, const struct race *race)
{
	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	if (race->beside)
		pthread_join(b->thread, NULL);
}

/* --- Swap ----------------------------------------------------------------------------------------
 */

/* Less than the area; what the rest of the target takes is a few hundred KiB. */
#define SMALL "6M"
#define SWAP_FILE "/var/tmp/ember-races.swap"

static void run_command(const char *command)
{
	if (system(command))
		fail("%s", command);
}

static void swap_on(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "mkswap %s >/dev/null", path);
	run_command(command);
	if (swapon(path, 0))
		fail("swapon %s: %s", path, strerror(errno));
	cgroup_write(CGROUP, "memory.max", SMALL);
}

static void swap_off(const char *path)
{
	cgroup_write(CGROUP, "memory.max", "max");
	if (swapoff(path))
		fail("swapoff %s: %s", path, strerror(errno));
}

static void zram_on(void)
{
	run_command("modprobe zram && udevadm settle");
	textfile_write("/sys/block/zram0/disksize", "64M");
	swap_on("/dev/zram0");
}

static void zram_off(void)
{
	swap_off("/dev/zram0");
	run_command("udevadm settle");
	textfile_write("/sys/block/zram0/reset", "1");
}

static void swap_file_on(void)
{
	run_command("dd if=/dev/zero of=" SWAP_FILE " bs=1M count=64 status=none && "
		    "chmod 600 " SWAP_FILE);
	swap_on(SWAP_FILE);
}

static void swap_file_off(void)
{
	swap_off(SWAP_FILE);
	unlink(SWAP_FILE);
}

static void freely(void)
{
	cgroup_write(CGROUP, "cpuset.mems", "0-1");
}

static void mount_debugfs(void)
{
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) && errno != EBUSY)
		fail("debugfs: %s", strerror(errno));
}

/* --- The races -----------------------------------------------------------------------------------
 */

static const struct race races[] = {
    {.name = "mprotect", .act = act_mprotect},
    {.name = "munmap", .act = act_munmap},
    {.name = "mremap", .act = act_mremap},
    {.name = "dontneed", .act = act_dontneed},
    {.name = "free", .act = act_free},
    {.name = "fork", .act = act_fork},
    {.name = "collapse",
     .act = act_collapse,
     .beside = move_by_syscall_always,
     .prepare = mount_debugfs},
    {.name = "split", .act = act_split, .beside = move_by_syscall_always, .prepare = mount_debugfs},
    {.name = "swap-zram",
     .act = act_swap,
     .cgroup = "+memory",
     .prepare = zram_on,
     .undo = zram_off},
    {.name = "swap-file",
     .act = act_swap,
     .cgroup = "+memory",
     .prepare = swap_file_on,
     .undo = swap_file_off},
    {.name = "freeze", .act = act_nothing, .cgroup = "", .beside = freeze_always},
    {.name = "cpuset",
     .act = act_nothing,
     .cgroup = "+cpuset",
     .beside = change_cpuset_always,
     .undo = freely},
    {.name = "exit", .act = act_exit, .short_lived = true},
    {.name = "exec", .act = act_exec, .short_lived = true},
};

/* The race for itself: its books, what happened beside it, and the number of targets that failed.
 */
static void race_on(const struct race *race, struct books *books, struct beside *beside,
		    struct scanner *scanner, unsigned long *ret_targets, unsigned long *ret_failed)
{
	double begin_s = now_s();
	struct target target;

	do {
		start_target(&target, race);
		start_scanner(scanner, &target);
		start_beside(beside, race, &target);
		ask_for(books, &target, begin_s);
		stop_beside(beside, race);
		stop_scanner(scanner);
		if (race->cgroup)
			cgroup_write(CGROUP, "cgroup.freeze", "0");
		*ret_failed += stop_target(&target) != 0;
		++*ret_targets;
	} while (!enough(books, begin_s));
}

static void judge(const struct race *race, const struct books *books, const struct beside *beside,
		  double lasted_s, unsigned long targets, unsigned long failed)
{
	expect(
	    !books->bad && !failed && (!race->short_lived || targets > 1),
	    "%-9s %.0f s, %lu targets, %lu requests: %lu pages asked, %lu moved, %lu by move_pages(2); "
	    "want 0 unbalanced results and 0 failed targets, saw %lu and %lu",
	    race->name, lasted_s, targets, books->nr_requests, books->nr_asked, books->nr_moved,
	    beside->nr_moved, books->bad, failed);
	for (unsigned int i = 1; i <= EMBER_OUTCOME_MAX; i++)
		if (books->count[i])
			printf("       %s %lu\n", ember_outcome_name(i), books->count[i]);
	expect(
	    nr_met(books) >= options.events && books->nr_moved >= options.events,
	    "          %lu events, %lu of them with requests in flight, of these about %lu while "
	    "the module was at work: want at least %lu, and as many pages moved",
	    board->nr_events, board->nr_overlapped, nr_met(books), options.events);
	if (race->beside == move_by_syscall_always)
		expect(beside->nr_moved, "          move_pages(2) had its part");
	if (race->beside == change_cpuset_always)
		expect(
		    !beside->nr_astray && !books->nr_astray && beside->nr_checked &&
			books->count[EMBER_OUTCOME_NOT_ALLOWED],
		    "          outside the cpuset: want 0 pages after each of %lu changes, saw %lu; "
		    "want 0 moved there by later requests, saw %lu",
		    beside->nr_checked, beside->nr_astray, books->nr_astray);
}

static void run_race(const struct race *race)
{
	struct scanner scanner = {.random = 1};
	unsigned long targets = 0, failed = 0;
	struct beside beside = {0};
	struct books books = {0};
	double begin_s = now_s();

	board_clear();
	if (race->cgroup)
		cgroup_make(CGROUP, race->cgroup);
	if (race->prepare)
		race->prepare();
	race_on(race, &books, &beside, &scanner, &targets, &failed);
	if (race->undo)
		race->undo();
	if (race->cgroup)
		cgroup_remove(CGROUP);
	judge(race, &books, &beside, now_s() - begin_s, targets, failed);
	print_scans(&scanner);
}

/* Waits for a result that takes its time on a busy machine, as long as there is somebody to give
 * it. */
static int wait_for_result(struct ember_nl_job *job)
{
	struct ember_nl_info info;
	int err = -ETIMEDOUT;

	for (int tries = 0; err == -ETIMEDOUT && tries < 60; tries++) {
		err = ember_nl_wait(&nl, job, 1000);
		/* A lost family shows as an unknown message type. */
		if (err == -ETIMEDOUT && ember_nl_get_info(&nl, &info))
			return -ENOENT;
	}
	return err;
}

/* One's own pages, there and back, until the family is gone. */
static int load(void)
{
	static struct ember_nl_job jobs[EMBER_CREDITS];
	char *area = area_map(NR_PAGES * 4);
	struct ember_identity self;
	unsigned int sent;
	int err = 0;

	if (ember_nl_open(&nl) || ember_nl_self(&self))
		fail("cannot begin");
	area_fill(area, NR_PAGES * 4, 0, ACTS_SEED);
	for (sent = 0; !err; sent++) {
		struct ember_nl_job *job = &jobs[sent % EMBER_CREDITS];

		if (sent >= EMBER_CREDITS) {
			err = wait_for_result(job);
			if (err)
				break;
			ember_nl_ack(&nl, job->id);
		}
		job->id = sent + 1;
		job->target = self;
		job->node = (sent + 1) % 2;
		ember_nl_job_fill(job, area, NR_PAGES * 4, NULL);
		err = ember_nl_migrate(&nl, job);
	}
	printf("load: %u requests, ended by: %s; bad pages: want 0, saw %zu\n", sent,
	       strerror(-err), area_check(area, NR_PAGES * 4, ACTS_SEED));
	return (err == -ENOENT || err == -EOPNOTSUPP) && !area_check(area, NR_PAGES * 4, ACTS_SEED)
		   ? 0
		   : 1;
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
	    {"events", required_argument, NULL, 'e'},
	    {"seconds", required_argument, NULL, 's'},
	    {"limit", required_argument, NULL, 'l'},
	    {"only", required_argument, NULL, 'o'},
	    {"load", no_argument, NULL, 'L'},
	    {"each", no_argument, NULL, 'E'},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'e')
			options.events = strtoul(optarg, NULL, 0);
		else if (option == 's')
			options.seconds = strtod(optarg, NULL);
		else if (option == 'l')
			options.limit_s = strtod(optarg, NULL);
		else if (option == 'o')
			options.only = optarg;
		else if (option == 'E')
			options.each = true;
		else if (option == 'L')
			exit(load());
		else
			exit(2);
	}
	if (!options.events)
		fail("bad option");
}

/* What the first run of anything leaves is not counted: caches, the programs' own memory. */
static void warm_up(void)
{
	static const struct race nothing = {.name = "nothing", .act = act_nothing};
	struct options wanted = options;

	options.events = 0;
	options.seconds = 0.5;
	run_race(&nothing);
	options = wanted;
}

int main(int argc, char **argv)
{
	struct ember_identity self;
	struct settled before;

	parse_options(argc, argv);
	ember_nl_begin(&nl, &self);
	board_make();
	sampler = start_sampler();
	warm_up();
	settled_read(&before);
	for (size_t i = 0; i < sizeof(races) / sizeof(races[0]); i++) {
		if (options.only && strcmp(options.only, races[i].name))
			continue;
		run_race(&races[i]);
		if (options.each)
			expect_failures += !settled_expect(&before, races[i].name);
	}
	expect_failures += !settled_expect(&before, "all of them");
	ember_sampler_close(sampler);
	ember_nl_close(&nl);
	return expect_status();
}
