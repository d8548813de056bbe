// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every field of a record is right for every kind of memory: the process scans itself
 * after touching pages whose kind, place, sharing and neighbours it knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define REGION EMBER_REGION_BYTES
#define PAGE 4096UL
#define BASE ((char *)0x200000000000UL)
#define MAX_RECS 16384

static struct ember_sampler *sampler;
static struct ember_proc_id self;
static struct ember_region_rec recs[MAX_RECS];
static uint32_t nr_recs;
static struct ember_scan_req req;
static uint32_t nr_calls;
static int nr_failures;

static void expect(const char *what, long expected, long seen)
{
	printf("  %-58s expected %ld, saw %ld%s\n", what, expected, seen,
	       expected == seen ? "" : "  <-- FAIL");
	nr_failures += expected != seen;
}

static void scan_with(const char *start, size_t bytes, uint32_t flags, uint64_t budget_ns)
{
	const struct ember_region_rec *part;
	uint32_t i;

	req = (struct ember_scan_req){.cursor = (uintptr_t)start,
				      .end = (uintptr_t)start + bytes,
				      .budget_ns = budget_ns,
				      .flags = flags};
	nr_recs = nr_calls = 0;
	do {
		if (ember_sampler_scan(sampler, &self, &req, &part) < 0)
			die("FAIL: scan");
		for (i = 0; i < req.nr_recs && nr_recs < MAX_RECS; i++)
			recs[nr_recs++] = part[i];
		nr_calls++;
	} while (req.stop != EMBER_STOP_DONE);
}

static void scan(const char *start, size_t bytes, uint32_t flags)
{
	scan_with(start, bytes, flags, 0);
}

#define LOOK (EMBER_SCAN_FULL | EMBER_SCAN_COLD)
#define TAKE (EMBER_SCAN_FULL | EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH)

static char *map(char *at, size_t bytes, int flags, int fd)
{
	char *area = mmap(at, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, fd, 0);

	if (area != at)
		die("FAIL: mmap at %p: %s", (void *)at, strerror(errno));
	madvise(area, bytes, MADV_NOHUGEPAGE);
	return area;
}

static char *map_anon(char *at, size_t bytes)
{
	return map(at, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

static void read_pages(char *area, uint32_t first, uint32_t end)
{
	for (; first < end; first++)
		(void)*(volatile char *)(area + first * PAGE);
}

static void write_pages(char *area, uint32_t first, uint32_t end)
{
	for (; first < end; first++)
		*(volatile char *)(area + first * PAGE) = 1;
}

/* Bits set in [first, end) of a plane; -1 if any is set outside. */
static long bits_only_in(const __u64 *plane, uint32_t first, uint32_t end)
{
	long nr = 0;
	uint32_t i;

	for (i = 0; i < EMBER_REGION_PAGES; i++) {
		bool set = plane[i / 64] >> (i % 64) & 1;

		if (set && (i < first || i >= end))
			return -1;
		nr += set;
	}
	return nr;
}

static uint32_t mem_of(const struct ember_region_rec *rec, uint32_t page)
{
	uint32_t k, index = 0;

	for (k = 0; k < EMBER_MEM_PLANES; k++)
		index |= (rec->mem[k][page / 64] >> (page % 64) & 1) << k;
	return index;
}

static void check_anon(void)
{
	char *area = map_anon(BASE, REGION);

	printf("anonymous, pages 10-19 written, 100-199 written, then 100-149 read\n");
	write_pages(area, 10, 20);
	write_pages(area, 100, 200);
	scan(area, REGION, TAKE);
	expect("records", 1, nr_recs);
	expect("address", (long)area, recs[0].addr);
	expect("version", EMBER_SAMPLE_VERSION, recs[0].version);
	expect("kind", EMBER_KIND_ANON, recs[0].kind);
	expect("flags", EMBER_REC_WHOLE, recs[0].flags);
	expect("order class", EMBER_ORDER_BASE, recs[0].order_class);
	expect("present", 110, recs[0].nr_present);
	expect("young", 110, recs[0].nr_young);
	expect("dirty", 110, bits_only_in(recs[0].dirty, 10, 200));
	expect("shared", 0, bits_only_in(recs[0].shared, 0, 512));
	expect("CPUs flushed, at least 1", 1, req.nr_flush_cpus >= 1);
	expect("nothing left unflushed", 0, req.nr_unflushed);
	read_pages(area, 100, 150);
	scan(area, REGION, TAKE);
	expect("then young", 50, bits_only_in(recs[0].young, 100, 150));
	expect("and present", 110, recs[0].nr_present);
	scan(area, REGION, TAKE);
	expect("idle: no record", 0, nr_recs);
	expect("no CPU flushed", 0, req.nr_flush_cpus);
	scan(area, REGION, LOOK);
	expect("but one on a look at cold memory", 1, nr_recs);
	expect("flags", EMBER_REC_WHOLE | EMBER_REC_COLD, recs[0].flags);
	read_pages(area, 10, 11);
	scan(area, REGION, EMBER_SCAN_FULL);
	scan(area, REGION, EMBER_SCAN_FULL);
	expect("a look does not clear", 1, nr_recs ? recs[0].nr_young : 0);
	munmap(area, REGION);
}

static void check_part(void)
{
	char *area = map_anon(BASE, 2 * REGION);

	printf("part of the range: all pages of two regions written, 256-767 scanned\n");
	write_pages(area, 0, 1024);
	scan(area + 256 * PAGE, 512 * PAGE, TAKE);
	expect("records", 2, nr_recs);
	expect("young in the first", 256, bits_only_in(recs[0].young, 256, 512));
	expect("present in the first", 256, bits_only_in(recs[0].present, 256, 512));
	expect("young in the second", 256, bits_only_in(recs[1].young, 0, 256));
	expect("flags of both", 0, recs[0].flags | recs[1].flags);
	scan(area, 2 * REGION, EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH);
	expect("the rest is found without a full pass", 512, req.nr_young);
	munmap(area, 2 * REGION);
}

static void check_zero(void)
{
	char *area = map_anon(BASE, REGION);
	char *huge = map_anon(BASE + REGION, REGION);

	printf("zero pages: 512 base pages and one huge area, only read\n");
	madvise(huge, REGION, MADV_HUGEPAGE);
	read_pages(area, 0, 512);
	read_pages(huge, 0, 512);
	scan(area, 2 * REGION, LOOK);
	expect("records", 0, nr_recs);
	expect("present", 0, req.nr_present);
	munmap(area, 2 * REGION);
}

static void check_file(void)
{
	char path[] = "/var/tmp/ember-kinds-XXXXXX";
	int fd = mkstemp(path);
	char *area;

	printf("file, shared mapping: 0-99 read, 100-149 written; private: 0-9 written\n");
	if (fd < 0 || posix_fallocate(fd, 0, REGION) != 0)
		die("FAIL: no file in /var/tmp");
	unlink(path);
	area = map(BASE, REGION, MAP_SHARED, fd);
	read_pages(area, 0, 100);
	scan(area, REGION, TAKE);
	expect("kind", EMBER_KIND_FILE, nr_recs ? recs[0].kind : 0);
	expect("dirty", 0, nr_recs ? bits_only_in(recs[0].dirty, 0, 512) : -1);
	read_pages(area, 0, 100);
	write_pages(area, 100, 150);
	scan(area, REGION, TAKE);
	expect("records", 1, nr_recs);
	expect("young, at least", 1, bits_only_in(recs[0].young, 0, 512) >= 150);
	expect("dirty", 50, bits_only_in(recs[0].dirty, 100, 150));
	munmap(area, REGION);
	area = map(BASE, REGION, MAP_PRIVATE, fd);
	write_pages(area, 0, 10);
	scan(area, REGION, TAKE);
	expect("private: kind", EMBER_KIND_FILE, nr_recs ? recs[0].kind : 0);
	expect("private: young", 10, nr_recs ? bits_only_in(recs[0].young, 0, 10) : -1);
	munmap(area, REGION);
	close(fd);
}

static void check_shmem(void)
{
	char *area = map(BASE, REGION, MAP_SHARED | MAP_ANONYMOUS, -1);

	printf("shared memory: 0-63 written\n");
	write_pages(area, 0, 64);
	scan(area, REGION, TAKE);
	expect("kind", EMBER_KIND_SHMEM, nr_recs ? recs[0].kind : 0);
	expect("young", 64, nr_recs ? bits_only_in(recs[0].young, 0, 64) : -1);
	munmap(area, REGION);
}

static void check_mixed(void)
{
	char *area = map_anon(BASE, REGION / 4);
	char *shmem = map(BASE + REGION / 2, REGION / 2, MAP_SHARED | MAP_ANONYMOUS, -1);

	printf("one region: anonymous 0-127, hole, shared memory 256-511\n");
	write_pages(area, 0, 128);
	write_pages(shmem, 0, 256);
	scan(area, REGION, TAKE);
	expect("records", 1, nr_recs);
	expect("kind", EMBER_KIND_MIXED, recs[0].kind);
	expect("young", 384, recs[0].nr_young);
	expect("flags", EMBER_REC_WHOLE, recs[0].flags);
	munmap(area, REGION);

	printf("one region: three anonymous areas that differ in protection\n");
	area = map_anon(BASE, REGION);
	write_pages(area, 0, 512);
	mprotect(area + 100 * PAGE, 100 * PAGE, PROT_READ);
	mprotect(area + 200 * PAGE, 100 * PAGE, PROT_NONE);
	scan(area, REGION, TAKE);
	expect("records", 1, nr_recs);
	expect("kind", EMBER_KIND_ANON, recs[0].kind);
	expect("present, those without access too", 512, recs[0].nr_present);
	munmap(area, REGION);
}

static void set_hugepages(int nr)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "we");

	if (!file)
		return;
	fprintf(file, "%d", nr);
	fclose(file);
}

static void check_hugetlb(void)
{
	char *area;

	printf("hugetlb: passed over\n");
	set_hugepages(4);
	area = mmap(BASE, 2 * REGION, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0);
	if (area == MAP_FAILED)
		die("FAIL: no huge pages: %s", strerror(errno));
	write_pages(area, 0, 1024);
	scan(area, 2 * REGION, LOOK);
	expect("records", 0, nr_recs);
	munmap(area, 2 * REGION);
	set_hugepages(0);
}

static void check_shared(void)
{
	char *area = map_anon(BASE, REGION);
	pid_t child;

	printf("forked: 0-99 shared with a child, 0-49 written again by the parent\n");
	write_pages(area, 0, 100);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	scan(area, REGION, TAKE);
	write_pages(area, 0, 50);
	read_pages(area, 50, 100);
	scan(area, REGION, TAKE);
	expect("young", 100, bits_only_in(recs[0].young, 0, 100));
	expect("shared", 50, bits_only_in(recs[0].shared, 50, 100));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	read_pages(area, 50, 100);
	scan(area, REGION, TAKE);
	expect("shared when the child is gone", 0, bits_only_in(recs[0].shared, 0, 512));
	munmap(area, REGION);
}

static bool write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	fputs(text, file);
	return fclose(file) == 0;
}

#define MTHP "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

static void check_orders(void)
{
	/* Half a region cannot get a 2 MiB page. */
	char *area = map_anon(BASE, REGION / 2);
	char *huge = map_anon(BASE + REGION, REGION);

	printf("orders: 64 KiB folios, pages 0-63; one huge page, one byte written\n");
	if (!write_text(MTHP, "always") || !write_text(THP, "always"))
		die("FAIL: no large folios");
	madvise(area, REGION / 2, MADV_HUGEPAGE);
	madvise(huge, REGION, MADV_HUGEPAGE);
	write_pages(area, 0, 64);
	write_pages(huge, 3, 4);
	scan(area, 2 * REGION, TAKE);
	expect("records", 2, nr_recs);
	expect("64 KiB: order class", EMBER_ORDER_MTHP, recs[0].order_class);
	expect("64 KiB: present", 64, bits_only_in(recs[0].present, 0, 64));
	expect("2 MiB: order class", EMBER_ORDER_PMD, recs[1].order_class);
	expect("2 MiB: young", 512, recs[1].nr_young);
	expect("2 MiB: dirty", 512, bits_only_in(recs[1].dirty, 0, 512));
	read_pages(huge, 77, 78);
	scan(huge, REGION, TAKE);
	expect("2 MiB: young again by one read", 512, nr_recs ? recs[0].nr_young : 0);
	write_text(MTHP, "never"); /* the kernel's default */
	munmap(area, REGION / 2);
	munmap(huge, REGION);
}

/* Alternate pages of @area between the nodes 0 and 1. */
static void spread(char *area, uint32_t nr)
{
	void *pages[EMBER_REGION_PAGES];
	int nodes[EMBER_REGION_PAGES], status[EMBER_REGION_PAGES];
	uint32_t i;

	for (i = 0; i < nr; i++) {
		pages[i] = area + i * PAGE;
		nodes[i] = i % 3 == 0;
	}
	if (move_pages(0, nr, pages, nodes, status, MPOL_MF_MOVE) < 0)
		die("FAIL: move_pages: %s", strerror(errno));
}

static void check_memory(void)
{
	char *area = map_anon(BASE, REGION);
	void *pages[EMBER_REGION_PAGES];
	int status[EMBER_REGION_PAGES];
	uint32_t i, nr_equal = 0, nr_on_1 = 0;

	printf("place: every third page on node 1, compared with move_pages(2)\n");
	write_pages(area, 0, 512);
	spread(area, 512);
	scan(area, REGION, TAKE);
	for (i = 0; i < EMBER_REGION_PAGES; i++)
		pages[i] = area + i * PAGE;
	if (move_pages(0, EMBER_REGION_PAGES, pages, NULL, status, 0) < 0)
		die("FAIL: move_pages query: %s", strerror(errno));
	for (i = 0; i < EMBER_REGION_PAGES; i++) {
		nr_equal += (int)mem_of(&recs[0], i) == status[i];
		nr_on_1 += status[i] == 1;
	}
	expect("pages on node 1", 171, nr_on_1);
	expect("pages with the same place in the record", 512, nr_equal);
	scan(area, REGION, LOOK);
	for (nr_equal = i = 0; i < EMBER_REGION_PAGES; i++)
		nr_equal += (int)mem_of(&recs[0], i) == status[i];
	expect("the same when cold", 512, nr_equal);
	munmap(area, REGION);
}

static bool each_region_once(const char *area, uint32_t nr_regions)
{
	uint32_t i;

	for (i = 0; i < nr_recs; i++)
		if (recs[i].addr != (uintptr_t)area + i * REGION ||
		    !(recs[i].flags & EMBER_REC_WHOLE))
			return false;
	return nr_recs == nr_regions;
}

static void check_resume(void)
{
	const uint32_t nr_regions = 9000;
	char *area = map_anon(BASE, nr_regions * REGION);
	uint32_t i;

	printf("resuming: %u regions with one page each\n", nr_regions);
	for (i = 0; i < nr_regions; i++)
		write_pages(area, i * EMBER_REGION_PAGES + i % 512,
			    i * EMBER_REGION_PAGES + i % 512 + 1);
	scan(area, nr_regions * REGION, EMBER_SCAN_FULL);
	expect("buffer full: calls", 2, nr_calls);
	expect("every region once, in order", 1, each_region_once(area, nr_regions));
	scan_with(area, nr_regions * REGION, EMBER_SCAN_FULL, 1);
	expect("a budget of 1 ns: calls", nr_regions, nr_calls);
	expect("every region once, in order", 1, each_region_once(area, nr_regions));
	scan_with(area, nr_regions * REGION, EMBER_SCAN_FULL, UINT64_MAX);
	expect("a budget beyond the end of time: calls", 2, nr_calls);
	scan_with(area, nr_regions * REGION, TAKE, 1000000);
	expect("clearing in steps of 1 ms: every region once", 1,
	       each_region_once(area, nr_regions));
	expect("and flushed at the end", 0, req.nr_unflushed);
	scan(area, nr_regions * REGION, EMBER_SCAN_CLEAR);
	expect("then nothing is young", 0, nr_recs);
	munmap(area, nr_regions * REGION);
}

static int scan_error(uint64_t cursor, uint64_t end, uint32_t flags)
{
	struct ember_scan_req bad = {.cursor = cursor, .end = end, .flags = flags};
	const struct ember_region_rec *part;

	return ember_sampler_scan(sampler, &self, &bad, &part);
}

static void check_bad_requests(void)
{
	uintptr_t base = (uintptr_t)BASE;

	printf("bad requests\n");
	expect("unknown flag", -EINVAL, scan_error(base, base + REGION, 1u << 31));
	expect("cursor beyond the end", -EINVAL, scan_error(base + REGION, base, 0));
	expect("cursor inside a page", -EINVAL, scan_error(base + 1, base + REGION, 0));
	expect("end inside a page", -EINVAL, scan_error(base, base + 1, 0));
	expect("empty range", 0, scan_error(base, base, 0));
	expect("the largest range there is", 0, scan_error(0, ~0UL & ~(PAGE - 1), LOOK));
}

/* What nobody wants is passed over, not tripped over: vvar, vdso, stack, this program. */
static void check_everything(void)
{
	uint32_t i, nr_bad = 0;

	printf("the whole process\n");
	scan(NULL, 1UL << 47, LOOK);
	for (i = 0; i < nr_recs; i++)
		nr_bad += recs[i].kind < EMBER_KIND_ANON || recs[i].kind > EMBER_KIND_MIXED ||
			  recs[i].version != EMBER_SAMPLE_VERSION || recs[i].addr % REGION ||
			  !recs[i].nr_present;
	expect("records, at least 3", 1, nr_recs >= 3);
	expect("of them malformed", 0, nr_bad);
	scan(NULL, 1UL << 47, TAKE);
	expect("young, at least 10", 1, req.nr_young >= 10);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	stop_other_aging();
	sampler = start_sampler();
	self = identify(sampler, getpid());
	check_anon();
	check_part();
	check_zero();
	check_file();
	check_shmem();
	check_mixed();
	check_hugetlb();
	check_shared();
	check_orders();
	check_memory();
	check_resume();
	check_bad_requests();
	check_everything();
	ember_sampler_close(sampler);
	printf(nr_failures ? "FAIL\n" : "PASS\n");
	return nr_failures ? 1 : 0;
}
