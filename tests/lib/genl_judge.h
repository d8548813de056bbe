/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the answer to a message must be, by the rules of include/uapi/linux/ember.h and of
 * generic netlink, from the bytes alone: written without a look at the module's parser.
 *
 * The layers come one after the other; the first that has something to refuse decides.
 * Below the policy more than one rule can be broken, and the header does not say which is
 * told: any of their errors is right then, no other, and success is not.
 */
#ifndef EMBER_TESTS_GENL_JUDGE_H
#define EMBER_TESTS_GENL_JUDGE_H

#include <linux/netlink.h>

#include "genl_grammar.h"

enum genl_layer {
	GENL_CUT,     /* not a whole message: netlink drops it and what comes after it, no answer */
	GENL_CONTROL, /* not a request, or a control message: netlink ignores it */
	GENL_HEADER,  /* the headers are wrong */
	GENL_SENDER,  /* the sender may not */
	GENL_DUMPING, /* a dump is under way */
	GENL_POLICY,  /* attributes of the wrong kind */
	GENL_CONTENT, /* attributes of the right kind that make no sense */
	GENL_STATE,   /* nothing wrong with it: what is open decides */
	GENL_NR_LAYERS,
};

extern const char *const genl_layer_names[GENL_NR_LAYERS];

struct genl_sender {
	const char *name;
	bool privileged; /* none of the following is against it */
	bool family;     /* sees the family at all */
	bool net_admin;
	bool rest; /* the other capabilities, and the right pid namespace */
};

struct genl_verdict {
	enum genl_layer layer;
	const struct genl_op *op; /* NULL: none of this command */
	unsigned int nr_errors;   /* 0: success */
	int errors[8];            /* negative */
	int bad_offset; /* GENL_POLICY: of the attribute at fault in the message, else -1 */
	unsigned int bad_type, bad_inner; /* its type; bad_inner: in the set nested in bad_type */
	uint64_t seen;                    /* types of attributes that passed the policy */
	uint64_t seen_inner[GENL_MAX_ATTRS];
};

/* The message must be whole; dumping: an earlier dump of this socket has not ended. */
void genl_judge(const struct genl_world *world, const struct genl_sender *sender,
		const struct nlmsghdr *hdr, bool dumping, struct genl_verdict *ret_verdict);

void genl_verdict_add(struct genl_verdict *verdict, int error);
bool genl_verdict_allows(const struct genl_verdict *verdict, int error);

/* Of a message that passed the policy. 0 if there is none. */
uint64_t genl_message_id(const struct nlmsghdr *hdr);
/* Fills in id, node, flags and regions of a MIGRATE that passed the content. */
void genl_message_job(const struct nlmsghdr *hdr, struct ember_nl_job *ret_job);

#endif /* EMBER_TESTS_GENL_JUDGE_H */
