/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The books of one sender: which requests are open, whose RESULT is to come, and where the
 * pages of its target lie. Requests are done in the order in which they were sent, and so
 * their RESULTs come; what a result says must fit the request and all results before it.
 */
#ifndef EMBER_TESTS_GENL_BOOKS_H
#define EMBER_TESTS_GENL_BOOKS_H

#include "ember_nl.h"

#define GENL_BOOKS_PAGES 2048U /* whose places are kept */

#define GENL_BOOKS_ANYWHERE (-1) /* it went to a pool, perhaps out of it again */

struct genl_request {
	struct ember_nl_job job; /* as it was sent */
	bool open, told, cancelled;
	bool balanced; /* its result has been entered into the books */
	uint32_t nr_moved;
	uint64_t runs_sum; /* to compare RESULT with GET_RESULT */
	struct genl_request *next_told;
};

struct genl_books {
	struct genl_request *open[EMBER_CREDITS]; /* in the order of their submission */
	unsigned int nr_open;
	struct genl_request *untold, **untold_end; /* whose RESULT is to come, in order */
	uint32_t tgid;                             /* the target */
	uint64_t base;                             /* of the pages whose places are kept */
	int8_t places[GENL_BOOKS_PAGES];           /* node, or ANYWHERE */
	/* Sums over all requests. */
	uint64_t nr_requests, nr_asked, nr_moved, outcomes[EMBER_OUTCOME_MAX + 1];
	uint64_t nr_to_pools; /* pages moved */
	uint64_t nr_closed;   /* open when their socket was closed */
};

/* Whoever keeps books has one: says what is wrong. */
__attribute__((format(printf, 1, 2))) void genl_complain(const char *format, ...);

/* All places on node 0. */
void genl_books_begin(struct genl_books *books, uint32_t tgid, uint64_t base);
struct genl_request *genl_books_find(const struct genl_books *books, uint64_t id);
/* A MIGRATE that was accepted. */
void genl_books_accept(struct genl_books *books, const struct nlmsghdr *hdr);
/* Its result is freed. */
void genl_books_close(struct genl_books *books, struct genl_request *req);
/* The next RESULT. */
void genl_books_told(struct genl_books *books, const struct ember_nl_job *seen);
/* A result, however it came; the first time it is entered. */
void genl_books_balance(struct genl_books *books, struct genl_request *req,
			const struct ember_nl_job *seen);
/* No RESULT is awaited any more. */
void genl_books_expect_none(struct genl_books *books);
/* The socket is closed. */
void genl_books_drop(struct genl_books *books);
/* Number of pages that were asked for. */
uint64_t genl_books_asked(const struct ember_nl_job *job);

#endif /* EMBER_TESTS_GENL_BOOKS_H */
