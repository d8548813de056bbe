/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel runs out of memory when the module asks for some: for a kernel with fault
 * injection (the debug kernel of `make test-debug`).
 *
 *  - loading: each allocation of the module's init fails once, one after the other; the
 *    module then is not there, and nothing is left behind;
 *  - commands: each allocation in each netlink command fails once; the answer is an
 *    error or none at all, and the list of open requests is as the answer says;
 *  - requests: one allocation in ten of all that the module does fails while pages move;
 *    every page has an outcome, and lies where the outcome says, with its contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

#define NR_REGIONS 4
#define NR_PAGES (NR_REGIONS * REGION_PAGES)
#define NR_REQUESTS 100
#define SEED 0xfa17
#define MANY 1000000 /* more failures than a test provokes */
#define NTH_MAX 500  /* more allocations than one command has */

struct range {
	unsigned long start, end;
};

static const struct range everywhere = {0, ~0UL};
static const char *const knobs[] = {"/sys/kernel/debug/failslab",
				    "/sys/kernel/debug/fail_page_alloc"};
static struct ember_identity self;
static char *area;
static int nth_fd = -1;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s: %s (a kernel without fault injection?)", path, strerror(errno));
	close(fd);
}

static void set(const char *dir, const char *name, unsigned long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(text, sizeof(text), "%#lx", value);
	write_file(path, text);
}

/* Only allocations with a function of @range on the stack fail. */
static void arm(const struct range *range, unsigned long percent)
{
	for (size_t i = 0; i < 2; i++) {
		set(knobs[i], "probability", 0);
		set(knobs[i], "require-start", range->start);
		set(knobs[i], "require-end", range->end);
		set(knobs[i], "times", MANY);
		set(knobs[i], "probability", percent);
	}
}

static void disarm(void)
{
	for (size_t i = 0; i < 2; i++)
		set(knobs[i], "probability", 0);
}

static unsigned long nr_injected(size_t knob)
{
	char path[128];
	long left = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/times", knobs[knob]);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%ld", &left) != 1)
		fail("%s", path);
	fclose(file);
	return (unsigned long)(MANY - left);
}

static void prepare(void)
{
	for (size_t i = 0; i < 2; i++) {
		set(knobs[i], "interval", 1);
		set(knobs[i], "verbose", 0);
		set(knobs[i], "stacktrace-depth", 32);
		set(knobs[i], "ignore-gfp-wait", 0);
	}
	set(knobs[1], "ignore-gfp-highmem", 0);
	set(knobs[1], "min-order", 0);
	/* Copies to and from user space are not what fail-nth shall count: no code is there. */
	set("/sys/kernel/debug/fail_usercopy", "require-start", 1);
	set("/sys/kernel/debug/fail_usercopy", "require-end", 2);
	disarm();
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		fail("fail-nth: %s", strerror(errno));
}

/* The @nth allocation of this thread from here on fails; 0: none. */
static void set_nth(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	if (pwrite(nth_fd, text, strlen(text), 0) < 0)
		fail("fail-nth: %s", strerror(errno));
}

/* Ends it. Returns whether it came to the failure. */
static bool nth_came(void)
{
	char text[16] = "";

	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0)
		fail("fail-nth: %s", strerror(errno));
	set_nth(0);
	return strtoul(text, NULL, 10) == 0;
}

struct symbol {
	unsigned long addr;
	bool is_code, is_ours;
	char name[256];
};

static FILE *open_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");

	if (!file)
		fail("/proc/kallsyms: %s", strerror(errno));
	return file;
}

static bool next_symbol(FILE *file, struct symbol *ret_symbol)
{
	char line[512], type;

	if (!fgets(line, sizeof(line), file) ||
	    sscanf(line, "%lx %c %255s", &ret_symbol->addr, &type, ret_symbol->name) != 3)
		return false;
	ret_symbol->is_code = type == 't' || type == 'T';
	ret_symbol->is_ours = strstr(line, "[ember]") != NULL;
	return true;
}

/* From the module's first function to the end of the page of its last one. */
static struct range code_of_module(void)
{
	struct range range = {~0UL, 0};
	FILE *file = open_symbols();
	struct symbol symbol;

	while (next_symbol(file, &symbol)) {
		if (!symbol.is_code || !symbol.is_ours)
			continue;
		range.start = symbol.addr < range.start ? symbol.addr : range.start;
		range.end = symbol.addr > range.end ? symbol.addr : range.end;
	}
	fclose(file);
	if (!range.end)
		fail("no code of the module in /proc/kallsyms");
	range.end = (range.end | (PAGE_BYTES - 1)) + 1;
	return range;
}

/* To where the next function begins; the list is not in the order of addresses. */
static struct range code_of(const char *name)
{
	struct range range = {0, ~0UL};
	FILE *file = open_symbols();
	struct symbol symbol;

	while (!range.start && next_symbol(file, &symbol))
		if (symbol.is_code && !strcmp(symbol.name, name))
			range.start = symbol.addr;
	if (fseek(file, 0, SEEK_SET))
		perror("fseek");
	while (next_symbol(file, &symbol))
		if (symbol.is_code && symbol.addr > range.start && symbol.addr < range.end)
			range.end = symbol.addr;
	fclose(file);
	if (!range.start)
		fail("no %s in /proc/kallsyms", name);
	return range;
}

/* --- Loading --- */

static bool is_loaded(void)
{
	return access("/sys/module/ember", F_OK) == 0;
}

static void unload(void)
{
	if (is_loaded() && syscall(SYS_delete_module, "ember", O_NONBLOCK) < 0)
		fail("cannot unload: %s", strerror(errno));
}

static int open_module(void)
{
	struct utsname kernel;
	char path[256];
	int fd;

	uname(&kernel);
	snprintf(path, sizeof(path), "/lib/modules/%.100s/updates/ember.ko", kernel.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

/* Only what init allocates: the loader's own failures are the kernel's affair. */
static void loading(void)
{
	struct range init = code_of("do_one_initcall");
	unsigned int nth, refused = 0, wrong = 0;
	int fd = open_module();

	unload();
	arm(&init, 0);
	for (nth = 1; nth < NTH_MAX; nth++) {
		bool came;
		int err;

		set_nth(nth);
		err = syscall(SYS_finit_module, fd, "", 0) < 0 ? -errno : 0;
		came = nth_came();
		if (!came)
			break;
		refused += err != 0;
		wrong += (err && err != -ENOMEM) || is_loaded() == (err != 0);
		unload();
	}
	close(fd);
	expect(nth > 1 && nth < NTH_MAX && refused && !wrong && is_loaded(),
	       "loading: %u allocations of init failed one by one, %u times it was refused; then "
	       "it loads; want 0 wrong, saw %u",
	       nth - 1, refused, wrong);
}

/* --- Commands --- */

static void make_job(struct ember_nl_job *job, uint64_t id, uint32_t node)
{
	memset(job, 0, sizeof(*job));
	job->id = id;
	job->target = self;
	job->node = node;
	if (ember_nl_job_fill(job, area, NR_PAGES, NULL))
		fail("the job does not fit");
}

/* Asks again and again while there is no memory for the answer. */
static int fetch_result(struct ember_nl *nl, struct ember_nl_job *job)
{
	int err;

	for (unsigned int tries = 0; tries < 20000; tries++) {
		err = ember_nl_get_result(nl, job);
		if (err != -EINPROGRESS && err != -ENOMEM && err != -ENOBUFS)
			return err;
		usleep(1000);
	}
	return err;
}

static int command_info(struct ember_nl *nl, struct ember_nl_job *job)
{
	struct ember_nl_info info;

	return ember_nl_get_info(nl, &info);
}

static int command_dump(struct ember_nl *nl, struct ember_nl_job *job)
{
	struct ember_nl_job *listed = calloc(EMBER_CREDITS, sizeof(*listed));
	int nr;

	if (!listed)
		fail("calloc");
	nr = ember_nl_dump(nl, listed, EMBER_CREDITS);
	free(listed);
	return nr < 0 ? nr : 0;
}

static int command_migrate(struct ember_nl *nl, struct ember_nl_job *job)
{
	return ember_nl_migrate(nl, job);
}

static int command_ack(struct ember_nl *nl, struct ember_nl_job *job)
{
	return ember_nl_ack(nl, job->id);
}

static int command_cancel(struct ember_nl *nl, struct ember_nl_job *job)
{
	return ember_nl_cancel(nl, job->id);
}

static const struct command {
	const char *name;
	int (*run)(struct ember_nl *nl, struct ember_nl_job *job);
	int nr_before, nr_after; /* open requests, if the command succeeds */
} commands[] = {
    {"GET_INFO", command_info, 0, 0},          {"MIGRATE", command_migrate, 0, 1},
    {"GET_RESULT", ember_nl_get_result, 1, 1}, {"GET_RESULT dump", command_dump, 1, 1},
    {"CANCEL", command_cancel, 1, 1},          {"ACK", command_ack, 1, 0},
};

static int count_open(struct ember_nl *nl)
{
	static struct ember_nl_job listed[EMBER_CREDITS];

	return ember_nl_dump(nl, listed, EMBER_CREDITS);
}

/*
 * An answer that says no means that nothing has happened. Without an answer (ENOBUFS: there
 * was no memory for it) either may be the case.
 */
static bool state_fits(const struct command *command, int err, int nr_open)
{
	if (!err)
		return nr_open == command->nr_after;
	if (err == -ENOMEM)
		return nr_open == command->nr_before;
	return err == -ENOBUFS && (nr_open == command->nr_before || nr_open == command->nr_after);
}

static bool result_is_whole(struct ember_nl *nl, struct ember_nl_job *job)
{
	static uint8_t outcome[NR_PAGES];

	return !fetch_result(nl, job) && job->nr_asked == NR_PAGES &&
	       !ember_nl_job_outcomes(job, area, NR_PAGES, outcome) && !ember_nl_ack(nl, job->id);
}

/* Returns whether the command came to its nth allocation. */
static bool run_command(const struct command *command, unsigned int nth, int *ret_err,
			unsigned int *wrong)
{
	static struct ember_nl_job job;
	struct ember_nl nl;
	int nr_open;
	bool came;

	if (ember_nl_open(&nl))
		fail("no socket");
	make_job(&job, 1, nth % 2);
	if (command->nr_before && (ember_nl_migrate(&nl, &job) || ember_nl_wait(&nl, &job, 60000)))
		fail("a plain request failed");
	nl.lossy = true;
	set_nth(nth);
	*ret_err = command->run(&nl, &job);
	came = nth_came();
	nl.lossy = false;
	nr_open = count_open(&nl);
	if (!state_fits(command, *ret_err, nr_open)) {
		printf("     %s, allocation %u: %s, then %d requests are open\n", command->name,
		       nth, strerror(-*ret_err), nr_open);
		++*wrong;
	}
	*wrong += nr_open > 0 && !result_is_whole(&nl, &job);
	*wrong += count_open(&nl) != 0;
	ember_nl_close(&nl);
	return came;
}

static void every_allocation(const struct command *command)
{
	unsigned int nth, refused = 0, silent = 0, wrong = 0;
	int err;

	arm(&everywhere, 0);
	for (nth = 1; nth < NTH_MAX && run_command(command, nth, &err, &wrong); nth++) {
		refused += err == -ENOMEM;
		silent += err == -ENOBUFS;
	}
	expect(nth > 1 && nth < NTH_MAX && refused + silent && !wrong && !err,
	       "%s: %u allocations failed one by one: %u times ENOMEM, %u times no answer, else "
	       "success; want 0 wrong, saw %u",
	       command->name, nth - 1, refused, silent, wrong);
}

/* --- Requests --- */

struct books {
	unsigned long nr_requests, nr_refused, nr_lost, nr_no_memory_status, wrong;
	unsigned long count[EMBER_OUTCOME_MAX + 1];
};

/* Nothing else holds or changes these pages. */
static bool outcome_is_possible(unsigned int outcome)
{
	switch (outcome) {
	case EMBER_OUTCOME_MOVED:
	case EMBER_OUTCOME_ALREADY_THERE:
	case EMBER_OUTCOME_NO_MEMORY:
	case EMBER_OUTCOME_BUSY:
	case EMBER_OUTCOME_PINNED:
	case EMBER_OUTCOME_RACED:
		return true;
	default:
		return false;
	}
}

/* A page that was moved lies there, one that was not lies where it lay. */
static void check_pages(struct books *books, const struct ember_nl_job *job, const int *before)
{
	static uint8_t outcome[NR_PAGES];
	static int after[NR_PAGES];

	if (ember_nl_job_outcomes(job, area, NR_PAGES, outcome)) {
		books->wrong++;
		return;
	}
	area_nodes(area, NR_PAGES, after);
	for (size_t i = 0; i < NR_PAGES; i++) {
		bool there =
		    outcome[i] == EMBER_OUTCOME_MOVED || outcome[i] == EMBER_OUTCOME_ALREADY_THERE;

		books->count[outcome[i]]++;
		books->wrong += !outcome_is_possible(outcome[i]) ||
				after[i] != (there ? (int)job->node : before[i]);
	}
}

static void one_request(struct ember_nl *nl, struct books *books, uint64_t id)
{
	static struct ember_nl_job job;
	static int before[NR_PAGES];
	int err;

	area_nodes(area, NR_PAGES, before);
	make_job(&job, id, id % 2);
	err = ember_nl_migrate(nl, &job);
	if (err) {
		books->nr_refused++;
		books->wrong += err != -ENOMEM;
		return;
	}
	books->nr_requests++;
	err = ember_nl_wait(nl, &job, 60000);
	if (err == -ENOBUFS) {
		books->nr_lost++;
		err = fetch_result(nl, &job);
	}
	if (err || ember_nl_ack(nl, id))
		fail("request %lu: %s", (unsigned long)id, strerror(-err));
	books->nr_no_memory_status += job.status == -ENOMEM;
	books->wrong += (job.status && job.status != -ENOMEM) || job.nr_asked != NR_PAGES;
	check_pages(books, &job, before);
}

static void requests(void)
{
	struct range module = code_of_module();
	struct books books = {0};
	struct ember_nl nl;

	if (ember_nl_open(&nl))
		fail("no socket");
	area_fill(area, NR_PAGES, 0, SEED);
	arm(&module, 10);
	for (uint64_t id = 1; id <= NR_REQUESTS; id++)
		one_request(&nl, &books, id);
	disarm();
	expect(
	    !books.wrong && books.count[EMBER_OUTCOME_MOVED] &&
		books.count[EMBER_OUTCOME_NO_MEMORY] && nr_injected(0) && nr_injected(1),
	    "requests: %lu slab and %lu page allocations failed: of %d requests %lu refused, %lu "
	    "ended with ENOMEM, %lu notices lost; want 0 wrong outcomes, saw %lu",
	    nr_injected(0), nr_injected(1), NR_REQUESTS, books.nr_refused,
	    books.nr_no_memory_status, books.nr_lost, books.wrong);
	for (unsigned int i = 1; i <= EMBER_OUTCOME_MAX; i++)
		if (books.count[i])
			printf("     %s %lu\n", ember_outcome_name(i), books.count[i]);
	expect(area_check(area, NR_PAGES, SEED) == 0, "contents: want 0 wrong pages, saw %zu",
	       area_check(area, NR_PAGES, SEED));
	ember_nl_close(&nl);
}

int main(void)
{
	prepare();
	loading();
	if (ember_nl_self(&self))
		fail("who am I?");
	area = area_map(NR_PAGES);
	area_fill(area, NR_PAGES, 0, SEED);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		every_allocation(&commands[i]);
	requests();
	return expect_status();
}
