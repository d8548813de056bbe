/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generic netlink controller tells, for each operation of a family, which policy its
 * attributes are checked by, and what each policy demands. An attribute that the module
 * accepts and the grammar does not know would never be tested; one that the grammar
 * knows and the module does not check would be tested in vain.
 */
#include "genl_policy.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "genl_grammar.h"

#define MAX_POLICIES 32
#define MAX_OPS 32
#define NO_POLICY 0xffffffff

struct rule {
	uint32_t type; /* NL_ATTR_TYPE_*; 0: not accepted */
	uint64_t min, mask;
	uint32_t min_len, max_len, nested;
};

struct policies {
	struct rule rules[MAX_POLICIES][GENL_MAX_ATTRS];
	uint32_t of_op[MAX_OPS][2];    /* do, dump */
	unsigned int policy, attr, op; /* where the parser is */
	int nr_differences;
};

static uint64_t number(const void *data, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	return value;
}

/* ---- reading ---- */

static void read_rule(unsigned int type, const void *data, size_t len, void *arg)
{
	struct policies *all = arg;
	struct rule *rule = &all->rules[all->policy][all->attr];

	switch (type) {
	case NL_POLICY_TYPE_ATTR_TYPE:
		rule->type = number(data, len);
		break;
	case NL_POLICY_TYPE_ATTR_MIN_VALUE_U:
		rule->min = number(data, len);
		break;
	case NL_POLICY_TYPE_ATTR_MASK:
		rule->mask = number(data, len);
		break;
	case NL_POLICY_TYPE_ATTR_MIN_LENGTH:
		rule->min_len = number(data, len);
		break;
	case NL_POLICY_TYPE_ATTR_MAX_LENGTH:
		rule->max_len = number(data, len);
		break;
	case NL_POLICY_TYPE_ATTR_POLICY_IDX:
		rule->nested = number(data, len);
		break;
	}
}

static void read_attr(unsigned int type, const void *data, size_t len, void *arg)
{
	struct policies *all = arg;

	all->attr = type;
	if (type < GENL_MAX_ATTRS)
		ember_nl_each(data, len, read_rule, all);
}

static void read_policy(unsigned int type, const void *data, size_t len, void *arg)
{
	struct policies *all = arg;

	all->policy = type;
	if (type < MAX_POLICIES)
		ember_nl_each(data, len, read_attr, all);
}

static void read_mode(unsigned int type, const void *data, size_t len, void *arg)
{
	struct policies *all = arg;

	if (type == CTRL_ATTR_POLICY_DO)
		all->of_op[all->op][0] = number(data, len);
	if (type == CTRL_ATTR_POLICY_DUMP)
		all->of_op[all->op][1] = number(data, len);
}

static void read_op(unsigned int type, const void *data, size_t len, void *arg)
{
	struct policies *all = arg;

	all->op = type;
	if (type < MAX_OPS)
		ember_nl_each(data, len, read_mode, all);
}

static void read_top(unsigned int type, const void *data, size_t len, void *arg)
{
	if (type == CTRL_ATTR_OP_POLICY)
		ember_nl_each(data, len, read_op, arg);
	if (type == CTRL_ATTR_POLICY)
		ember_nl_each(data, len, read_policy, arg);
}

static void read_message(const struct nlmsghdr *hdr, void *arg)
{
	const uint8_t *attrs = (const uint8_t *)NLMSG_DATA(hdr) + GENL_HDRLEN;

	ember_nl_each(attrs, hdr->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN), read_top, arg);
}

static int fetch(struct ember_nl *nl, struct policies *ret_policies)
{
	static struct ember_nl_msg msg;

	memset(ret_policies, 0, sizeof(*ret_policies));
	memset(ret_policies->of_op, 0xff, sizeof(ret_policies->of_op));
	ember_nl_msg_init(&msg, GENL_ID_CTRL, NLM_F_DUMP, CTRL_CMD_GETPOLICY);
	ember_nl_put(&msg, CTRL_ATTR_FAMILY_ID, &nl->family, sizeof(nl->family));
	return ember_nl_ask(nl, &msg, read_message, ret_policies);
}

/* ---- comparing ---- */

static void differ(struct policies *all, const char *op, const char *what, uint64_t grammar,
		   uint64_t module)
{
	printf("     %s, %s: the grammar says %#llx, the module %#llx\n", op, what,
	       (unsigned long long)grammar, (unsigned long long)module);
	all->nr_differences++;
}

static uint32_t type_of(enum genl_kind kind)
{
	switch (kind) {
	case GENL_U32:
		return NL_ATTR_TYPE_U32;
	case GENL_U64:
		return NL_ATTR_TYPE_U64;
	case GENL_BINARY:
		return NL_ATTR_TYPE_BINARY;
	case GENL_NESTED:
		return NL_ATTR_TYPE_NESTED;
	case GENL_ANSWER:
		break;
	}
	return NL_ATTR_TYPE_INVALID;
}

static void compare_set(struct policies *all, const char *op, uint32_t policy,
			const struct genl_set *set, uint64_t accepts);

static void compare_rule(struct policies *all, const char *op, const struct rule *rule,
			 const struct genl_attr *attr)
{
	if (rule->type != type_of(attr->kind))
		differ(all, op, attr->name, type_of(attr->kind), rule->type);
	else if (attr->kind == GENL_U32 && rule->mask != attr->mask)
		differ(all, op, attr->name, attr->mask, rule->mask);
	else if (attr->kind == GENL_U32 && rule->min != attr->min)
		differ(all, op, attr->name, attr->min, rule->min);
	else if (attr->kind == GENL_BINARY && rule->min_len != attr->len)
		differ(all, op, attr->name, attr->len, rule->min_len);
	else if (attr->kind == GENL_BINARY && rule->max_len != attr->len)
		differ(all, op, attr->name, attr->len, rule->max_len);
	else if (attr->kind == GENL_NESTED)
		compare_set(all, op, rule->nested, attr->nested, attr->nested->accepts);
}

static void compare_set(struct policies *all, const char *op, uint32_t policy,
			const struct genl_set *set, uint64_t accepts)
{
	uint64_t accepted = 0;

	if (policy >= MAX_POLICIES)
		return differ(all, op, "has a policy", true, false);
	for (unsigned int type = 0; type < GENL_MAX_ATTRS; type++)
		if (all->rules[policy][type].type)
			accepted |= BIT(type);
	if (accepted != accepts)
		differ(all, op, "attributes accepted (a bit each)", accepts, accepted);
	for (unsigned int type = 1; type <= set->max; type++)
		if (accepted & accepts & BIT(type))
			compare_rule(all, op, &all->rules[policy][type], &set->attrs[type]);
}

int genl_policy_compare(struct ember_nl *nl)
{
	static struct policies all;
	int err;

	err = fetch(nl, &all);
	if (err)
		return err;
	for (unsigned int i = 0; i < genl_nr_ops; i++) {
		const struct genl_op *op = &genl_ops[i];

		compare_set(&all, op->name, all.of_op[op->cmd][op->dump], &genl_attrs, op->accepts);
	}
	for (unsigned int cmd = 0; cmd < MAX_OPS; cmd++)
		for (unsigned int dump = 0; dump < 2; dump++)
			if (all.of_op[cmd][dump] != NO_POLICY && !genl_op_find(cmd, dump))
				differ(&all, "a command that the grammar does not have",
				       "its number", 0, cmd);
	return all.nr_differences;
}
