/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "genl_books.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "area.h"
#include "expect.h"
#include "genl_judge.h"

static uint64_t popcount(const struct ember_nl_region *region)
{
	uint64_t nr = 0;

	for (int i = 0; i < 8; i++)
		nr += __builtin_popcountll(region->pages[i]);
	return nr;
}

struct genl_request *genl_books_find(const struct genl_books *books, uint64_t id)
{
	for (unsigned int i = 0; i < books->nr_open; i++)
		if (books->open[i]->job.id == id)
			return books->open[i];
	return NULL;
}

static void forget(struct genl_request *req)
{
	if (!req->open && req->told)
		free(req);
}

void genl_books_close(struct genl_books *books, struct genl_request *req)
{
	unsigned int i = 0;

	while (books->open[i] != req)
		i++;
	books->nr_open--;
	memmove(&books->open[i], &books->open[i + 1],
		(books->nr_open - i) * sizeof(books->open[0]));
	req->open = false;
	forget(req);
}

void genl_books_accept(struct genl_books *books, const struct nlmsghdr *hdr)
{
	struct genl_request *req = calloc(1, sizeof(*req));

	if (!req)
		fail("no memory");
	genl_message_job(hdr, &req->job);
	req->open = true;
	books->open[books->nr_open++] = req; /* the judge allows no more than there are credits */
	*books->untold_end = req;
	books->untold_end = &req->next_told;
	books->nr_requests++;
}

/* Runs: each of at least one page, neighbours of different outcome, as many pages as were asked
 * for. */
static bool check_runs(const struct ember_nl_region *asked, const struct ember_nl_region *seen,
		       struct genl_request *req)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < seen->nr_runs; i++) {
		const struct ember_run *run = &seen->runs[i];

		if (!run->count || !run->outcome || run->outcome > EMBER_OUTCOME_MAX ||
		    (i && run->outcome == run[-1].outcome))
			return false;
		sum += run->count;
		req->nr_moved += run->outcome == EMBER_OUTCOME_MOVED ? run->count : 0;
		req->runs_sum = req->runs_sum * 31 + run->outcome * 1024U + run->count;
	}
	return seen->addr == asked->addr && sum == popcount(asked);
}

/* Enters a page of the kept area; what the books say must fit what they said before. */
static void place(struct genl_books *books, const struct genl_request *req, uint64_t addr,
		  unsigned int outcome)
{
	uint64_t page = (addr - books->base) / PAGE_BYTES;
	int node = (int)req->job.node;

	if (addr < books->base || page >= GENL_BOOKS_PAGES || req->job.target.tgid != books->tgid)
		return;
	if (outcome != EMBER_OUTCOME_MOVED && outcome != EMBER_OUTCOME_ALREADY_THERE)
		return;
	/* Removing a pool moves its pages to whatever node has room: those are out of the books. */
	if (ember_nl_is_pool(req->job.node)) {
		books->places[page] = GENL_BOOKS_ANYWHERE;
		books->nr_to_pools += outcome == EMBER_OUTCOME_MOVED;
		return;
	}
	if (books->places[page] != GENL_BOOKS_ANYWHERE &&
	    (books->places[page] == node) != (outcome == EMBER_OUTCOME_ALREADY_THERE))
		genl_complain("page %llu was on node %d, and is said to be %s on node %d",
			      (unsigned long long)page, books->places[page],
			      ember_outcome_name(outcome), node);
	books->places[page] = (int8_t)node;
}

static void enter_region(struct genl_books *books, const struct genl_request *req,
			 const struct ember_nl_region *asked, const struct ember_nl_region *seen)
{
	unsigned int run = 0, used = 0;

	for (unsigned int page = 0; page < REGION_PAGES && run < seen->nr_runs; page++) {
		if (!(asked->pages[page / 64] >> (page % 64) & 1))
			continue;
		books->nr_asked++;
		books->outcomes[seen->runs[run].outcome]++;
		place(books, req, asked->addr + page * PAGE_BYTES, seen->runs[run].outcome);
		if (++used == seen->runs[run].count) {
			run++;
			used = 0;
		}
	}
}

static void check_status(const struct genl_request *req, const struct ember_nl_job *seen)
{
	bool ok = seen->status == 0 || (seen->status == -ECANCELED && req->cancelled) ||
		  (seen->status == -ENODEV && ember_nl_is_pool(req->job.node));

	if (seen->state != EMBER_STATE_DONE || !ok)
		genl_complain("result of %llu: state %u, status %d%s",
			      (unsigned long long)req->job.id, seen->state, seen->status,
			      req->cancelled ? ", cancelled" : "");
}

/* The first time a result is seen, RESULT or GET_RESULT; in the order in which requests are done.
 */
void genl_books_balance(struct genl_books *books, struct genl_request *req,
			const struct ember_nl_job *seen)
{
	uint64_t asked = genl_books_asked(&req->job), runs_sum = req->runs_sum;
	bool again = req->balanced;
	bool ok = seen->nr_regions == req->job.nr_regions;

	req->nr_moved = 0;
	req->runs_sum = 0;
	for (unsigned int i = 0; ok && i < seen->nr_regions; i++)
		ok = check_runs(&req->job.regions[i], &seen->regions[i], req);
	if (!ok || asked != seen->nr_asked || req->nr_moved != seen->nr_moved)
		return genl_complain(
		    "result of %llu does not add up: asked %llu, it says %u, moved %u, it says %u",
		    (unsigned long long)req->job.id, (unsigned long long)asked, seen->nr_asked,
		    req->nr_moved, seen->nr_moved);
	if (again && runs_sum != req->runs_sum)
		genl_complain("result of %llu: RESULT and GET_RESULT differ",
			      (unsigned long long)req->job.id);
	check_status(req, seen);
	req->balanced = true;
	if (again)
		return;
	books->nr_moved += req->nr_moved;
	for (unsigned int i = 0; i < seen->nr_regions; i++)
		enter_region(books, req, &req->job.regions[i], &seen->regions[i]);
}

/* RESULTs come in the order of the requests, one for each. */
void genl_books_told(struct genl_books *books, const struct ember_nl_job *seen)
{
	struct genl_request *req = books->untold;

	if (!req || req->job.id != seen->id)
		return genl_complain("RESULT of %llu, and that of %llu is awaited",
				     (unsigned long long)seen->id,
				     req ? (unsigned long long)req->job.id : 0ULL);
	books->untold = req->next_told;
	if (!books->untold)
		books->untold_end = &books->untold;
	genl_books_balance(books, req, seen);
	req->told = true;
	forget(req);
}

void genl_books_expect_none(struct genl_books *books)
{
	struct genl_request *req, *next;

	for (req = books->untold; req; req = next) {
		next = req->next_told;
		req->told = true;
		forget(req);
	}
	books->untold = NULL;
	books->untold_end = &books->untold;
}

void genl_books_drop(struct genl_books *books)
{
	genl_books_expect_none(books);
	books->nr_closed += books->nr_open;
	while (books->nr_open)
		genl_books_close(books, books->open[0]);
}

uint64_t genl_books_asked(const struct ember_nl_job *job)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < job->nr_regions; i++)
		nr += popcount(&job->regions[i]);
	return nr;
}

void genl_books_begin(struct genl_books *books, uint32_t tgid, uint64_t base)
{
	memset(books, 0, sizeof(*books));
	books->untold_end = &books->untold;
	books->tgid = tgid;
	books->base = base;
}
