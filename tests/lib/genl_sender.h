/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of one hostile sender: it opens sockets, sends what the generator makes, and
 * holds every answer against what the judge allows. One per process.
 *
 * A socket is used in an orderly way, with every result awaited and freed; or closed with
 * requests open and answers unread, often in the middle of a dump; or left with a buffer
 * that holds next to nothing, after which every result must still be there.
 */
#ifndef EMBER_TESTS_GENL_SENDER_H
#define EMBER_TESTS_GENL_SENDER_H

#include "genl_books.h"
#include "genl_judge.h"
#include "genl_make.h"

#define GENL_MAX_OPS 32
#define GENL_MAX_ERRNO 134

/* What came of it; in memory that the processes share. */
struct genl_tally {
	uint64_t nr_made; /* messages */
	uint64_t nr_answers;
	uint64_t layers[GENL_NR_LAYERS];
	uint64_t errors[GENL_MAX_ERRNO];
	uint64_t faults[GENL_NR_FAULTS];
	uint64_t op_good[GENL_MAX_OPS], op_bad[GENL_MAX_OPS];
	uint32_t good[GENL_MAX_OPS][GENL_MAX_ATTRS]
		     [GENL_MAX_ATTRS]; /* of messages that were carried out */
	uint32_t bad[GENL_MAX_OPS][GENL_MAX_ATTRS][GENL_MAX_ATTRS]; /* the kernel named it */
	struct genl_books books;
	uint64_t nr_drops;     /* messages that a full socket lost */
	uint64_t nr_recovered; /* results fetched after that */
	uint64_t nr_too_long;  /* datagrams that the socket refused */
	uint64_t nr_complaints;
	bool ended;
};

struct genl_life {
	const struct genl_sender *sender;
	const struct genl_world *world;
	uint64_t kept_base; /* of the target's memory: requests are awaited */
	uint64_t lost_base; /* their socket is closed first; far from the other */
	uint64_t nr_messages, seed;
	struct genl_tally *tally;
};

/* A socket of now, for one whose rights are about to change. */
int genl_socket(void);

/* socket: use this one only, or -1. Ends when the messages are sent, or too much was wrong. */
void genl_sender_live(const struct genl_life *life, int socket);

#endif /* EMBER_TESTS_GENL_SENDER_H */
