// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family of include/uapi/linux/ember.h, which is the
 * specification. This file checks and parses what comes in, and builds what goes
 * out; it distrusts every byte and knows nothing about memory management. Handlers
 * only queue: the work is done by the clients' work items.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/ember.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/pid_namespace.h>
#include <linux/sizes.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

#include "client.h"
#include "copy.h"
#include "dma.h"
#include "genl.h"
#include "pool.h"
#include "request.h"

static struct genl_family ember_family;

static const struct nla_policy target_policy[EMBER_A_TARGET_MAX + 1] = {
	[EMBER_A_TARGET_TGID] = NLA_POLICY_MIN(NLA_U32, 1),
	[EMBER_A_TARGET_START_NS] = { .type = NLA_U64 },
	[EMBER_A_TARGET_EXEC_ID] = { .type = NLA_U32 },
};

static const struct nla_policy dest_policy[EMBER_A_DEST_MAX + 1] = {
	[EMBER_A_DEST_NODE] = { .type = NLA_U32 },
	[EMBER_A_DEST_POOL] = { .type = NLA_U32 },
};

static const struct nla_policy pool_add_policy[EMBER_A_POOL_MAX + 1] = {
	[EMBER_A_POOL_START] = { .type = NLA_U64 },
	[EMBER_A_POOL_BYTES] = { .type = NLA_U64 },
	[EMBER_A_POOL_NODE] = { .type = NLA_U32 },
};

static const struct nla_policy add_policy[EMBER_A_POOL + 1] = {
	[EMBER_A_POOL] = NLA_POLICY_NESTED(pool_add_policy),
};

static const struct nla_policy region_policy[EMBER_A_REGION_MAX + 1] = {
	[EMBER_A_REGION_ADDR] = { .type = NLA_U64 },
	[EMBER_A_REGION_PAGES] = NLA_POLICY_EXACT_LEN(EMBER_REGION_BITMAP_BYTES),
};

/* NLA_POLICY_MIN() holds no more than 15 bits. */
static const struct netlink_range_validation limit_range = {
	.min = EMBER_MIN_LIMIT_NS,
	.max = U32_MAX,
};

static const struct nla_policy migrate_policy[EMBER_A_LIMIT_NS + 1] = {
	[EMBER_A_ID] = { .type = NLA_U64 },
	[EMBER_A_TARGET] = NLA_POLICY_NESTED(target_policy),
	[EMBER_A_DEST] = NLA_POLICY_NESTED(dest_policy),
	[EMBER_A_FLAGS] = NLA_POLICY_MASK(NLA_U32, EMBER_MIGRATE_ALL_FLAGS),
	[EMBER_A_REGION] = NLA_POLICY_NESTED(region_policy),
	[EMBER_A_LIMIT_NS] = NLA_POLICY_FULL_RANGE(NLA_U32, &limit_range),
};

static const struct nla_policy id_policy[EMBER_A_ID + 1] = {
	[EMBER_A_ID] = { .type = NLA_U64 },
};

/* For commands without attributes: the core would ignore those of an op without policy. */
static const struct nla_policy no_policy[] = {
	[1] = { .type = NLA_REJECT },
};

/* CAP_NET_ADMIN has been checked by the core (GENL_ADMIN_PERM). */
static int check_sender(struct sk_buff *skb)
{
	if (!netlink_capable(skb, CAP_SYS_NICE) || !netlink_capable(skb, CAP_SYS_PTRACE))
		return -EPERM;
	if (task_active_pid_ns(current) != &init_pid_ns)
		return -EPERM;
	return 0;
}

static int pre_doit(const struct genl_split_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	return check_sender(skb);
}

static int parse_id(struct genl_info *info, u64 *ret_id)
{
	if (GENL_REQ_ATTR_CHECK(info, EMBER_A_ID))
		return -EINVAL;
	*ret_id = nla_get_u64(info->attrs[EMBER_A_ID]);
	if (!*ret_id) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[EMBER_A_ID], "id must not be 0");
		return -EINVAL;
	}
	return 0;
}

static int parse_target(struct genl_info *info, struct ember_target *ret_target)
{
	struct nlattr *tb[EMBER_A_TARGET_MAX + 1];
	struct nlattr *nest = info->attrs[EMBER_A_TARGET];
	int err;

	if (GENL_REQ_ATTR_CHECK(info, EMBER_A_TARGET))
		return -EINVAL;
	err = nla_parse_nested(tb, EMBER_A_TARGET_MAX, nest, target_policy, info->extack);
	if (err)
		return err;
	if (NL_REQ_ATTR_CHECK(info->extack, nest, tb, EMBER_A_TARGET_TGID) ||
	    NL_REQ_ATTR_CHECK(info->extack, nest, tb, EMBER_A_TARGET_START_NS) ||
	    NL_REQ_ATTR_CHECK(info->extack, nest, tb, EMBER_A_TARGET_EXEC_ID))
		return -EINVAL;
	ret_target->tgid = nla_get_u32(tb[EMBER_A_TARGET_TGID]);
	ret_target->start_ns = nla_get_u64(tb[EMBER_A_TARGET_START_NS]);
	ret_target->exec_id = nla_get_u32(tb[EMBER_A_TARGET_EXEC_ID]);
	return ember_target_check(ret_target);
}

static int parse_dest_pool(const struct nlattr *attr, struct netlink_ext_ack *extack, u32 *ret_id)
{
	struct ember_pool *pool = ember_pool_get(nla_get_u32(attr));

	if (!pool) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "no such pool, or not ready");
		return -ENODEV;
	}
	*ret_id = pool->id;
	/* It may go now: the request finds out. */
	ember_pool_put(pool);
	return 0;
}

static int parse_dest_node(const struct nlattr *attr, struct netlink_ext_ack *extack, int *ret_nid)
{
	u32 nid = nla_get_u32(attr);

	if (nid >= MAX_NUMNODES || !node_state(nid, N_MEMORY)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "node has no memory");
		return -ENODEV;
	}
	*ret_nid = nid;
	return 0;
}

static int parse_dest(struct genl_info *info, struct ember_dest *ret_dest)
{
	struct nlattr *tb[EMBER_A_DEST_MAX + 1];
	struct nlattr *nest = info->attrs[EMBER_A_DEST];
	int err;

	if (GENL_REQ_ATTR_CHECK(info, EMBER_A_DEST))
		return -EINVAL;
	err = nla_parse_nested(tb, EMBER_A_DEST_MAX, nest, dest_policy, info->extack);
	if (err)
		return err;
	if (!tb[EMBER_A_DEST_NODE] == !tb[EMBER_A_DEST_POOL]) {
		NL_SET_ERR_MSG_ATTR(info->extack, nest, "needs either a node or a pool");
		return -EINVAL;
	}
	ret_dest->nid = NUMA_NO_NODE;
	if (tb[EMBER_A_DEST_POOL])
		return parse_dest_pool(tb[EMBER_A_DEST_POOL], info->extack, &ret_dest->pool);
	return parse_dest_node(tb[EMBER_A_DEST_NODE], info->extack, &ret_dest->nid);
}

/*
 * cpusets keep programs apart on the memory that they run on. Whoever speaks for a node
 * that is kept for ember cannot have that lifted, too.
 */
static int parse_flags(struct genl_info *info, const struct ember_dest *dest, u32 *ret_flags)
{
	struct nlattr *attr = info->attrs[EMBER_A_FLAGS];

	if (!attr)
		return 0;
	*ret_flags = nla_get_u32(attr);
	if (*ret_flags & EMBER_MIGRATE_RESTRICTED && !ember_dest_is_pool(dest) &&
	    node_state(dest->nid, N_CPU)) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "a node with CPUs is kept for nobody");
		return -EINVAL;
	}
	return 0;
}

static int parse_pages(const struct nlattr *attr, struct ember_region *region)
{
	u32 nr = 0;

	nla_memcpy(region->asked, attr, sizeof(region->asked));
	for (int i = 0; i < ARRAY_SIZE(region->asked); i++)
		nr += hweight64(region->asked[i]);
	return nr;
}

/* Returns the number of pages asked for, or a negative errno. */
static int parse_region(struct nlattr *nest, struct netlink_ext_ack *extack, u64 min_addr,
			struct ember_region *region)
{
	struct nlattr *tb[EMBER_A_REGION_MAX + 1];
	int err, nr;

	err = nla_parse_nested(tb, EMBER_A_REGION_MAX, nest, region_policy, extack);
	if (err)
		return err;
	if (NL_REQ_ATTR_CHECK(extack, nest, tb, EMBER_A_REGION_ADDR) ||
	    NL_REQ_ATTR_CHECK(extack, nest, tb, EMBER_A_REGION_PAGES))
		return -EINVAL;
	region->addr = nla_get_u64(tb[EMBER_A_REGION_ADDR]);
	if (!IS_ALIGNED(region->addr, SZ_2M) || region->addr >= TASK_SIZE_MAX ||
	    region->addr < min_addr) {
		NL_SET_ERR_MSG_ATTR(extack, tb[EMBER_A_REGION_ADDR],
				    "regions must be aligned to 2 MiB, ascending, in user space");
		return -EINVAL;
	}
	nr = parse_pages(tb[EMBER_A_REGION_PAGES], region);
	if (!nr) {
		NL_SET_ERR_MSG_ATTR(extack, tb[EMBER_A_REGION_PAGES], "no page is asked for");
		return -EINVAL;
	}
	return nr;
}

#define for_each_region_attr(nest, info, rem)                                                      \
	nla_for_each_attr_type(nest, EMBER_A_REGION, genlmsg_data((info)->genlhdr),                \
			       genlmsg_len((info)->genlhdr), rem)

static int parse_regions(struct genl_info *info, struct ember_request *req)
{
	struct ember_region *region = req->regions;
	struct nlattr *nest;
	u64 min_addr = 0;
	int rem, nr;

	for_each_region_attr(nest, info, rem) {
		nr = parse_region(nest, info->extack, min_addr, region);
		if (nr < 0)
			return nr;
		req->nr_asked += nr;
		min_addr = region->addr + SZ_2M;
		region++;
	}
	return 0;
}

static int count_regions(struct genl_info *info)
{
	struct nlattr *nest;
	int rem, nr = 0;

	if (GENL_REQ_ATTR_CHECK(info, EMBER_A_REGION))
		return -EINVAL;
	for_each_region_attr(nest, info, rem)
		nr++;
	return nr <= EMBER_MAX_REGIONS ? nr : -E2BIG;
}

static int parse_request(struct genl_info *info, struct ember_request *req)
{
	int err;

	err = parse_id(info, &req->id);
	if (err)
		return err;
	err = parse_target(info, &req->target);
	if (err)
		return err;
	err = parse_dest(info, &req->dest);
	if (err)
		return err;
	err = parse_flags(info, &req->dest, &req->flags);
	if (err)
		return err;
	if (info->attrs[EMBER_A_LIMIT_NS])
		req->limit_ns = nla_get_u32(info->attrs[EMBER_A_LIMIT_NS]);
	return parse_regions(info, req);
}

static int doit_migrate(struct sk_buff *skb, struct genl_info *info)
{
	struct ember_request *req;
	int nr, err;

	nr = count_regions(info);
	if (nr < 0)
		return nr;
	req = ember_request_alloc(nr);
	if (!req)
		return -ENOMEM;
	err = parse_request(info, req);
	if (err)
		goto free_request;
	err = ember_client_submit(NETLINK_CB(skb).sk, info->snd_portid, req);
	if (err)
		goto free_request;
	return 0;

free_request:
	ember_request_free(req);
	return err;
}

static int doit_ack(struct sk_buff *skb, struct genl_info *info)
{
	u64 id;
	int err;

	err = parse_id(info, &id);
	if (err)
		return err;
	return ember_client_ack(NETLINK_CB(skb).sk, id);
}

static int doit_cancel(struct sk_buff *skb, struct genl_info *info)
{
	u64 id;
	int err;

	err = parse_id(info, &id);
	if (err)
		return err;
	return ember_client_cancel(NETLINK_CB(skb).sk, id);
}

static int put_summary(struct sk_buff *skb, const struct ember_request *req)
{
	if (nla_put_u64_64bit(skb, EMBER_A_ID, req->id, EMBER_A_PAD) ||
	    nla_put_u32(skb, EMBER_A_STATE, req->state) ||
	    nla_put_u32(skb, EMBER_A_NR_ASKED, req->nr_asked))
		return -EMSGSIZE;
	if (req->state != EMBER_STATE_DONE)
		return 0;
	if (nla_put_s32(skb, EMBER_A_STATUS, req->status) ||
	    nla_put_u64_64bit(skb, EMBER_A_TIME_NS, req->time_ns, EMBER_A_PAD) ||
	    nla_put_u64_64bit(skb, EMBER_A_LONGEST_LOCK_NS, req->longest_lock_ns, EMBER_A_PAD) ||
	    nla_put_u64_64bit(skb, EMBER_A_LONGEST_UNMAPPED_NS, req->longest_unmapped_ns,
			      EMBER_A_PAD) ||
	    nla_put_u32(skb, EMBER_A_NR_MOVED, req->nr_moved))
		return -EMSGSIZE;
	return 0;
}

static size_t summary_size(void)
{
	return 4 * nla_total_size_64bit(sizeof(u64)) + 4 * nla_total_size(sizeof(u32));
}

static size_t runs_size(const struct ember_region *region)
{
	return ember_runs_count(region->asked, region->outcome) * sizeof(struct ember_run);
}

static int put_region(struct sk_buff *skb, const struct ember_region *region)
{
	struct nlattr *nest, *runs;

	nest = nla_nest_start(skb, EMBER_A_REGION);
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, EMBER_A_REGION_ADDR, region->addr, EMBER_A_REGION_PAD))
		return -EMSGSIZE;
	runs = nla_reserve(skb, EMBER_A_REGION_RUNS, runs_size(region));
	if (!runs)
		return -EMSGSIZE;
	ember_runs_encode(region->asked, region->outcome, nla_data(runs));
	nla_nest_end(skb, nest);
	return 0;
}

static size_t region_size(const struct ember_region *region)
{
	return nla_total_size(nla_total_size_64bit(sizeof(u64)) +
			      nla_total_size(runs_size(region)));
}

static size_t result_size(const struct ember_request *req)
{
	size_t size = summary_size();

	for (u32 i = 0; i < req->nr_regions; i++)
		size += region_size(&req->regions[i]);
	return size;
}

static int put_result(struct sk_buff *skb, const struct ember_request *req, u32 portid, u32 seq,
		      u8 cmd)
{
	void *hdr = genlmsg_put(skb, portid, seq, &ember_family, 0, cmd);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = put_summary(skb, req);
	for (u32 i = 0; !err && i < req->nr_regions; i++)
		err = put_region(skb, &req->regions[i]);
	if (!err)
		genlmsg_end(skb, hdr);
	return err;
}

/* Returns NULL when out of memory. */
static struct sk_buff *build_result(const struct ember_request *req, u32 portid, u32 seq, u8 cmd)
{
	struct sk_buff *skb = genlmsg_new(result_size(req), GFP_KERNEL);

	if (skb && WARN_ON_ONCE(put_result(skb, req, portid, seq, cmd))) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

/**
 * ember_genl_result() - the RESULT notification of a request
 * @req: done
 *
 * Return: a message for ember_genl_send(), or NULL when out of memory: the result is
 * still held, and the client must be told to ask for it.
 */
struct sk_buff *ember_genl_result(const struct ember_request *req)
{
	return build_result(req, 0, 0, EMBER_CMD_RESULT);
}

/* A full socket buffer is the client's affair: it learns of it by ENOBUFS. */
void ember_genl_send(struct sk_buff *skb, u32 portid)
{
	genlmsg_unicast(&init_net, skb, portid);
}

struct reply {
	struct genl_info *info;
	struct sk_buff *skb;
};

static int visit_result(const struct ember_request *req, void *arg)
{
	struct reply *reply = arg;

	if (req->state != EMBER_STATE_DONE)
		return -EINPROGRESS;
	reply->skb = build_result(req, reply->info->snd_portid, reply->info->snd_seq,
				  EMBER_CMD_GET_RESULT);
	return reply->skb ? 0 : -ENOMEM;
}

static int doit_get_result(struct sk_buff *skb, struct genl_info *info)
{
	struct reply reply = { .info = info };
	u64 id;
	int err;

	err = parse_id(info, &id);
	if (err)
		return err;
	err = ember_client_visit(NETLINK_CB(skb).sk, id, visit_result, &reply);
	if (err)
		return err;
	return genlmsg_reply(reply.skb, info);
}

struct dump {
	struct netlink_callback *cb;
	struct sk_buff *skb;
};

static int visit_dump(const struct ember_request *req, void *arg)
{
	struct dump *dump = arg;
	struct netlink_callback *cb = dump->cb;
	void *hdr;

	hdr = genlmsg_put(dump->skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &ember_family, NLM_F_MULTI, EMBER_CMD_GET_RESULT);
	if (!hdr)
		return -EMSGSIZE;
	if (put_summary(dump->skb, req))
		return -EMSGSIZE;
	genlmsg_end(dump->skb, hdr);
	return 0;
}

/* All credits' worth of summaries fit one buffer, so this is one snapshot. */
static_assert(EMBER_CREDITS * 128 < NLMSG_GOODSIZE / 2);

static int dumpit_get_result(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump dump = { .cb = cb, .skb = skb };
	int err;

	if (cb->args[0])
		return 0;
	err = check_sender(cb->skb);
	if (err)
		return err;
	err = ember_client_visit_all(NETLINK_CB(cb->skb).sk, visit_dump, &dump);
	if (err)
		return err;
	cb->args[0] = 1;
	return skb->len;
}

static int put_copy(struct sk_buff *skb, const struct ember_dma_stats *dma)
{
	struct ember_copy_stats copy;
	struct nlattr *nest = nla_nest_start(skb, EMBER_A_INFO_COPY);

	if (!nest)
		return -EMSGSIZE;
	ember_copy_stats(&copy);
	if (nla_put_u32(skb, EMBER_A_COPY_CHANNELS, dma->channels) ||
	    nla_put_u64_64bit(skb, EMBER_A_COPY_CPU_PAGES, copy.cpu_pages, EMBER_A_COPY_PAD) ||
	    nla_put_u64_64bit(skb, EMBER_A_COPY_DMA_PAGES, copy.dma_pages, EMBER_A_COPY_PAD) ||
	    nla_put_u64_64bit(skb, EMBER_A_COPY_FALLBACKS, copy.fallbacks, EMBER_A_COPY_PAD) ||
	    nla_put_u64_64bit(skb, EMBER_A_COPY_TIMEOUTS, dma->timeouts, EMBER_A_COPY_PAD) ||
	    nla_put_u64_64bit(skb, EMBER_A_COPY_LEAKED_PAGES, dma->leaked_pages,
			      EMBER_A_COPY_PAD) ||
	    nla_put(skb, EMBER_A_COPY_CPU_NS, sizeof(copy.cpu_ns), copy.cpu_ns) ||
	    nla_put(skb, EMBER_A_COPY_DMA_NS, sizeof(copy.dma_ns), copy.dma_ns))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_info(struct sk_buff *skb, struct genl_info *info)
{
	void *hdr = genlmsg_put_reply(skb, info, &ember_family, 0, EMBER_CMD_GET_INFO);
	u32 features = EMBER_FEATURE_NODE | EMBER_FEATURE_POOL;
	struct ember_dma_stats dma;

	if (!hdr)
		return -EMSGSIZE;
	ember_dma_stats(&dma);
	if (dma.channels)
		features |= EMBER_FEATURE_DMA;
	if (nla_put_u32(skb, EMBER_A_INFO_ABI, EMBER_ABI_VERSION) ||
	    nla_put_string(skb, EMBER_A_INFO_VERSION, THIS_MODULE->version) ||
	    nla_put_u32(skb, EMBER_A_INFO_FEATURES, features) ||
	    nla_put_u32(skb, EMBER_A_INFO_MAX_REGIONS, EMBER_MAX_REGIONS) ||
	    nla_put_u32(skb, EMBER_A_INFO_CREDITS, EMBER_CREDITS) || put_copy(skb, &dma))
		return -EMSGSIZE;
	genlmsg_end(skb, hdr);
	return 0;
}

static int doit_get_info(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	int err;

	if (!reply)
		return -ENOMEM;
	err = put_info(reply, info);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	return genlmsg_reply(reply, info);
}

/* Owning physical memory is another matter than moving pages. */
static int pre_pool(const struct genl_split_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	if (!netlink_capable(skb, CAP_SYS_ADMIN))
		return -EPERM;
	return check_sender(skb);
}

static int put_pool_id(struct sk_buff *skb, struct genl_info *info, u32 id)
{
	void *hdr = genlmsg_put_reply(skb, info, &ember_family, 0, EMBER_CMD_POOL_ADD);
	struct nlattr *nest;

	if (!hdr)
		return -EMSGSIZE;
	nest = nla_nest_start(skb, EMBER_A_POOL);
	if (!nest || nla_put_u32(skb, EMBER_A_POOL_ID, id))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	genlmsg_end(skb, hdr);
	return 0;
}

static int add_pool(struct genl_info *info, u32 *ret_id)
{
	struct nlattr *tb[EMBER_A_POOL_MAX + 1], *nest = info->attrs[EMBER_A_POOL];
	int nid = NUMA_NO_NODE, err;

	if (GENL_REQ_ATTR_CHECK(info, EMBER_A_POOL))
		return -EINVAL;
	err = nla_parse_nested(tb, EMBER_A_POOL_MAX, nest, pool_add_policy, info->extack);
	if (err)
		return err;
	if (NL_REQ_ATTR_CHECK(info->extack, nest, tb, EMBER_A_POOL_START) ||
	    NL_REQ_ATTR_CHECK(info->extack, nest, tb, EMBER_A_POOL_BYTES))
		return -EINVAL;
	if (tb[EMBER_A_POOL_NODE]) {
		nid = nla_get_u32(tb[EMBER_A_POOL_NODE]);
		if (nid < 0) /* NUMA_NO_NODE is not for clients */
			return -ENODEV;
	}
	return ember_pool_add(nla_get_u64(tb[EMBER_A_POOL_START]),
			      nla_get_u64(tb[EMBER_A_POOL_BYTES]), nid, ret_id);
}

static int doit_pool_add(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	u32 id;
	int err;

	if (!reply)
		return -ENOMEM;
	err = add_pool(info, &id);
	if (!err)
		err = put_pool_id(reply, info, id);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	return genlmsg_reply(reply, info);
}

static int doit_pool_remove(struct sk_buff *skb, struct genl_info *info)
{
	u64 id;
	int err;

	err = parse_id(info, &id);
	if (err)
		return err;
	return id <= U32_MAX ? ember_pool_remove(id) : -ENOENT;
}

static const struct genl_split_ops ember_ops[] = {
	{
		.cmd = EMBER_CMD_GET_INFO,
		.doit = doit_get_info,
		.policy = no_policy,
		.maxattr = ARRAY_SIZE(no_policy) - 1,
		.flags = GENL_CMD_CAP_DO,
	}, {
		.cmd = EMBER_CMD_MIGRATE,
		.pre_doit = pre_doit,
		.doit = doit_migrate,
		.policy = migrate_policy,
		.maxattr = ARRAY_SIZE(migrate_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	}, {
		.cmd = EMBER_CMD_GET_RESULT,
		.pre_doit = pre_doit,
		.doit = doit_get_result,
		.policy = id_policy,
		.maxattr = ARRAY_SIZE(id_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	}, {
		.cmd = EMBER_CMD_GET_RESULT,
		.dumpit = dumpit_get_result,
		.policy = no_policy,
		.maxattr = ARRAY_SIZE(no_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DUMP,
	}, {
		.cmd = EMBER_CMD_ACK,
		.pre_doit = pre_doit,
		.doit = doit_ack,
		.policy = id_policy,
		.maxattr = ARRAY_SIZE(id_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	}, {
		.cmd = EMBER_CMD_CANCEL,
		.pre_doit = pre_doit,
		.doit = doit_cancel,
		.policy = id_policy,
		.maxattr = ARRAY_SIZE(id_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	}, {
		.cmd = EMBER_CMD_POOL_ADD,
		.pre_doit = pre_pool,
		.doit = doit_pool_add,
		.policy = add_policy,
		.maxattr = ARRAY_SIZE(add_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	}, {
		.cmd = EMBER_CMD_POOL_REMOVE,
		.pre_doit = pre_pool,
		.doit = doit_pool_remove,
		.policy = id_policy,
		.maxattr = ARRAY_SIZE(id_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
};

/* Visible in the initial network namespace only (netnsok is not set). */
static struct genl_family ember_family __ro_after_init = {
	.name = EMBER_GENL_NAME,
	.version = EMBER_GENL_VERSION,
	.module = THIS_MODULE,
	.parallel_ops = true,
	.split_ops = ember_ops,
	.n_split_ops = ARRAY_SIZE(ember_ops),
};

int ember_genl_init(void)
{
	return genl_register_family(&ember_family);
}

/* Waits for handlers under way; none starts after it. */
void ember_genl_exit(void)
{
	genl_unregister_family(&ember_family);
}
