// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pools: memory that nobody can allocate from but ember.
 *
 *	pool START BYTES	a range that the kernel's command line sets apart
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

static struct ember_nl nl;
static struct ember_identity self;
static uint64_t pool_start, pool_bytes;

/* A file of the pool in sysfs, without its newline; "" if there is none. */
static const char *pool_file(int id, const char *name)
{
	static char text[256];
	char path[64];
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/ember/pool%d/%s", id, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

static long pool_number(int id, const char *name)
{
	return strtol(pool_file(id, name), NULL, 0);
}

/* Wait until its state is another one. */
static const char *pool_settle(int id, const char *state)
{
	for (int i = 0; i < 200 && !strcmp(pool_file(id, "state"), state); i++)
		usleep(50000);
	return pool_file(id, "state");
}

/* Pages that lie in the pool's range, by /proc/self/pagemap. */
static size_t count_in_pool(const void *addr, size_t nr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t count = 0;
	uint64_t entry;

	for (size_t i = 0; i < nr; i++) {
		uint64_t at;

		if (pread(fd, &entry, 8, ((uintptr_t)addr / 4096 + i) * 8) != 8)
			break;
		at = (entry & ((1ULL << 55) - 1)) * 4096;
		count += (entry >> 63) && at >= pool_start && at < pool_start + pool_bytes;
	}
	close(fd);
	return count;
}

static void test_smoke(void)
{
	static uint8_t outcome[16384];
	size_t nr = 16384;
	char *area = area_map(nr);
	int id = ember_nl_pool_add(&nl, pool_start, pool_bytes, -1);
	long moved;

	expect(id >= 0, "a pool is added: id %d", id);
	expect(!strcmp(pool_settle(id, "adding"), "ready"), "it is %s, error %ld",
	       pool_file(id, "state"), pool_number(id, "error"));
	area_fill(area, nr, 0, 1);
	moved = ember_nl_move(&nl, &self, area, nr, NULL, EMBER_NL_POOL(id), 0, outcome);
	expect(moved == (long)nr, "%ld of %zu pages moved in", moved, nr);
	expect(count_in_pool(area, nr) == nr, "%zu lie there", count_in_pool(area, nr));
	expect(pool_number(id, "used_bytes") == (long)nr * 4096, "%ld bytes used",
	       pool_number(id, "used_bytes"));
	expect(!area_check(area, nr, 1), "contents");
	moved = ember_nl_move(&nl, &self, area, nr, NULL, 0, 0, outcome);
	expect(moved == (long)nr, "%ld of %zu pages moved out", moved, nr);
	expect(!area_check(area, nr, 1), "contents");
	expect(pool_number(id, "used_bytes") == 0, "%ld bytes used", pool_number(id, "used_bytes"));
	moved = ember_nl_move(&nl, &self, area, nr, NULL, EMBER_NL_POOL(id), 0, outcome);
	expect(moved == (long)nr, "%ld of %zu pages moved in", moved, nr);
	expect(!ember_nl_pool_remove(&nl, id), "removal begins");
	expect(!strcmp(pool_settle(id, "draining"), ""), "it is gone (%s)", pool_file(id, "state"));
	printf("stuck: %s\n", pool_file(id, "stuck"));
	expect(!count_in_pool(area, nr), "nothing lies there");
	expect(!area_check(area, nr, 1), "contents");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return 2;
	pool_start = strtoull(argv[1], NULL, 0);
	pool_bytes = strtoull(argv[2], NULL, 0);
	ember_nl_begin(&nl, &self);
	test_smoke();
	return expect_status();
}
