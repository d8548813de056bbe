// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All other memory full: nobody gets a page of a pool but by ember, and a pool whose pages have
 * nowhere to go stays.
 *
 *	pool_full START BYTES		a range that the kernel's command line sets apart
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/pool.h"

#define SEED 0x900dUL
#define MIB (1UL << 20)
#define KEPT_KIB (64L << 10) /* for what else runs here, as page cache */
#define FILE_PATH "/var/tmp/ember-cache"

static struct ember_nl nl;
static struct ember_identity self;
static uint64_t start, bytes;

static long available_kib(void)
{
	return proc_number("/proc/meminfo", "MemAvailable");
}

static void fill_anonymous(int done)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_text("/proc/self/oom_score_adj", "1000");
	while (available_kib() > KEPT_KIB) {
		char *part = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (part == MAP_FAILED)
			break;
		*part = 1;
	}
	close(done);
	pause();
	_exit(0);
}

/* Anonymous memory of a child. */
static pid_t start_hog(void)
{
	int done[2];
	pid_t child;
	char byte;

	if (pipe(done))
		fail("pipe: %s", strerror(errno));
	child = fork();
	if (!child)
		fill_anonymous(done[1]);
	close(done[1]);
	(void)!read(done[0], &byte, 1);
	close(done[0]);
	return child;
}

/* Page cache takes the rest: a file without contents is read until kswapd has to work. */
static bool fill_cache(void)
{
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	long before = proc_number("/proc/vmstat", "pgscan_kswapd");
	char *buffer = malloc(MIB);
	bool scanned = false;

	if (fd < 0 || !buffer || ftruncate(fd, 4096L * (long)MIB))
		fail("%s: %s", FILE_PATH, strerror(errno));
	for (int i = 0; i < 4096 && !scanned; i++) {
		if (read(fd, buffer, MIB) != (ssize_t)MIB)
			break;
		scanned = i % 16 == 15 && proc_number("/proc/vmstat", "pgscan_kswapd") > before;
	}
	free(buffer);
	close(fd);
	return scanned;
}

static long move(char *area, size_t nr, uint32_t dest)
{
	static uint8_t outcome[65536];

	return ember_nl_move(&nl, &self, area, nr, NULL, dest, 0, outcome);
}

int main(int argc, char **argv)
{
	int full, empty;
	uint64_t most;
	char *area;
	bool gone;
	size_t nr;
	pid_t hog;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return 2;
	start = strtoull(argv[1], NULL, 0);
	bytes = strtoull(argv[2], NULL, 0);
	most = bytes - 32 * MIB;
	nr = most / PAGE_BYTES;
	ember_nl_begin(&nl, &self);
	full = pool_add(&nl, start, most);
	empty = pool_add(&nl, start + most, 32 * MIB);
	area = area_map(nr);
	area_fill(area, nr, 0, SEED);
	expect(move(area, nr, EMBER_NL_POOL(full)) == (long)nr, "one pool is filled, one empty");

	hog = start_hog();
	expect(fill_cache(),
	       "all other memory is full, kswapd at work: %ld MiB available, %ld free",
	       available_kib() >> 10, proc_number("/proc/meminfo", "MemFree") >> 10);
	expect(!pool_number(empty, "used_bytes") && !pool_count_all(start + most, 32 * MIB),
	       "nobody has a page of the empty one: want 0 used, saw %ld",
	       pool_number(empty, "used_bytes"));
	expect(pool_used_is(full, nr), "the full one is full of what it was");
	gone = pool_remove(&nl, full);
	expect(!gone && !strcmp(pool_file(full, "state"), "ready") &&
		   strstr(pool_file(full, "stuck"), "no-memory"),
	       "its removal finds no room: want ready and no-memory, saw %s and \"%s\"",
	       pool_file(full, "state"), pool_file(full, "stuck"));
	expect(!area_check(area, nr, SEED), "contents intact");
	kill(hog, SIGKILL);
	waitpid(hog, NULL, 0);
	gone = pool_remove(&nl, full);
	expect(gone, "with room it is removed: %s", pool_file(full, "stuck"));
	expect(!area_check(area, nr, SEED), "contents intact");
	expect(pool_remove(&nl, empty), "so is the other");
	unlink(FILE_PATH);
	return expect_status();
}
