// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "split.h"

#define MOVED EMBER_FATE_MOVED
#define LARGE EMBER_FATE_LARGE
#define BUSY EMBER_FATE_BUSY
#define ALREADY EMBER_FATE_ALREADY
#define UNKNOWN EMBER_FATE_UNKNOWN
#define UNSPLIT EMBER_FATE_UNSPLIT
#define UNSPLITTABLE EMBER_FATE_UNSPLITTABLE

/* Memory runs out at this allocation (1: the next); 0: never. */
static unsigned int fail_at;

void *__real_calloc(size_t nr, size_t size); /* NOLINT(*reserved-identifier) */
void *__wrap_calloc(size_t nr, size_t size); /* NOLINT(*reserved-identifier) */

void *__wrap_calloc(size_t nr, size_t size) /* NOLINT(*reserved-identifier) */
{
	if (fail_at == 1) {
		fail_at = 0;
		return NULL;
	}
	if (fail_at)
		fail_at--;
	return __real_calloc(nr, size);
}

static struct ember_fate_run *copy(const struct ember_fate_run *runs, size_t nr)
{
	struct ember_fate_run *to = calloc(nr + 1, sizeof(*to));

	assert_non_null(to);
	memcpy(to, runs, nr * sizeof(*to));
	return to;
}

/* Joined page by page, whatever the run lengths of the two answers are. */
static void answers_are_joined(void **state)
{
	static const struct ember_fate_run first[] = {
	    {MOVED, 3}, {LARGE, 6}, {BUSY, 2}, {MOVED, 1}};
	static const struct ember_fate_run second[] = {
	    {ALREADY, 2}, {EMBER_FATE_GONE, 1}, {MOVED, 3}, {LARGE, 2}, {BUSY, 1}, {MOVED, 1}};
	static const struct ember_fate_run want[] = {{MOVED, 6}, {UNSPLIT, 2}, {BUSY, 1},
						     {MOVED, 1}, {BUSY, 1},    {MOVED, 1}};
	struct ember_job job = {.move = {.nr_pages = 12, .split = true}};

	(void)state;
	job.first_runs = copy(first, NR(first));
	job.nr_first_runs = NR(first);
	job.runs = copy(second, NR(second)); /* one page short: the answer to it is lost */
	job.nr_runs = NR(second);
	ember_split_settle(&job);
	assert_null(job.first_runs);
	assert_int_equal(job.nr_runs, 6);
	for (size_t i = 0; i < NR(want); i++) {
		print_message("%u of %s\n", job.runs[i].nr_pages,
			      ember_fate_word(job.runs[i].outcome));
		assert_int_equal(job.runs[i].outcome, want[i].outcome);
		assert_int_equal(job.runs[i].nr_pages, want[i].nr_pages);
	}
	assert_int_equal(job.nr_split, 3);
	assert_int_equal(job.nr_unsplit, 2);
	free(job.runs);
}

/* The second answer is lost: what moved before has moved, of the others nothing is known. */
static void a_lost_answer_takes_nothing_back(void **state)
{
	static const struct ember_fate_run first[] = {{MOVED, 3}, {LARGE, 5}};
	struct ember_job job = {.move = {.nr_pages = 8, .split = true}};

	(void)state;
	job.first_runs = copy(first, NR(first));
	job.nr_first_runs = NR(first);
	ember_split_settle(&job);
	assert_int_equal(job.nr_runs, 2);
	assert_int_equal(job.runs[0].outcome, MOVED);
	assert_int_equal(job.runs[0].nr_pages, 3);
	assert_int_equal(job.runs[1].outcome, UNKNOWN);
	assert_int_equal(job.nr_split + job.nr_unsplit, 0);
	free(job.runs);
}

/* Whichever allocation fails: what moved before the split has moved. */
static void no_memory_takes_nothing_back(void **state)
{
	static const struct ember_fate_run first[] = {{MOVED, 3}, {LARGE, 5}},
					   second[] = {{MOVED, 8}};

	(void)state;
	for (unsigned int at = 1; at <= 3; at++) {
		struct ember_job job = {.move = {.nr_pages = 8, .split = true}};

		job.first_runs = copy(first, NR(first));
		job.nr_first_runs = NR(first);
		job.runs = copy(second, NR(second));
		job.nr_runs = NR(second);
		fail_at = at;
		ember_split_settle(&job);
		assert_int_equal(fail_at, 0);
		assert_null(job.first_runs);
		assert_int_equal(job.nr_runs, 2);
		assert_int_equal(job.runs[0].outcome, MOVED);
		assert_int_equal(job.runs[0].nr_pages, 3);
		assert_int_equal(job.runs[1].outcome, UNKNOWN);
		free(job.runs);
	}
}

static void due_once_and_where_it_was_planned(void **state)
{
	struct ember_fate_run large[] = {{BUSY, 1}, {LARGE, 1}}, none[] = {{MOVED, 2}};
	struct ember_job job = {
	    .move = {.nr_pages = 2, .split = true}, .runs = large, .nr_runs = 2};

	(void)state;
	assert_true(ember_split_is_due(&job));
	job.first_runs = none;
	assert_false(ember_split_is_due(&job));
	job.first_runs = NULL;
	job.move.split = false;
	assert_false(ember_split_is_due(&job));
	job.move.split = true;
	job.runs = none;
	job.nr_runs = 1;
	assert_false(ember_split_is_due(&job));
}

/* A full destination, a process that is gone: nothing is asked twice, and the books say why. */
static void not_in_vain(void **state)
{
	struct ember_fate_run runs[] = {{BUSY, 1}, {LARGE, 1}};
	struct ember_job job = {.move = {.nr_pages = 2, .split = true, .id = {.tgid = INT32_MAX}},
				.runs = runs,
				.nr_runs = 2};

	(void)state;
	assert_false(ember_split_run(&job));
	assert_int_equal(runs[0].outcome, BUSY);
	assert_int_equal(runs[1].outcome, EMBER_FATE_GONE);
	runs[1].outcome = LARGE;
	job.floor_bytes = 1ULL << 60;
	assert_false(ember_split_run(&job));
	assert_int_equal(runs[1].outcome, EMBER_FATE_NO_MEMORY);
	assert_null(job.first_runs);
}

static struct ember_proc_id myself(void)
{
	struct ember_proc_id id = {.tgid = getpid()};
	unsigned long long ticks = 0;
	FILE *f = fopen("/proc/self/stat", "re");
	char text[1024];

	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	/* field 22, behind the name: when it began */
	assert_int_equal(sscanf(strrchr(text, ')') + 1,
				"%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				"%*s %*s %*s %llu",
				&ticks),
			 1);
	id.start_boottime_ns = ticks * (1000000000ULL / sysconf(_SC_CLK_TCK));
	return id;
}

/* 2 MiB of this process, aligned, every page there. */
static uint8_t *map_region(void)
{
	uint8_t *p = mmap(NULL, 2 * EMBER_REGION_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	p += EMBER_REGION_BYTES - (uintptr_t)p % EMBER_REGION_BYTES;
	memset(p, 1, EMBER_REGION_BYTES);
	return p;
}

/* All of the region at @p, of which the module has said that it is large but for the first page. */
static struct ember_job *large_job(const uint8_t *p, uint8_t order)
{
	static const struct ember_fate_run runs[] = {{BUSY, 1}, {LARGE, 511}};
	struct ember_job *job = calloc(1, sizeof(*job) + sizeof(job->regions[0]));

	assert_non_null(job);
	job->move =
	    (struct ember_move){.id = myself(), .nr_pages = 512, .nr_regions = 1, .split = true};
	job->regions[0] =
	    (struct ember_move_region){.addr = (uintptr_t)p, .nr_pages = 512, .order = order};
	memset(job->regions[0].pages, 0xff, sizeof(job->regions[0].pages));
	job->runs = copy(runs, NR(runs));
	job->nr_runs = NR(runs);
	return job;
}

static void expect_all_unsplittable(struct ember_job *job)
{
	assert_null(job->first_runs);
	assert_int_equal(job->nr_runs, 2);
	assert_int_equal(job->runs[0].outcome, BUSY);
	assert_int_equal(job->runs[1].outcome, UNSPLITTABLE);
	assert_int_equal(job->runs[1].nr_pages, 511);
	assert_int_equal(job->nr_unsplit, 511);
	assert_false(ember_account_is_denied(&job->move, job->runs, job->nr_runs));
}

/* The real call: an area that is locked as a whole is not asked for twice, one in part is. */
static void locked_memory_is_known(void **state)
{
	uint8_t *p = map_region();
	struct ember_job *job;

	(void)state;
	/* not by the library: the address sanitizer's mlock() does nothing */
	assert_int_equal(syscall(SYS_mlock, p, EMBER_REGION_BYTES), 0);
	for (unsigned int order = EMBER_ORDER_MTHP; order <= EMBER_ORDER_PMD; order++) {
		job = large_job(p, order);
		assert_false(ember_split_run(job));
		expect_all_unsplittable(job);
		ember_job_free(job);
	}
	assert_int_equal(syscall(SYS_munlock, p, EMBER_REGION_BYTES / 2), 0);
	job = large_job(p, EMBER_ORDER_MTHP);
	assert_true(ember_split_run(job));
	assert_int_equal(job->nr_unsplit, 256);
	job->runs = copy(&(struct ember_fate_run){LARGE, 512}, 1); /* nothing was split */
	job->nr_runs = 1;
	ember_split_settle(job);
	assert_int_equal(job->nr_runs, 3);
	assert_int_equal(job->runs[0].outcome, LARGE); /* the busy one has become large since */
	assert_int_equal(job->runs[1].outcome, UNSPLIT);
	assert_int_equal(job->runs[1].nr_pages, 255);
	assert_int_equal(job->runs[2].outcome, UNSPLITTABLE);
	assert_int_equal(job->nr_unsplit, 511);
	ember_job_free(job);
}

static int forbid_madvise(int error)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {NR(filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

/* As under a SystemCallFilter= without the call: refused for long, twice, and said once. */
static void forbidden_in_a_child(int error, int log_fd)
{
	uint8_t *p = map_region();

	assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(forbid_madvise(error), 0);
	for (int i = 0; i < 2; i++) {
		struct ember_job *job = large_job(p, EMBER_ORDER_PMD);

		assert_false(ember_split_run(job));
		expect_all_unsplittable(job);
		ember_job_free(job);
	}
}

static void without_the_right_pages_stay_whole(void **state)
{
	static const int errors[] = {EPERM, EACCES, ENOSYS};

	(void)state;
	for (size_t i = 0; i < NR(errors); i++) {
		char said[4096];
		int fds[2], status;
		ssize_t n;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			forbidden_in_a_child(errors[i], fds[1]);
			_exit(0);
		}
		close(fds[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		n = read(fds[0], said, sizeof(said) - 1);
		close(fds[0]);
		assert_true(n > 0);
		said[n] = 0;
		print_message("%s", said);
		assert_int_equal(status, 0);
		assert_non_null(strstr(said, "SystemCallFilter="));
		assert_ptr_equal(strchr(said, '\n'), said + n - 1); /* one line */
	}
}

static unsigned int nr_chosen(uint8_t order, const uint64_t large[EMBER_PLANE_WORDS],
			      uint64_t chosen[EMBER_PLANE_WORDS])
{
	struct ember_move_region region = {.order = order};
	unsigned int n = 0;

	ember_split_choose(&region, large, chosen);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++) {
		assert_int_equal(chosen[w] & ~large[w], 0);
		n += __builtin_popcountll(chosen[w]);
	}
	return n;
}

/* Few, for each loses its accessed bit; but one at least of each large folio. */
static void few_pages_are_named(void **state)
{
	uint64_t all[EMBER_PLANE_WORDS], some[EMBER_PLANE_WORDS] = {0}, chosen[EMBER_PLANE_WORDS];

	(void)state;
	memset(all, 0xff, sizeof(all));
	assert_int_equal(nr_chosen(EMBER_ORDER_PMD, all, chosen), 1);
	assert_int_equal(nr_chosen(EMBER_ORDER_MTHP, all, chosen), 128);
	for (int w = 0; w < EMBER_PLANE_WORDS; w++)
		assert_int_equal(chosen[w], 0x1111111111111111ULL);
	some[0] = 0xe; /* of one group */
	some[3] = 1ULL << 63;
	some[4] = 1;
	assert_int_equal(nr_chosen(EMBER_ORDER_MTHP, some, chosen), 3);
	assert_int_equal(chosen[0], 2);
	assert_int_equal(chosen[3], 1ULL << 63);
	assert_int_equal(chosen[4], 1);
	assert_int_equal(nr_chosen(EMBER_ORDER_PMD, some, chosen), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_are_joined),
	    cmocka_unit_test(a_lost_answer_takes_nothing_back),
	    cmocka_unit_test(no_memory_takes_nothing_back),
	    cmocka_unit_test(locked_memory_is_known),
	    cmocka_unit_test(without_the_right_pages_stay_whole),
	    cmocka_unit_test(due_once_and_where_it_was_planned),
	    cmocka_unit_test(not_in_vain),
	    cmocka_unit_test(few_pages_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
