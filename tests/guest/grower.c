// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * grower: a process that is followed already, and then touches a new area.
 *
 * Touches 100 MiB, prints "settled", waits for a line on standard input; for each line maps 200 MiB
 * of fresh memory at a fixed address, touches all pages once, and prints its address and
 * CLOCK_MONOTONIC of just before the first touch.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define MIB (1UL << 20)
#define FIRST_BYTES (100 * MIB)
#define AREA_BYTES (200 * MIB)
#define FIRST_ADDRESS 0x200000000000UL

static volatile unsigned char *map(uintptr_t address, size_t bytes)
{
	void *area = mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (area == MAP_FAILED || madvise(area, bytes, MADV_NOHUGEPAGE) < 0) {
		perror("grower: map");
		exit(1);
	}
	return area;
}

static void touch(volatile unsigned char *area, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 4096)
		area[at] = 1;
}

int main(void)
{
	uintptr_t address = FIRST_ADDRESS;
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	touch(map(address, FIRST_BYTES), FIRST_BYTES);
	puts("settled");
	while (fgets(line, sizeof(line), stdin)) {
		volatile unsigned char *area;
		struct timespec now;

		address += 1UL << 32;
		area = map(address, AREA_BYTES);
		clock_gettime(CLOCK_MONOTONIC, &now);
		touch(area, AREA_BYTES);
		printf("%lu %lu\n", (unsigned long)address,
		       now.tv_sec * 1000000000UL + now.tv_nsec);
	}
	return 0;
}
