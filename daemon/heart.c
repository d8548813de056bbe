// SPDX-License-Identifier: GPL-2.0-or-later
#include "heart.h"

#define X(name, word) [EMBER_STAGE_##name] = (word),
static const char *const words[] = {EMBER_STAGES(X)};
#undef X

const char *ember_stage_word(enum ember_stage stage)
{
	return words[stage];
}

static uint64_t since(uint64_t start, uint64_t now)
{
	return now > start ? now - start : 0;
}

struct ember_silence ember_heart_beat(struct ember_heart *heart, enum ember_stage stage,
				      uint64_t now_ns, uint64_t cpu_ns)
{
	struct ember_silence ended = ember_heart_listen(heart, now_ns, cpu_ns);

	if (ended.ns > heart->silent_ns[ended.stage])
		heart->silent_ns[ended.stage] = ended.ns;
	atomic_store(&heart->stage, stage);
	atomic_store(&heart->beat_cpu_ns, cpu_ns);
	atomic_store(&heart->beat_ns, now_ns);
	return ended;
}

struct ember_silence ember_heart_listen(const struct ember_heart *heart, uint64_t now_ns,
					uint64_t cpu_ns)
{
	uint64_t beat_ns = atomic_load(&heart->beat_ns);

	/* before the first beat nobody is silent */
	return (struct ember_silence){
	    .stage = atomic_load(&heart->stage),
	    .ns = beat_ns ? since(beat_ns, now_ns) : 0,
	    .cpu_ns = since(atomic_load(&heart->beat_cpu_ns), cpu_ns),
	};
}
