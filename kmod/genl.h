/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family: parsing and building messages, nothing else. */
#ifndef EMBER_GENL_H
#define EMBER_GENL_H

#include <linux/types.h>

struct ember_request;
struct sk_buff;

int ember_genl_init(void);
void ember_genl_exit(void);
struct sk_buff *ember_genl_result(const struct ember_request *req);
void ember_genl_send(struct sk_buff *skb, u32 portid);

#endif /* EMBER_GENL_H */
