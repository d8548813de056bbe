/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "acts.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "expect.h"
#include "textfile.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

struct board *board;

void board_make(void)
{
	board =
	    mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	board_clear();
}

void board_clear(void)
{
	memset(board, 0, sizeof(*board));
	board->forbidden = NOBODY;
}

/* Requests whose results have not been taken: the module has some of them at work or in its queue,
 * unless who asks sleeps over its socket, which it never does for long. */
unsigned int board_in_flight(void)
{
	unsigned int nr_taken = __atomic_load_n(&board->nr_taken, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&board->nr_sent, __ATOMIC_ACQUIRE) - nr_taken;
}

unsigned int event_begin(void)
{
	return board_in_flight();
}

void event_end(unsigned int in_flight, bool happened)
{
	if (!happened)
		return;
	__atomic_fetch_add(&board->nr_events, 1, __ATOMIC_RELAXED);
	if (in_flight)
		__atomic_fetch_add(&board->nr_overlapped, 1, __ATOMIC_RELAXED);
}

size_t act_nothing(char *area, size_t nr_pages)
{
	usleep(1000);
	return area_check(area, nr_pages, ACTS_SEED);
}

size_t act_mprotect(char *area, size_t nr_pages)
{
	size_t bytes = nr_pages * PAGE_BYTES;
	unsigned int in_flight = event_begin();

	mprotect(area, bytes, PROT_READ);
	mprotect(area + REGION_BYTES / 2, REGION_BYTES, PROT_NONE);
	mprotect(area, bytes, PROT_READ | PROT_WRITE);
	event_end(in_flight, true);
	return area_check(area, nr_pages, ACTS_SEED);
}

size_t act_munmap(char *area, size_t nr_pages)
{
	unsigned int in_flight = event_begin();
	char *part = area + REGION_BYTES;

	munmap(part, REGION_BYTES);
	event_end(in_flight, true);
	if (mmap(part, REGION_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return 1;
	madvise(part, REGION_BYTES, MADV_NOHUGEPAGE);
	area_fill(part, REGION_PAGES, 0, ACTS_SEED);
	return area_check(area, nr_pages, ACTS_SEED);
}

/* Away and back: contents know their address, so they are checked back at home only. */
size_t act_mremap(char *area, size_t nr_pages)
{
	static char *other;
	size_t bytes = nr_pages * PAGE_BYTES;
	unsigned int in_flight;

	if (!other)
		other = area_map(nr_pages);
	in_flight = event_begin();
	if (mremap(area, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, other) != other ||
	    mremap(other, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, area) != area)
		return 1;
	event_end(in_flight, true);
	return area_check(area, nr_pages, ACTS_SEED);
}

size_t act_dontneed(char *area, size_t nr_pages)
{
	unsigned int in_flight = event_begin();

	madvise(area, nr_pages / 2 * PAGE_BYTES, MADV_DONTNEED);
	event_end(in_flight, true);
	area_fill(area, nr_pages / 2, 0, ACTS_SEED);
	return area_check(area, nr_pages, ACTS_SEED);
}

static bool is_zero(const char *page)
{
	for (size_t i = 0; i < PAGE_BYTES; i++)
		if (page[i])
			return false;
	return true;
}

/* A page that was given away is as it was or empty, whichever came first; never anything else. */
size_t act_free(char *area, size_t nr_pages)
{
	unsigned int in_flight = event_begin();
	size_t bad = 0;

	madvise(area, nr_pages / 2 * PAGE_BYTES, MADV_FREE);
	event_end(in_flight, true);
	for (size_t page = 0; page < nr_pages / 2; page++)
		if (area_check(area + page * PAGE_BYTES, 1, ACTS_SEED))
			bad += !is_zero(area + page * PAGE_BYTES);
	area_fill(area, nr_pages / 2, 0, ACTS_SEED);
	return bad + area_check(area, nr_pages, ACTS_SEED);
}

/* Copy on write on both sides while pages move. */
size_t act_fork(char *area, size_t nr_pages)
{
	unsigned int in_flight = event_begin();
	size_t half = nr_pages / 2;
	pid_t child = fork();
	int status = 1;

	if (child == 0) {
		size_t bad = area_check(area, nr_pages, ACTS_SEED);

		area_fill(area, half, 0, ~ACTS_SEED);
		bad += area_check(area, half, ~ACTS_SEED);
		_exit(bad ? 1 : 0);
	}
	event_end(in_flight, child > 0);
	area_fill(area + half * PAGE_BYTES, half, 0, ACTS_SEED);
	waitpid(child, &status, 0);
	return area_check(area, nr_pages, ACTS_SEED) + (status != 0);
}

/* Small pages of the first half become huge ones. Returns whether any has. */
static bool collapse(char *area, size_t nr_pages)
{
	bool any = false;

	madvise(area, nr_pages / 2 * PAGE_BYTES, MADV_HUGEPAGE);
	for (char *at = area; at < area + nr_pages / 2 * PAGE_BYTES; at += REGION_BYTES)
		any |= !madvise(at, REGION_BYTES, MADV_COLLAPSE);
	return any;
}

static unsigned long nr_split_ever(void)
{
	return textfile_number("/proc/vmstat", "thp_split_page");
}

/* Their folios, not only what maps them. Returns whether any was. */
static bool split(char *area, size_t nr_pages)
{
	unsigned long before = nr_split_ever();
	char text[64];

	madvise(area, nr_pages / 2 * PAGE_BYTES, MADV_NOHUGEPAGE); /* and none comes by itself */
	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", getpid(), (unsigned long)(uintptr_t)area,
		 (unsigned long)(uintptr_t)area + nr_pages / 2 * PAGE_BYTES);
	textfile_write("/sys/kernel/debug/split_huge_pages", text);
	return nr_split_ever() > before;
}

size_t act_collapse(char *area, size_t nr_pages)
{
	unsigned int in_flight = event_begin();

	event_end(in_flight, collapse(area, nr_pages));
	split(area, nr_pages);
	return area_check(area, nr_pages, ACTS_SEED);
}

size_t act_split(char *area, size_t nr_pages)
{
	unsigned int in_flight;

	collapse(area, nr_pages);
	in_flight = event_begin();
	event_end(in_flight, split(area, nr_pages));
	/* The page tables, too. */
	mprotect(area + PAGE_BYTES, PAGE_BYTES, PROT_READ);
	mprotect(area + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE);
	return area_check(area, nr_pages, ACTS_SEED);
}

/*
 * A part at a time, over and over: to read what does not fit with the rest takes some of the others
 * out; to write a half of it makes it dirty.
 */
size_t act_swap(char *area, size_t nr_pages)
{
	static size_t at;
	unsigned long before = textfile_number("/proc/vmstat", "pswpout");
	unsigned int in_flight = event_begin();
	size_t part = nr_pages / 16, bad;
	char *begin = area + at++ % 16 * part * PAGE_BYTES;

	bad = area_check(begin, part, ACTS_SEED);
	area_fill(begin, part / 2, 0, ACTS_SEED);
	event_end(in_flight, textfile_number("/proc/vmstat", "pswpout") > before);
	return bad;
}

/* At any moment of the requests' work. */
static void wait_a_little(void)
{
	usleep((useconds_t)(rand() % 20000));
	event_end(event_begin(), true);
}

size_t act_exit(char *area, size_t nr_pages)
{
	wait_a_little();
	_exit(0);
}

size_t act_exec(char *area, size_t nr_pages)
{
	wait_a_little();
	execl("/bin/sleep", "sleep", "0.02", NULL);
	_exit(1);
}
