// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keeper: a program that knows what its memory must hold, and that uses a part of it all the time.
 *
 *	keeper MIB HOT_MIB [huge]
 *
 * Maps MIB at a fixed address, of base pages or of huge ones as the system gives them, writes to
 * each word of them, prints "READY", and goes over the last HOT_MIB again and again: each time it
 * checks and changes one word of each page. Commands are lines on standard input, each is answered
 * by a line:
 *
 *	check	"N wrong": pages whose contents are not what was written, with those found so far
 *	pin	"pinned": the first hot page is held by a pipe, until
 *	unpin	"unpinned"
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define PAGE_BYTES 4096UL
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))
#define ADDRESS 0x300000000000UL

static uint64_t *words;
static size_t nr_pages, first_hot, nr_wrong;
static uint64_t round_nr; /* so many times each hot page was changed */
static int hold[2];

static uint64_t *page_at(size_t page)
{
	return words + page * PAGE_WORDS;
}

static uint64_t word_of(size_t page, size_t word)
{
	return (page * PAGE_WORDS + word) * 0x9e3779b97f4a7c15UL;
}

static void populate(bool huge)
{
	words = mmap((void *)ADDRESS, nr_pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (words == MAP_FAILED ||
	    (!huge && madvise(words, nr_pages * PAGE_BYTES, MADV_NOHUGEPAGE) < 0)) {
		perror("keeper: map");
		exit(1);
	}
	for (size_t page = 0; page < nr_pages; page++)
		for (size_t word = 0; word < PAGE_WORDS; word++)
			page_at(page)[word] = word_of(page, word);
}

/* The first word of a hot page also counts the rounds. */
static void go_round(void)
{
	for (size_t page = first_hot; page < nr_pages; page++) {
		volatile uint64_t *word = page_at(page);

		nr_wrong += *word != word_of(page, 0) + round_nr;
		*word = word_of(page, 0) + round_nr + 1;
	}
	round_nr++;
}

static void check(void)
{
	for (size_t page = 0; page < nr_pages; page++) {
		uint64_t first = word_of(page, 0) + (page >= first_hot ? round_nr : 0);

		if (page_at(page)[0] != first) {
			nr_wrong++;
			continue;
		}
		for (size_t word = 1; word < PAGE_WORDS; word++)
			if (page_at(page)[word] != word_of(page, word)) {
				nr_wrong++;
				break;
			}
	}
	printf("%zu wrong\n", nr_wrong);
}

static void pin(void)
{
	struct iovec page = {page_at(first_hot), PAGE_BYTES};

	if (pipe2(hold, O_CLOEXEC) < 0 || vmsplice(hold[1], &page, 1, 0) != (ssize_t)PAGE_BYTES) {
		perror("keeper: vmsplice");
		exit(1);
	}
	puts("pinned");
}

static void unpin(void)
{
	close(hold[0]);
	close(hold[1]);
	puts("unpinned");
}

static void obey(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[16];

	if (poll(&in, 1, 0) <= 0)
		return;
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
	if (!strcmp(line, "check\n"))
		check();
	else if (!strcmp(line, "pin\n"))
		pin();
	else if (!strcmp(line, "unpin\n"))
		unpin();
}

int main(int argc, char **argv)
{
	bool huge = argc == 4 && !strcmp(argv[3], "huge");

	if (argc != 3 && !huge)
		return 2;
	setvbuf(stdin, NULL, _IONBF, 0); /* what poll() does not see is not there */
	setvbuf(stdout, NULL, _IOLBF, 0);
	nr_pages = strtoul(argv[1], NULL, 10) * MIB / PAGE_BYTES;
	first_hot = nr_pages - strtoul(argv[2], NULL, 10) * MIB / PAGE_BYTES;
	populate(huge);
	puts("READY");
	for (;;) {
		go_round();
		obey();
	}
}
