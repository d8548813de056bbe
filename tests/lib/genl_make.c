/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "genl_make.h"

#include <linux/genetlink.h>
#include <string.h>

/* A message under construction at the end of a datagram. */
struct out {
	struct genl_maker *maker;
	struct genl_datagram *datagram;
	unsigned int nr_faults; /* still to be made */
	unsigned int odds;      /* one attribute in so many gets one */
};

/* ---- bytes and attributes ---- */

/* NULL when the datagram is full: the message ends there. */
static uint8_t *grow(struct out *out, size_t len)
{
	struct genl_datagram *datagram = out->datagram;
	uint8_t *at = datagram->data + datagram->len;

	if (datagram->len + len > sizeof(datagram->data))
		return NULL;
	datagram->len += len;
	return at;
}

static void fill_random(struct genl_maker *maker, uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = genl_random(maker) >> 56;
}

/* NULL data: random bytes. Returns the attribute, or NULL: no room. */
static struct nlattr *put(struct out *out, uint16_t type, const uint8_t *data, size_t len)
{
	uint8_t *at = grow(out, NLA_HDRLEN + NLA_ALIGN(len));
	struct nlattr *attr = (struct nlattr *)at;

	if (!at)
		return NULL;
	memset(at, 0, NLA_HDRLEN + NLA_ALIGN(len));
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	if (data)
		memcpy(at + NLA_HDRLEN, data, len);
	else
		fill_random(out->maker, at + NLA_HDRLEN, len);
	return attr;
}

static struct nlattr *emit(struct out *out, const struct genl_set *set, unsigned int type);

static struct nlattr *emit_nested(struct out *out, const struct genl_set *inner, unsigned int type)
{
	struct nlattr *nest = put(out, type | NLA_F_NESTED, NULL, 0);
	bool other = inner->instead && out->maker->world->pool_bytes && genl_once_in(out->maker, 3);
	uint64_t sent = other ? inner->instead
			      : inner->
					requires;

	if (!nest)
		return NULL;
	for (unsigned int i = 1; i <= inner->max; i++)
		if (sent & BIT(i))
			emit(out, inner, i);
	nest->nla_len = out->datagram->data + out->datagram->len - (uint8_t *)nest;
	return nest;
}

static struct nlattr *emit_good(struct out *out, const struct genl_set *set, unsigned int type)
{
	const struct genl_attr *rule = &set->attrs[type];
	uint8_t value[GENL_MAX_VALUE];

	if (rule->nested)
		return emit_nested(out, rule->nested, type);
	if (!rule->good)
		return put(out, type, NULL, 4); /* what only the module sends */
	return put(out, type, value, rule->good(out->maker, value));
}

/* ---- what can be wrong with an attribute ---- */

typedef struct nlattr *(*fault_fn)(struct out *out, const struct genl_set *set, unsigned int type);

static struct nlattr *missing(struct out *out, const struct genl_set *set, unsigned int type)
{
	return NULL;
}

static struct nlattr *twice(struct out *out, const struct genl_set *set, unsigned int type)
{
	emit_good(out, set, type);
	return emit_good(out, set, type);
}

static struct nlattr *bad_value(struct out *out, const struct genl_set *set, unsigned int type)
{
	const struct genl_attr *rule = &set->attrs[type];
	uint8_t value[GENL_MAX_VALUE];

	if (rule->bad)
		return put(out, type, value, rule->bad(out->maker, value));
	return put(out, type | NLA_F_NESTED, NULL, 0); /* nested, and nothing inside */
}

static struct nlattr *wrong_length(struct out *out, const struct genl_set *set, unsigned int type)
{
	const uint16_t lengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 63, 64, 65, 128, 256};
	uint32_t len = lengths[genl_below(out->maker, 16)];

	if (genl_once_in(out->maker, 8))
		len = genl_below(out->maker, genl_once_in(out->maker, 10) ? 65532 : 700);
	return put(out, type | (set->attrs[type].nested ? NLA_F_NESTED : 0), NULL, len);
}

/* The length in the header is not that of the bytes that follow: 0 to 65535. */
static struct nlattr *false_length(struct out *out, const struct genl_set *set, unsigned int type)
{
	struct nlattr *attr = emit_good(out, set, type);
	uint32_t pick = genl_below(out->maker, 4);

	if (!attr)
		return NULL;
	if (pick == 0)
		attr->nla_len = genl_below(out->maker, 8);
	else if (pick == 1)
		attr->nla_len = genl_random(out->maker);
	else
		attr->nla_len += genl_below(out->maker, 17) - 8;
	return attr;
}

static struct nlattr *wrong_flag(struct out *out, const struct genl_set *set, unsigned int type)
{
	struct nlattr *attr = emit_good(out, set, type);

	if (attr)
		attr->nla_type ^= genl_once_in(out->maker, 3) ? NLA_F_NET_BYTEORDER : NLA_F_NESTED;
	return attr;
}

static struct nlattr *wrong_type(struct out *out, const struct genl_set *set, unsigned int type)
{
	struct nlattr *attr = emit_good(out, set, type);
	uint32_t pick = genl_below(out->maker, 4);

	if (!attr)
		return NULL;
	attr->nla_type &= ~NLA_TYPE_MASK;
	if (pick == 0)
		attr->nla_type |= set->max + 1 + genl_below(out->maker, 3);
	else if (pick == 1)
		attr->nla_type |= genl_random(out->maker) & NLA_TYPE_MASK;
	else
		attr->nla_type |= genl_below(out->maker, set->max + 1);
	return attr;
}

/* Any attribute of the set, welcome here or not, before the right one. */
static struct nlattr *one_more(struct out *out, const struct genl_set *set, unsigned int type)
{
	emit_good(out, set, 1 + genl_below(out->maker, set->max));
	return emit_good(out, set, type);
}

/* Any attribute of the set in place of the right one. */
static struct nlattr *another(struct out *out, const struct genl_set *set, unsigned int type)
{
	return emit_good(out, set, 1 + genl_below(out->maker, set->max));
}

static struct nlattr *deep(struct out *out, const struct genl_set *set, unsigned int type)
{
	uint32_t depth = 1 + genl_below(out->maker, genl_once_in(out->maker, 10) ? 4000 : 20);
	struct nlattr *first = NULL;

	for (uint32_t i = 0; i < depth; i++) {
		struct nlattr *nest = put(out, type | NLA_F_NESTED, NULL, 0);

		if (!nest)
			break;
		nest->nla_len = (depth - i) * NLA_HDRLEN;
		first = first ? first : nest;
	}
	return first;
}

static struct nlattr *in_itself(struct out *out, const struct genl_set *set, unsigned int type)
{
	struct nlattr *nest = put(out, type | NLA_F_NESTED, NULL, 0);

	emit_good(out, set, type);
	if (nest)
		nest->nla_len = out->datagram->data + out->datagram->len - (uint8_t *)nest;
	return nest;
}

/* Bytes that make no attribute: what follows is not aligned, too. */
static struct nlattr *crumbs(struct out *out, const struct genl_set *set, unsigned int type)
{
	struct nlattr *attr = emit_good(out, set, type);
	uint32_t len = 1 + genl_below(out->maker, 11);
	uint8_t *at = grow(out, len);

	if (at)
		fill_random(out->maker, at, len);
	return attr;
}

static const struct {
	const char *name;
	fault_fn fn;
} attr_faults[] = {
    {"attribute missing", missing},  {"attribute twice", twice},
    {"bad value", bad_value},        {"wrong length", wrong_length},
    {"false length", false_length},  {"wrong flag", wrong_flag},
    {"wrong type", wrong_type},      {"one attribute more", one_more},
    {"another attribute", another},  {"nested deep", deep},
    {"nested in itself", in_itself}, {"bytes between attributes", crumbs},
};
#define NR_ATTR_FAULTS (sizeof(attr_faults) / sizeof(attr_faults[0]))

static uint64_t nr_made[GENL_NR_FAULTS]; /* those of messages follow */

static struct nlattr *emit(struct out *out, const struct genl_set *set, unsigned int type)
{
	uint32_t pick;

	if (!out->nr_faults || !genl_once_in(out->maker, out->odds))
		return emit_good(out, set, type);
	out->nr_faults--;
	pick = genl_below(out->maker, NR_ATTR_FAULTS);
	nr_made[pick]++;
	return attr_faults[pick].fn(out, set, type);
}

/* ---- what can be wrong with a message ---- */

typedef void (*message_fault_fn)(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl);

static void header_type(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	hdr->nlmsg_type = genl_once_in(out->maker, 2) ? out->maker->world->no_family
						      : genl_below(out->maker, NLMSG_MIN_TYPE);
}

static void header_flags(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	const uint16_t flags[] = {0,
				  NLM_F_REQUEST,
				  NLM_F_ACK,
				  NLM_F_REQUEST | NLM_F_DUMP,
				  NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO,
				  NLM_F_REQUEST | NLM_F_ACK | NLM_F_ROOT};
	uint32_t pick = genl_below(out->maker, 8);

	hdr->nlmsg_flags = pick < 6 ? flags[pick] : genl_random(out->maker);
}

static void header_command(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	genl->cmd = genl_random(out->maker) >> (genl_once_in(out->maker, 2) ? 0 : 5);
}

static void header_reserved(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	genl->reserved = genl_random(out->maker);
}

/* Also shorter than a header, and longer than the datagram. */
static void header_length(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	uint32_t pick = genl_below(out->maker, 4);

	if (pick == 0)
		hdr->nlmsg_len = genl_below(out->maker, 24);
	else if (pick == 1)
		hdr->nlmsg_len = genl_random(out->maker);
	else
		hdr->nlmsg_len += genl_below(out->maker, 33) - 16;
}

static void truncated(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	hdr->nlmsg_len = NLMSG_HDRLEN + genl_below(out->maker, hdr->nlmsg_len - NLMSG_HDRLEN);
	out->datagram->len = (uint8_t *)hdr - out->datagram->data + hdr->nlmsg_len;
}

static void damaged(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	uint32_t nr = 1 + genl_below(out->maker, 8);
	size_t len = hdr->nlmsg_len;

	while (nr--)
		((uint8_t *)hdr)[genl_below(out->maker, len)] ^= 1U << genl_below(out->maker, 8);
}

static void noise(struct out *out, struct nlmsghdr *hdr, struct genlmsghdr *genl)
{
	fill_random(out->maker, (uint8_t *)(genl + 1), hdr->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN);
}

static const struct {
	const char *name;
	message_fault_fn fn;
} message_faults[] = {
    {"type of another family", header_type},
    {"flags of the header", header_flags},
    {"unknown command", header_command},
    {"reserved field", header_reserved},
    {"length of the message", header_length},
    {"truncated", truncated},
    {"damaged bytes", damaged},
    {"noise", noise},
};
#define NR_MESSAGE_FAULTS (sizeof(message_faults) / sizeof(message_faults[0]))

_Static_assert(NR_ATTR_FAULTS + NR_MESSAGE_FAULTS <= GENL_NR_FAULTS, "more room");

static void spoil(struct out *out, struct nlmsghdr *hdr)
{
	uint32_t pick = genl_below(out->maker, NR_MESSAGE_FAULTS);

	nr_made[NR_ATTR_FAULTS + pick]++;
	message_faults[pick].fn(out, hdr, NLMSG_DATA(hdr));
}

const char *genl_fault(unsigned int i, uint64_t *ret_nr)
{
	if (i >= NR_ATTR_FAULTS + NR_MESSAGE_FAULTS)
		return NULL;
	*ret_nr = nr_made[i];
	return i < NR_ATTR_FAULTS ? attr_faults[i].name : message_faults[i - NR_ATTR_FAULTS].name;
}

/* ---- messages ---- */

static const struct genl_op *any_op(struct genl_maker *maker)
{
	uint32_t sum = 0, pick;

	for (unsigned int i = 0; i < genl_nr_ops; i++)
		sum += genl_ops[i].weight;
	pick = genl_below(maker, sum);
	for (unsigned int i = 0;; i++) {
		if (pick < genl_ops[i].weight)
			return &genl_ops[i];
		pick -= genl_ops[i].weight;
	}
}

/* Of what may come many times: mostly few, sometimes all that is allowed; with faults also more. */
static unsigned int any_count(struct out *out)
{
	const uint16_t wrong[] = {0, EMBER_MAX_REGIONS + 1, 100, 700};

	if (out->nr_faults && genl_once_in(out->maker, 12)) {
		if (genl_once_in(out->maker, 20))
			return 3000; /* more than a socket lets through */
		return wrong[genl_below(out->maker, 4)];
	}
	if (genl_once_in(out->maker, 15))
		return EMBER_MAX_REGIONS;
	return 1 + genl_below(out->maker, genl_once_in(out->maker, 3) ? 4 : 2);
}

static void emit_top(struct out *out, unsigned int type)
{
	unsigned int nr = type == EMBER_A_REGION ? any_count(out) : 1;

	while (nr--)
		emit(out, &genl_attrs, type);
}

/* In the order of their numbers, or from another one on. */
static void emit_all(struct out *out, const struct genl_op *op)
{
	unsigned int first = genl_once_in(out->maker, 4) ? genl_below(out->maker, EMBER_A_MAX) : 0;

	for (unsigned int i = 0; i < EMBER_A_MAX; i++) {
		unsigned int type = 1 + (first + i) % EMBER_A_MAX;

		if (op->requires & BIT(type) ||
		    (op->accepts & BIT(type) && genl_once_in(out->maker, 2)))
			emit_top(out, type);
	}
	/* What does not belong to it; operations without attributes get some, too. */
	if (out->nr_faults && (!op->accepts || genl_once_in(out->maker, 4)))
		emit(out, &genl_attrs, 1 + genl_below(out->maker, EMBER_A_MAX));
}

static struct nlmsghdr *begin(struct out *out, const struct genl_op *op)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)grow(out, NLMSG_HDRLEN + GENL_HDRLEN);
	struct genlmsghdr *genl;

	if (!hdr)
		return NULL;
	memset(hdr, 0, NLMSG_HDRLEN + GENL_HDRLEN);
	hdr->nlmsg_type = out->maker->world->family;
	hdr->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (op->dump ? NLM_F_DUMP : 0);
	hdr->nlmsg_pid = genl_once_in(out->maker, 8) ? genl_random(out->maker) : 0;
	genl = NLMSG_DATA(hdr);
	genl->cmd = op->cmd;
	genl->version = genl_once_in(out->maker, 8) ? genl_random(out->maker) : 1;
	return hdr;
}

static void make_one(struct out *out)
{
	const struct genl_world *world = out->maker->world;
	const struct genl_op *op = any_op(out->maker);
	uint32_t kind = genl_below(out->maker, 100);
	struct nlmsghdr *hdr = begin(out, op);

	if (!hdr)
		return;
	out->maker->next_addr =
	    world->target.base +
	    genl_below(out->maker, world->target.nr_regions) * EMBER_NL_REGION_BYTES;
	/* 30 good, 42 with one fault, 14 with several, 14 as a whole */
	out->nr_faults = kind < 30 ? 0 : kind < 72 ? 1 : kind < 86 ? 4 : 0;
	out->odds = op->
			    requires
	& BIT(EMBER_A_REGION) ? 1 + genl_below(out->maker, 12) : 1;
	emit_all(out, op);
	hdr->nlmsg_len = out->datagram->data + out->datagram->len - (uint8_t *)hdr;
	if (kind >= 86)
		spoil(out, hdr);
}

struct nlmsghdr *genl_next(struct genl_datagram *datagram, size_t *pos)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)(datagram->data + *pos);
	size_t left = datagram->len - *pos;

	if (left < NLMSG_HDRLEN || hdr->nlmsg_len < NLMSG_HDRLEN || hdr->nlmsg_len > left)
		return NULL;
	*pos += NLMSG_ALIGN(hdr->nlmsg_len) < left ? NLMSG_ALIGN(hdr->nlmsg_len) : left;
	return hdr;
}

/* As netlink will see it: nothing for other families, and not too many answers. */
static void keep_in_bounds(const struct genl_world *world, struct genl_datagram *datagram)
{
	struct nlmsghdr *hdr;
	unsigned int nr = 0;
	size_t pos = 0;

	while ((hdr = genl_next(datagram, &pos))) {
		if (nr++ == GENL_MAX_MESSAGES) {
			hdr->nlmsg_len = 0;
			return;
		}
		if (hdr->nlmsg_type >= NLMSG_MIN_TYPE && hdr->nlmsg_type != world->no_family)
			hdr->nlmsg_type = world->family;
	}
}

void genl_make(struct genl_maker *maker, unsigned int max, struct genl_datagram *ret_datagram)
{
	struct out out = {.maker = maker, .datagram = ret_datagram};
	unsigned int nr = genl_once_in(maker, 10) ? 1 + genl_below(maker, 8) : 1;

	ret_datagram->len = 0;
	ret_datagram->nr_made = nr < max ? nr : max;
	for (unsigned int i = 0; i < ret_datagram->nr_made; i++) {
		/* Where netlink looks for the next one. */
		grow(&out, NLMSG_ALIGN(ret_datagram->len) - ret_datagram->len);
		make_one(&out);
	}
	keep_in_bounds(maker->world, ret_datagram);
}
