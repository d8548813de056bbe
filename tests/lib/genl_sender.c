/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "genl_sender.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/sock_diag.h>
#include <numaif.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "area.h"
#include "expect.h"

#define EPISODE_MESSAGES 400 /* at most, that one socket sends */
#define MAX_COMPLAINTS 10    /* that a sender prints */
#define WAIT_MS 60000

/* What a datagram brought: an answer for each of its messages, and what came with it. */
struct item {
	struct item *next;
	unsigned int message; /* index; for RESULT none */
	struct ember_nl_job job;
};

struct answer {
	bool came;
	int error;
	int bad_offset;
	bool info; /* GET_INFO has answered */
};

static const struct genl_life *life;
static const struct genl_sender *sender;
static struct genl_tally *tally;
static struct genl_books *books; /* of the tally */
static struct genl_world world;
static struct genl_maker maker;
static struct genl_datagram datagram;

static int fd = -1;
static int inherited_fd = -1;
static uint32_t seq;
static unsigned int send_limit;
static bool starved; /* nobody reads the answers */
/* Results are fetched, in their order; RESULTs that come late are ignored. */
static bool recovering;

static struct answer answers[GENL_MAX_MESSAGES + 1];
static struct item *items, **items_end = &items;

static const struct nlmsghdr *current; /* the message looked at, for complaints */

static void dump_bytes(const struct nlmsghdr *hdr)
{
	const uint8_t *bytes = (const uint8_t *)hdr;

	for (uint32_t i = 0; i < hdr->nlmsg_len && i < 256; i++)
		printf("%s%02x", i % 32 ? (i % 4 ? "" : " ") : "\n       ", bytes[i]);
	printf("%s\n", hdr->nlmsg_len > 256 ? " ..." : "");
}

void genl_complain(const char *format, ...)
{
	va_list args;

	if (tally->nr_complaints++ >= MAX_COMPLAINTS)
		return;
	printf("FAIL %s, after %llu messages: ", sender->name, (unsigned long long)tally->nr_made);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (current) {
		printf("     the message:");
		dump_bytes(current);
	}
	fflush(stdout);
}

static void set_option(int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* The larger, if one may. */
static void set_buffer(int bytes)
{
	set_option(SOL_SOCKET, SO_RCVBUF, bytes);
	set_option(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
}

int genl_socket(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	int new_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (new_fd < 0 || bind(new_fd, (struct sockaddr *)&addr, sizeof(addr)))
		fail("socket: %s", strerror(errno));
	return new_fd;
}

static void open_socket(void)
{
	socklen_t len = sizeof(send_limit);

	fd = inherited_fd >= 0 ? inherited_fd : genl_socket();
	set_option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
	set_option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
	set_buffer(4 << 20);
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_limit, &len);
	send_limit -= 32; /* netlink wants so much for itself */
}

/* ---- what comes back ---- */

static void keep_item(const struct nlmsghdr *hdr, unsigned int message)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		fail("no memory");
	item->message = message;
	ember_nl_parse(hdr, &item->job);
	*items_end = item;
	items_end = &item->next;
}

static void drop_items(void)
{
	struct item *next;

	for (; items; items = next) {
		next = items->next;
		free(items);
	}
	items_end = &items;
}

static void error_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	if (type == NLMSGERR_ATTR_OFFS && len == 4)
		memcpy(arg, data, 4);
}

static void keep_answer(const struct nlmsghdr *hdr, struct answer *answer)
{
	const struct nlmsgerr *error = NLMSG_DATA(hdr);
	size_t skip = NLMSG_LENGTH(sizeof(*error));

	if (answer->came)
		genl_complain("two answers to one message");
	answer->came = true;
	answer->error = error->error;
	answer->bad_offset = -1;
	if (hdr->nlmsg_type == NLMSG_ERROR && hdr->nlmsg_flags & NLM_F_ACK_TLVS &&
	    hdr->nlmsg_len > skip)
		ember_nl_each((const uint8_t *)hdr + skip, hdr->nlmsg_len - skip, error_attr,
			      &answer->bad_offset);
}

static void keep_info(const struct nlmsghdr *hdr, struct answer *answer)
{
	answer->info = hdr->nlmsg_len > NLMSG_LENGTH(GENL_HDRLEN);
}

static void keep(const struct nlmsghdr *hdr, uint32_t first_seq, unsigned int nr)
{
	const struct genlmsghdr *genl = NLMSG_DATA(hdr);
	uint32_t message = hdr->nlmsg_seq - first_seq;
	bool family = hdr->nlmsg_type == world.family;

	if (family && genl->cmd == EMBER_CMD_RESULT && !hdr->nlmsg_seq)
		return keep_item(hdr, GENL_MAX_MESSAGES);
	if (message >= nr)
		return genl_complain("a message of type %u that answers none", hdr->nlmsg_type);
	if (hdr->nlmsg_type == NLMSG_ERROR || hdr->nlmsg_type == NLMSG_DONE)
		keep_answer(hdr, &answers[message]);
	else if (family && (genl->cmd == EMBER_CMD_GET_INFO || genl->cmd == EMBER_CMD_POOL_ADD))
		keep_info(hdr, &answers[message]);
	else if (family && genl->cmd == EMBER_CMD_GET_RESULT)
		keep_item(hdr, message);
	else
		genl_complain("a message of type %u and command %u", hdr->nlmsg_type, genl->cmd);
}

/* All that is in the socket's buffer now. Netlink answers before send(2) returns. */
static void collect(uint32_t first_seq, unsigned int nr)
{
	static uint8_t bytes[65536] __attribute__((aligned(8)));
	const struct nlmsghdr *hdr;
	ssize_t len;
	int left;

	for (;;) {
		len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0) {
			genl_complain("recv: %s", strerror(errno));
			continue;
		}
		left = (int)len;
		for (hdr = (struct nlmsghdr *)bytes; NLMSG_OK(hdr, left);
		     hdr = NLMSG_NEXT(hdr, left))
			keep(hdr, first_seq, nr);
	}
}

/* ---- is it what it must be? ---- */

/* Two senders add and remove, so that neither knows what there is. */
static bool judge_pools(struct genl_verdict *verdict)
{
	static const int add[] = {0, -EEXIST, -ENOSPC, -ERANGE}, remove[] = {0, -ENOENT, -EBUSY};
	bool adds = verdict->op->cmd == EMBER_CMD_POOL_ADD;

	if (!adds && verdict->op->cmd != EMBER_CMD_POOL_REMOVE)
		return false;
	for (unsigned int i = 0; i < (adds ? 4 : 3); i++)
		genl_verdict_add(verdict, adds ? add[i] : remove[i]);
	return true;
}

/* Of a message that passed the content: a MIGRATE to a pool, which may be ready or not? */
static bool goes_to_pool(const struct nlmsghdr *hdr, const struct genl_verdict *verdict)
{
	static struct ember_nl_job job; /* large */

	if (verdict->op->cmd != EMBER_CMD_MIGRATE)
		return false;
	genl_message_job(hdr, &job);
	return ember_nl_is_pool(job.node);
}

/* What of the answer depends on what is open. */
static void judge_state(const struct nlmsghdr *hdr, struct genl_verdict *verdict)
{
	const struct genl_request *req;

	if (!verdict->op->accepts)
		return;
	if (judge_pools(verdict))
		return;
	req = genl_books_find(books, genl_message_id(hdr));
	if (verdict->op->cmd == EMBER_CMD_MIGRATE) {
		if (req)
			genl_verdict_add(verdict, -EEXIST);
		if (books->nr_open == EMBER_CREDITS)
			genl_verdict_add(verdict, -EBUSY);
		if (!goes_to_pool(hdr, verdict))
			return;
		/* Is it ready? Nobody here knows. */
		if (!verdict->nr_errors)
			genl_verdict_add(verdict, 0);
		return genl_verdict_add(verdict, -ENODEV);
	}
	if (!req)
		return genl_verdict_add(verdict, -ENOENT);
	if (verdict->op->cmd == EMBER_CMD_CANCEL || req->balanced)
		return;
	/* It may have been done in the meantime, or not. */
	genl_verdict_add(verdict, 0);
	genl_verdict_add(verdict, -EINPROGRESS);
}

static struct item *next_item(struct item *from, unsigned int message)
{
	while (from && from->message != message)
		from = from->next;
	return from;
}

static void check_listed(const struct ember_nl_job *listed, const struct genl_request *req)
{
	uint64_t asked = genl_books_asked(&req->job);

	if (listed->id != req->job.id || listed->nr_asked != asked)
		genl_complain("a dump lists %llu with %u pages, and %llu with %llu is open",
			      (unsigned long long)listed->id, listed->nr_asked,
			      (unsigned long long)req->job.id, (unsigned long long)asked);
}

static void check_dump(unsigned int message)
{
	struct item *item = next_item(items, message);
	unsigned int nr = 0;

	for (; item; item = next_item(item->next, message)) {
		if (nr < books->nr_open)
			check_listed(&item->job, books->open[nr]);
		nr++;
	}
	if (nr != books->nr_open)
		genl_complain("a dump lists %u requests, and %u are open", nr, books->nr_open);
}

/* A message that was carried out: what it changes. */
static void carry_out(const struct nlmsghdr *hdr, const struct genl_verdict *verdict,
		      unsigned int message)
{
	struct item *item = next_item(items, message);
	struct genl_request *req = verdict->op->accepts & BIT(EMBER_A_ID)
				       ? genl_books_find(books, genl_message_id(hdr))
				       : NULL;

	if (starved && (verdict->op->cmd == EMBER_CMD_GET_RESULT || !verdict->op->accepts))
		return; /* nobody reads the answer */
	switch (verdict->op->cmd) {
	case EMBER_CMD_MIGRATE:
		genl_books_accept(books, hdr);
		break;
	case EMBER_CMD_ACK:
		genl_books_close(books, req);
		break;
	case EMBER_CMD_CANCEL:
		req->cancelled = true;
		break;
	case EMBER_CMD_GET_RESULT:
		if (verdict->op->dump)
			check_dump(message);
		else if (!item)
			genl_complain("GET_RESULT without an answer");
		else if (req->balanced || recovering) /* else that of another may come before it */
			genl_books_balance(books, req, &item->job);
		break;
	case EMBER_CMD_POOL_ADD:
		if (!starved && !answers[message].info)
			genl_complain("POOL_ADD without an answer");
		break;
	case EMBER_CMD_GET_INFO:
		if (!answers[message].info)
			genl_complain("GET_INFO without an answer");
		break;
	}
}

static void count_inner(unsigned int op, const struct genl_verdict *verdict, unsigned int type)
{
	for (unsigned int inner = 0; inner < GENL_MAX_ATTRS; inner++)
		tally->good[op][type][inner] += verdict->seen_inner[type] >> inner & 1;
}

/* What the module has taken: an attribute that passed, in a message that something else made fail,
 * has shown nothing but its policy. */
static void count_accepted(unsigned int op, const struct genl_verdict *verdict)
{
	for (unsigned int type = 1; type < GENL_MAX_ATTRS; type++) {
		tally->good[op][type][0] += verdict->seen >> type & 1;
		count_inner(op, verdict, type);
	}
}

static void count(const struct genl_verdict *verdict, int error)
{
	unsigned int op = verdict->op ? verdict->op - genl_ops : 0;

	tally->layers[verdict->layer]++;
	tally->errors[-error]++;
	if (!verdict->op)
		return;
	tally->op_good[op] += !error && !starved;
	tally->op_bad[op] += error < 0;
	if (!error && !starved) /* else the answer is only what it should have been */
		count_accepted(op, verdict);
	if (verdict->layer == GENL_POLICY && verdict->bad_offset >= 0)
		tally->bad[op][verdict->bad_type % GENL_MAX_ATTRS]
			  [verdict->bad_inner % GENL_MAX_ATTRS]++;
}

static void check_answer(const struct nlmsghdr *hdr, const struct genl_verdict *verdict,
			 const struct answer *answer, int error)
{
	bool dump = verdict->op && verdict->op->dump;

	if (!genl_verdict_allows(verdict, error))
		genl_complain("%s, layer %s: want %d (%s)%s, saw %d (%s)",
			      verdict->op ? verdict->op->name : "no command",
			      genl_layer_names[verdict->layer],
			      verdict->nr_errors ? verdict->errors[0] : 0,
			      strerror(verdict->nr_errors ? -verdict->errors[0] : 0),
			      verdict->nr_errors > 1 ? " or another" : "", error, strerror(-error));
	else if (!answer->came && (hdr->nlmsg_flags & NLM_F_ACK || dump))
		genl_complain("no answer, layer %s", genl_layer_names[verdict->layer]);
	else if (answer->came && !error && !(hdr->nlmsg_flags & NLM_F_ACK) && !dump)
		genl_complain("an answer that nobody wanted");
	else if (verdict->layer == GENL_POLICY && answer->bad_offset != verdict->bad_offset)
		genl_complain("%s: the attribute at fault is at %d, the kernel says %d",
			      verdict->op->name, verdict->bad_offset, answer->bad_offset);
}

static void evaluate_one(const struct nlmsghdr *hdr, unsigned int message, bool *dumping)
{
	struct answer *answer = &answers[message];
	struct genl_verdict verdict;
	int error;

	current = hdr;
	genl_judge(&world, sender, hdr, *dumping, &verdict);
	if (verdict.layer == GENL_STATE)
		judge_state(hdr, &verdict);
	if (starved) {
		/* The answer may have been lost; genl_judge() is believed, until the dump. */
		error = verdict.nr_errors ? verdict.errors[0] : 0;
	} else {
		error = answer->came ? answer->error : 0;
		check_answer(hdr, &verdict, answer, error);
		tally->nr_answers += answer->came;
	}
	if (error > 0 || error <= -GENL_MAX_ERRNO)
		return genl_complain("error %d", error);
	count(&verdict, error);
	if (verdict.layer == GENL_STATE && !error) {
		*dumping |= verdict.op->dump && books->nr_open;
		carry_out(hdr, &verdict, message);
	}
	current = NULL;
}

static void evaluate(void)
{
	unsigned int message = 0;
	struct nlmsghdr *hdr;
	struct item *item;
	bool dumping = false;
	size_t pos = 0;

	while ((hdr = genl_next(&datagram, &pos)))
		evaluate_one(hdr, message++, &dumping);
	tally->layers[GENL_CUT] += pos < datagram.len;
	for (item = items; item; item = item->next)
		if (item->message == GENL_MAX_MESSAGES && !recovering)
			genl_books_told(books, &item->job);
	drop_items();
}

/* ---- sending ---- */

static unsigned int stamp(uint32_t *ret_first)
{
	unsigned int nr = 0;
	struct nlmsghdr *hdr;
	size_t pos = 0;

	if (seq > 0xf0000000)
		seq = 0;
	*ret_first = seq + 1;
	while ((hdr = genl_next(&datagram, &pos))) {
		hdr->nlmsg_seq = ++seq;
		nr++;
	}
	return nr;
}

/* The datagram is sent, and its answers are looked at. Returns false when the socket refused it. */
static bool transact(void)
{
	uint32_t first;
	unsigned int nr = stamp(&first);

	memset(answers, 0, sizeof(answers));
	tally->nr_made += datagram.nr_made;
	if (send(fd, datagram.data, datagram.len, 0) < 0) {
		if (errno != EMSGSIZE || datagram.len <= send_limit)
			genl_complain("send of %zu bytes: %s", datagram.len, strerror(errno));
		tally->nr_too_long++;
		return false;
	}
	if (datagram.len > send_limit)
		genl_complain("%zu bytes were sent, %u is the limit", datagram.len, send_limit);
	if (!starved)
		collect(first, nr);
	evaluate();
	return true;
}

static void make(unsigned int max)
{
	genl_make(&maker, max, &datagram);
}

/* One good message of this test's own. Returns the error of its answer. */
static int tell(uint8_t cmd, uint16_t flags, uint64_t id)
{
	static struct ember_nl_msg msg;

	ember_nl_msg_init(&msg, world.family, NLM_F_ACK | flags, cmd);
	if (id)
		ember_nl_put_u64(&msg, EMBER_A_ID, id);
	((struct nlmsghdr *)msg.data)->nlmsg_len = msg.len;
	memcpy(datagram.data, msg.data, msg.len);
	datagram.len = msg.len;
	datagram.nr_made = 1;
	transact();
	return answers[0].error;
}

/* ---- episodes: what one socket lives through ---- */

/* Until every RESULT has come. */
static void await_results(void)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	while (books->untold) {
		if (poll(&poll_fd, 1, WAIT_MS) <= 0)
			return genl_complain("no RESULT within %d s", WAIT_MS / 1000);
		datagram.len = 0;
		collect(0, 0);
		evaluate();
	}
}

static void free_results(void)
{
	await_results();
	while (books->nr_open) {
		unsigned int before = books->nr_open;
		uint64_t id = books->open[0]->job.id;

		tell(EMBER_CMD_GET_RESULT, 0, id);
		tell(EMBER_CMD_ACK, 0, id);
		if (books->nr_open == before)
			return genl_complain("the result of %llu is not to be freed",
					     (unsigned long long)id);
	}
	tell(EMBER_CMD_GET_RESULT, NLM_F_DUMP, 0);
}

static void send_stream(unsigned int nr)
{
	uint64_t end = tally->nr_made + nr;

	while (tally->nr_made < end && tally->nr_complaints < MAX_COMPLAINTS) {
		make(end - tally->nr_made);
		transact();
	}
}

static void orderly_episode(unsigned int nr)
{
	send_stream(nr);
	if (!sender->privileged)
		return;
	free_results();
}

/* Closed with requests open, answers unread, and often in the middle of a dump. */
static void cut_short_episode(unsigned int nr)
{
	world.target.base = life->lost_base;
	send_stream(nr);
	starved = true;
	send_stream(1 + genl_below(&maker, 8));
	starved = false;
	world.target.base = life->kept_base;
}

/* Is there a message in the datagram whose success would depend on the time? */
static bool depends_on_time(void)
{
	struct genl_verdict verdict;
	struct nlmsghdr *hdr;
	size_t pos = 0;

	while ((hdr = genl_next(&datagram, &pos))) {
		genl_judge(&world, sender, hdr, false, &verdict);
		if (verdict.layer == GENL_STATE &&
		    (verdict.op->cmd == EMBER_CMD_ACK || goes_to_pool(hdr, &verdict)))
			return true;
	}
	return false;
}

static unsigned int nr_drops(void)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

static void throw_away(void)
{
	static uint8_t bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
}

/* Waits until the dump says that all is done, and fetches each result. */
static void recover(void)
{
	bool lost = nr_drops();

	for (unsigned int i = 0; books->nr_open;) {
		struct genl_request *req = books->open[0];

		tell(EMBER_CMD_GET_RESULT, 0, req->job.id);
		if (answers[0].error == -EINPROGRESS && i++ < WAIT_MS) {
			usleep(1000);
			continue;
		}
		if (answers[0].error || !req->balanced)
			return genl_complain("the result of %llu cannot be fetched: %s",
					     (unsigned long long)req->job.id,
					     strerror(-answers[0].error));
		tally->nr_recovered += lost;
		tell(EMBER_CMD_ACK, 0, req->job.id);
	}
	tell(EMBER_CMD_GET_RESULT, NLM_F_DUMP, 0);
}

/* A buffer that holds next to nothing, and nobody reads it: no result may be lost. */
static void starved_episode(unsigned int nr)
{
	uint64_t end = tally->nr_made + nr;

	set_buffer(1);
	starved = true;
	while (tally->nr_made < end) {
		make(end - tally->nr_made);
		if (!depends_on_time())
			transact();
	}
	starved = false;
	/* From here on no RESULT is awaited: some are lost, late ones are not told from others. */
	genl_books_expect_none(books);
	set_buffer(4 << 20);
	throw_away();
	recovering = true;
	recover();
	recovering = false;
	tally->nr_drops += nr_drops();
}

static void episode(unsigned int nr)
{
	uint32_t kind = genl_below(&maker, 10);

	open_socket();
	if (!sender->privileged || kind < 5)
		orderly_episode(nr);
	else if (kind < 8)
		cut_short_episode(nr);
	else
		starved_episode(nr < 100 ? nr : 100);
	genl_books_drop(books);
	drop_items();
	if (inherited_fd < 0)
		close(fd);
}

static void check_places(void)
{
	static void *pages[GENL_BOOKS_PAGES];
	static int nodes[GENL_BOOKS_PAGES];
	unsigned int nr_wrong = 0;

	for (unsigned int i = 0; i < GENL_BOOKS_PAGES; i++)
		pages[i] = (void *)(uintptr_t)(books->base + i * PAGE_BYTES);
	if (move_pages((int)books->tgid, GENL_BOOKS_PAGES, pages, NULL, nodes, 0))
		fail("move_pages: %s", strerror(errno));
	for (unsigned int i = 0; i < GENL_BOOKS_PAGES; i++)
		nr_wrong += books->places[i] != GENL_BOOKS_ANYWHERE && nodes[i] != books->places[i];
	if (nr_wrong)
		genl_complain("%u of %u pages lie elsewhere than the books say", nr_wrong,
			      GENL_BOOKS_PAGES);
}

void genl_sender_live(const struct genl_life *own_life, int socket)
{
	uint64_t nr;

	life = own_life;
	sender = life->sender;
	tally = life->tally;
	books = &tally->books;
	world = *life->world;
	world.target.base = life->kept_base;
	inherited_fd = socket;
	maker = (struct genl_maker){.random = life->seed, .world = &world};
	genl_books_begin(books, world.target.identity.tgid, life->kept_base);
	while (tally->nr_made < life->nr_messages && tally->nr_complaints < MAX_COMPLAINTS) {
		nr = life->nr_messages - tally->nr_made;
		episode(1 + genl_below(&maker, nr < EPISODE_MESSAGES ? nr : EPISODE_MESSAGES));
	}
	if (sender->privileged)
		check_places();
	for (unsigned int i = 0; genl_fault(i, &tally->faults[i]); i++)
		;
	tally->ended = true;
}
