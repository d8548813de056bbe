/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signs of life of the engine thread: when the last one was, what it is at since then, and how long
 * each stage was silent at most. The engine thread beats; the control thread listens, and takes a
 * silence of EMBER_HEART_LIMIT_NS for a hang.
 */
#ifndef EMBER_HEART_H
#define EMBER_HEART_H

#include <stdatomic.h>
#include <stdint.h>

/* No stage may do more than this without a beat, on the slowest machine. */
#define EMBER_HEART_LIMIT_NS (20 * 1000000000ULL)

/* X(name, word): the word is part of the status and of the log. */
#define EMBER_STAGES(X)                                                                            \
	X(WAIT, "wait")                                                                            \
	X(MESSAGES, "messages")                                                                    \
	X(ACCOUNT, "account")                                                                      \
	X(EARLY_LOOK, "early look")                                                                \
	X(EVENTS, "events")                                                                        \
	X(SCAN, "scan")                                                                            \
	X(MEMORIES, "memories")                                                                    \
	X(PLAN, "plan")                                                                            \
	X(EXECUTE, "execute")                                                                      \
	X(REPORT, "report")

enum ember_stage {
#define X(name, word) EMBER_STAGE_##name,
	EMBER_STAGES(X)
#undef X
	    EMBER_NR_STAGES
};

struct ember_heart {
	_Atomic uint64_t beat_ns;            /* of the last beat */
	_Atomic uint64_t beat_cpu_ns;        /* CPU time of the thread at that time */
	_Atomic uint32_t stage;              /* enum ember_stage */
	uint64_t silent_ns[EMBER_NR_STAGES]; /* the longest between two beats; the thread's own */
};

/* What a listener finds. */
struct ember_silence {
	enum ember_stage stage;
	uint64_t ns;     /* since the last beat */
	uint64_t cpu_ns; /* of those the thread was running: it spins, or else it sleeps */
};

const char *ember_stage_word(enum ember_stage stage);

/*
 * A sign of life of the engine thread, which goes on in the same stage or enters another one;
 * @cpu_ns: CPU time that it has used so far. Returns the silence that ended.
 */
struct ember_silence ember_heart_beat(struct ember_heart *heart, enum ember_stage stage,
				      uint64_t now_ns, uint64_t cpu_ns);

/* For other threads, too: what they read may be a beat old. */
struct ember_silence ember_heart_listen(const struct ember_heart *heart, uint64_t now_ns,
					uint64_t cpu_ns);

#endif /* EMBER_HEART_H */
