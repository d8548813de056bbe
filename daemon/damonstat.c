// SPDX-License-Identifier: GPL-2.0-or-later
#include "damonstat.h"

#include <string.h>

#include "policy.h"

static const struct {
	const char *word;
	const char *sentence;
} states[] = {
#define X(name, word, sentence) [EMBER_DAMONSTAT_##name] = {word, sentence},
    EMBER_DAMONSTAT_STATES(X)
#undef X
};

const char *ember_damonstat_word(enum ember_damonstat state)
{
	return states[state].word;
}

const char *ember_damonstat_sentence(enum ember_damonstat state)
{
	return states[state].sentence;
}

enum ember_damonstat ember_damonstat_judge(bool present, const char *found)
{
	if (!present)
		return EMBER_DAMONSTAT_ABSENT;
	if (found && !strcmp(found, "Y"))
		return EMBER_DAMONSTAT_STEALS;
	return found && !strcmp(found, "N") ? EMBER_DAMONSTAT_OFF : EMBER_DAMONSTAT_UNKNOWN;
}

bool ember_damonstat_wanted(uint32_t mode, uint64_t idle_ns)
{
	switch (mode) {
	case EMBER_BORROW_OFF:
		return true;
	case EMBER_BORROW_AUTO: /* nobody followed, nothing sampled */
		return idle_ns < EMBER_DAMONSTAT_LINGER_NS;
	default:
		return false;
	}
}
