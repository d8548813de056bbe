// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "choice.h"
#include "value.h"

/* Odd, hence a bijection of 64 bits in i: cheap, and no word repeats within a value. */
#define STEP 0xd1342543de82ef95

/* Of word i. The first word is a bijection of the key. */
static uint64_t word(uint64_t first, uint64_t i)
{
	return first + i * STEP;
}

static uint64_t first_word(uint64_t key)
{
	return choice_random(&key);
}

void value_fill(uint64_t key, char *buf, size_t len)
{
	uint64_t first = first_word(key);

	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		uint64_t next = word(first, at / sizeof(next));
		size_t left = len - at;

		memcpy(buf + at, &next, left < sizeof(next) ? left : sizeof(next));
	}
}

bool value_is(uint64_t key, const char *buf, size_t len)
{
	uint64_t first = first_word(key);

	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		uint64_t wanted = word(first, at / sizeof(wanted));
		size_t left = len - at;

		if (memcmp(buf + at, &wanted, left < sizeof(wanted) ? left : sizeof(wanted)) != 0)
			return false;
	}
	return true;
}
