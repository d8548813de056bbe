// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pools: which ranges can be one, and the books of their pages.
 *
 *	pool START BYTES ROUNDS	a range that the kernel's command line sets apart; how often
 *				it is filled and emptied
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/pool.h"
#include "tests/lib/sampling.h"

#define MIB (1UL << 20)
#define SEED 0xb00cUL

static struct ember_nl nl;
static struct ember_identity self;
static uint64_t start, bytes;

#define MAX_PAGES 16384
static uint8_t outcome[MAX_PAGES];

static long move(const void *area, size_t nr, uint32_t dest)
{
	long moved = ember_nl_move(&nl, &self, area, nr, NULL, dest, 0, outcome);

	if (moved < 0)
		fail("request failed: %s", strerror((int)-moved));
	return moved;
}

static size_t count_outcome(size_t nr, enum ember_outcome what)
{
	size_t count = 0;

	for (size_t i = 0; i < nr; i++)
		count += outcome[i] == what;
	return count;
}

/* ---- which ranges ---- */

static void refused(const char *what, uint64_t at, uint64_t len, int node, int want)
{
	int err = ember_nl_pool_add(&nl, at, len, node);

	expect(err == want, "%s: want %s, saw %s", what, strerror(-want),
	       err < 0 ? strerror(-err) : "a pool");
	if (err >= 0 && strcmp(pool_settle(err, "adding"), ""))
		pool_remove(&nl, err);
}

/* The range is looked at when the pool is listed already. */
static void fails(const char *what, uint64_t at, uint64_t len, long want)
{
	int id = ember_nl_pool_add(&nl, at, len, -1), err;
	char *area = area_map(1);

	if (!expect(id >= 0, "%s: a pool is listed (%d)", what, id))
		return;
	pool_settle(id, "adding");
	expect(!strcmp(pool_file(id, "state"), "failed") && pool_number(id, "error") == want,
	       "%s: want failed with %ld, saw %s with %ld", what, want, pool_file(id, "state"),
	       pool_number(id, "error"));
	*area = 1;
	err = (int)ember_nl_move(&nl, &self, area, 1, NULL, EMBER_NL_POOL(id), 0, outcome);
	expect(err == -ENODEV, "%s: nothing can be moved there: want %d, saw %d", what, -ENODEV,
	       err);
	expect(pool_remove(&nl, id), "%s: it can be removed", what);
	munmap(area, PAGE_BYTES);
}

/* There are fewer than 16 numbers. */
static void test_numbers(void)
{
	const uint64_t each = 2 * MIB;
	int ids[EMBER_MEM_UNKNOWN], nr = 0, err;

	for (int i = 0; i < 40; i++)
		pool_remove(&nl, pool_add(&nl, start, each));
	do
		ids[nr] = err = ember_nl_pool_add(&nl, start + (uint64_t)nr * each, each, -1);
	while (err >= 0 && ++nr < EMBER_MEM_UNKNOWN);
	expect(
	    nr == EMBER_MEM_UNKNOWN - 2 && err == -ENOSPC,
	    "40 pools in a row, then many at once beside 2 nodes: want %d and ENOSPC, saw %d and %s",
	    EMBER_MEM_UNKNOWN - 2, nr, strerror(-err));
	for (int i = 0; i < nr; i++) {
		pool_settle(ids[i], "adding");
		pool_remove(&nl, ids[i]);
	}
}

static void test_ranges(void)
{
	int id;

	refused("start inside 2 MiB", start + PAGE_BYTES, 2 * MIB, -1, -EINVAL);
	refused("length no multiple of 2 MiB", start, 2 * MIB + PAGE_BYTES, -1, -EINVAL);
	refused("nothing", start, 0, -1, -EINVAL);
	refused("beyond the machine", 1UL << 52, 2 * MIB, -1, -ERANGE);
	refused("from here to the end of the world and on", -2 * MIB, 4 * MIB, -1, -ERANGE);
	refused("larger than any machine", start, -2 * MIB, -1, -ERANGE);
	refused("node that is not there", start, 2 * MIB, 77, -ENODEV);
	refused("node beyond all", start, 2 * MIB, 0x7fffffff, -ENODEV);
	fails("ordinary memory", 256 * MIB, 2 * MIB, -ENXIO);
	fails("memory set apart and ordinary memory", start, bytes + 2 * MIB, -ENXIO);
	fails("no memory at all", 0xc0000000UL, 2 * MIB, -ENXIO);
	fails("busy: the registers of PCI", 0xb0000000UL, 2 * MIB, -EBUSY);
	id = pool_add(&nl, start + 32 * MIB, 32 * MIB);
	refused("overlaps a pool at its start", start, 34 * MIB, -1, -EEXIST);
	refused("overlaps a pool at its end", start + 62 * MIB, 32 * MIB, -1, -EEXIST);
	refused("inside of a pool", start + 40 * MIB, 2 * MIB, -1, -EEXIST);
	refused("around a pool", start, bytes, -1, -EEXIST);
	expect(pool_remove(&nl, id), "an empty pool is removed");
	expect(ember_nl_pool_remove(&nl, (uint32_t)id) == -ENOENT, "and then unknown");
	expect(pool_remove(&nl, pool_add(&nl, start, bytes)), "now all of the range can be one");
}

/* 0: pools can be added without this capability; 1: not; 2: the test does not work. */
static int child_without(int cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return 2;
	data[cap / 32].effective &= ~(1U << (cap % 32));
	if (syscall(SYS_capset, &head, data))
		return 2;
	if (ember_nl_pool_add(&nl, start, 2 * MIB, -1) != -EPERM)
		return 0;
	return ember_nl_pool_remove(&nl, 0) == -EPERM;
}

static void test_capabilities(void)
{
	const int caps[] = {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_NICE, CAP_SYS_PTRACE};

	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
		int status = -1;
		pid_t child = fork();

		if (!child)
			_exit(child_without(caps[i]));
		waitpid(child, &status, 0);
		expect(status == 1 << 8, "without capability %d: want both refused, saw status %#x",
		       caps[i], status);
	}
}

/* ---- the books ---- */

static void is_there(int id, const char *area, size_t nr, uint64_t at, uint64_t len)
{
	size_t count = pool_count(0, area, nr, at, len), bad = area_check(area, nr, SEED);

	expect(count == nr && pool_used_is(id, nr) && !bad,
	       "pool %d: want %zu pages there, as many used, 0 bad; saw %zu, %ld, %zu", id, nr,
	       count, pool_number(id, "used_bytes") / 4096, bad);
}

/* From node to pool, pool to pool, and back to each node. */
static void test_ways(void)
{
	const uint64_t half = bytes / 2;
	int a = pool_add(&nl, start, half), b = pool_add(&nl, start + half, half);
	char *area = area_map(4096);

	for (int node = 0; node < 2; node++) {
		area_fill(area, 4096, node, SEED);
		expect(move(area, 4096, EMBER_NL_POOL(a)) == 4096, "node %d to pool %d", node, a);
		is_there(a, area, 4096, start, half);
		expect(!move(area, 4096, EMBER_NL_POOL(a)) &&
			   count_outcome(4096, EMBER_OUTCOME_ALREADY_THERE) == 4096,
		       "again: all are there already");
		expect(move(area, 4096, EMBER_NL_POOL(b)) == 4096, "pool %d to pool %d", a, b);
		is_there(b, area, 4096, start + half, half);
		expect(pool_used_is(a, 0), "pool %d has none left", a);
		expect(move(area, 4096, node) == 4096, "pool %d to node %d", b, node);
		expect(area_count(area, 4096, node) == 4096 && !area_check(area, 4096, SEED),
		       "they are there, contents intact");
		expect(pool_used_is(b, 0), "pool %d has none left", b);
	}
	munmap(area, 4096 * PAGE_BYTES);
	expect(pool_remove(&nl, a) && pool_remove(&nl, b), "both removed");
}

/* The accessed-bit scan calls a pool by its id. */
static void test_scan(void)
{
	int a = pool_add(&nl, start, 32 * MIB), b = pool_add(&nl, start + 32 * MIB, 32 * MIB);
	struct ember_sampler *sampler = start_sampler();
	struct ember_proc_id id = identify(sampler, (uint32_t)getpid());
	const struct ember_region_rec *rec;
	char *area = area_map(512);
	struct ember_scan_req req = {.cursor = (uintptr_t)area,
				     .end = (uintptr_t)area + REGION_BYTES,
				     .flags = EMBER_SCAN_FULL | EMBER_SCAN_COLD};
	size_t wrong = 0;

	area_fill(area, 512, 0, SEED);
	move(area + 100 * PAGE_BYTES, 200, EMBER_NL_POOL(a));
	move(area + 300 * PAGE_BYTES, 100, EMBER_NL_POOL(b));
	scan_part(sampler, &id, &req, &rec);
	for (int i = 0; i < 512 && req.nr_recs; i++) {
		int want = i < 100 || i >= 400 ? 0 : i < 300 ? a : b, seen = 0;

		for (int k = 0; k < EMBER_MEM_PLANES; k++)
			seen |= (int)(rec->mem[k][i / 64] >> (i % 64) & 1) << k;
		wrong += seen != want;
	}
	expect(req.nr_recs == 1 && !wrong,
	       "scan of 512 pages in node 0 and pools %d, %d: want 1 record, 0 wrong; saw %u, %zu",
	       a, b, req.nr_recs, wrong);
	ember_sampler_close(sampler);
	munmap(area, REGION_BYTES);
	expect(pool_remove(&nl, a) && pool_remove(&nl, b), "both removed");
}

/* What somebody has is not given to others, however often they take and give back the rest. */
static void test_no_page_twice(void)
{
	int id = pool_add(&nl, start, 4 * MIB);
	char *resident = area_map(768), *guest = area_map(256);
	size_t bad = 0;

	area_fill(resident, 768, 0, SEED);
	area_fill(guest, 256, 0, SEED);
	bad += move(resident, 768, EMBER_NL_POOL(id)) != 768;
	for (int i = 0; i < 24; i++)
		bad += move(guest, 256, i % 2 ? 0 : EMBER_NL_POOL(id)) != 256 ||
		       area_check(guest, 256, SEED);
	is_there(id, resident, 768, start, 4 * MIB);
	expect(!bad, "768 pages stay, 256 others come and go 12 times: want 0 bad, saw %zu", bad);
	munmap(resident, 768 * PAGE_BYTES);
	munmap(guest, 256 * PAGE_BYTES);
	expect(pool_used_is(id, 0) && pool_remove(&nl, id), "removed");
}

static void test_no_page_lost(unsigned int rounds)
{
	const size_t room = 32 * MIB / PAGE_BYTES, nr = room + 8;
	int id = pool_add(&nl, start, 32 * MIB);
	char *area = area_map(nr);
	unsigned int bad = 0;

	area_fill(area, nr, 0, SEED);
	for (unsigned int i = 0; i < rounds && !bad; i++) {
		long moved = move(area, nr, EMBER_NL_POOL(id));

		bad += moved != (long)room || count_outcome(nr, EMBER_OUTCOME_NO_MEMORY) != 8 ||
		       pool_number(id, "used_bytes") != 32 * (long)MIB;
		/* Back by migration, by zapping, or by the end of the area. */
		if (i % 8 == 0) {
			bad += area_check(area, nr, SEED) || move(area, nr, 0) != (long)room;
		} else {
			madvise(area, nr * PAGE_BYTES, MADV_DONTNEED);
			for (size_t page = 0; page < nr; page++)
				area[page * PAGE_BYTES] = (char)i;
		}
		if (i % 8 == 7)
			area_fill(area, nr, 0, SEED);
		bad += pool_number(id, "used_bytes") != 0;
		if (bad)
			printf("round %u: moved %ld, used %ld\n", i, moved,
			       pool_number(id, "used_bytes"));
	}
	expect(!bad, "%u rounds: all of 32 MiB filled, 8 pages without room, all back", rounds);
	munmap(area, nr * PAGE_BYTES);
	expect(pool_remove(&nl, id), "removed");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4)
		return 2;
	start = strtoull(argv[1], NULL, 0);
	bytes = strtoull(argv[2], NULL, 0);
	ember_nl_begin(&nl, &self);
	test_ranges();
	test_numbers();
	test_capabilities();
	test_ways();
	test_scan();
	test_no_page_twice();
	test_no_page_lost((unsigned int)strtoul(argv[3], NULL, 0));
	return expect_status();
}
