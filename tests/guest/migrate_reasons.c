/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every outcome of the family ember, provoked: a page is put into the state that the
 * outcome names, the module is asked to move it, and must say so (and must leave the
 * page where it is, unless the outcome is "moved").
 *
 * EMBER_OUTCOME_COPY_FAILED has no case: it takes a memory error that the CPU
 * reports while the kernel reads the page, at that very instruction; the emulator
 * injects errors only asynchronously, and poison injected beforehand (hwpoison)
 * unmaps the page, so that it is "not-present". The outcome stays in the list,
 * because without it such a page could not be reported at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <numaif.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

#define SEED 0x5eed

static struct ember_nl nl;
static struct ember_identity self;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Outcome counts of asking for nr pages from addr (at most 8192). */
static void ask_flags(const void *addr, size_t nr, uint32_t node, uint32_t flags,
		      size_t count[EMBER_OUTCOME_MAX + 1])
{
	uint8_t outcome[8192];
	long moved = ember_nl_move(&nl, &self, addr, nr, NULL, node, flags, outcome);

	if (moved < 0)
		fail("request failed: %s", strerror((int)-moved));
	memset(count, 0, (EMBER_OUTCOME_MAX + 1) * sizeof(*count));
	for (size_t i = 0; i < nr; i++)
		count[outcome[i]]++;
}

static void ask(const void *addr, size_t nr, uint32_t node, size_t count[EMBER_OUTCOME_MAX + 1])
{
	ask_flags(addr, nr, node, 0, count);
}

static void print_counts(const size_t count[EMBER_OUTCOME_MAX + 1])
{
	for (unsigned int i = 1; i <= EMBER_OUTCOME_MAX; i++)
		if (count[i])
			printf("       %s: %zu\n", ember_outcome_name(i), count[i]);
}

/* All of nr pages have the outcome. */
static bool all(const char *what, const size_t count[EMBER_OUTCOME_MAX + 1],
		enum ember_outcome want, size_t nr)
{
	bool ok = expect(count[want] == nr, "%-13s %s: want %zu pages, saw %zu",
			 ember_outcome_name(want), what, nr, count[want]);

	if (!ok)
		print_counts(count);
	return ok;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

static long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
	return strtol(text, NULL, 10);
}

static void moved_and_already_there(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1], nr = 700;
	char *area = area_map(nr);

	area_fill(area, nr, 0, SEED);
	ask(area, nr, 1, count);
	all("touched pages", count, EMBER_OUTCOME_MOVED, nr);
	expect(area_count(area, nr, 1) == nr, "move_pages(2) sees %zu of %zu pages on node 1",
	       area_count(area, nr, 1), nr);
	expect(!area_check(area, nr, SEED), "contents: want 0 bad pages, saw %zu",
	       area_check(area, nr, SEED));
	ask(area, nr, 1, count);
	all("asked again", count, EMBER_OUTCOME_ALREADY_THERE, nr);
	ask(area, nr, 0, count);
	all("and back", count, EMBER_OUTCOME_MOVED, nr);
	munmap(area, nr * PAGE_BYTES);
}

/* Only what was asked for moves, and gaps are not touched. */
static void holes_stay_holes(void)
{
	size_t nr = 512;
	char *area = area_map(nr);
	uint8_t mask[512], outcome[512];
	size_t wrong = 0;
	int nodes[512];
	long moved;

	for (size_t i = 0; i < nr; i += 2)
		area_fill(area + i * PAGE_BYTES, 1, 0, SEED);
	for (size_t i = 0; i < nr; i++)
		mask[i] = i % 3 == 0;
	moved = ember_nl_move(&nl, &self, area, nr, mask, 1, 0, outcome);
	area_nodes(area, nr, nodes);
	for (size_t i = 0; i < nr; i++) {
		int want = i % 2 ? -ENOENT : i % 3 == 0;

		wrong += nodes[i] != want;
		if (i % 3 == 0)
			wrong +=
			    outcome[i] != (i % 2 ? EMBER_OUTCOME_NOT_PRESENT : EMBER_OUTCOME_MOVED);
	}
	expect(moved == 86 && !wrong,
	       "every second page present, every third asked: want 86 moved and 0 pages in a wrong "
	       "place, saw %ld and %zu",
	       moved, wrong);
	munmap(area, nr * PAGE_BYTES);
}

static void not_present_and_no_area(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *area = area_map(512);

	ask(area, 512, 1, count);
	all("never touched", count, EMBER_OUTCOME_NOT_PRESENT, 512);
	area[0] = 1;
	ask(area, 512, 1, count);
	expect(count[EMBER_OUTCOME_NOT_PRESENT] == 511 && count[EMBER_OUTCOME_MOVED] == 1,
	       "one page touched: want 511 not-present and 1 moved, saw %zu and %zu",
	       count[EMBER_OUTCOME_NOT_PRESENT], count[EMBER_OUTCOME_MOVED]);
	munmap(area, 512 * PAGE_BYTES);
	ask(area, 512, 1, count);
	all("unmapped", count, EMBER_OUTCOME_NO_AREA, 512);
}

static void special(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *page, line[256];
	FILE *maps;

	write_file("/proc/sys/vm/nr_hugepages", "4");
	page = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (page == MAP_FAILED)
		fail("hugetlb: %s", strerror(errno));
	memset(page, 1, REGION_BYTES);
	ask(page, 512, 1, count);
	all("hugetlb", count, EMBER_OUTCOME_SPECIAL, 512);
	munmap(page, REGION_BYTES);
	write_file("/proc/sys/vm/nr_hugepages", "0");

	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		fail("/proc/self/maps: %s", strerror(errno));
	page = NULL;
	while (!page && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vdso]"))
			page = (char *)strtoul(line, NULL, 16);
	fclose(maps);
	if (!page)
		fail("no [vdso] in /proc/self/maps");
	ask(page, 1, 1, count);
	all("vdso", count, EMBER_OUTCOME_SPECIAL, 1);
}

static void not_anon_case(const char *what, int fd, int flags)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	volatile char *area;

	if (fd < 0 || ftruncate(fd, 64 * PAGE_BYTES))
		fail("%s: %s", what, strerror(errno));
	area = mmap(NULL, 64 * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (area == MAP_FAILED)
		fail("%s: %s", what, strerror(errno));
	for (size_t i = 0; i < 64; i++)
		area[i * PAGE_BYTES] = 1;
	ask((void *)(uintptr_t)area, 64, 1, count);
	all(what, count, EMBER_OUTCOME_NOT_ANON, 64);
	munmap((void *)(uintptr_t)area, 64 * PAGE_BYTES);
	close(fd);
}

static void not_anon(void)
{
	const char *path = "/var/tmp/ember-reasons";

	not_anon_case("shared file", open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), MAP_SHARED);
	not_anon_case("private file", open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), MAP_PRIVATE);
	not_anon_case("memfd", memfd_create("ember", 0), MAP_SHARED);
	unlink(path);
}

static void zero_page(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	volatile char *area = area_map(64);
	int sum = 0;

	for (size_t i = 0; i < 64; i++)
		sum += area[i * PAGE_BYTES];
	ask((void *)(uintptr_t)area, 64, 1, count);
	all("only read", count, EMBER_OUTCOME_ZERO_PAGE, 64);
	expect(sum == 0, "contents: want 0, saw %d", sum);
	munmap((void *)(uintptr_t)area, 64 * PAGE_BYTES);
}

static void large_folio(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *area = area_map(512);
	uint8_t outcome[512];

	if (madvise(area, REGION_BYTES, MADV_HUGEPAGE))
		fail("MADV_HUGEPAGE: %s", strerror(errno));
	memset(area, 1, REGION_BYTES);
	ask(area, 512, 1, count);
	all("THP", count, EMBER_OUTCOME_LARGE_FOLIO, 512);
	/* Still whole: had the first page been split off, it would move. */
	if (ember_nl_move(&nl, &self, area, 1, NULL, 1, 0, outcome) < 0)
		fail("request failed");
	expect(outcome[0] == EMBER_OUTCOME_LARGE_FOLIO, "one page of it: want large-folio, saw %s",
	       ember_outcome_name(outcome[0]));
	/* Mapped by single entries, still one folio. */
	if (mprotect(area, PAGE_BYTES, PROT_READ))
		fail("mprotect: %s", strerror(errno));
	ask(area, 512, 1, count);
	all("THP mapped by entries", count, EMBER_OUTCOME_LARGE_FOLIO, 512);
	munmap(area, REGION_BYTES);
}

/* A child that shares everything by fork, until told to end by a byte in the pipe. */
static pid_t fork_idle(int *ret_stop, char *area, size_t nr)
{
	int stop[2];
	pid_t child;
	char byte;

	if (pipe(stop))
		fail("pipe: %s", strerror(errno));
	child = fork();
	if (child == 0) {
		close(stop[1]);
		(void)!read(stop[0], &byte, 1);
		_exit(area_check(area, nr, SEED) ? 1 : 0);
	}
	close(stop[0]);
	*ret_stop = stop[1];
	return child;
}

static void shared(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *area = area_map(512);
	int stop, status = -1;
	pid_t child;

	area_fill(area, 512, 0, SEED);
	child = fork_idle(&stop, area, 512);
	ask(area, 512, 1, count);
	all("after fork", count, EMBER_OUTCOME_SHARED, 512);
	ask_flags(area, 512, 1, EMBER_MIGRATE_SHARED, count);
	all("after fork, with the flag", count, EMBER_OUTCOME_MOVED, 512);
	close(stop);
	waitpid(child, &status, 0);
	expect(!area_check(area, 512, SEED) && status == 0,
	       "contents: want 0 bad pages here and status 0 of the child, saw %zu and %d",
	       area_check(area, 512, SEED), status);
	munmap(area, REGION_BYTES);
}

static void ksm(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *area = area_map(256);
	double deadline = now_s() + 60;

	memset(area, 0x5a, 256 * PAGE_BYTES);
	if (madvise(area, 256 * PAGE_BYTES, MADV_MERGEABLE))
		fail("MADV_MERGEABLE: %s", strerror(errno));
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "20");
	write_file("/sys/kernel/mm/ksm/run", "1");
	while (read_number("/sys/kernel/mm/ksm/pages_sharing") < 255 && now_s() < deadline)
		usleep(20000);
	write_file("/sys/kernel/mm/ksm/run", "0");
	ask(area, 256, 1, count);
	all("merged pages", count, EMBER_OUTCOME_KSM, 256);
	munmap(area, 256 * PAGE_BYTES);
}

/* A reference of somebody who reads the page later: vmsplice(2) to a pipe. */
static void pinned_by_pipe(void)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *area = area_map(8);
	struct iovec iov = {area, 8 * PAGE_BYTES};
	int fds[2];

	area_fill(area, 8, 0, SEED);
	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)iov.iov_len)
		fail("vmsplice: %s", strerror(errno));
	ask(area, 8, 1, count);
	all("in a pipe", count, EMBER_OUTCOME_PINNED, 8);
	close(fds[0]);
	close(fds[1]);
	ask(area, 8, 1, count);
	all("pipe closed", count, EMBER_OUTCOME_MOVED, 8);
	munmap(area, 8 * PAGE_BYTES);
}

/* A pin for DMA: registered buffers of io_uring. */
static void pinned_for_dma(void)
{
	struct io_uring_params params = {0};
	size_t count[EMBER_OUTCOME_MAX + 1];
	char *area = area_map(8);
	struct iovec iov = {area, 8 * PAGE_BYTES};
	int ring;

	area_fill(area, 8, 0, SEED);
	ring = (int)syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1))
		fail("io_uring: %s", strerror(errno));
	ask(area, 8, 1, count);
	all("registered with io_uring", count, EMBER_OUTCOME_PINNED, 8);
	expect(!area_check(area, 8, SEED), "contents: want 0 bad pages, saw %zu",
	       area_check(area, 8, SEED));
	close(ring);
	munmap(area, 8 * PAGE_BYTES);
}

struct rival {
	char *area;
	size_t nr;
	bool stop;
};

static bool stopped(struct rival *rival)
{
	return __atomic_load_n(&rival->stop, __ATOMIC_RELAXED);
}

/* Moves the same pages by move_pages(2): they are locked and isolated most of the time. */
static void *rival_moves(void *arg)
{
	struct rival *rival = arg;
	void *pages[512];
	int nodes[512], status[512];

	for (unsigned int round = 0; !stopped(rival); round++) {
		for (size_t i = 0; i < rival->nr; i++) {
			pages[i] = rival->area + i * PAGE_BYTES;
			nodes[i] = round % 2;
		}
		move_pages(0, rival->nr, pages, nodes, status, MPOL_MF_MOVE);
	}
	return NULL;
}

/* Throws the same pages away and touches them again. */
static void *rival_drops(void *arg)
{
	struct rival *rival = arg;

	while (!stopped(rival)) {
		madvise(rival->area, rival->nr * PAGE_BYTES, MADV_DONTNEED);
		for (size_t i = 0; i < rival->nr; i++)
			rival->area[i * PAGE_BYTES] = 1;
	}
	return NULL;
}

/* Until the outcome is seen; a race cannot be had on command. */
static void until_seen(const char *what, void *(*fn)(void *), enum ember_outcome want)
{
	struct rival rival = {.area = area_map(512), .nr = 512};
	size_t count[EMBER_OUTCOME_MAX + 1] = {0};
	double deadline = now_s() + 500; /* a debug kernel goes one round a second */
	unsigned int rounds = 0;
	pthread_t thread;

	area_fill(rival.area, 512, 0, SEED);
	if (pthread_create(&thread, NULL, fn, &rival))
		fail("pthread_create");
	while (!count[want] && now_s() < deadline)
		ask(rival.area, 512, ++rounds % 2, count);
	__atomic_store_n(&rival.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	expect(count[want] > 0, "%-13s %s: want at least one page, saw %zu after %u rounds",
	       ember_outcome_name(want), what, count[want], rounds);
	munmap(rival.area, REGION_BYTES);
}

/* A disk that takes its time: null_blk completes each request after one second. */
static void writeback(void)
{
	const char *config = "modprobe null_blk nr_devices=1 gb=1 bs=4096 memory_backed=1 "
			     "irqmode=2 completion_nsec=1000000000 submit_queues=1 "
			     "&& mkswap /dev/nullb0 >/dev/null";
	size_t count[EMBER_OUTCOME_MAX + 1] = {0};
	double deadline = now_s() + 60;
	char *area = area_map(32);

	if (system(config) || swapon("/dev/nullb0", 0))
		fail("swap on null_blk: %s", strerror(errno));
	area_fill(area, 32, 0, SEED);
	while (!count[EMBER_OUTCOME_WRITEBACK] && now_s() < deadline) {
		madvise(area, 32 * PAGE_BYTES, MADV_PAGEOUT);
		(void)area_check(area, 32, SEED); /* maps them while they are written */
		ask(area, 32, 1, count);
		if (!count[EMBER_OUTCOME_WRITEBACK])
			ask(area, 32, 0, count);
	}
	expect(count[EMBER_OUTCOME_WRITEBACK] > 0,
	       "%-13s being swapped out: want at least one page, saw %zu", "writeback",
	       count[EMBER_OUTCOME_WRITEBACK]);
	print_counts(count);
	expect(!area_check(area, 32, SEED), "contents: want 0 bad pages, saw %zu",
	       area_check(area, 32, SEED));
	munmap(area, 32 * PAGE_BYTES);
	swapoff("/dev/nullb0");
	(void)!system("rmmod null_blk");
}

static long free_kib(int node)
{
	char line[256], name[64];
	FILE *file;
	long kib = -1;

	snprintf(name, sizeof(name), "/sys/devices/system/node/node%d/meminfo", node);
	file = fopen(name, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Node %*d MemFree: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* A counter of /proc/vmstat, or the sum of those whose names begin so. */
static unsigned long vmstat(const char *prefix)
{
	FILE *file = fopen("/proc/vmstat", "re");
	unsigned long sum = 0, value;
	char name[64];

	while (file && fscanf(file, "%63s %lu", name, &value) == 2)
		if (!strncmp(name, prefix, strlen(prefix)))
			sum += value;
	if (file)
		fclose(file);
	return sum;
}

/*
 * From the larger node, more than is free on the smaller one; and then some more, for
 * which nobody must reclaim.
 */
static void no_memory(void)
{
	unsigned long kswapd = vmstat("pgscan_kswapd"), stalls = vmstat("allocstall");
	int small = free_kib(0) < free_kib(1) ? 0 : 1;
	size_t count[EMBER_OUTCOME_MAX + 1] = {0};
	size_t nr = (size_t)free_kib(small) / 4 + 16384, done;
	char *area = area_map(nr);

	area_fill(area, nr, !small, SEED);
	for (done = 0; done + 4096 <= nr && !count[EMBER_OUTCOME_NO_MEMORY]; done += 4096)
		ask(area + done * PAGE_BYTES, 4096, (uint32_t)small, count);
	expect(count[EMBER_OUTCOME_NO_MEMORY] > 0,
	       "%-13s node %d filled up: want some of the last 4096 pages, saw %zu after %zu moved",
	       "no-memory", small, count[EMBER_OUTCOME_NO_MEMORY], done - 4096);
	for (unsigned int i = 0; i < 8; i++)
		ask(area + (nr - 4096) * PAGE_BYTES, 4096, (uint32_t)small, count);
	expect(vmstat("pgscan_kswapd") == kswapd && vmstat("allocstall") == stalls,
	       "pages that kswapd looked at, and waits for memory: want none, saw %lu and %lu",
	       vmstat("pgscan_kswapd") - kswapd, vmstat("allocstall") - stalls);
	/* Others may give memory back at any time: a few times what they gave is taken. */
	for (unsigned int i = 0; i < 8 && (!i || count[EMBER_OUTCOME_MOVED]); i++)
		ask(area + (nr - 512) * PAGE_BYTES, 512, (uint32_t)small, count);
	expect(!count[EMBER_OUTCOME_MOVED], "and still full: want none of 512 moved, saw %zu",
	       count[EMBER_OUTCOME_MOVED]);
	ask(area, 4096, (uint32_t)!small, count);
	/* pages never asked for: of the last ones some may have found room since */
	ask_flags(area + done * PAGE_BYTES, 512, (uint32_t)small, EMBER_MIGRATE_EXCHANGE, count);
	if (!expect(count[EMBER_OUTCOME_MOVED] > 0,
		    "in exchange for 4096: want some of 512 pages moved, saw %zu",
		    count[EMBER_OUTCOME_MOVED]))
		print_counts(count);
	expect(vmstat("pgscan_kswapd") == kswapd && vmstat("allocstall") == stalls,
	       "and nobody woken for it: want 0 pages, 0 waits, saw %lu, %lu",
	       vmstat("pgscan_kswapd") - kswapd, vmstat("allocstall") - stalls);
	expect(!area_check(area, nr, SEED), "contents: want 0 bad pages, saw %zu",
	       area_check(area, nr, SEED));
	munmap(area, nr * PAGE_BYTES);
}

static void fill_job(struct ember_nl_job *job, uint64_t id, const struct ember_identity *target,
		     char *area, uint32_t node)
{
	memset(job, 0, sizeof(*job));
	job->id = id;
	job->target = *target;
	job->node = node;
	if (ember_nl_job_fill(job, area, EMBER_MAX_REGIONS * REGION_PAGES, NULL))
		fail("job does not fit");
}

static void submit(struct ember_nl_job *job)
{
	int err = ember_nl_migrate(&nl, job);

	if (err)
		fail("request %lu: %s", (unsigned long)job->id, strerror(-err));
}

/* Waits for and frees a result, and adds its outcomes up. */
static void collect(struct ember_nl_job *job, size_t count[EMBER_OUTCOME_MAX + 1])
{
	int err = ember_nl_wait(&nl, job, 60000);

	if (err)
		fail("result %lu: %s", (unsigned long)job->id, strerror(-err));
	ember_nl_job_count(job, count);
	err = ember_nl_ack(&nl, job->id);
	if (err)
		fail("ack %lu: %s", (unsigned long)job->id, strerror(-err));
}

/* The second request waits behind the first, so it is cancelled before it begins. */
static void cancelled(void)
{
	size_t nr = EMBER_MAX_REGIONS * REGION_PAGES, count[EMBER_OUTCOME_MAX + 1];
	static struct ember_nl_job first, second;
	char *area = area_map(nr);

	area_fill(area, nr, 0, SEED);
	fill_job(&first, 1, &self, area, 1);
	fill_job(&second, 2, &self, area, 0);
	submit(&first);
	submit(&second);
	expect(ember_nl_cancel(&nl, 2) == 0, "cancel of a queued request is accepted");
	collect(&first, count);
	all("not cancelled", count, EMBER_OUTCOME_MOVED, nr);
	collect(&second, count);
	all("cancelled in the queue", count, EMBER_OUTCOME_CANCELLED, nr);
	expect(second.status == -ECANCELED, "status: want %d, saw %d", -ECANCELED, second.status);
	munmap(area, nr * PAGE_BYTES);
}

/* The request that is running is cancelled: some pages have moved by then, some not. */
static void cancelled_midway(void)
{
	size_t nr = EMBER_MAX_REGIONS * REGION_PAGES, count[EMBER_OUTCOME_MAX + 1] = {0};
	static struct ember_nl_job job, listed[EMBER_CREDITS];
	char *area = area_map(nr);
	unsigned int rounds = 0;
	bool balanced = true;

	area_fill(area, nr, 0, SEED);
	while (rounds < 100 && !(count[EMBER_OUTCOME_MOVED] && count[EMBER_OUTCOME_CANCELLED])) {
		rounds++;
		fill_job(&job, rounds, &self, area, rounds % 2);
		submit(&job);
		do {
			if (ember_nl_dump(&nl, listed, EMBER_CREDITS) != 1)
				fail("dump");
		} while (listed[0].state == EMBER_STATE_QUEUED);
		usleep((useconds_t)(rand() % 5000));
		if (ember_nl_cancel(&nl, rounds))
			fail("cancel");
		collect(&job, count);
		/* What an earlier round has moved may be there already. */
		balanced &= count[EMBER_OUTCOME_MOVED] + count[EMBER_OUTCOME_CANCELLED] +
				count[EMBER_OUTCOME_ALREADY_THERE] ==
			    nr;
	}
	expect(count[EMBER_OUTCOME_MOVED] && count[EMBER_OUTCOME_CANCELLED] && balanced &&
		   job.status == -ECANCELED,
	       "%-13s while it runs: want %zu pages moved or cancelled, some of each, and status "
	       "%d; saw %zu and %zu, %d after %u rounds",
	       "cancelled", nr, -ECANCELED, count[EMBER_OUTCOME_MOVED],
	       count[EMBER_OUTCOME_CANCELLED], job.status, rounds);
	expect(!area_check(area, nr, SEED), "contents: want 0 bad pages, saw %zu",
	       area_check(area, nr, SEED));
	munmap(area, nr * PAGE_BYTES);
}

/* A process with a full area; sends its identity and address, then waits. */
static pid_t start_target(struct ember_identity *ret_identity, char **ret_area)
{
	size_t nr = EMBER_MAX_REGIONS * REGION_PAGES;
	int fds[2];
	pid_t child;

	if (pipe(fds))
		fail("pipe: %s", strerror(errno));
	child = fork();
	if (child == 0) {
		char *area = area_map(nr);
		struct ember_identity me;

		area_fill(area, nr, 0, SEED);
		if (ember_nl_self(&me) || write(fds[1], &me, sizeof(me)) < 0 ||
		    write(fds[1], &area, sizeof(area)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(fds[0], ret_identity, sizeof(*ret_identity)) != sizeof(*ret_identity) ||
	    read(fds[0], ret_area, sizeof(*ret_area)) != sizeof(*ret_area))
		fail("the target process failed");
	close(fds[0]);
	close(fds[1]);
	return child;
}

/* Kills the target while the first of two requests runs; counts the outcomes of the first. */
static void kill_during_request(size_t count[EMBER_OUTCOME_MAX + 1])
{
	size_t nr = EMBER_MAX_REGIONS * REGION_PAGES, after[EMBER_OUTCOME_MAX + 1];
	static struct ember_nl_job first, second;
	struct ember_identity target;
	char *area;
	pid_t child = start_target(&target, &area);
	int err;

	fill_job(&first, 1, &target, area, 1);
	fill_job(&second, 2, &target, area, 0);
	submit(&first);
	submit(&second);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	collect(&first, count);
	collect(&second, after);
	if (after[EMBER_OUTCOME_GONE] != nr || second.status != -ESRCH) {
		all("killed before the request", after, EMBER_OUTCOME_GONE, nr);
		fail("status: want %d, saw %d", -ESRCH, second.status);
	}
	err = ember_nl_migrate(&nl, &second);
	if (err != -ESRCH)
		fail("asking for a dead process: want %d, saw %d", -ESRCH, err);
}

/* Until the exit is seen in the middle of a request. */
static void gone(void)
{
	size_t nr = EMBER_MAX_REGIONS * REGION_PAGES, count[EMBER_OUTCOME_MAX + 1] = {0};
	double deadline = now_s() + 60;
	unsigned int rounds = 0;

	do {
		kill_during_request(count);
		rounds++;
	} while ((!count[EMBER_OUTCOME_GONE] || count[EMBER_OUTCOME_GONE] == nr) &&
		 now_s() < deadline);
	expect(count[EMBER_OUTCOME_GONE] && count[EMBER_OUTCOME_GONE] < nr,
	       "%-13s killed during the request: want some of %zu pages, saw %zu after %u rounds",
	       "gone", nr, count[EMBER_OUTCOME_GONE], rounds);
}

int main(void)
{
	ember_nl_begin(&nl, &self);
	moved_and_already_there();
	holes_stay_holes();
	not_present_and_no_area();
	special();
	not_anon();
	zero_page();
	large_folio();
	shared();
	ksm();
	pinned_by_pipe();
	pinned_for_dma();
	until_seen("against move_pages(2)", rival_moves, EMBER_OUTCOME_BUSY);
	until_seen("against MADV_DONTNEED", rival_drops, EMBER_OUTCOME_RACED);
	cancelled();
	cancelled_midway();
	gone();
	writeback();
	no_memory();
	ember_nl_close(&nl);
	return expect_status();
}
