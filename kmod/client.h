/* SPDX-License-Identifier: GPL-2.0-only */
/* Clients of the netlink family and their open requests. */
#ifndef EMBER_CLIENT_H
#define EMBER_CLIENT_H

#include <linux/types.h>

struct ember_request;
struct sock;

/* Called under the clients' mutex: must not call back into client.c. */
typedef int (*ember_visit_fn)(const struct ember_request *req, void *arg);

int ember_clients_init(void);
void ember_clients_exit(void);
int ember_client_submit(struct sock *sk, u32 portid, struct ember_request *req);
int ember_client_ack(struct sock *sk, u64 id);
int ember_client_cancel(struct sock *sk, u64 id);
int ember_client_visit(struct sock *sk, u64 id, ember_visit_fn fn, void *arg);
int ember_client_visit_all(struct sock *sk, ember_visit_fn fn, void *arg);

#endif /* EMBER_CLIENT_H */
