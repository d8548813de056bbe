// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What processes do with pages that lie in a pool: fork, copy-on-write, exit, exec, zapping,
 * moving, locking, and being looked at from outside.
 *
 *	pool_process START BYTES	a range that the kernel's command line sets apart
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/pool.h"

#define SEED 0x900dUL
#define NEW_SEED 0xfadedUL
#define NR 512UL
#define QUARTER (NR / 4)

static struct ember_nl nl;
static struct ember_identity self;
static uint64_t start, bytes;
static int pool;

static long move(const void *area, size_t nr, uint32_t dest, uint32_t flags)
{
	uint8_t outcome[NR];
	long moved = ember_nl_move(&nl, &self, area, nr, NULL, dest, flags, outcome);

	if (moved < 0)
		fail("request failed: %s", strerror((int)-moved));
	return moved;
}

/* NR pages in the pool. */
static char *area_in_pool(void)
{
	char *area = area_map(NR);

	area_fill(area, NR, 0, SEED);
	if (move(area, NR, EMBER_NL_POOL(pool), 0) != NR)
		fail("the pool did not take %lu pages", NR);
	return area;
}

static size_t count_in(pid_t pid, const void *area, size_t nr)
{
	return pool_count(pid, area, nr, start, bytes);
}

static void rewrite(char *area, size_t first, size_t nr)
{
	area_fill(area + first * PAGE_BYTES, nr, 0, NEW_SEED);
}

/* Pages that are not as they should be: the first @nr_new of the new contents, the others old. */
static size_t check(const char *area, size_t first_new, size_t nr_new)
{
	size_t end = first_new + nr_new;

	return area_check(area, first_new, SEED) +
	       area_check(area + first_new * PAGE_BYTES, nr_new, NEW_SEED) +
	       area_check(area + end * PAGE_BYTES, NR - end, SEED);
}

/* Two processes that take turns: a byte for each turn. */
struct turns {
	int to_child[2], to_parent[2];
};

static void turns_begin(struct turns *turns)
{
	if (pipe(turns->to_child) || pipe(turns->to_parent))
		fail("pipe: %s", strerror(errno));
}

static void turns_end(struct turns *turns)
{
	for (int i = 0; i < 2; i++) {
		close(turns->to_child[i]);
		close(turns->to_parent[i]);
	}
}

static void wait_byte(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(99);
}

static void put_byte(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(99);
}

static bool child_ended(pid_t child, int want)
{
	int status = -1;

	waitpid(child, &status, 0);
	if (status != want)
		printf("child: status %#x\n", status);
	return status == want;
}

static pid_t fork_sleeper(void)
{
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* ---- fork and copy-on-write ---- */

static void test_shared(void)
{
	char *area = area_map(NR);
	struct turns turns;
	pid_t child;

	turns_begin(&turns);
	area_fill(area, NR, 0, SEED);
	child = fork();
	if (!child) {
		wait_byte(turns.to_child[0]);
		_exit(area_check(area, NR, SEED) ? 1 : 0);
	}
	expect(!move(area, NR, EMBER_NL_POOL(pool), 0),
	       "shared by fork: not moved without the flag");
	expect(move(area, NR, EMBER_NL_POOL(pool), EMBER_MIGRATE_SHARED) == NR, "with it: moved");
	expect(count_in(0, area, NR) == NR && count_in(child, area, NR) == NR &&
		   pool_used_is(pool, NR),
	       "both have them there, one page for both: want 512 used, saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	expect(move(area, NR, 1, EMBER_MIGRATE_SHARED) == NR && !count_in(child, area, NR) &&
		   pool_used_is(pool, 0),
	       "and out again for both");
	put_byte(turns.to_child[1]);
	expect(child_ended(child, 0) && !area_check(area, NR, SEED), "contents on both sides");
	munmap(area, REGION_BYTES);
	turns_end(&turns);
}

/* The child writes the second quarter and checks what it sees. */
static int cow_child(char *area, struct turns *turns)
{
	wait_byte(turns->to_child[0]);
	if (check(area, 0, 0))
		return 1;
	rewrite(area, QUARTER, QUARTER);
	if (check(area, QUARTER, QUARTER))
		return 2;
	put_byte(turns->to_parent[1]);
	wait_byte(turns->to_child[0]);
	return check(area, QUARTER, QUARTER) ? 3 : 0;
}

static void test_cow(void)
{
	char *area = area_in_pool();
	struct turns turns;
	pid_t child;

	turns_begin(&turns);
	child = fork();
	if (!child)
		_exit(cow_child(area, &turns));
	rewrite(area, 0, QUARTER);
	expect(!count_in(0, area, QUARTER) && count_in(child, area, NR) == NR &&
		   !check(area, 0, QUARTER),
	       "the parent writes: its copies lie elsewhere, the child's pages stay");
	put_byte(turns.to_child[1]);
	wait_byte(turns.to_parent[0]);
	expect(count_in(child, area, NR) == NR - QUARTER && count_in(0, area, NR) == NR - QUARTER &&
		   !check(area, 0, QUARTER) && pool_used_is(pool, NR),
	       "the child writes: the same, the other way round; want 512 used, saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	put_byte(turns.to_child[1]);
	expect(child_ended(child, 0), "the child saw what it should");
	expect(pool_used_is(pool, NR - QUARTER),
	       "its own went back when it ended: want 384 used, saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	rewrite(area, 2 * QUARTER, QUARTER);
	expect(count_in(0, area, NR) == NR - QUARTER, "what is nobody else's is written in place");
	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, 0), "all back");
	turns_end(&turns);
}

/* ---- giving back ---- */

static void test_exit_and_exec(void)
{
	char *area = area_in_pool();
	pid_t child = fork_sleeper(), execer;

	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, NR), "a child has 512 pages: saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	end(child);
	expect(pool_used_is(pool, 0), "it ends: want 0, saw %ld", pool_number(pool, "used_bytes"));
	area = area_in_pool();
	execer = fork();
	if (!execer) {
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(99);
	}
	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, 0) && !kill(execer, 0), "exec gives them back: want 0, saw %ld",
	       pool_number(pool, "used_bytes"));
	end(execer);
}

static void test_zap_and_move(void)
{
	char *area = area_in_pool(), *copy = area_map(NR), *elsewhere = area_map(NR);
	size_t nonzero = 0;

	memcpy(copy, area, REGION_BYTES);
	munmap(area + (NR - QUARTER) * PAGE_BYTES, QUARTER * PAGE_BYTES);
	expect(pool_number(pool, "used_bytes") == (NR - QUARTER) * PAGE_BYTES,
	       "munmap of 128: want 384 used, saw %ld", pool_number(pool, "used_bytes") / 4096);
	madvise(area + 2 * QUARTER * PAGE_BYTES, QUARTER * PAGE_BYTES, MADV_DONTNEED);
	expect(pool_number(pool, "used_bytes") == 2 * QUARTER * PAGE_BYTES,
	       "MADV_DONTNEED of 128: want 256 used, saw %ld",
	       pool_number(pool, "used_bytes") / 4096);
	for (size_t i = 2 * QUARTER * PAGE_BYTES; i < 3 * QUARTER * PAGE_BYTES; i++)
		nonzero += area[i] != 0;
	expect(!nonzero, "and they read as zeroes");
	if (mremap(area, QUARTER * PAGE_BYTES, QUARTER * PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
		   elsewhere) != elsewhere)
		fail("mremap: %s", strerror(errno));
	expect(count_in(0, elsewhere, NR) == QUARTER &&
		   !memcmp(elsewhere, copy, QUARTER * PAGE_BYTES) &&
		   pool_number(pool, "used_bytes") == 2 * QUARTER * PAGE_BYTES,
	       "mremap of 128: there, contents intact, 256 used");
	mprotect(elsewhere, QUARTER * PAGE_BYTES, PROT_NONE);
	expect(move(elsewhere, QUARTER, 0, 0) == QUARTER &&
		   move(elsewhere, QUARTER, EMBER_NL_POOL(pool), 0) == QUARTER,
	       "without any access they move out and in");
	mprotect(elsewhere, QUARTER * PAGE_BYTES, PROT_READ | PROT_WRITE);
	*elsewhere ^= 1;
	*copy ^= 1;
	expect(count_in(0, elsewhere, QUARTER) == QUARTER &&
		   !memcmp(elsewhere, copy, QUARTER * PAGE_BYTES),
	       "mprotect to none and back: contents intact, writable");
	munmap(area, REGION_BYTES);
	munmap(elsewhere, REGION_BYTES);
	munmap(copy, REGION_BYTES);
	expect(pool_used_is(pool, 0), "all back");
}

/* ---- locked memory ---- */

/* Pages that count as locked, with what each CPU has counted on its own. */
static long mlocked(void)
{
	write_text("/proc/sys/vm/stat_refresh", "1"); /* says if a count is negative */
	return proc_number("/proc/vmstat", "nr_mlock");
}

static void expect_mlocked(long want)
{
	long seen = mlocked();

	for (int i = 0; i < 50 && seen != want; i++) {
		drain_cpus();
		usleep(20000);
		seen = mlocked();
	}
	expect(seen == want, "locked pages: want %ld, saw %ld", want, seen);
}

/* A process of its own that ends while its memory is locked and in the pool. */
static int locked_child(bool munlock_first)
{
	char *area = area_map(NR);

	if (ember_nl_open(&nl) || ember_nl_self(&self))
		return 1;
	area_fill(area, NR, 0, SEED);
	if (mlock(area, REGION_BYTES) || move(area, NR, EMBER_NL_POOL(pool), 0) != NR)
		return 2;
	if (munlock_first && munlock(area, REGION_BYTES))
		return 3;
	return area_check(area, NR, SEED) ? 4 : 0;
}

static void test_mlock(void)
{
	long before = mlocked();
	char *area;

	for (int munlock_first = 0; munlock_first < 2; munlock_first++) {
		pid_t child = fork();

		if (!child)
			_exit(locked_child(munlock_first));
		expect(child_ended(child, 0) && pool_used_is(pool, 0),
		       "locked, moved in, %sexit: all back", munlock_first ? "unlocked, " : "");
		expect_mlocked(before);
	}
	area = area_in_pool();
	mlock(area, REGION_BYTES);
	expect(count_in(0, area, NR) == NR, "locked in the pool: they stay");
	expect(move(area, NR, 1, 0) == NR, "moved out");
	expect_mlocked(before + (long)NR);
	expect(move(area, NR, EMBER_NL_POOL(pool), 0) == NR, "moved in again");
	munlock(area, REGION_BYTES);
	expect(move(area, NR, 0, 0) == NR && !area_check(area, NR, SEED), "unlocked and moved out");
	expect_mlocked(before);
	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, 0), "all back");
}

/* ---- from outside ---- */

static void test_remote(void)
{
	char *area = area_in_pool(), *copy = area_map(NR), path[64];
	struct iovec there = {area, REGION_BYTES}, here = {copy, REGION_BYTES};
	pid_t child = fork_sleeper();
	long word;
	int fd;

	memcpy(copy, area, REGION_BYTES);
	munmap(area, REGION_BYTES);
	memset(copy + 5 * PAGE_BYTES, 0x55, PAGE_BYTES);
	expect(process_vm_writev(child, &here, 1, &there, 1, 0) == (ssize_t)REGION_BYTES,
	       "process_vm_writev");
	if (ptrace(PTRACE_ATTACH, child, 0, 0) || waitpid(child, NULL, 0) != child)
		fail("ptrace: %s", strerror(errno));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, child, area + 8 * PAGE_BYTES, 0);
	expect(!errno && word == *(long *)(copy + 8 * PAGE_BYTES), "PTRACE_PEEKDATA");
	*(long *)(copy + 9 * PAGE_BYTES) = 0x1234567890;
	expect(!ptrace(PTRACE_POKEDATA, child, area + 9 * PAGE_BYTES, 0x1234567890),
	       "PTRACE_POKEDATA");
	snprintf(path, sizeof(path), "/proc/%d/mem", child);
	fd = open(path, O_RDWR | O_CLOEXEC);
	memset(copy + 6 * PAGE_BYTES, 0x66, PAGE_BYTES);
	expect(pwrite(fd, copy + 6 * PAGE_BYTES, PAGE_BYTES, (off_t)(area + 6 * PAGE_BYTES)) ==
		   (ssize_t)PAGE_BYTES,
	       "/proc/PID/mem is written");
	expect(count_in(child, area, NR) == NR && pool_used_is(pool, NR),
	       "they still lie there: want 512, saw %zu", count_in(child, area, NR));
	area = area_map(NR);
	here.iov_base = area;
	expect(process_vm_readv(child, &here, 1, &there, 1, 0) == (ssize_t)REGION_BYTES &&
		   !memcmp(area, copy, REGION_BYTES),
	       "process_vm_readv sees all that was written");
	memset(area, 0, REGION_BYTES);
	expect(pread(fd, area, REGION_BYTES, (off_t)there.iov_base) == (ssize_t)REGION_BYTES &&
		   !memcmp(area, copy, REGION_BYTES),
	       "so does /proc/PID/mem");
	close(fd);
	ptrace(PTRACE_DETACH, child, 0, 0);
	end(child);
	munmap(area, REGION_BYTES);
	munmap(copy, REGION_BYTES);
	expect(pool_used_is(pool, 0), "all back");
}

#define CORE "/var/tmp/ember-core"

/* The bytes of an address in a core file of 64 bits; NULL: not in there. */
static const char *in_core(const char *core, uint64_t addr, size_t len)
{
	const Elf64_Ehdr *head = (const void *)core;
	const Elf64_Phdr *part = (const void *)(core + head->e_phoff);

	for (int i = 0; i < head->e_phnum; i++, part++)
		if (part->p_type == PT_LOAD && part->p_vaddr <= addr &&
		    addr + len <= part->p_vaddr + part->p_filesz)
			return core + part->p_offset + (addr - part->p_vaddr);
	return NULL;
}

static int check_core(const char *area)
{
	int fd = open(CORE, O_RDONLY | O_CLOEXEC), err = 1;
	const char *core, *found;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 2;
	core = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (core == MAP_FAILED)
		return 3;
	found = in_core(core, (uintptr_t)area, REGION_BYTES);
	if (found)
		err = memcmp(found, area, REGION_BYTES) ? 4 : 0;
	munmap((void *)(uintptr_t)core, (size_t)st.st_size);
	return err;
}

static void test_core(void)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY}, none = {0, RLIM_INFINITY};
	char *area = area_in_pool();
	int status = 0, err;
	pid_t child;

	write_text("/proc/sys/kernel/core_uses_pid", "0");
	write_text("/proc/sys/kernel/core_pattern", CORE);
	setrlimit(RLIMIT_CORE, &unlimited);
	child = fork();
	if (!child)
		abort();
	waitpid(child, &status, 0);
	setrlimit(RLIMIT_CORE, &none);
	err = check_core(area);
	expect(WIFSIGNALED(status) && WCOREDUMP(status) && !err,
	       "a core dump holds their contents: want 0, saw %d (status %#x)", err, status);
	expect(count_in(0, area, NR) == NR, "and they still lie there");
	unlink(CORE);
	munmap(area, REGION_BYTES);
	expect(pool_used_is(pool, 0), "all back");
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
	test_shared();
	test_cow();
	test_exit_and_exec();
	test_zap_and_move();
	test_mlock();
	test_remote();
	test_core();
	expect(pool_remove(&nl, pool), "removed");
	return expect_status();
}
