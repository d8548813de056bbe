/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "genl_judge.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

const char *const genl_layer_names[GENL_NR_LAYERS] = {
    [GENL_CUT] = "cut",         [GENL_CONTROL] = "control", [GENL_HEADER] = "header",
    [GENL_SENDER] = "sender",   [GENL_DUMPING] = "dumping", [GENL_POLICY] = "policy",
    [GENL_CONTENT] = "content", [GENL_STATE] = "state",
};

void genl_verdict_add(struct genl_verdict *verdict, int error)
{
	if (!genl_verdict_allows(verdict, error) || !verdict->nr_errors)
		verdict->errors[verdict->nr_errors++] = error;
}

bool genl_verdict_allows(const struct genl_verdict *verdict, int error)
{
	for (unsigned int i = 0; i < verdict->nr_errors; i++)
		if (verdict->errors[i] == error)
			return true;
	return !verdict->nr_errors && !error;
}

/* ---- attributes, one after the other ---- */

struct walk {
	const uint8_t *pos;
	size_t left;
};

static struct walk walk_message(const struct nlmsghdr *hdr)
{
	return (struct walk){(const uint8_t *)hdr + NLMSG_HDRLEN + GENL_HDRLEN,
			     hdr->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN};
}

static struct walk walk_inside(const struct nlattr *attr)
{
	return (struct walk){(const uint8_t *)attr + NLA_HDRLEN, attr->nla_len - NLA_HDRLEN};
}

/* NULL at the end; what is left then is no attribute. */
static const struct nlattr *walk_next(struct walk *walk)
{
	const struct nlattr *attr = (const struct nlattr *)walk->pos;
	size_t step;

	if (walk->left < NLA_HDRLEN || attr->nla_len < NLA_HDRLEN || attr->nla_len > walk->left)
		return NULL;
	step = NLA_ALIGN(attr->nla_len);
	if (step > walk->left)
		step = walk->left;
	walk->pos += step;
	walk->left -= step;
	return attr;
}

static unsigned int type_of(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

/* The last one counts, if there are several. */
static const struct nlattr *find(struct walk walk, unsigned int type)
{
	const struct nlattr *attr, *found = NULL;

	while ((attr = walk_next(&walk)))
		if (type_of(attr) == type)
			found = attr;
	return found;
}

static uint64_t number(const struct nlattr *attr)
{
	uint64_t value = 0;

	if (attr)
		memcpy(&value, (const uint8_t *)attr + NLA_HDRLEN, attr->nla_len - NLA_HDRLEN);
	return value;
}

/* ---- policy ---- */

static int check_value(const struct genl_attr *rule, const struct nlattr *attr)
{
	size_t len = attr->nla_len - NLA_HDRLEN;
	bool nested = attr->nla_type & NLA_F_NESTED;

	if ((rule->kind == GENL_U32 && len != 4) || (rule->kind == GENL_U64 && len != 8) ||
	    nested != (rule->kind == GENL_NESTED))
		return -EINVAL;
	if (rule->kind == GENL_BINARY && len != rule->len)
		return -ERANGE;
	if (rule->kind == GENL_NESTED && len > 0 && len < NLA_HDRLEN)
		return -ERANGE;
	if (rule->kind != GENL_U32)
		return 0;
	if (rule->mask && number(attr) & ~(uint64_t)rule->mask)
		return -EINVAL;
	return number(attr) < rule->min ? -ERANGE : 0;
}

static int check_one(const struct genl_set *set, uint64_t accepts, const struct nlattr *attr)
{
	unsigned int type = type_of(attr);

	if (type > set->max || !(accepts & BIT(type)))
		return -EINVAL;
	return check_value(&set->attrs[type], attr);
}

/* bad: the attribute at fault; NULL: bytes that are none. */
static bool refuse(struct genl_verdict *verdict, const struct nlmsghdr *hdr, int err,
		   const struct nlattr *bad)
{
	genl_verdict_add(verdict, err);
	verdict->layer = GENL_POLICY;
	verdict->bad_offset = bad ? (int)((const uint8_t *)bad - (const uint8_t *)hdr) : -1;
	return false;
}

static bool check_inside(const struct nlmsghdr *hdr, const struct nlattr *nest,
			 struct genl_verdict *verdict)
{
	const struct genl_set *set = genl_attrs.attrs[type_of(nest)].nested;
	struct walk walk = walk_inside(nest);
	const struct nlattr *attr;
	int err;

	while ((attr = walk_next(&walk))) {
		err = check_one(set, set->accepts, attr);
		if (err) {
			verdict->bad_type = type_of(nest);
			verdict->bad_inner = type_of(attr);
			return refuse(verdict, hdr, err, attr);
		}
		verdict->seen_inner[type_of(nest)] |= BIT(type_of(attr));
	}
	return walk.left ? refuse(verdict, hdr, -EINVAL, NULL) : true;
}

/* Attributes in the order of the message, each with what is inside it: the first wrong one decides.
 */
static bool check_policy(const struct nlmsghdr *hdr, struct genl_verdict *verdict)
{
	struct walk walk = walk_message(hdr);
	const struct nlattr *attr;
	int err;

	while ((attr = walk_next(&walk))) {
		err = check_one(&genl_attrs, verdict->op->accepts, attr);
		if (err) {
			verdict->bad_type = type_of(attr);
			return refuse(verdict, hdr, err, attr);
		}
		if (genl_attrs.attrs[type_of(attr)].nested && !check_inside(hdr, attr, verdict))
			return false;
		verdict->seen |= BIT(type_of(attr));
	}
	return walk.left ? refuse(verdict, hdr, -EINVAL, NULL) : true;
}

/* ---- content ---- */

static void require(struct genl_verdict *verdict, struct walk walk, uint64_t types)
{
	for (unsigned int type = 0; type < GENL_MAX_ATTRS; type++)
		if (types & BIT(type) && !find(walk, type))
			genl_verdict_add(verdict, -EINVAL);
}

static bool is_identity(const struct ember_identity *identity, struct walk walk)
{
	return number(find(walk, EMBER_A_TARGET_TGID)) == identity->tgid &&
	       number(find(walk, EMBER_A_TARGET_START_NS)) == identity->start_ns &&
	       number(find(walk, EMBER_A_TARGET_EXEC_ID)) == identity->exec_id;
}

static void judge_target(const struct genl_world *world, struct walk walk,
			 struct genl_verdict *verdict)
{
	require(verdict, walk, genl_attrs.attrs[EMBER_A_TARGET].nested->requires);
	if (!is_identity(&world->target.identity, walk))
		genl_verdict_add(verdict, -ESRCH);
}

static void judge_dest(const struct genl_world *world, struct walk walk,
		       struct genl_verdict *verdict)
{
	const struct nlattr *node = find(walk, EMBER_A_DEST_NODE),
			    *pool = find(walk, EMBER_A_DEST_POOL);
	bool nowhere = node && (number(node) >= 64 || !(world->nodes & BIT(number(node))));

	if (!node == !pool)
		genl_verdict_add(verdict, -EINVAL);
	else if (nowhere || (pool && !genl_may_be_pool(world, number(pool))))
		genl_verdict_add(verdict, -ENODEV);
}

/* A node with CPUs is kept for nobody. */
static void judge_flags(const struct genl_world *world, struct walk walk,
			struct genl_verdict *verdict)
{
	const struct nlattr *dest = find(walk, EMBER_A_DEST), *node;

	node = dest ? find(walk_inside(dest), EMBER_A_DEST_NODE) : NULL;
	if (!(number(find(walk, EMBER_A_FLAGS)) & EMBER_MIGRATE_RESTRICTED) || !node)
		return;
	if (number(node) < 64 && world->cpu_nodes & BIT(number(node)))
		genl_verdict_add(verdict, -EINVAL);
}

/* What ranges there are, and which pools, is a question of state. */
static void judge_pool(const struct genl_world *world, struct walk walk,
		       struct genl_verdict *verdict)
{
	const struct nlattr *start = find(walk, EMBER_A_POOL_START),
			    *bytes = find(walk, EMBER_A_POOL_BYTES),
			    *node = find(walk, EMBER_A_POOL_NODE);
	const uint64_t aligned = (2ULL << 20) - 1;

	if (!start || !bytes) {
		genl_verdict_add(verdict, -EINVAL);
		if (node && number(node) > INT32_MAX)
			genl_verdict_add(verdict, -ENODEV);
		return;
	}
	if (!number(bytes) || (number(start) | number(bytes)) & aligned)
		genl_verdict_add(verdict, -EINVAL);
	else if (number(start) + number(bytes) < number(start) ||
		 number(start) + number(bytes) > 1ULL << 52)
		genl_verdict_add(verdict, -ERANGE);
	if (node && (number(node) >= 64 || !(world->nodes & BIT(number(node)))))
		genl_verdict_add(verdict, -ENODEV);
}

static bool is_empty(const struct nlattr *pages)
{
	static const uint8_t none[EMBER_REGION_BITMAP_BYTES];

	return !memcmp((const uint8_t *)pages + NLA_HDRLEN, none, sizeof(none));
}

static void judge_regions(const struct genl_world *world, struct walk walk,
			  struct genl_verdict *verdict)
{
	unsigned int nr = 0;
	const struct nlattr *attr;
	uint64_t end = 0;

	while ((attr = walk_next(&walk))) {
		const struct nlattr *addr, *pages;

		if (type_of(attr) != EMBER_A_REGION)
			continue;
		nr++;
		addr = find(walk_inside(attr), EMBER_A_REGION_ADDR);
		pages = find(walk_inside(attr), EMBER_A_REGION_PAGES);
		if (!addr || !pages || is_empty(pages) || number(addr) % EMBER_NL_REGION_BYTES ||
		    number(addr) < end || number(addr) >= world->addr_end)
			genl_verdict_add(verdict, -EINVAL);
		end = number(addr) + EMBER_NL_REGION_BYTES;
	}
	if (nr > EMBER_MAX_REGIONS)
		genl_verdict_add(verdict, -E2BIG);
}

static bool names_pool(struct walk walk)
{
	const struct nlattr *dest = find(walk, EMBER_A_DEST);

	return dest && find(walk_inside(dest), EMBER_A_DEST_POOL);
}

static void judge_content(const struct genl_world *world, const struct nlmsghdr *hdr,
			  struct genl_verdict *verdict)
{
	struct walk walk = walk_message(hdr);

	require(verdict, walk, verdict->op->requires);
	if (verdict->op->accepts & BIT(EMBER_A_ID) && !genl_message_id(hdr))
		genl_verdict_add(verdict, -EINVAL);
	if (find(walk, EMBER_A_TARGET))
		judge_target(world, walk_inside(find(walk, EMBER_A_TARGET)), verdict);
	if (find(walk, EMBER_A_DEST))
		judge_dest(world, walk_inside(find(walk, EMBER_A_DEST)), verdict);
	if (find(walk, EMBER_A_POOL))
		judge_pool(world, walk_inside(find(walk, EMBER_A_POOL)), verdict);
	judge_flags(world, walk, verdict);
	judge_regions(world, walk, verdict);
	/* Beside all else that is wrong the pool may not be ready; if that is all, it is state. */
	if (verdict->nr_errors && names_pool(walk))
		genl_verdict_add(verdict, -ENODEV);
}

/* ---- headers, and all together ---- */

static int check_header(const struct nlmsghdr *hdr, const struct genl_op **ret_op)
{
	const struct genlmsghdr *genl = NLMSG_DATA(hdr);
	uint16_t flags = hdr->nlmsg_flags;
	bool dump = (flags & NLM_F_DUMP) == NLM_F_DUMP;

	if (hdr->nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN || genl->reserved)
		return -EINVAL;
	if (dump)
		flags &= ~NLM_F_DUMP;
	if (flags & ~(NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO))
		return -EINVAL;
	*ret_op = genl_op_find(genl->cmd, dump);
	return *ret_op ? 0 : -EOPNOTSUPP;
}

static void decide(struct genl_verdict *verdict, enum genl_layer layer, int err)
{
	verdict->layer = layer;
	if (err)
		genl_verdict_add(verdict, err);
}

void genl_judge(const struct genl_world *world, const struct genl_sender *sender,
		const struct nlmsghdr *hdr, bool dumping, struct genl_verdict *ret_verdict)
{
	struct genl_verdict *verdict = ret_verdict;
	int err;

	memset(verdict, 0, sizeof(*verdict));
	verdict->bad_offset = -1;
	if (!(hdr->nlmsg_flags & NLM_F_REQUEST) || hdr->nlmsg_type < NLMSG_MIN_TYPE)
		return decide(verdict, GENL_CONTROL, 0);
	if (hdr->nlmsg_type != world->family || !sender->family)
		return decide(verdict, GENL_HEADER, -ENOENT);
	err = check_header(hdr, &verdict->op);
	if (err)
		return decide(verdict, GENL_HEADER, err);
	if (!verdict->op->anybody && !sender->net_admin)
		return decide(verdict, GENL_SENDER, -EPERM);
	if (verdict->op->dump && dumping)
		return decide(verdict, GENL_DUMPING, -EBUSY);
	if (!check_policy(hdr, verdict))
		return;
	if (!verdict->op->anybody && !sender->rest)
		return decide(verdict, GENL_SENDER, -EPERM);
	judge_content(world, hdr, verdict);
	decide(verdict, verdict->nr_errors ? GENL_CONTENT : GENL_STATE, 0);
}

/* ---- what a good message says ---- */

uint64_t genl_message_id(const struct nlmsghdr *hdr)
{
	return number(find(walk_message(hdr), EMBER_A_ID));
}

void genl_message_job(const struct nlmsghdr *hdr, struct ember_nl_job *ret_job)
{
	struct walk walk = walk_message(hdr), dest;
	const struct nlattr *attr;

	memset(ret_job, 0, sizeof(*ret_job));
	ret_job->id = genl_message_id(hdr);
	ret_job->target.tgid =
	    number(find(walk_inside(find(walk, EMBER_A_TARGET)), EMBER_A_TARGET_TGID));
	dest = walk_inside(find(walk, EMBER_A_DEST));
	ret_job->node = find(dest, EMBER_A_DEST_POOL)
			    ? EMBER_NL_POOL(number(find(dest, EMBER_A_DEST_POOL)))
			    : number(find(dest, EMBER_A_DEST_NODE));
	ret_job->flags = number(find(walk, EMBER_A_FLAGS));
	while ((attr = walk_next(&walk))) {
		struct ember_nl_region *region;

		if (type_of(attr) != EMBER_A_REGION)
			continue;
		region = &ret_job->regions[ret_job->nr_regions++];
		region->addr = number(find(walk_inside(attr), EMBER_A_REGION_ADDR));
		memcpy(region->pages,
		       (const uint8_t *)find(walk_inside(attr), EMBER_A_REGION_PAGES) + NLA_HDRLEN,
		       sizeof(region->pages));
	}
}
