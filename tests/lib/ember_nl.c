/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ember_nl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *ember_outcome_name(unsigned int outcome)
{
	switch (outcome) {
#define NAME(NAME, value, name, sentence)                                                          \
	case value:                                                                                \
		return name;
		EMBER_OUTCOMES(NAME)
#undef NAME
	default:
		return "?";
	}
}

void ember_nl_msg_init(struct ember_nl_msg *msg, uint16_t type, uint16_t flags, uint8_t cmd)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)msg->data;
	struct genlmsghdr *genl = NLMSG_DATA(hdr);

	msg->len = NLMSG_LENGTH(GENL_HDRLEN);
	memset(msg->data, 0, msg->len);
	hdr->nlmsg_type = type;
	hdr->nlmsg_flags = NLM_F_REQUEST | flags;
	genl->cmd = cmd;
	genl->version = 1;
}

void *ember_nl_put(struct ember_nl_msg *msg, uint16_t type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)(msg->data + msg->len);

	if (msg->len + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(msg->data))
		abort(); /* the test asks for more than it gave room for */
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memset((uint8_t *)attr + NLA_HDRLEN, 0, NLA_ALIGN(len));
	if (data)
		memcpy((uint8_t *)attr + NLA_HDRLEN, data, len);
	msg->len += NLA_HDRLEN + NLA_ALIGN(len);
	return (uint8_t *)attr + NLA_HDRLEN;
}

void ember_nl_put_u32(struct ember_nl_msg *msg, uint16_t type, uint32_t value)
{
	ember_nl_put(msg, type, &value, sizeof(value));
}

void ember_nl_put_u64(struct ember_nl_msg *msg, uint16_t type, uint64_t value)
{
	ember_nl_put(msg, type, &value, sizeof(value));
}

size_t ember_nl_nest(struct ember_nl_msg *msg, uint16_t type)
{
	size_t nest = msg->len;

	ember_nl_put(msg, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

void ember_nl_nest_end(struct ember_nl_msg *msg, size_t nest)
{
	((struct nlattr *)(msg->data + nest))->nla_len = msg->len - nest;
}

static int send_msg(struct ember_nl *nl, struct ember_nl_msg *msg)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)msg->data;

	hdr->nlmsg_len = msg->len;
	hdr->nlmsg_seq = ++nl->seq;
	return send(nl->fd, msg->data, msg->len, 0) < 0 ? -errno : 0;
}

/* One datagram, which may hold several messages. */
static int receive(struct ember_nl *nl, struct ember_nl_msg *msg, int timeout_ms)
{
	struct pollfd pfd = {.fd = nl->fd, .events = POLLIN};
	ssize_t len;
	int ready;

	ready = poll(&pfd, 1, timeout_ms);
	if (ready <= 0)
		return ready < 0 ? -errno : -ETIMEDOUT;
	len = recv(nl->fd, msg->data, sizeof(msg->data), 0);
	if (len < 0)
		return -errno;
	msg->len = len;
	return 0;
}

void ember_nl_each(const void *data, size_t len, ember_nl_attr_fn fn, void *arg)
{
	const uint8_t *pos = data;

	while (len >= NLA_HDRLEN) {
		const struct nlattr *attr = (const struct nlattr *)pos;
		size_t step = NLA_ALIGN(attr->nla_len);

		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > len)
			return;
		fn(attr->nla_type & NLA_TYPE_MASK, pos + NLA_HDRLEN, attr->nla_len - NLA_HDRLEN,
		   arg);
		if (step >= len)
			return;
		pos += step;
		len -= step;
	}
}

static uint32_t get_u32(const void *data, size_t len)
{
	uint32_t value = 0;

	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	return value;
}

static uint64_t get_u64(const void *data, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	return value;
}

static void region_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	struct ember_nl_region *region = arg;

	if (type == EMBER_A_REGION_ADDR)
		region->addr = get_u64(data, len);
	if (type != EMBER_A_REGION_RUNS || len > sizeof(region->runs))
		return;
	region->nr_runs = len / sizeof(struct ember_run);
	memcpy(region->runs, data, len);
}

static void job_region(struct ember_nl_job *job, const void *data, size_t len)
{
	if (job->nr_regions == EMBER_MAX_REGIONS)
		return;
	ember_nl_each(data, len, region_attr, &job->regions[job->nr_regions++]);
}

static void job_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	struct ember_nl_job *job = arg;

	switch (type) {
	case EMBER_A_ID:
		job->id = get_u64(data, len);
		break;
	case EMBER_A_STATE:
		job->state = get_u32(data, len);
		break;
	case EMBER_A_STATUS:
		job->status = (int32_t)get_u32(data, len);
		break;
	case EMBER_A_TIME_NS:
		job->time_ns = get_u64(data, len);
		break;
	case EMBER_A_LONGEST_LOCK_NS:
		job->longest_lock_ns = get_u64(data, len);
		break;
	case EMBER_A_LONGEST_UNMAPPED_NS:
		job->longest_unmapped_ns = get_u64(data, len);
		break;
	case EMBER_A_NR_ASKED:
		job->nr_asked = get_u32(data, len);
		break;
	case EMBER_A_NR_MOVED:
		job->nr_moved = get_u32(data, len);
		break;
	case EMBER_A_REGION:
		job_region(job, data, len);
		break;
	}
}

void ember_nl_parse(const struct nlmsghdr *hdr, struct ember_nl_job *ret_job)
{
	const uint8_t *attrs = (const uint8_t *)NLMSG_DATA(hdr) + GENL_HDRLEN;

	memset(ret_job, 0, sizeof(*ret_job));
	ember_nl_each(attrs, hdr->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN), job_attr, ret_job);
}

static bool is_result(const struct ember_nl *nl, const struct nlmsghdr *hdr)
{
	const struct genlmsghdr *genl = NLMSG_DATA(hdr);

	return hdr->nlmsg_type == nl->family && genl->cmd == EMBER_CMD_RESULT;
}

static void keep_result(struct ember_nl *nl, const struct nlmsghdr *hdr)
{
	struct ember_nl_job *job;

	if (nl->nr_early == sizeof(nl->early) / sizeof(nl->early[0]))
		return;
	job = malloc(sizeof(*job));
	if (!job)
		abort();
	ember_nl_parse(hdr, job);
	nl->early[nl->nr_early++] = job;
}

/*
 * Calls fn for every message that answers the last request, until the
 * acknowledgement (or the end of a dump) comes. Keeps RESULTs for later.
 */
int ember_nl_ask(struct ember_nl *nl, struct ember_nl_msg *msg,
		 void (*fn)(const struct nlmsghdr *hdr, void *arg), void *arg)
{
	static _Thread_local struct ember_nl_msg in;
	struct nlmsghdr *hdr;
	int left, err;

	err = send_msg(nl, msg);
	if (err)
		return err;
	for (;;) {
		err = receive(nl, &in, 20000);
		if (err == -ENOBUFS && !nl->lossy)
			continue; /* a RESULT was lost; answers are not */
		if (err)
			return err;
		left = (int)in.len;
		for (hdr = (struct nlmsghdr *)in.data; NLMSG_OK(hdr, left);
		     hdr = NLMSG_NEXT(hdr, left)) {
			if (is_result(nl, hdr))
				keep_result(nl, hdr);
			else if (hdr->nlmsg_seq != nl->seq)
				continue;
			else if (hdr->nlmsg_type == NLMSG_ERROR || hdr->nlmsg_type == NLMSG_DONE)
				return *(int *)NLMSG_DATA(hdr);
			else if (fn)
				fn(hdr, arg);
		}
	}
}

int ember_nl_send(struct ember_nl *nl, struct ember_nl_msg *msg)
{
	return ember_nl_ask(nl, msg, NULL, NULL);
}

static void family_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	if (type == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)arg = get_u32(data, len);
}

static void family_reply(const struct nlmsghdr *hdr, void *arg)
{
	const uint8_t *attrs = (const uint8_t *)NLMSG_DATA(hdr) + GENL_HDRLEN;

	ember_nl_each(attrs, hdr->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN), family_attr, arg);
}

int ember_nl_open(struct ember_nl *nl)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	static _Thread_local struct ember_nl_msg msg;
	int size = 4 << 20;
	int err;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return -errno;
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(nl->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
	} else {
		ember_nl_msg_init(&msg, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY);
		ember_nl_put(&msg, CTRL_ATTR_FAMILY_NAME, EMBER_GENL_NAME, sizeof(EMBER_GENL_NAME));
		err = ember_nl_ask(nl, &msg, family_reply, &nl->family);
	}
	if (err)
		close(nl->fd);
	return err;
}

int ember_nl_start(struct ember_nl *nl)
{
	if (system("modprobe ember"))
		return -ENOENT;
	return ember_nl_open(nl);
}

void ember_nl_close(struct ember_nl *nl)
{
	while (nl->nr_early)
		free(nl->early[--nl->nr_early]);
	close(nl->fd);
}

static void get_classes(uint32_t ns[EMBER_COPY_CLASSES], const void *data, size_t len)
{
	if (len == EMBER_COPY_CLASSES * sizeof(*ns))
		memcpy(ns, data, len);
}

static void copy_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	struct ember_nl_copy *copy = arg;

	switch (type) {
	case EMBER_A_COPY_CHANNELS:
		copy->channels = get_u32(data, len);
		break;
	case EMBER_A_COPY_CPU_PAGES:
		copy->cpu_pages = get_u64(data, len);
		break;
	case EMBER_A_COPY_DMA_PAGES:
		copy->dma_pages = get_u64(data, len);
		break;
	case EMBER_A_COPY_FALLBACKS:
		copy->fallbacks = get_u64(data, len);
		break;
	case EMBER_A_COPY_TIMEOUTS:
		copy->timeouts = get_u64(data, len);
		break;
	case EMBER_A_COPY_LEAKED_PAGES:
		copy->leaked_pages = get_u64(data, len);
		break;
	case EMBER_A_COPY_CPU_NS:
		get_classes(copy->cpu_ns, data, len);
		break;
	case EMBER_A_COPY_DMA_NS:
		get_classes(copy->dma_ns, data, len);
		break;
	}
}

static void info_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	struct ember_nl_info *info = arg;

	switch (type) {
	case EMBER_A_INFO_ABI:
		info->abi = get_u32(data, len);
		break;
	case EMBER_A_INFO_FEATURES:
		info->features = get_u32(data, len);
		break;
	case EMBER_A_INFO_MAX_REGIONS:
		info->max_regions = get_u32(data, len);
		break;
	case EMBER_A_INFO_CREDITS:
		info->credits = get_u32(data, len);
		break;
	case EMBER_A_INFO_COPY:
		ember_nl_each(data, len, copy_attr, &info->copy);
		break;
	case EMBER_A_INFO_VERSION:
		memcpy(info->version, data, len < 63 ? len : 63);
		break;
	}
}

static void info_reply(const struct nlmsghdr *hdr, void *arg)
{
	const uint8_t *attrs = (const uint8_t *)NLMSG_DATA(hdr) + GENL_HDRLEN;

	ember_nl_each(attrs, hdr->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN), info_attr, arg);
}

int ember_nl_get_info(struct ember_nl *nl, struct ember_nl_info *ret_info)
{
	static _Thread_local struct ember_nl_msg msg;

	memset(ret_info, 0, sizeof(*ret_info));
	ember_nl_msg_init(&msg, nl->family, NLM_F_ACK, EMBER_CMD_GET_INFO);
	return ember_nl_ask(nl, &msg, info_reply, ret_info);
}

static void build_migrate(const struct ember_nl *nl, const struct ember_nl_job *job,
			  struct ember_nl_msg *msg)
{
	size_t nest;

	ember_nl_msg_init(msg, nl->family, NLM_F_ACK, EMBER_CMD_MIGRATE);
	ember_nl_put_u64(msg, EMBER_A_ID, job->id);
	nest = ember_nl_nest(msg, EMBER_A_TARGET);
	ember_nl_put_u32(msg, EMBER_A_TARGET_TGID, job->target.tgid);
	ember_nl_put_u64(msg, EMBER_A_TARGET_START_NS, job->target.start_ns);
	ember_nl_put_u32(msg, EMBER_A_TARGET_EXEC_ID, job->target.exec_id);
	ember_nl_nest_end(msg, nest);
	nest = ember_nl_nest(msg, EMBER_A_DEST);
	if (ember_nl_is_pool(job->node))
		ember_nl_put_u32(msg, EMBER_A_DEST_POOL, job->node & ~EMBER_NL_POOL_BIT);
	else
		ember_nl_put_u32(msg, EMBER_A_DEST_NODE, job->node);
	ember_nl_nest_end(msg, nest);
	if (job->flags)
		ember_nl_put_u32(msg, EMBER_A_FLAGS, job->flags);
	if (job->limit_ns)
		ember_nl_put_u32(msg, EMBER_A_LIMIT_NS, job->limit_ns);
	for (unsigned int i = 0; i < job->nr_regions; i++) {
		nest = ember_nl_nest(msg, EMBER_A_REGION);
		ember_nl_put_u64(msg, EMBER_A_REGION_ADDR, job->regions[i].addr);
		ember_nl_put(msg, EMBER_A_REGION_PAGES, job->regions[i].pages,
			     EMBER_REGION_BITMAP_BYTES);
		ember_nl_nest_end(msg, nest);
	}
}

int ember_nl_migrate(struct ember_nl *nl, const struct ember_nl_job *job)
{
	static _Thread_local struct ember_nl_msg msg;

	build_migrate(nl, job, &msg);
	return ember_nl_send(nl, &msg);
}

int ember_nl_post(struct ember_nl *nl, const struct ember_nl_job *job)
{
	static _Thread_local struct ember_nl_msg msg;

	build_migrate(nl, job, &msg);
	return send_msg(nl, &msg);
}

/* Results carry no bitmaps: those of the request stay. */
static void take_result(struct ember_nl_job *job, const struct ember_nl_job *result)
{
	job->state = result->state;
	job->status = result->status;
	job->time_ns = result->time_ns;
	job->longest_lock_ns = result->longest_lock_ns;
	job->longest_unmapped_ns = result->longest_unmapped_ns;
	job->nr_asked = result->nr_asked;
	job->nr_moved = result->nr_moved;
	for (unsigned int i = 0; i < job->nr_regions; i++) {
		job->regions[i].nr_runs = 0;
		if (i >= result->nr_regions || result->regions[i].addr != job->regions[i].addr)
			continue;
		job->regions[i].nr_runs = result->regions[i].nr_runs;
		memcpy(job->regions[i].runs, result->regions[i].runs, sizeof(job->regions[i].runs));
	}
}

static bool take_early(struct ember_nl *nl, struct ember_nl_job *job)
{
	for (unsigned int i = 0; i < nl->nr_early; i++) {
		if (nl->early[i]->id != job->id)
			continue;
		take_result(job, nl->early[i]);
		free(nl->early[i]);
		nl->early[i] = nl->early[--nl->nr_early];
		return true;
	}
	return false;
}

/* Waits for the RESULT of job->id. */
int ember_nl_wait(struct ember_nl *nl, struct ember_nl_job *job, int timeout_ms)
{
	static _Thread_local struct ember_nl_msg in;
	struct nlmsghdr *hdr;
	int left, err;

	while (!take_early(nl, job)) {
		err = receive(nl, &in, timeout_ms);
		if (err)
			return err;
		left = (int)in.len;
		for (hdr = (struct nlmsghdr *)in.data; NLMSG_OK(hdr, left);
		     hdr = NLMSG_NEXT(hdr, left))
			if (is_result(nl, hdr))
				keep_result(nl, hdr);
	}
	return 0;
}

static void result_reply(const struct nlmsghdr *hdr, void *arg)
{
	struct ember_nl_job *result = malloc(sizeof(*result));

	if (!result)
		abort();
	ember_nl_parse(hdr, result);
	take_result(arg, result);
	free(result);
}

static int send_id(struct ember_nl *nl, uint8_t cmd, uint64_t id,
		   void (*fn)(const struct nlmsghdr *hdr, void *arg), void *arg)
{
	static _Thread_local struct ember_nl_msg msg;

	ember_nl_msg_init(&msg, nl->family, NLM_F_ACK, cmd);
	ember_nl_put_u64(&msg, EMBER_A_ID, id);
	return ember_nl_ask(nl, &msg, fn, arg);
}

int ember_nl_get_result(struct ember_nl *nl, struct ember_nl_job *job)
{
	return send_id(nl, EMBER_CMD_GET_RESULT, job->id, result_reply, job);
}

int ember_nl_ack(struct ember_nl *nl, uint64_t id)
{
	return send_id(nl, EMBER_CMD_ACK, id, NULL, NULL);
}

int ember_nl_cancel(struct ember_nl *nl, uint64_t id)
{
	return send_id(nl, EMBER_CMD_CANCEL, id, NULL, NULL);
}

struct dump {
	struct ember_nl_job *jobs;
	unsigned int nr, max;
};

static void dump_reply(const struct nlmsghdr *hdr, void *arg)
{
	struct dump *dump = arg;

	if (dump->nr < dump->max)
		ember_nl_parse(hdr, &dump->jobs[dump->nr++]);
}

/* Returns the number of open requests listed. */
int ember_nl_dump(struct ember_nl *nl, struct ember_nl_job *ret_jobs, unsigned int max)
{
	struct dump dump = {.jobs = ret_jobs, .max = max};
	static _Thread_local struct ember_nl_msg msg;
	int err;

	ember_nl_msg_init(&msg, nl->family, NLM_F_DUMP, EMBER_CMD_GET_RESULT);
	err = ember_nl_ask(nl, &msg, dump_reply, &dump);
	return err ? err : (int)dump.nr;
}

static void pool_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	if (type == EMBER_A_POOL)
		ember_nl_each(data, len, pool_attr, arg);
	else if (type == EMBER_A_POOL_ID)
		*(int *)arg = (int)get_u32(data, len);
}

static void pool_reply(const struct nlmsghdr *hdr, void *arg)
{
	const uint8_t *attrs = (const uint8_t *)NLMSG_DATA(hdr) + GENL_HDRLEN;
	const struct genlmsghdr *genl = NLMSG_DATA(hdr);

	if (genl->cmd == EMBER_CMD_POOL_ADD)
		ember_nl_each(attrs, hdr->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN), pool_attr, arg);
}

int ember_nl_pool_add(struct ember_nl *nl, uint64_t start, uint64_t bytes, int node)
{
	static _Thread_local struct ember_nl_msg msg;
	int id = -EBADMSG, err;
	size_t nest;

	ember_nl_msg_init(&msg, nl->family, NLM_F_ACK, EMBER_CMD_POOL_ADD);
	nest = ember_nl_nest(&msg, EMBER_A_POOL);
	ember_nl_put_u64(&msg, EMBER_A_POOL_START, start);
	ember_nl_put_u64(&msg, EMBER_A_POOL_BYTES, bytes);
	if (node >= 0)
		ember_nl_put_u32(&msg, EMBER_A_POOL_NODE, (uint32_t)node);
	ember_nl_nest_end(&msg, nest);
	err = ember_nl_ask(nl, &msg, pool_reply, &id);
	return err ? err : id;
}

int ember_nl_pool_remove(struct ember_nl *nl, uint32_t id)
{
	return send_id(nl, EMBER_CMD_POOL_REMOVE, id, NULL, NULL);
}

int ember_nl_job_fill(struct ember_nl_job *job, const void *addr, size_t nr, const uint8_t *mask)
{
	uint64_t first = (uint64_t)(uintptr_t)addr / 4096;

	job->nr_regions = 0;
	for (size_t i = 0; i < nr; i++) {
		uint64_t region = (first + i) / 512 * EMBER_NL_REGION_BYTES;
		unsigned int page = (first + i) % 512;
		struct ember_nl_region *last;

		if (mask && !mask[i])
			continue;
		last = job->nr_regions ? &job->regions[job->nr_regions - 1] : NULL;
		if (!last || last->addr != region) {
			if (job->nr_regions == EMBER_MAX_REGIONS)
				return -E2BIG;
			last = &job->regions[job->nr_regions++];
			memset(last, 0, sizeof(*last));
			last->addr = region;
		}
		last->pages[page / 64] |= 1ULL << (page % 64);
	}
	return 0;
}

static int region_outcomes(const struct ember_nl_region *region, uint64_t first, size_t nr,
			   uint8_t *outcome)
{
	unsigned int run = 0, used = 0;

	for (unsigned int page = 0; page < 512; page++) {
		uint64_t at = region->addr / 4096 + page - first;

		if (!(region->pages[page / 64] >> (page % 64) & 1))
			continue;
		if (run == region->nr_runs || at >= nr)
			return -EBADMSG;
		outcome[at] = region->runs[run].outcome;
		if (!outcome[at] || outcome[at] > EMBER_OUTCOME_MAX)
			return -EBADMSG;
		if (++used == region->runs[run].count) {
			run++;
			used = 0;
		}
	}
	return run == region->nr_runs && !used ? 0 : -EBADMSG;
}

void ember_nl_job_count(const struct ember_nl_job *job, size_t count[EMBER_OUTCOME_MAX + 1])
{
	memset(count, 0, (EMBER_OUTCOME_MAX + 1) * sizeof(*count));
	for (unsigned int i = 0; i < job->nr_regions; i++)
		for (unsigned int run = 0; run < job->regions[i].nr_runs; run++)
			count[job->regions[i].runs[run].outcome] += job->regions[i].runs[run].count;
}

int ember_nl_job_outcomes(const struct ember_nl_job *job, const void *addr, size_t nr,
			  uint8_t *outcome)
{
	int err;

	for (unsigned int i = 0; i < job->nr_regions; i++) {
		err = region_outcomes(&job->regions[i], (uint64_t)(uintptr_t)addr / 4096, nr,
				      outcome);
		if (err)
			return err;
	}
	return 0;
}

static uint64_t next_id(void)
{
	static uint64_t id = 1ULL << 32; /* apart from those that tests choose */

	return __atomic_add_fetch(&id, 1, __ATOMIC_RELAXED);
}

static int move_once(struct ember_nl *nl, struct ember_nl_job *job, const void *addr, size_t nr,
		     uint8_t *outcome)
{
	int err;

	job->id = next_id();
	err = ember_nl_migrate(nl, job);
	if (err)
		return err;
	err = ember_nl_wait(nl, job, 60000);
	if (err)
		return err;
	err = ember_nl_job_outcomes(job, addr, nr, outcome);
	if (err)
		return err;
	return ember_nl_ack(nl, job->id);
}

long ember_nl_move(struct ember_nl *nl, const struct ember_identity *target, const void *addr,
		   size_t nr, const uint8_t *mask, uint32_t node, uint32_t flags, uint8_t *outcome)
{
	const size_t slice = (EMBER_MAX_REGIONS - 1) * EMBER_NL_REGION_PAGES;
	struct ember_nl_job *job = calloc(1, sizeof(*job));
	long nr_moved = 0;
	int err = 0;

	if (!job)
		return -ENOMEM;
	for (size_t i = 0; !err && i < nr; i += slice) {
		const char *at = (const char *)addr + i * 4096;
		size_t some = nr - i < slice ? nr - i : slice;

		job->target = *target;
		job->node = node;
		job->flags = flags;
		err = ember_nl_job_fill(job, at, some, mask ? mask + i : NULL);
		if (err || !job->nr_regions)
			continue;
		err = move_once(nl, job, at, some, outcome + i);
		nr_moved += job->nr_moved;
	}
	free(job);
	return err ? err : nr_moved;
}
