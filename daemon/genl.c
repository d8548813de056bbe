// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ember.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "ember/sample.h"
#include "util/cleanup.h"

/* Results of all credits fit, so that a slow reader costs a fetch and no more. */
#define RX_BUFFER_BYTES (EMBER_CREDITS * 2 * EMBER_RESULT_MAX_BYTES)
#define MSG_BUFFER_BYTES (EMBER_RESULT_MAX_BYTES + 4096)

struct ember_genl {
	struct nl_sock *sock;
	int family;
	int reply;                    /* of the request under way: 1: none yet, 0 or -errno */
	struct ember_genl_info *info; /* to be filled by GET_INFO under way */
	uint32_t pool_id;             /* filled by POOL_ADD */
	bool lost; /* no room in the socket or in memory: fetch what is missing */
	/* Requests sent and not freed; results that came while another answer was awaited. */
	uint64_t open[EMBER_CREDITS];
	unsigned int nr_open;
	struct ember_genl_result results[EMBER_CREDITS];
	unsigned int nr_results;
};

/* libnl has its own error numbers. */
static int errno_of_nl(int nlerr)
{
	switch (-nlerr) {
	case NLE_SUCCESS:
		return 0;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_NOMEM:
		return -ENOBUFS;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_PERM:
		return -EPERM;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_EXIST:
		return -EEXIST;
	default:
		return -EIO;
	}
}

/* The closed list of the module, in the words of the books. */
static enum ember_fate fate_of(uint16_t outcome)
{
	switch (outcome) {
	case EMBER_OUTCOME_MOVED:
		return EMBER_FATE_MOVED;
	case EMBER_OUTCOME_ALREADY_THERE:
		return EMBER_FATE_ALREADY;
	case EMBER_OUTCOME_NOT_PRESENT:
	case EMBER_OUTCOME_NO_AREA:
	case EMBER_OUTCOME_ZERO_PAGE:
		return EMBER_FATE_NOT_PRESENT;
	case EMBER_OUTCOME_SPECIAL:
	case EMBER_OUTCOME_NOT_ANON:
	case EMBER_OUTCOME_KSM:
		return EMBER_FATE_KIND;
	case EMBER_OUTCOME_LARGE_FOLIO:
		return EMBER_FATE_LARGE;
	case EMBER_OUTCOME_SHARED:
		return EMBER_FATE_SHARED;
	case EMBER_OUTCOME_PINNED:
		return EMBER_FATE_PINNED;
	case EMBER_OUTCOME_BUSY:
		return EMBER_FATE_BUSY;
	case EMBER_OUTCOME_WRITEBACK:
		return EMBER_FATE_WRITEBACK;
	case EMBER_OUTCOME_NO_MEMORY:
		return EMBER_FATE_NO_MEMORY;
	case EMBER_OUTCOME_RACED:
		return EMBER_FATE_RACED;
	case EMBER_OUTCOME_GONE:
		return EMBER_FATE_GONE;
	case EMBER_OUTCOME_ISOLATED:
		return EMBER_FATE_ISOLATED;
	case EMBER_OUTCOME_NOT_ALLOWED:
		return EMBER_FATE_DENIED;
	case EMBER_OUTCOME_CANCELLED:
		return EMBER_FATE_CANCELLED;
	default: /* copy failed, and what a newer module may say */
		return EMBER_FATE_FAILED;
	}
}

static int append_runs(struct ember_genl_result *result, struct nlattr *region)
{
	struct nlattr *tb[EMBER_A_REGION_MAX + 1];
	const struct ember_run *runs;
	struct ember_fate_run *grown;
	size_t nr;

	if (nla_parse_nested(tb, EMBER_A_REGION_MAX, region, NULL) < 0 || !tb[EMBER_A_REGION_RUNS])
		return -EBADMSG;
	runs = nla_data(tb[EMBER_A_REGION_RUNS]);
	nr = nla_len(tb[EMBER_A_REGION_RUNS]) / sizeof(*runs);
	grown = reallocarray(result->runs, result->nr_runs + nr, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	result->runs = grown;
	for (size_t i = 0; i < nr; i++)
		result->runs[result->nr_runs++] = (struct ember_fate_run){
		    .outcome = fate_of(runs[i].outcome), .nr_pages = runs[i].count};
	return 0;
}

static struct ember_genl_result *find_result(struct ember_genl *genl, uint64_t id)
{
	for (unsigned int i = 0; i < genl->nr_results; i++)
		if (genl->results[i].id == id)
			return &genl->results[i];
	return NULL;
}

/* A RESULT, pushed or fetched. What is there already (fetched and pushed) is dropped. */
static int take_result(struct ember_genl *genl, struct nlmsghdr *hdr)
{
	struct ember_genl_result result = {};
	struct nlattr *attr;
	int rem, r;

	nla_for_each_attr(attr, genlmsg_attrdata(nlmsg_data(hdr), 0),
			  genlmsg_attrlen(nlmsg_data(hdr), 0), rem)
	{
		switch (nla_type(attr)) {
		case EMBER_A_ID:
			result.id = nla_get_u64(attr);
			break;
		case EMBER_A_STATUS:
			result.status = nla_get_s32(attr);
			break;
		case EMBER_A_TIME_NS:
			result.time_ns = nla_get_u64(attr);
			break;
		case EMBER_A_LONGEST_LOCK_NS:
			result.longest_lock_ns = nla_get_u64(attr);
			break;
		case EMBER_A_LONGEST_UNMAPPED_NS:
			result.longest_unmapped_ns = nla_get_u64(attr);
			break;
		case EMBER_A_NR_MOVED:
			result.nr_moved = nla_get_u32(attr);
			break;
		case EMBER_A_REGION:
			r = append_runs(&result, attr);
			if (r < 0) {
				/* Not acknowledged, so the module still has it: fetch it when there
				 * is memory. */
				genl->lost |= r == -ENOMEM;
				free(result.runs);
				return NL_SKIP;
			}
			break;
		}
	}
	if (find_result(genl, result.id) || genl->nr_results == EMBER_CREDITS)
		free(result.runs);
	else
		genl->results[genl->nr_results++] = result;
	return NL_OK;
}

static uint64_t get_u64(struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

_Static_assert(EMBER_BATCH_CLASSES == EMBER_COPY_CLASSES, "the daemon's classes are the module's");

static void get_times(struct nlattr *attr, uint32_t ret[EMBER_BATCH_CLASSES])
{
	if (attr)
		nla_memcpy(ret, attr, EMBER_BATCH_CLASSES * sizeof(*ret));
}

static void take_copies(struct nlattr *nest, struct ember_copies *ret)
{
	struct nlattr *tb[EMBER_A_COPY_MAX + 1];

	if (nla_parse_nested(tb, EMBER_A_COPY_MAX, nest, NULL) < 0)
		return;
	if (tb[EMBER_A_COPY_CHANNELS])
		ret->channels = nla_get_u32(tb[EMBER_A_COPY_CHANNELS]);
	ret->cpu_pages = get_u64(tb[EMBER_A_COPY_CPU_PAGES]);
	ret->dma_pages = get_u64(tb[EMBER_A_COPY_DMA_PAGES]);
	ret->fallback_pages = get_u64(tb[EMBER_A_COPY_FALLBACKS]);
	ret->nr_timeouts = get_u64(tb[EMBER_A_COPY_TIMEOUTS]);
	ret->leaked_pages = get_u64(tb[EMBER_A_COPY_LEAKED_PAGES]);
	get_times(tb[EMBER_A_COPY_CPU_NS], ret->cpu_ns);
	get_times(tb[EMBER_A_COPY_DMA_NS], ret->dma_ns);
}

static int take_info(struct ember_genl *genl, struct nlmsghdr *hdr)
{
	struct nlattr *tb[EMBER_A_INFO_MAX + 1];
	struct ember_genl_info *info = genl->info;

	if (!info || genlmsg_parse(hdr, 0, tb, EMBER_A_INFO_MAX, NULL) < 0)
		return NL_SKIP;
	if (tb[EMBER_A_INFO_ABI])
		info->abi = nla_get_u32(tb[EMBER_A_INFO_ABI]);
	if (tb[EMBER_A_INFO_VERSION])
		nla_strlcpy(info->version, tb[EMBER_A_INFO_VERSION], sizeof(info->version));
	if (tb[EMBER_A_INFO_FEATURES])
		info->features = nla_get_u32(tb[EMBER_A_INFO_FEATURES]);
	if (tb[EMBER_A_INFO_MAX_REGIONS])
		info->max_regions = nla_get_u32(tb[EMBER_A_INFO_MAX_REGIONS]);
	if (tb[EMBER_A_INFO_CREDITS])
		info->credits = nla_get_u32(tb[EMBER_A_INFO_CREDITS]);
	if (tb[EMBER_A_INFO_COPY])
		take_copies(tb[EMBER_A_INFO_COPY], &info->copies);
	return NL_OK;
}

static int take_pool(struct ember_genl *genl, struct nlmsghdr *hdr)
{
	struct nlattr *tb[EMBER_A_MAX + 1], *pool[EMBER_A_POOL_MAX + 1];

	if (genlmsg_parse(hdr, 0, tb, EMBER_A_MAX, NULL) < 0 || !tb[EMBER_A_POOL] ||
	    nla_parse_nested(pool, EMBER_A_POOL_MAX, tb[EMBER_A_POOL], NULL) < 0 ||
	    !pool[EMBER_A_POOL_ID])
		return NL_SKIP;
	genl->pool_id = nla_get_u32(pool[EMBER_A_POOL_ID]);
	return NL_OK;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	const struct genlmsghdr *genlhdr = nlmsg_data(hdr);

	switch (genlhdr->cmd) {
	case EMBER_CMD_GET_INFO:
		return take_info(arg, hdr);
	case EMBER_CMD_RESULT:
	case EMBER_CMD_GET_RESULT:
		return take_result(arg, hdr);
	case EMBER_CMD_POOL_ADD:
		return take_pool(arg, hdr);
	default:
		return NL_SKIP;
	}
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	((struct ember_genl *)arg)->reply = 0;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *addr, struct nlmsgerr *err, void *arg)
{
	((struct ember_genl *)arg)->reply = err->error;
	return NL_STOP;
}

static int receive(struct ember_genl *genl)
{
	int r = nl_recvmsgs_default(genl->sock);

	/* ENOBUFS: a message found no room. The module still has it: fetch it later. */
	if (-r == NLE_NOMEM) {
		genl->lost = true;
		return 0;
	}
	return genl->reply <= 0 ? 0 : errno_of_nl(r);
}

/* Send @msg (freed) and wait for its acknowledgement. 0 or the kernel's -errno. */
static int transact(struct ember_genl *genl, struct nl_msg *msg)
{
	int r = nl_send_auto(genl->sock, msg);

	nlmsg_free(msg);
	if (r < 0)
		return errno_of_nl(r);
	genl->reply = 1;
	while (genl->reply > 0) {
		struct pollfd pfd = {.fd = nl_socket_get_fd(genl->sock), .events = POLLIN};

		/* The kernel answers within the send, so no answer now means it was lost. */
		if (poll(&pfd, 1, genl->lost ? 100 : 10000) == 0)
			return genl->lost ? -ENOBUFS : -ETIMEDOUT;
		r = receive(genl);
		if (r < 0)
			return r;
	}
	return genl->reply;
}

static struct nl_msg *new_request(struct ember_genl *genl, uint8_t cmd)
{
	struct nl_msg *msg = nlmsg_alloc_size(EMBER_MAX_REGIONS * 128 + 4096);

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, genl->family, 0,
				NLM_F_REQUEST | NLM_F_ACK, cmd, EMBER_GENL_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int call_with_id(struct ember_genl *genl, uint8_t cmd, uint64_t id)
{
	struct nl_msg *msg = new_request(genl, cmd);

	if (!msg)
		return -ENOMEM;
	if (id && nla_put_u64(msg, EMBER_A_ID, id) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return transact(genl, msg);
}

static int set_up(struct ember_genl *genl)
{
	int r;

	nl_socket_disable_seq_check(genl->sock);
	nl_socket_modify_cb(genl->sock, NL_CB_VALID, NL_CB_CUSTOM, on_valid, genl);
	nl_socket_modify_cb(genl->sock, NL_CB_ACK, NL_CB_CUSTOM, on_ack, genl);
	nl_socket_modify_err_cb(genl->sock, NL_CB_CUSTOM, on_error, genl);
	r = genl_connect(genl->sock);
	if (r < 0)
		return errno_of_nl(r);
	nl_socket_set_buffer_size(genl->sock, RX_BUFFER_BYTES, 0);
	nl_socket_set_msg_buf_size(genl->sock, MSG_BUFFER_BYTES);
	return 0;
}

static int resolve(struct ember_genl *genl)
{
	/* A socket of its own: the resolver of libnl wants the default callbacks. */
	struct nl_sock *sock = nl_socket_alloc();
	int r;

	if (!sock)
		return -ENOMEM;
	r = genl_connect(sock);
	if (r >= 0)
		r = genl_ctrl_resolve(sock, EMBER_GENL_NAME);
	nl_socket_free(sock);
	if (r < 0)
		return errno_of_nl(r);
	genl->family = r;
	return 0;
}

int ember_genl_get_info(struct ember_genl *genl, struct ember_genl_info *ret_info)
{
	struct ember_genl_info info = {};
	int r;

	genl->info = &info;
	r = call_with_id(genl, EMBER_CMD_GET_INFO, 0);
	genl->info = NULL;
	if (r < 0)
		return r;
	*ret_info = info;
	return 0;
}

static void closep(struct ember_genl **genl)
{
	ember_genl_close(*genl);
}

int ember_genl_open(struct ember_genl **ret, struct ember_genl_info *ret_info)
{
	_cleanup_(closep) struct ember_genl *genl = calloc(1, sizeof(*genl));
	struct ember_genl_info info = {};
	int r;

	if (!genl)
		return -ENOMEM;
	genl->sock = nl_socket_alloc();
	if (!genl->sock)
		return -ENOMEM;
	r = resolve(genl);
	if (r < 0)
		return r;
	r = set_up(genl);
	if (r < 0)
		return r;
	r = ember_genl_get_info(genl, &info);
	if (r < 0)
		return r;
	if (ret_info)
		*ret_info = info;
	if (info.abi != EMBER_ABI_VERSION)
		return -EPROTO;
	*ret = TAKE_PTR(genl);
	return 0;
}

struct ember_genl *ember_genl_close(struct ember_genl *genl)
{
	if (!genl)
		return NULL;
	for (unsigned int i = 0; i < genl->nr_results; i++)
		ember_genl_result_clear(&genl->results[i]);
	if (genl->sock)
		nl_socket_free(genl->sock);
	free(genl);
	return NULL;
}

static int put_target(struct nl_msg *msg, const struct ember_proc_id *id)
{
	struct nlattr *nest = nla_nest_start(msg, EMBER_A_TARGET);

	if (!nest || nla_put_u32(msg, EMBER_A_TARGET_TGID, id->tgid) < 0 ||
	    nla_put_u64(msg, EMBER_A_TARGET_START_NS, id->start_boottime_ns) < 0 ||
	    nla_put_u32(msg, EMBER_A_TARGET_EXEC_ID, id->self_exec_id) < 0)
		return -ENOMEM;
	nla_nest_end(msg, nest);
	return 0;
}

static int put_dest(struct nl_msg *msg, const struct ember_move *move)
{
	struct nlattr *nest = nla_nest_start(msg, EMBER_A_DEST);
	int attr = move->to_pool ? EMBER_A_DEST_POOL : EMBER_A_DEST_NODE;

	if (!nest || nla_put_u32(msg, attr, move->dest) < 0)
		return -ENOMEM;
	nla_nest_end(msg, nest);
	return 0;
}

static int put_flags(struct nl_msg *msg, const struct ember_move *move)
{
	uint32_t flags = 0;

	if (move->why == EMBER_WHY_MAKE_ROOM)
		flags |= EMBER_MIGRATE_EXCHANGE;
	if (move->mover == EMBER_MOVER_MODULE_SHARED)
		flags |= EMBER_MIGRATE_SHARED;
	if (move->restricted)
		flags |= EMBER_MIGRATE_RESTRICTED;
	if (move->isolated_too)
		flags |= EMBER_MIGRATE_ISOLATED;
	if (move->by_dma)
		flags |= EMBER_MIGRATE_DMA;
	return flags ? nla_put_u32(msg, EMBER_A_FLAGS, flags) : 0;
}

static int put_region(struct nl_msg *msg, const struct ember_move_region *region)
{
	struct nlattr *nest = nla_nest_start(msg, EMBER_A_REGION);

	if (!nest || nla_put_u64(msg, EMBER_A_REGION_ADDR, region->addr) < 0 ||
	    nla_put(msg, EMBER_A_REGION_PAGES, sizeof(region->pages), region->pages) < 0)
		return -ENOMEM;
	nla_nest_end(msg, nest);
	return 0;
}

int ember_genl_migrate(struct ember_genl *genl, uint64_t id, const struct ember_move *move,
		       const struct ember_move_region *regions)
{
	struct nl_msg *msg;
	int r;

	if (genl->nr_open == EMBER_CREDITS)
		return -EBUSY;
	msg = new_request(genl, EMBER_CMD_MIGRATE);
	if (!msg)
		return -ENOMEM;
	r = nla_put_u64(msg, EMBER_A_ID, id) < 0 ? -ENOMEM : put_target(msg, &move->id);
	if (!r)
		r = put_dest(msg, move);
	if (!r)
		r = put_flags(msg, move);
	if (!r && move->longest_wait_ns)
		r = nla_put_u32(msg, EMBER_A_LIMIT_NS, move->longest_wait_ns);
	for (uint32_t i = 0; !r && i < move->nr_regions; i++)
		r = put_region(msg, &regions[i]);
	if (r < 0) {
		nlmsg_free(msg);
		return r;
	}
	r = transact(genl, msg);
	/* Lost acknowledgement: it may be queued, so its result is asked for. */
	if (r == 0 || r == -ENOBUFS)
		genl->open[genl->nr_open++] = id;
	return r == -ENOBUFS ? 0 : r;
}

static void forget_open(struct ember_genl *genl, uint64_t id)
{
	for (unsigned int i = 0; i < genl->nr_open; i++)
		if (genl->open[i] == id)
			genl->open[i--] = genl->open[--genl->nr_open];
}

/* Fetch what the socket may have lost. A request that the module does not know is over. */
static void fetch_lost(struct ember_genl *genl)
{
	genl->lost = false;
	for (unsigned int i = 0; i < genl->nr_open; i++) {
		uint64_t id = genl->open[i];
		int r = find_result(genl, id) ? 0 : call_with_id(genl, EMBER_CMD_GET_RESULT, id);

		if (r == -ENOENT && genl->nr_results < EMBER_CREDITS)
			genl->results[genl->nr_results++] =
			    (struct ember_genl_result){.id = id, .status = -ENOENT};
		else if (r < 0 && r != -EINPROGRESS)
			genl->lost = true; /* not this time: ask again */
	}
}

int ember_genl_wait(struct ember_genl *genl, int timeout_ms, struct ember_genl_result *ret)
{
	struct pollfd pfd = {.fd = nl_socket_get_fd(genl->sock), .events = POLLIN};
	struct ember_genl_result result;
	int r;

	if (!genl->nr_open)
		return -EAGAIN;
	if (!genl->nr_results && poll(&pfd, 1, timeout_ms) > 0) {
		genl->reply = 1;
		r = receive(genl);
		if (r < 0)
			return r;
	}
	if (!genl->nr_results && genl->lost)
		fetch_lost(genl);
	if (!genl->nr_results)
		return -EAGAIN;
	result = genl->results[0];
	memmove(genl->results, genl->results + 1, --genl->nr_results * sizeof(result));
	r = call_with_id(genl, EMBER_CMD_ACK, result.id);
	forget_open(genl, result.id);
	if (r < 0 && r != -ENOENT && r != -ENOBUFS) {
		ember_genl_result_clear(&result);
		return r;
	}
	*ret = result;
	return 0;
}

void ember_genl_result_clear(struct ember_genl_result *result)
{
	free(result->runs);
	*result = (struct ember_genl_result){};
}

int ember_genl_cancel(struct ember_genl *genl, uint64_t id)
{
	return call_with_id(genl, EMBER_CMD_CANCEL, id);
}

static int put_new_pool(struct nl_msg *msg, uint64_t start, uint64_t bytes, int node)
{
	struct nlattr *nest = nla_nest_start(msg, EMBER_A_POOL);

	if (!nest || nla_put_u64(msg, EMBER_A_POOL_START, start) < 0 ||
	    nla_put_u64(msg, EMBER_A_POOL_BYTES, bytes) < 0 ||
	    (node >= 0 && nla_put_u32(msg, EMBER_A_POOL_NODE, node) < 0))
		return -ENOMEM;
	nla_nest_end(msg, nest);
	return 0;
}

int ember_genl_pool_add(struct ember_genl *genl, uint64_t start, uint64_t bytes, int node,
			uint32_t *ret_id)
{
	struct nl_msg *msg = new_request(genl, EMBER_CMD_POOL_ADD);
	int r;

	if (!msg)
		return -ENOMEM;
	if (put_new_pool(msg, start, bytes, node) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	genl->pool_id = EMBER_MEM_UNKNOWN;
	r = transact(genl, msg);
	if (r < 0)
		return r;
	if (genl->pool_id == EMBER_MEM_UNKNOWN)
		return -EBADMSG;
	*ret_id = genl->pool_id;
	return 0;
}

int ember_genl_pool_remove(struct ember_genl *genl, uint32_t id)
{
	return call_with_id(genl, EMBER_CMD_POOL_REMOVE, id);
}
