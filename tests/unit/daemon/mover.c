// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two movers with a module that is made here (the linker wraps the netlink client): threads,
 * queues and move_pages(2) are real. What it is for is the thread sanitizer, and that each job
 * comes back once, whatever is under way.
 */
#include "check.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/ember.h>

#include "mover.h"

#define NR_JOBS 3000
#define HANG_S 120

/* ---- the module: answers in the order of requests, at times after a while ---- */

struct ember_genl {
	uint64_t ids[EMBER_CREDITS];
	unsigned int nr;
	unsigned int nr_waits;
	bool broken;
};

static atomic_uint nr_shared;    /* requests for shared pages */
static int refuse_all;           /* with this error; 0: no */
static unsigned int break_every; /* so many waits the connection breaks; 0: never */

#define WRAPS(name) __asm__("__wrap_ember_genl_" name)

int module_open(struct ember_genl **ret, struct ember_genl_info *ret_info) WRAPS("open");
struct ember_genl *module_close(struct ember_genl *genl) WRAPS("close");
int module_migrate(struct ember_genl *genl, uint64_t id, const struct ember_move *move,
		   const struct ember_move_region *regions) WRAPS("migrate");
int module_wait(struct ember_genl *genl, int timeout_ms, struct ember_genl_result *ret)
    WRAPS("wait");

int module_open(struct ember_genl **ret, struct ember_genl_info *ret_info)
{
	static atomic_uint nr_opens;

	if (break_every && ++nr_opens % 4 == 0)
		return -ENOBUFS;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

struct ember_genl *module_close(struct ember_genl *genl)
{
	free(genl);
	return NULL;
}

int module_migrate(struct ember_genl *genl, uint64_t id, const struct ember_move *move,
		   const struct ember_move_region *regions)
{
	if (refuse_all)
		return refuse_all;
	nr_shared += move->mover == EMBER_MOVER_MODULE_SHARED;
	if (break_every && id % 400 == 0)
		genl->broken = true; /* on the way there */
	if (genl->broken)
		return -EIO;
	if (id % 7 == 0)
		return -ESRCH;
	if (genl->nr == EMBER_CREDITS)
		return -EBUSY;
	genl->ids[genl->nr++] = id;
	return 0;
}

int module_wait(struct ember_genl *genl, int timeout_ms, struct ember_genl_result *ret)
{
	if (!genl->nr || ++genl->nr_waits % 3 == 0)
		return -EAGAIN;
	if (break_every && genl->nr_waits % break_every == 0)
		genl->broken = true;
	if (genl->broken)
		return -EIO;
	*ret = (struct ember_genl_result){.id = genl->ids[0], .time_ns = 1};
	memmove(genl->ids, genl->ids + 1, --genl->nr * sizeof(genl->ids[0]));
	ret->runs = calloc(1, sizeof(*ret->runs));
	if (ret->runs)
		ret->runs[ret->nr_runs++] = (struct ember_fate_run){EMBER_FATE_MOVED, 1};
	return 0;
}

/* ---- jobs ---- */

static uint64_t start_of_this_process(void)
{
	static const char *const skip = "%*d (%*[^)]) %*c";
	FILE *f = fopen("/proc/self/stat", "re");
	unsigned long long ticks = 0;
	char word[64];

	assert_non_null(f);
	assert_int_equal(fscanf(f, skip), 0);
	for (int field = 4; field <= 22; field++)
		assert_int_equal(fscanf(f, "%63s", word), 1);
	ticks = strtoull(word, NULL, 10);
	fclose(f);
	return ticks * (1000000000ULL / sysconf(_SC_CLK_TCK));
}

/* One page of this process to where it is. */
static struct ember_job *new_job(void *area, uint64_t start_ns, unsigned int i)
{
	struct ember_job *job = calloc(1, sizeof(*job) + sizeof(job->regions[0]));
	enum ember_mover mover = i % 5 == 0   ? EMBER_MOVER_MOVE_PAGES
				 : i % 5 == 1 ? EMBER_MOVER_MODULE_SHARED
					      : EMBER_MOVER_MODULE;

	assert_non_null(job);
	job->move = (struct ember_move){.id = {.tgid = getpid(), .start_boottime_ns = start_ns},
					.nr_regions = 1,
					.nr_pages = 1,
					.mover = mover,
					.direction = i % 3 ? EMBER_PROMOTE : EMBER_DEMOTE};
	job->regions[0] = (struct ember_move_region){.addr = (uintptr_t)area, .nr_pages = 1};
	job->regions[0].pages[0] = 1;
	return job;
}

static struct ember_movers *start(void)
{
	struct ember_movers *movers = NULL;
	struct ember_genl_info info = {0};

	assert_int_equal(ember_movers_new(&movers, &info), 0);
	return movers;
}

/* As in a plan: each job waits for those of the other direction that were submitted before it. */
static void submit(struct ember_movers *movers, struct ember_job *job)
{
	job->after = ember_movers_nr_submitted(movers, ember_opposite(job->move.direction));
	ember_movers_submit(movers, job);
}

static uint32_t take(struct ember_movers *movers, uint64_t nr_by_fate[EMBER_NR_FATES])
{
	struct ember_job *job;
	uint32_t nr = 0;

	while ((job = ember_movers_take_done(movers))) {
		assert_int_equal(job->nr_runs, 1);
		assert_int_equal(job->runs[0].nr_pages, 1);
		nr_by_fate[job->runs[0].outcome]++;
		ember_job_free(job);
		nr++;
	}
	return nr;
}

static void *map_area(void)
{
	char *area = mmap(NULL, 2 * EMBER_REGION_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(area, MAP_FAILED);
	area = (char *)(((uintptr_t)area + EMBER_REGION_BYTES - 1) & -EMBER_REGION_BYTES);
	*area = 1;
	return area;
}

static void run_jobs(uint64_t fates[EMBER_NR_FATES])
{
	uint64_t start_ns = start_of_this_process();
	unsigned int breaks = break_every;
	struct ember_movers *movers;
	void *area = map_area();
	uint32_t nr = 0;

	break_every = 0; /* not before there are movers */
	movers = start();
	break_every = breaks;

	alarm(HANG_S);
	for (unsigned int i = 0; i < NR_JOBS; i++) {
		submit(movers, new_job(area, start_ns, i));
		if (i % 50 == 0)
			nr += take(movers, fates);
	}
	while (nr < NR_JOBS) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		nr += take(movers, fates);
	}
	alarm(0);
	for (int fate = 0; fate < EMBER_NR_FATES; fate++)
		if (fates[fate])
			print_message("%s: %lu\n", ember_fate_word(fate), fates[fate]);
	assert_int_equal(nr, NR_JOBS);
	assert_int_equal(ember_movers_nr_open(movers), 0);
	assert_null(ember_movers_take_done(movers));
	assert_true(fates[EMBER_FATE_MOVED] > NR_JOBS / 2);
	assert_true(fates[EMBER_FATE_GONE] > 0);
	ember_movers_free(movers);
}

static void test_each_job_comes_back_once(void **state)
{
	uint64_t fates[EMBER_NR_FATES] = {0};

	(void)state;
	break_every = 0;
	run_jobs(fates);
	assert_int_equal(fates[EMBER_FATE_UNKNOWN], 0);
	assert_true(nr_shared >= NR_JOBS / 5); /* once each, or again when there was no credit */
}

/* What a broken connection had open is unknown, and the next jobs go over a new one. */
static void test_broken_connections_are_replaced(void **state)
{
	uint64_t fates[EMBER_NR_FATES] = {0};

	(void)state;
	break_every = 50;
	run_jobs(fates);
	break_every = 0;
	assert_true(fates[EMBER_FATE_UNKNOWN] > 0);
	/* those with which one broke, or for which none could be opened */
	assert_true(fates[EMBER_FATE_FAILED] > 0 && fates[EMBER_FATE_FAILED] < NR_JOBS / 20);
}

/* What the whole request met is what each of its pages met. */
static void test_a_refusal_tells_what_is_wrong(void **state)
{
	static const struct {
		int error;
		enum ember_fate fate;
	} cases[] = {{-ESRCH, EMBER_FATE_GONE},
		     {-EPERM, EMBER_FATE_DENIED},
		     {-ENODEV, EMBER_FATE_NO_DEST},
		     {-ECANCELED, EMBER_FATE_CANCELLED},
		     {-EOVERFLOW, EMBER_FATE_FAILED}};
	struct ember_movers *movers = start();

	(void)state;
	alarm(HANG_S);
	for (size_t i = 0; i < NR(cases); i++) {
		uint64_t fates[EMBER_NR_FATES] = {0};

		refuse_all = cases[i].error;
		submit(movers, new_job(NULL, 0, 2)); /* for the module */
		while (!take(movers, fates))
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		assert_int_equal(fates[cases[i].fate], 1);
	}
	alarm(0);
	ember_movers_free(movers);
	refuse_all = 0;
}

static void test_stop_while_all_is_under_way(void **state)
{
	uint64_t start_ns = start_of_this_process();
	void *area = map_area();

	(void)state;
	alarm(HANG_S);
	for (int round = 0; round < 20; round++) {
		struct ember_movers *movers = start();

		for (unsigned int i = 0; i < 100; i++)
			submit(movers, new_job(area, start_ns, i));
		assert_null(ember_movers_free(movers));
	}
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_job_comes_back_once),
	    cmocka_unit_test(test_broken_connections_are_replaced),
	    cmocka_unit_test(test_a_refusal_tells_what_is_wrong),
	    cmocka_unit_test(test_stop_while_all_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
