// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What else in the kernel may lay hands on pages that lie in a pool: swap, KSM, khugepaged,
 * userfaultfd, direct I/O, long-term pins, memory failure, hibernation.
 *
 *	pool_kernel START BYTES		a range that the kernel's command line sets apart
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/pool.h"

#define SEED 0x900dUL
#define NR 512UL
#define FILE_PATH "/var/tmp/ember-pool"

static struct ember_nl nl;
static struct ember_identity self;
static uint64_t start, bytes;
static int pool;

static long move(const void *area, size_t nr, uint32_t dest)
{
	uint8_t outcome[NR];
	long moved = ember_nl_move(&nl, &self, area, nr, NULL, dest, 0, outcome);

	if (moved < 0)
		fail("request failed: %s", strerror((int)-moved));
	return moved;
}

static void into_pool(char *area)
{
	if (move(area, NR, EMBER_NL_POOL(pool)) != NR)
		fail("the pool did not take %lu pages", NR);
}

static char *area_in_pool(void)
{
	char *area = area_map(NR);

	area_fill(area, NR, 0, SEED);
	into_pool(area);
	return area;
}

static size_t count_in(const void *area)
{
	return pool_count(0, area, NR, start, bytes);
}

/* Nothing has happened to them. */
static void untouched(const char *what, char *area)
{
	size_t there = count_in(area), bad = area_check(area, NR, SEED);

	expect(there == NR && !bad, "%s: want 512 in the pool, 0 bad; saw %zu, %zu", what, there,
	       bad);
}

static void give_back(char *area)
{
	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, 0), "all back: want 0 used, saw %ld",
	       pool_number(pool, "used_bytes"));
}

static void test_swap(void)
{
	char *area = area_in_pool(), *ordinary = area_map(NR);
	int sum = 0;
	size_t present;

	if (system("modprobe zram num_devices=1 && echo 64M >/sys/block/zram0/disksize && "
		   "mkswap -q /dev/zram0 >/dev/null && swapon /dev/zram0"))
		fail("no swap on zram");
	area_fill(ordinary, NR, 0, SEED);
	madvise(ordinary, REGION_BYTES, MADV_PAGEOUT);
	present = pool_count(0, ordinary, NR, 0, 1UL << 52);
	expect(present < NR / 2, "ordinary pages are swapped out: want few present, saw %zu",
	       present);
	madvise(area, REGION_BYTES, MADV_PAGEOUT);
	untouched("MADV_PAGEOUT", area);
	madvise(area, REGION_BYTES, MADV_COLD);
	madvise(area, REGION_BYTES, MADV_FREE);
	madvise(area, REGION_BYTES, MADV_PAGEOUT);
	untouched("MADV_COLD and MADV_FREE", area);
	/* What was swapped out and is in again, still in the swap cache, can move in. */
	for (size_t i = 0; i < NR; i++)
		sum += ordinary[i * PAGE_BYTES];
	expect(move(ordinary, NR, EMBER_NL_POOL(pool)) == NR && !area_check(ordinary, NR, SEED),
	       "swapped in again (%d), moved in", sum);
	munmap(ordinary, REGION_BYTES);
	give_back(area);
	if (system("swapoff /dev/zram0 && "
		   "for i in 1 2 3 4 5 6 7 8 9; do rmmod zram && break; sleep 0.2; done"))
		fail("swap stays on");
}

static void test_ksm(void)
{
	char *area = area_map(NR);
	long scans = 0;

	memset(area, 0x5a, REGION_BYTES);
	into_pool(area);
	madvise(area, REGION_BYTES, MADV_MERGEABLE);
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "5000");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	write_text("/sys/kernel/mm/ksm/run", "1");
	for (int i = 0; i < 3000 && scans < 3; i++) {
		FILE *file = fopen("/sys/kernel/mm/ksm/full_scans", "re");

		if (!file || fscanf(file, "%ld", &scans) != 1)
			fail("no count of KSM's scans");
		fclose(file);
		usleep(10000);
	}
	write_text("/sys/kernel/mm/ksm/run", "0");
	expect(scans >= 3 && count_in(area) == NR && area[0] == 0x5a &&
		   !memcmp(area, area + PAGE_BYTES, REGION_BYTES - PAGE_BYTES),
	       "KSM: equal pages stay: want 512 in the pool after 3 scans, saw %zu after %ld",
	       count_in(area), scans);
	madvise(area, REGION_BYTES, MADV_UNMERGEABLE);
	give_back(area);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void test_collapse(void)
{
	char *area = area_in_pool();

	madvise(area, REGION_BYTES, MADV_HUGEPAGE);
	expect(madvise(area, REGION_BYTES, MADV_COLLAPSE) < 0, "no huge page is made of them (%s)",
	       strerror(errno));
	untouched("MADV_COLLAPSE", area);
	give_back(area);
}

static int userfault(char *area)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MOVE};
	struct uffdio_register reg = {.range = {(uintptr_t)area, REGION_BYTES},
				      .mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		fail("userfaultfd: %s", strerror(errno));
	return fd;
}

static void test_userfault(void)
{
	char *area = area_in_pool(), *to = area_map(NR), *copy = area_map(NR);
	int fd = userfault(to);
	struct uffdio_move mv = {(uintptr_t)to, (uintptr_t)area, REGION_BYTES / 2, 0, 0};
	struct uffdio_copy cp = {(uintptr_t)to + REGION_BYTES / 2,
				 (uintptr_t)area + REGION_BYTES / 2, REGION_BYTES / 2, 0, 0};
	size_t count;

	memcpy(copy, area, REGION_BYTES);
	expect(!ioctl(fd, UFFDIO_MOVE, &mv), "UFFDIO_MOVE of half of them (%ld)", (long)mv.move);
	expect(!ioctl(fd, UFFDIO_COPY, &cp), "UFFDIO_COPY of the other half (%ld)", (long)cp.copy);
	close(fd);
	count = count_in(to);
	expect(count == NR / 2 && count_in(area) == NR / 2 && !memcmp(to, copy, REGION_BYTES),
	       "want 256 in the pool, contents intact; saw %zu", count);
	munmap(to, REGION_BYTES);
	munmap(copy, REGION_BYTES);
	give_back(area);
}

static void test_direct_io(void)
{
	char *area = area_in_pool(), *copy = area_map(NR);
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail("%s: %s", FILE_PATH, strerror(errno));
	memcpy(copy, area, REGION_BYTES);
	expect(pwrite(fd, area, REGION_BYTES, 0) == (ssize_t)REGION_BYTES, "O_DIRECT write");
	memset(area, 0, REGION_BYTES);
	expect(pread(fd, area, REGION_BYTES, 0) == (ssize_t)REGION_BYTES &&
		   !memcmp(area, copy, REGION_BYTES),
	       "O_DIRECT read of the same");
	untouched("direct I/O", area);
	munmap(copy, REGION_BYTES);
	close(fd);
	unlink(FILE_PATH);
	give_back(area);
}

/* DMA for a long time must not keep the pool from being emptied: such pins move pages out. */
static void test_pin(void)
{
	char *area = area_in_pool(), *copy = area_map(NR);
	struct iovec iov = {area, REGION_BYTES};
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), err;

	memcpy(copy, area, REGION_BYTES);
	if (write(fd, copy, REGION_BYTES) != (ssize_t)REGION_BYTES)
		fail("%s: %s", FILE_PATH, strerror(errno));
	err = io_uring_queue_init(4, &ring, 0);
	if (err)
		fail("io_uring: %s", strerror(-err));
	err = io_uring_register_buffers(&ring, &iov, 1);
	expect(!err && !count_in(area) && pool_used_is(pool, 0),
	       "registered with io_uring: want 0, none in the pool; saw %d, %zu", err,
	       count_in(area));
	expect(!memcmp(area, copy, REGION_BYTES), "contents");
	expect(!move(area, NR, EMBER_NL_POOL(pool)), "they do not move in while they are pinned");
	memset(area, 0, REGION_BYTES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read_fixed(sqe, fd, area, REGION_BYTES, 0, 0);
	io_uring_submit(&ring);
	err = io_uring_wait_cqe(&ring, &cqe);
	expect(!err && cqe->res == (int)REGION_BYTES && !memcmp(area, copy, REGION_BYTES),
	       "the pinned pages are read into: %d bytes", err ? err : cqe->res);
	io_uring_queue_exit(&ring);
	close(fd);
	unlink(FILE_PATH);
	munmap(copy, REGION_BYTES);
	give_back(area);
}

static void test_hibernation(void)
{
	int fd = open("/sys/power/state", O_WRONLY | O_CLOEXEC);
	ssize_t len;
	char *area;

	if (access("/sys/power/pm_test", W_OK)) {
		printf("skip hibernation: this kernel has no pm_test\n");
		close(fd);
		return;
	}
	area = area_in_pool();
	write_text("/sys/power/pm_test", "freezer");
	len = write(fd, "disk", 4);
	expect(len < 0 && errno == EBUSY,
	       "hibernation while pages are in the pool: want EBUSY, saw %zd (%d)", len, errno);
	untouched("hibernation", area);
	give_back(area);
	len = write(fd, "disk", 4);
	expect(len == 4, "with an empty pool it may begin: want 4, saw %zd (%d)", len, errno);
	close(fd);
	write_text("/sys/power/pm_test", "none");
	area = area_in_pool();
	untouched("after waking up", area);
	give_back(area);
}

/* Last: such a page is lost for as long as the pool lives. */
static void test_memory_failure(void)
{
	const size_t room = bytes / PAGE_BYTES;
	char *area = area_in_pool(), *all;
	uint8_t *outcome = calloc(room, 1);
	long moved;

	if (!outcome)
		fail("no memory");
	madvise(area + 3 * PAGE_BYTES, PAGE_BYTES, MADV_HWPOISON);
	moved = ember_nl_move(&nl, &self, area, NR, NULL, 0, 0, outcome);
	expect(
	    moved == NR - 1 && outcome[3] == EMBER_OUTCOME_COPY_FAILED,
	    "a broken page is not moved: want 511 others and \"copy-failed\", saw %ld and \"%s\"",
	    moved, ember_outcome_name(outcome[3]));
	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, 0) && pool_number(pool, "bad_bytes") == PAGE_BYTES,
	       "a page breaks and comes back: want 0 used, 4096 bad; saw %ld, %ld",
	       pool_number(pool, "used_bytes"), pool_number(pool, "bad_bytes"));
	all = area_map(room);
	area_fill(all, room, 0, SEED);
	moved = ember_nl_move(&nl, &self, all, room, NULL, EMBER_NL_POOL(pool), 0, outcome);
	expect(moved == (long)room - 1 && !area_check(all, room, SEED),
	       "it is not used again: want room for %zu, saw %ld", room - 1, moved);
	munmap(all, room * PAGE_BYTES);
	expect(pool_used_is(pool, 0) && pool_remove(&nl, pool), "all others back, the pool goes");
	pool = pool_add(&nl, start, bytes);
	expect(pool_number(pool, "bad_bytes") == PAGE_BYTES,
	       "added anew it still leaves the page out: want 4096 bad, saw %ld",
	       pool_number(pool, "bad_bytes"));
	free(outcome);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return 2;
	start = strtoull(argv[1], NULL, 0);
	bytes = strtoull(argv[2], NULL, 0);
	ember_nl_begin(&nl, &self);
	pool = pool_add(&nl, start, bytes);
	test_swap();
	test_ksm();
	test_collapse();
	test_userfault();
	test_direct_io();
	test_pin();
	test_hibernation();
	test_memory_failure();
	expect(pool_remove(&nl, pool), "removed");
	return expect_status();
}
