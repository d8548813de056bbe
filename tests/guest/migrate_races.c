/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that changes its memory in every way while its pages move and its accessed
 * bits are scanned is no error: each request gets its result, in each result the
 * outcomes add up to what was asked, the contents are right where the process can tell,
 * scans end, and what they report can be true.
 *
 *	migrate_races [--seconds N]	each race for N seconds (default 3)
 *	migrate_races --load		no races: ask for one's own pages for ever, until
 *					the family goes away (then exit 0). For the
 *					unload test.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/sampling.h"

#define NR_REGIONS 4
#define NR_PAGES (NR_REGIONS * REGION_PAGES)
#define AREA_BYTES (NR_PAGES * PAGE_BYTES)
#define SEED 0xace

static struct ember_nl nl;
static unsigned int seconds = 3;

/* What a target does, again and again, with its filled area. Returns bad pages. */
typedef size_t (*race_fn)(char *area);

struct greeting {
	struct ember_identity identity;
	char *area;
};

static size_t do_nothing(char *area)
{
	usleep(1000);
	return area_check(area, NR_PAGES, SEED);
}

static size_t do_mprotect(char *area)
{
	mprotect(area, AREA_BYTES, PROT_READ);
	mprotect(area + REGION_BYTES / 2, REGION_BYTES, PROT_NONE);
	mprotect(area, AREA_BYTES, PROT_READ | PROT_WRITE);
	return area_check(area, NR_PAGES, SEED);
}

static size_t do_munmap(char *area)
{
	munmap(area + REGION_BYTES, REGION_BYTES);
	if (mmap(area + REGION_BYTES, REGION_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return 1;
	madvise(area + REGION_BYTES, REGION_BYTES, MADV_NOHUGEPAGE);
	area_fill(area + REGION_BYTES, REGION_PAGES, 0, SEED);
	return area_check(area, NR_PAGES, SEED);
}

/* Away and back: contents know their address, so check them back at home only. */
static size_t do_mremap(char *area)
{
	char *other = area_map(NR_PAGES);

	if (mremap(area, AREA_BYTES, AREA_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, other) != other ||
	    mremap(other, AREA_BYTES, AREA_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, area) != area)
		return 1;
	return area_check(area, NR_PAGES, SEED);
}

static size_t do_dontneed(char *area)
{
	madvise(area, AREA_BYTES / 2, MADV_DONTNEED);
	area_fill(area, NR_PAGES / 2, 0, SEED);
	return area_check(area, NR_PAGES, SEED);
}

/* Copy on write on both sides while pages move. */
static size_t do_fork(char *area)
{
	pid_t child = fork();
	int status = 1;

	if (child == 0) {
		size_t bad = area_check(area, NR_PAGES, SEED);

		area_fill(area, NR_PAGES / 2, 0, ~SEED);
		bad += area_check(area, NR_PAGES / 2, ~SEED);
		_exit(bad ? 1 : 0);
	}
	area_fill(area + AREA_BYTES / 2, NR_PAGES / 2, 0, SEED);
	waitpid(child, &status, 0);
	return area_check(area, NR_PAGES, SEED) + (status != 0);
}

static size_t do_thp(char *area)
{
	madvise(area, AREA_BYTES, MADV_HUGEPAGE);
	madvise(area, AREA_BYTES, 25 /* MADV_COLLAPSE */);
	madvise(area, AREA_BYTES / 2, MADV_NOHUGEPAGE);
	mprotect(area + PAGE_BYTES, PAGE_BYTES, PROT_READ);
	mprotect(area + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE);
	/* Small pages again, until the next round collapses them. */
	madvise(area + AREA_BYTES / 2, AREA_BYTES / 2, MADV_NOHUGEPAGE);
	madvise(area + AREA_BYTES / 2, AREA_BYTES / 2, MADV_DONTNEED);
	area_fill(area + AREA_BYTES / 2, NR_PAGES / 2, 0, SEED);
	return area_check(area, NR_PAGES, SEED);
}

static size_t do_exit(char *area)
{
	usleep((useconds_t)(rand() % 20000));
	_exit(0);
}

static size_t do_exec(char *area)
{
	usleep((useconds_t)(rand() % 20000));
	execl("/bin/sleep", "sleep", "0.02", NULL);
	_exit(1);
}

/* The target: fills its area, tells where it is, then races until killed. */
static void be_target(race_fn race, int out, int in)
{
	struct greeting greeting = {.area = area_map(NR_PAGES)};
	size_t bad = 0;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srand((unsigned int)getpid());
	area_fill(greeting.area, NR_PAGES, 0, SEED);
	if (ember_nl_self(&greeting.identity) ||
	    write(out, &greeting, sizeof(greeting)) != sizeof(greeting))
		_exit(1);
	while (!bad && recv(in, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		bad = race(greeting.area);
	_exit(bad ? 1 : 0);
}

struct target {
	pid_t pid;
	int stop; /* closing it ends the race */
	struct greeting greeting;
};

static void start_target(struct target *target, race_fn race)
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
	job->node = (uint32_t)(rand() % 2);
	job->flags = rand() % 2 ? EMBER_MIGRATE_SHARED : 0;
	if (ember_nl_job_fill(job, target->greeting.area, NR_PAGES, mask))
		fail("the job does not fit");
}

/* Every page that was asked for must have one outcome of the list. */
static void enter(struct books *books, struct ember_nl_job *job)
{
	static uint8_t outcome[NR_PAGES];
	void *addr = (void *)(uintptr_t)job->regions[0].addr;
	unsigned long sum = 0;
	int err;

	err = ember_nl_wait(&nl, job, 60000);
	if (err)
		fail("no result within 60 s: %s", strerror(-err));
	memset(outcome, 0, sizeof(outcome));
	books->bad += ember_nl_job_outcomes(job, addr, NR_PAGES, outcome) != 0;
	for (size_t i = 0; i < NR_PAGES; i++) {
		books->count[outcome[i]]++;
		sum += outcome[i] != 0;
	}
	books->bad += sum != job->nr_asked;
	books->bad += job->status && job->status != -ESRCH;
	books->nr_asked += job->nr_asked;
	books->nr_moved += job->nr_moved;
	books->bad += ember_nl_ack(&nl, job->id) != 0;
}

/* Keeps some requests in flight for a while, or until the target is refused. */
static void ask_for(struct books *books, const struct target *target, double until_s)
{
	static struct ember_nl_job jobs[EMBER_CREDITS];
	unsigned int sent = 0, taken = 0;
	struct timespec now;
	int err = 0;

	do {
		while (!err && sent - taken < EMBER_CREDITS) {
			make_job(&jobs[sent % EMBER_CREDITS], target);
			err = ember_nl_migrate(&nl, &jobs[sent % EMBER_CREDITS]);
			if (err && err != -ESRCH)
				fail("request: %s", strerror(-err));
			books->nr_refused += err != 0;
			books->nr_requests += !err;
			sent += !err;
		}
		if (taken < sent)
			enter(books, &jobs[taken++ % EMBER_CREDITS]);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!err && (double)now.tv_sec + (double)now.tv_nsec / 1e9 < until_s);
	while (taken < sent)
		enter(books, &jobs[taken++ % EMBER_CREDITS]);
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

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_race(const char *name, race_fn race)
{
	bool short_lived = race == do_exit || race == do_exec;
	double until_s = now_s() + seconds;
	unsigned long targets = 0, failed = 0;
	struct scanner scanner = {.random = 1};
	struct books books = {0};
	struct target target;

	do {
		start_target(&target, race);
		start_scanner(&scanner, &target);
		ask_for(&books, &target, until_s);
		stop_scanner(&scanner);
		failed += stop_target(&target) != 0;
		targets++;
	} while (now_s() < until_s);
	expect(!books.bad && !failed && books.nr_moved && (!short_lived || targets > 1),
	       "%-9s %lu targets, %lu requests: %lu pages asked, %lu moved; want 0 unbalanced "
	       "results and 0 failed targets, saw %lu and %lu",
	       name, targets, books.nr_requests, books.nr_asked, books.nr_moved, books.bad, failed);
	for (unsigned int i = 1; i <= EMBER_OUTCOME_MAX; i++)
		if (books.count[i])
			printf("       %s %lu\n", ember_outcome_name(i), books.count[i]);
	print_scans(&scanner);
}

/* One's own pages, there and back, until the family is gone. */
static int load(void)
{
	static struct ember_nl_job jobs[EMBER_CREDITS];
	char *area = area_map(NR_PAGES * 4);
	struct ember_identity self;
	struct ember_nl_info info;
	unsigned int sent;
	int err = 0;

	if (ember_nl_open(&nl) || ember_nl_self(&self))
		fail("cannot begin");
	area_fill(area, NR_PAGES * 4, 0, SEED);
	for (sent = 0; !err; sent++) {
		struct ember_nl_job *job = &jobs[sent % EMBER_CREDITS];

		if (sent >= EMBER_CREDITS) {
			err = ember_nl_wait(&nl, job, 1000);
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
	       strerror(-err), area_check(area, NR_PAGES * 4, SEED));
	/* A result that never comes: because the family is gone, or was it lost? */
	if (err == -ETIMEDOUT)
		err = ember_nl_get_info(&nl, &info);
	/* A lost family shows as an unknown message type. */
	return (err == -ENOENT || err == -EOPNOTSUPP) && !area_check(area, NR_PAGES * 4, SEED) ? 0
											       : 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--load"))
		return load();
	if (argc > 2 && !strcmp(argv[1], "--seconds"))
		seconds = (unsigned int)strtoul(argv[2], NULL, 0);
	ember_nl_begin(&nl, NULL);
	sampler = start_sampler();
	run_race("nothing", do_nothing);
	run_race("mprotect", do_mprotect);
	run_race("munmap", do_munmap);
	run_race("mremap", do_mremap);
	run_race("dontneed", do_dontneed);
	run_race("fork", do_fork);
	run_race("thp", do_thp);
	run_race("exit", do_exit);
	run_race("exec", do_exec);
	ember_sampler_close(sampler);
	ember_nl_close(&nl);
	return expect_status();
}
