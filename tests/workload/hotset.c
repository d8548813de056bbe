// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hotset: a program with a hot set that is known exactly.
 *
 * Each operation touches one random line of one random page of an anonymous area at a fixed
 * address. A given part of the operations goes to a hot set, the rest to all pages alike;
 * lib/choice.h says which page is which. The hot set shifts on SIGUSR1 or by the clock.
 *
 * The main thread maps and populates the area, starts the workers, and then only waits:
 * for a signal, the next report, the next shift, or the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/choice.h"
#include "lib/latency.h"
#include "lib/parse.h"

#define NSEC_PER_SEC 1000000000ull
#define PAGE_SHIFT 12
#define LINE_SHIFT 6
#define HUGE_BYTES (2ull << 20)
#define MAX_THREADS 256

/* Operations between two looks at the clock, the rate and the flags. One of them is timed. */
#define BATCH 64

#define DEFAULT_MARK "/run/ember-vm.mark" /* made by the test machine */

#define EXIT_USAGE 2

struct options {
	uint64_t address;
	uint64_t size_bytes;
	uint64_t hot_bytes;
	uint64_t hot_offset_bytes;
	double hot_share;
	uint64_t warm_bytes;
	double warm_share;
	double write_share;
	enum choice_layout layout;
	bool huge;
	uint64_t nr_threads;
	uint64_t seed;
	uint64_t duration_ns;    /* 0: until a signal */
	uint64_t shift_every_ns; /* 0: only on SIGUSR1 */
	uint64_t rate;           /* operations per second of all threads; 0: no limit */
	const char *mark;        /* NULL: DEFAULT_MARK if it is there */
	bool report;
	bool json;
};

/* What the workers share. */
struct arena {
	const struct options *options;
	struct choice choice;
	char *area;
	uint64_t hot_first; /* rank; written by the main thread only */
	bool stop;
};

struct worker {
	struct arena *arena;
	pthread_t thread;
	uint64_t random;
	uint64_t nr_ops; /* written by the worker only, as is latency */
	struct latency latency;
} __attribute__((aligned(64)));

/* Sums over all workers at one moment. */
struct progress {
	uint64_t time_ns;
	uint64_t nr_ops;
	struct latency latency;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* --- Options ---------------------------------------------------------------------------------- */

static const char usage_text[] =
    "usage: hotset [OPTION]...\n"
    "\n"
    "Touches one random line of a random page of an anonymous area, over and over. A part of the\n"
    "accesses goes to a hot set of pages, the rest to all pages alike. Populates the area first,\n"
    "then prints READY. SIGUSR1 shifts the hot set; SIGINT and SIGTERM end with a summary.\n"
    "\n"
    "  --size SIZE        the area (default 256MiB)\n"
    "  --address ADDRESS  where it is mapped (default 0x100000000000)\n"
    "  --hot SIZE         the hot set (default 64MiB)\n"
    "  --hot-offset SIZE  where the hot set begins, counted in pages of the layout (default 0)\n"
    "  --hot-share SHARE  part of the accesses that goes to the hot set (default 0.9)\n"
    "  --warm SIZE        a warm set behind the hot set (default: none)\n"
    "  --warm-share SHARE  part of the accesses that goes to the warm set (default 0)\n"
    "  --layout LAYOUT    scattered: hot pages lie anywhere (default); blocks: in 2 MiB blocks\n"
    "                     that lie anywhere; contiguous\n"
    "  --pages KIND       base (default): 4 KiB pages; huge: 2 MiB pages where the kernel has "
    "them\n"
    "  --write-share SHARE  part of the accesses that are stores (default 0.25)\n"
    "  --threads N        1 to 256 (default 1)\n"
    "  --seed N           the same seed, the same accesses (default 1)\n"
    "  --duration S       seconds after READY; 0: until a signal (default)\n"
    "  --shift-every S    shift the hot set every S seconds; 0: only on SIGUSR1 (default)\n"
    "  --rate N           at most N operations per second in all; 0: no limit (default)\n"
    "  --report           a line each second\n"
    "  --json             one JSON object a line instead of text\n"
    "  --mark FILE        write #ready and #shift lines there (default " DEFAULT_MARK "\n"
    "                     if it exists); none: nowhere\n"
    "  --help             this text\n"
    "\n"
    "SIZE is bytes, or with KiB, MiB, GiB. SHARE is 0.9 or 90%. One operation in 64 is timed; p50 "
    "and\n"
    "p99.9 are of those.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static int parse_layout(const char *text, enum choice_layout *ret)
{
	static const char *const names[] = {
	    [CHOICE_SCATTERED] = "scattered",
	    [CHOICE_BLOCKS] = "blocks",
	    [CHOICE_CONTIGUOUS] = "contiguous",
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum choice_layout)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_pages(const char *text, bool *ret_huge)
{
	bool huge = strcmp(text, "huge") == 0;

	if (!huge && strcmp(text, "base") != 0)
		return -EINVAL;
	*ret_huge = huge;
	return 0;
}

enum option_id {
	OPT_SIZE = 1,
	OPT_ADDRESS,
	OPT_HOT,
	OPT_HOT_OFFSET,
	OPT_HOT_SHARE,
	OPT_WARM,
	OPT_WARM_SHARE,
	OPT_LAYOUT,
	OPT_PAGES,
	OPT_WRITE_SHARE,
	OPT_THREADS,
	OPT_SEED,
	OPT_DURATION,
	OPT_SHIFT_EVERY,
	OPT_RATE,
	OPT_MARK,
	OPT_REPORT,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
    {"size", required_argument, NULL, OPT_SIZE},
    {"address", required_argument, NULL, OPT_ADDRESS},
    {"hot", required_argument, NULL, OPT_HOT},
    {"hot-offset", required_argument, NULL, OPT_HOT_OFFSET},
    {"hot-share", required_argument, NULL, OPT_HOT_SHARE},
    {"warm", required_argument, NULL, OPT_WARM},
    {"warm-share", required_argument, NULL, OPT_WARM_SHARE},
    {"layout", required_argument, NULL, OPT_LAYOUT},
    {"pages", required_argument, NULL, OPT_PAGES},
    {"write-share", required_argument, NULL, OPT_WRITE_SHARE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"shift-every", required_argument, NULL, OPT_SHIFT_EVERY},
    {"rate", required_argument, NULL, OPT_RATE},
    {"mark", required_argument, NULL, OPT_MARK},
    {"report", no_argument, NULL, OPT_REPORT},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int set_option(struct options *o, enum option_id id, const char *value)
{
	switch (id) {
	case OPT_SIZE:
		return parse_bytes(value, &o->size_bytes);
	case OPT_ADDRESS:
		return parse_u64(value, &o->address);
	case OPT_HOT:
		return parse_bytes(value, &o->hot_bytes);
	case OPT_HOT_OFFSET:
		return parse_bytes(value, &o->hot_offset_bytes);
	case OPT_HOT_SHARE:
		return parse_share(value, &o->hot_share);
	case OPT_WARM:
		return parse_bytes(value, &o->warm_bytes);
	case OPT_WARM_SHARE:
		return parse_share(value, &o->warm_share);
	case OPT_LAYOUT:
		return parse_layout(value, &o->layout);
	case OPT_PAGES:
		return parse_pages(value, &o->huge);
	case OPT_WRITE_SHARE:
		return parse_share(value, &o->write_share);
	case OPT_THREADS:
		return parse_u64(value, &o->nr_threads);
	case OPT_SEED:
		return parse_u64(value, &o->seed);
	case OPT_DURATION:
		return parse_seconds_ns(value, &o->duration_ns);
	case OPT_SHIFT_EVERY:
		return parse_seconds_ns(value, &o->shift_every_ns);
	case OPT_RATE:
		return parse_u64(value, &o->rate);
	case OPT_MARK:
		o->mark = value;
		return 0;
	case OPT_REPORT:
		o->report = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HELP:
		break;
	}
	return -EINVAL;
}

/* What no single option can know. Returns what is wrong, or NULL. */
static const char *check_options(const struct options *o)
{
	uint64_t unit = o->huge || o->layout == CHOICE_BLOCKS ? HUGE_BYTES : 1ull << PAGE_SHIFT;

	if (o->size_bytes == 0 || o->size_bytes % unit)
		return "--size must be a multiple of the page size (2MiB with huge pages or "
		       "blocks)";
	if (o->address == 0 || o->address % unit)
		return "--address must be a multiple of the page size (2MiB with huge pages or "
		       "blocks)";
	if (o->hot_bytes < 1ull << PAGE_SHIFT || o->hot_bytes > o->size_bytes)
		return "--hot must be at least one page and at most --size";
	if (o->warm_bytes > o->size_bytes - o->hot_bytes)
		return "--hot and --warm must be at most --size together";
	if (o->hot_share + o->warm_share > 1)
		return "--hot-share and --warm-share must be at most 1 together";
	if (o->warm_share > 0 && o->warm_bytes < 1ull << PAGE_SHIFT)
		return "--warm-share needs a --warm of at least one page";
	if (o->hot_offset_bytes >= o->size_bytes)
		return "--hot-offset must be below --size";
	if (o->nr_threads == 0 || o->nr_threads > MAX_THREADS)
		return "--threads must be from 1 to 256";
	return NULL;
}

static _Noreturn void usage_error(const char *problem)
{
	fprintf(stderr, "hotset: %s (--help lists the options)\n", problem);
	exit(EXIT_USAGE);
}

static void parse_options(struct options *options, int argc, char **argv)
{
	const char *problem;
	int id, index = 0;

	*options = (struct options){
	    .address = 0x100000000000,
	    .size_bytes = 256 << 20,
	    .hot_bytes = 64 << 20,
	    .hot_share = 0.9,
	    .write_share = 0.25,
	    .nr_threads = 1,
	    .seed = 1,
	};

	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == OPT_HELP) {
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		}
		if (id == '?')
			exit(EXIT_USAGE);
		if (set_option(options, id, optarg) < 0) {
			fprintf(stderr, "hotset: --%s: \"%s\" is not a valid value\n",
				long_options[index].name, optarg);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc)
		usage_error("there are no arguments, only options");
	problem = check_options(options);
	if (problem)
		usage_error(problem);
}

/* --- Area ------------------------------------------------------------------------------------- */

/* Maps the area where the user said, or not at all. Returns 0 or a negative errno. */
static int map_area(const struct options *o, char **ret)
{
	/* NORESERVE: larger than any one memory is what this is for. */
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *area;

	area = mmap((void *)o->address, o->size_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	if (madvise(area, o->size_bytes, o->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0 &&
	    (o->huge || errno != EINVAL)) /* without huge pages there is nothing to refuse */
		return -errno;
	*ret = area;
	return 0;
}

static void populate(char *area, uint64_t size_bytes)
{
	for (uint64_t at = 0; at < size_bytes; at += 1 << PAGE_SHIFT)
		*(volatile uint64_t *)(area + at) = at;
}

/* --- Workers ---------------------------------------------------------------------------------- */

static inline void touch(const struct arena *arena, struct choice_access access)
{
	volatile uint64_t *word = (volatile uint64_t *)(arena->area + (access.page << PAGE_SHIFT) +
							(access.line << LINE_SHIFT));

	if (access.write)
		*word = access.page;
	else
		(void)*word;
}

static void run_batch(struct worker *worker)
{
	const struct arena *arena = worker->arena;
	uint64_t hot_first = __atomic_load_n(&arena->hot_first, __ATOMIC_RELAXED);
	uint64_t random = worker->random;
	struct choice_access access = choice_next(&arena->choice, hot_first, &random);
	uint64_t start_ns = now_ns();

	touch(arena, access);
	latency_add(&worker->latency, now_ns() - start_ns);
	for (int i = 1; i < BATCH; i++)
		touch(arena, choice_next(&arena->choice, hot_first, &random));

	worker->random = random;
	__atomic_store_n(&worker->nr_ops, worker->nr_ops + BATCH, __ATOMIC_RELAXED);
}

/* Sleeps until it is time for the next batch; *due_ns is the time of the last one. */
static void keep_rate(uint64_t batch_ns, uint64_t *due_ns)
{
	uint64_t now = now_ns();
	struct timespec due;

	*due_ns += batch_ns;
	if (*due_ns <= now) {
		/* Do not make up for more than a second of lost time. */
		if (now - *due_ns > NSEC_PER_SEC)
			*due_ns = now;
		return;
	}
	due.tv_sec = *due_ns / NSEC_PER_SEC;
	due.tv_nsec = *due_ns % NSEC_PER_SEC;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	const struct options *o = worker->arena->options;
	uint64_t batch_ns = o->rate ? BATCH * o->nr_threads * NSEC_PER_SEC / o->rate : 0;
	uint64_t due_ns = now_ns();

	while (!__atomic_load_n(&worker->arena->stop, __ATOMIC_RELAXED)) {
		run_batch(worker);
		if (batch_ns)
			keep_rate(batch_ns, &due_ns);
	}
	return NULL;
}

/* Returns 0 or a negative errno; those that were started run until arena->stop. */
static int start_workers(struct worker *workers, struct arena *arena, uint64_t *nr_started)
{
	for (*nr_started = 0; *nr_started < arena->options->nr_threads; (*nr_started)++) {
		struct worker *worker = &workers[*nr_started];
		uint64_t state = arena->options->seed + (*nr_started + 1) * 0x9e3779b97f4a7c15;
		int r;

		worker->arena = arena;
		worker->random = choice_random(&state);
		r = pthread_create(&worker->thread, NULL, work, worker);
		if (r)
			return -r;
	}
	return 0;
}

static void stop_workers(struct worker *workers, struct arena *arena, uint64_t nr_started)
{
	__atomic_store_n(&arena->stop, true, __ATOMIC_RELAXED);
	for (uint64_t i = 0; i < nr_started; i++)
		pthread_join(workers[i].thread, NULL);
}

/* --- Reports ---------------------------------------------------------------------------------- */

static void take_progress(struct progress *progress, const struct worker *workers,
			  uint64_t nr_workers)
{
	memset(progress, 0, sizeof(*progress));
	progress->time_ns = now_ns();
	for (uint64_t i = 0; i < nr_workers; i++) {
		progress->nr_ops += __atomic_load_n(&workers[i].nr_ops, __ATOMIC_RELAXED);
		latency_merge(&progress->latency, &workers[i].latency);
	}
}

static void print_rate(const struct options *o, const char *event, uint64_t ready_ns,
		       const struct progress *from, const struct progress *to)
{
	double seconds = (to->time_ns - from->time_ns) / 1e9;
	uint64_t nr_ops = to->nr_ops - from->nr_ops;
	struct latency latency;
	uint64_t p50_ns, p999_ns;

	latency_diff(&latency, &to->latency, &from->latency);
	p50_ns = latency_quantile_ns(&latency, 0.5);
	p999_ns = latency_quantile_ns(&latency, 0.999);
	printf(o->json ? "{\"event\": \"%s\", \"seconds\": %.3f, \"ops\": %" PRIu64
			 ", \"ops_per_second\": %.0f, \"p50_ns\": %" PRIu64
			 ", \"p999_ns\": %" PRIu64 "}\n"
		       : "%-8s %8.3f s %12" PRIu64 " ops %10.0f ops/s   p50 %6" PRIu64
			 " ns   p99.9 %8" PRIu64 " ns\n",
	       event, (to->time_ns - ready_ns) / 1e9, nr_ops, seconds > 0 ? nr_ops / seconds : 0,
	       p50_ns, p999_ns);
	fflush(stdout);
}

static void print_event(const struct options *o, const char *text, const char *name, double seconds)
{
	if (o->json)
		printf("{\"event\": \"%s\", \"seconds\": %.3f}\n", name, seconds);
	else
		printf("%s %.3f s\n", text, seconds);
	fflush(stdout);
}

/*
 * Returns -errno where a file that the user named cannot be written. The default is a virtio
 * port: it must not block us when nobody listens at its other end.
 */
static int send_mark(const struct options *o, const char *name)
{
	const char *path = o->mark ? o->mark : DEFAULT_MARK;
	int flags = O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	char line[32];
	int fd, len, r = 0;

	if (strcmp(path, "none") == 0)
		return 0;
	fd = open(path, flags | (o->mark ? O_CREAT : 0), 0644);
	if (fd < 0)
		return o->mark ? -errno : 0;
	len = snprintf(line, sizeof(line), "#%s\n", name);
	if (write(fd, line, len) != len && o->mark)
		r = -EIO;
	close(fd);
	return r;
}

/* --- Control ---------------------------------------------------------------------------------- */

static void control_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

/* Waits for a signal until a moment. Returns the signal, or 0 when it is time. */
static int wait_until(const sigset_t *set, uint64_t until_ns)
{
	for (;;) {
		uint64_t now = now_ns();
		uint64_t left_ns = until_ns > now ? until_ns - now : 0;
		struct timespec left = {left_ns / NSEC_PER_SEC, left_ns % NSEC_PER_SEC};
		int signal = sigtimedwait(set, NULL, &left);

		if (signal > 0)
			return signal;
		if (errno == EAGAIN)
			return 0;
	}
}

static int shift(struct arena *arena, uint64_t ready_ns)
{
	uint64_t hot_first = choice_shift(&arena->choice, arena->hot_first);
	int r;

	__atomic_store_n(&arena->hot_first, hot_first, __ATOMIC_RELAXED);
	r = send_mark(arena->options, "shift");
	print_event(arena->options, "SHIFT", "shift", (now_ns() - ready_ns) / 1e9);
	return r;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Reports and shifts until the time is up or a signal says so. Returns 0 or a negative errno. */
static int control(struct arena *arena, const struct worker *workers, uint64_t ready_ns)
{
	const struct options *o = arena->options;
	uint64_t end_ns = o->duration_ns ? ready_ns + o->duration_ns : UINT64_MAX;
	uint64_t shift_ns = o->shift_every_ns ? ready_ns + o->shift_every_ns : UINT64_MAX;
	uint64_t second_ns = ready_ns + NSEC_PER_SEC;
	static struct progress last, now; /* too large for the stack */
	sigset_t signals;
	int r = 0;

	control_signals(&signals);
	last = (struct progress){.time_ns = ready_ns};
	while (r == 0) {
		int signal = wait_until(&signals, min_u64(end_ns, min_u64(shift_ns, second_ns)));
		uint64_t time_ns = now_ns();

		if (signal == SIGINT || signal == SIGTERM || time_ns >= end_ns)
			break;
		if (signal == SIGUSR1)
			r = shift(arena, ready_ns);
		if (r == 0 && time_ns >= shift_ns) {
			r = shift(arena, ready_ns);
			shift_ns += o->shift_every_ns;
		}
		if (time_ns >= second_ns) {
			take_progress(&now, workers, o->nr_threads);
			if (o->report)
				print_rate(o, "second", ready_ns, &last, &now);
			last = now;
			second_ns +=
			    (time_ns - second_ns) / NSEC_PER_SEC * NSEC_PER_SEC + NSEC_PER_SEC;
		}
	}
	return r;
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "hotset: Failed to %s: %s\n", what, strerror(-r));
	return EXIT_FAILURE;
}

/* From READY to the summary. */
static int run(struct arena *arena, struct worker *workers)
{
	static struct progress end;
	uint64_t ready_ns, nr_started;
	struct progress *start;
	int r;

	r = send_mark(arena->options, "ready");
	if (r < 0)
		return fail("write a mark", r);
	ready_ns = now_ns();
	r = start_workers(workers, arena, &nr_started);
	if (r == 0)
		r = control(arena, workers, ready_ns);
	stop_workers(workers, arena, nr_started);
	if (r < 0)
		return fail("go on", r);

	start = calloc(1, sizeof(*start));
	if (!start)
		return fail("report", -ENOMEM);
	start->time_ns = ready_ns;
	take_progress(&end, workers, arena->options->nr_threads);
	print_rate(arena->options, "summary", ready_ns, start, &end);
	free(start);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct worker workers[MAX_THREADS];
	struct options options;
	struct arena arena = {.options = &options};
	sigset_t signals;
	uint64_t start_ns;
	int r;

	parse_options(&options, argc, argv);
	/* Workers inherit the mask, so that signals wait for the main thread. */
	control_signals(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	r = choice_init(&arena.choice, options.size_bytes >> PAGE_SHIFT,
			options.hot_bytes >> PAGE_SHIFT, options.hot_share, options.write_share,
			options.layout, options.seed);
	if (r == 0)
		r = choice_set_warm(&arena.choice, options.warm_bytes >> PAGE_SHIFT,
				    options.warm_share);
	if (r < 0)
		return fail("set up the choice of pages", r);
	arena.hot_first = options.hot_offset_bytes >> PAGE_SHIFT;
	r = map_area(&options, &arena.area);
	if (r < 0)
		return fail("map the area (is --address free?)", r);

	start_ns = now_ns();
	populate(arena.area, options.size_bytes);
	print_event(&options, "READY populated in", "ready", (now_ns() - start_ns) / 1e9);
	return run(&arena, workers);
}
