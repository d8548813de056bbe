// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients: who asked, what is open, who is served next.
 *
 * A client is a netlink socket, from its first MIGRATE until it is closed. One
 * mutex guards the list of clients, their requests and the requests' states; it is
 * never held while pages move. A request belongs to its client's list all the time
 * and moves QUEUED -> RUNNING -> DONE; whoever removes it frees it:
 *
 *  - ACK removes what is DONE;
 *  - closing removes what is QUEUED or DONE, and cancels what is RUNNING;
 *  - the worker removes its RUNNING request when the client has been closed.
 *
 * Each client has one work item, so its requests are done in their order, and
 * clients do not wait for each other. References on a client: one for being in the
 * list, one while its work item is pending or running.
 *
 * Why not the family's sock_priv: genl_sk_priv_get() is not exported. The notifier
 * that is left names a closed socket by port id only, after the port id has been
 * given free; another socket may have it by then. So the client holds a reference
 * on its socket, and only clients whose socket is dead are closed.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "client.h"
#include "genl.h"
#include "request.h"

/* Two directions of one daemon with two hands each, and as much for a tool beside it. */
#define MAX_WORKERS 8

struct ember_client {
	struct list_head node;
	struct list_head requests;
	struct work_struct work;
	struct sock *sk; /* with a reference; identity, and to report a lost result */
	refcount_t refs;
	u32 portid;
	u32 nr_open;
	bool closed;
};

static DEFINE_MUTEX(clients_mutex);
static LIST_HEAD(clients);
static struct workqueue_struct *ember_wq;

static void client_put(struct ember_client *client)
{
	if (!refcount_dec_and_test(&client->refs))
		return;
	sock_put(client->sk);
	kfree(client);
}

static void request_drop(struct ember_client *client, struct ember_request *req)
{
	list_del(&req->node);
	client->nr_open--;
	ember_request_free(req);
}

static struct ember_client *client_find(const struct sock *sk)
{
	struct ember_client *client;

	lockdep_assert_held(&clients_mutex);
	list_for_each_entry(client, &clients, node)
		if (client->sk == sk)
			return client;
	return NULL;
}

static struct ember_request *request_find(const struct ember_client *client, u64 id)
{
	struct ember_request *req;

	if (!client)
		return NULL;
	list_for_each_entry(req, &client->requests, node)
		if (req->id == id)
			return req;
	return NULL;
}

static struct ember_request *request_next(const struct ember_client *client)
{
	struct ember_request *req;

	list_for_each_entry(req, &client->requests, node)
		if (req->state == EMBER_STATE_QUEUED)
			return req;
	return NULL;
}

static void client_kick(struct ember_client *client)
{
	refcount_inc(&client->refs);
	if (!queue_work(ember_wq, &client->work))
		client_put(client);
}

/*
 * What netlink does when a message finds no room in the buffer. The socket may be
 * closed by now; then nobody is left to be woken up.
 */
static void report_lost(struct sock *sk)
{
	WRITE_ONCE(sk->sk_err, ENOBUFS);
	sk->sk_error_report(sk);
}

/*
 * Built and sent under the mutex: req cannot go away, and a close that comes now waits in its
 * notifier. A socket that is being closed gives up its port id a moment before that notifier,
 * and somebody else may have it at once. One that is dead by then is sent nothing, but there is
 * a window between the two in netlink_release(), in which a stranger who has bound just that
 * port id gets the result. The functions that send to a socket are not exported. Sending does
 * not block.
 */
static void request_finish(struct ember_client *client, struct ember_request *req)
{
	struct sk_buff *skb;

	mutex_lock(&clients_mutex);
	req->state = EMBER_STATE_DONE;
	if (client->closed || sock_flag(client->sk, SOCK_DEAD))
		goto drop_request;
	skb = ember_genl_result(req);
	if (skb)
		ember_genl_send(skb, client->portid);
	else
		report_lost(client->sk);
	mutex_unlock(&clients_mutex);
	return;

drop_request:
	request_drop(client, req);
	mutex_unlock(&clients_mutex);
}

/* One request per call: with several clients, they take turns. */
static void client_work(struct work_struct *work)
{
	struct ember_client *client = container_of(work, struct ember_client, work);
	struct ember_request *req;

	mutex_lock(&clients_mutex);
	req = request_next(client);
	if (req)
		req->state = EMBER_STATE_RUNNING;
	mutex_unlock(&clients_mutex);
	if (req) {
		ember_request_run(req, ember_wq);
		request_finish(client, req);
		client_kick(client);
	}
	client_put(client);
}

static struct ember_client *client_new(struct sock *sk, u32 portid)
{
	struct ember_client *client;

	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return NULL;
	INIT_LIST_HEAD(&client->requests);
	INIT_WORK(&client->work, client_work);
	refcount_set(&client->refs, 1);
	sock_hold(sk);
	client->sk = sk;
	client->portid = portid;
	list_add_tail(&client->node, &clients);
	return client;
}

/* Called with the mutex held; the client may be freed before its end. */
static void client_close(struct ember_client *client)
{
	struct ember_request *req, *next;

	client->closed = true;
	list_del(&client->node);
	list_for_each_entry_safe(req, next, &client->requests, node) {
		if (req->state == EMBER_STATE_RUNNING)
			WRITE_ONCE(req->cancelled, true);
		else
			request_drop(client, req);
	}
	client_put(client);
}

static int submit(struct sock *sk, u32 portid, struct ember_request *req)
{
	struct ember_client *client = client_find(sk);

	if (!client)
		client = client_new(sk, portid);
	if (!client)
		return -ENOMEM;
	if (request_find(client, req->id))
		return -EEXIST;
	if (client->nr_open >= EMBER_CREDITS)
		return -EBUSY;
	req->state = EMBER_STATE_QUEUED;
	list_add_tail(&req->node, &client->requests);
	client->nr_open++;
	client_kick(client);
	return 0;
}

/**
 * ember_client_submit() - queue a request
 * @sk: socket of the sender; alive, because its owner is inside sendmsg()
 * @portid: of @sk
 * @req: taken over on success
 *
 * Return: 0, -EEXIST, -EBUSY (no credit), -ENOMEM.
 */
int ember_client_submit(struct sock *sk, u32 portid, struct ember_request *req)
{
	int err;

	mutex_lock(&clients_mutex);
	err = submit(sk, portid, req);
	mutex_unlock(&clients_mutex);
	return err;
}

/* Frees a result. Returns 0, -ENOENT or -EINPROGRESS. */
int ember_client_ack(struct sock *sk, u64 id)
{
	struct ember_client *client;
	struct ember_request *req;
	int err = 0;

	mutex_lock(&clients_mutex);
	client = client_find(sk);
	req = request_find(client, id);
	if (!req)
		err = -ENOENT;
	else if (req->state != EMBER_STATE_DONE)
		err = -EINPROGRESS;
	else
		request_drop(client, req);
	mutex_unlock(&clients_mutex);
	return err;
}

/* Ends a request early. Returns 0 or -ENOENT. */
int ember_client_cancel(struct sock *sk, u64 id)
{
	struct ember_request *req;

	mutex_lock(&clients_mutex);
	req = request_find(client_find(sk), id);
	if (req)
		WRITE_ONCE(req->cancelled, true);
	mutex_unlock(&clients_mutex);
	return req ? 0 : -ENOENT;
}

/* Calls fn for one request. Returns what fn returns, or -ENOENT. */
int ember_client_visit(struct sock *sk, u64 id, ember_visit_fn fn, void *arg)
{
	struct ember_request *req;
	int err = -ENOENT;

	mutex_lock(&clients_mutex);
	req = request_find(client_find(sk), id);
	if (req)
		err = fn(req, arg);
	mutex_unlock(&clients_mutex);
	return err;
}

/* Calls fn for each open request until it returns an error. */
int ember_client_visit_all(struct sock *sk, ember_visit_fn fn, void *arg)
{
	struct ember_client *client;
	struct ember_request *req;
	int err = 0;

	mutex_lock(&clients_mutex);
	client = client_find(sk);
	if (client)
		list_for_each_entry(req, &client->requests, node) {
			err = fn(req, arg);
			if (err)
				break;
		}
	mutex_unlock(&clients_mutex);
	return err;
}

static int socket_released(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct netlink_notify *notify = data;
	struct ember_client *client, *next;

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC ||
	    notify->net != &init_net)
		return NOTIFY_DONE;
	mutex_lock(&clients_mutex);
	list_for_each_entry_safe(client, next, &clients, node)
		if (client->portid == notify->portid && sock_flag(client->sk, SOCK_DEAD))
			client_close(client);
	mutex_unlock(&clients_mutex);
	return NOTIFY_DONE;
}

static struct notifier_block socket_notifier = { .notifier_call = socket_released };

int ember_clients_init(void)
{
	int err;

	ember_wq = alloc_workqueue("ember", WQ_UNBOUND, MAX_WORKERS);
	if (!ember_wq)
		return -ENOMEM;
	err = netlink_register_notifier(&socket_notifier);
	if (err)
		goto destroy_wq;
	return 0;

destroy_wq:
	destroy_workqueue(ember_wq);
	return err;
}

/**
 * ember_clients_exit() - cancel everything, wait for the workers, free everything
 *
 * The family is gone already: nobody submits. Neither client nor worker holds a
 * module reference, so that work under way does not keep the module; instead this
 * waits for it. Closing cancels what runs, so destroy_workqueue() waits for one
 * region (512 pages) per worker at most: workers never wait for a lock of a process
 * (request.c), and between two tries for one they look whether they are cancelled.
 * It also waits for work items that queue themselves again. After it nothing of ours
 * can run, and with the last reference the last client is gone.
 */
void ember_clients_exit(void)
{
	struct ember_client *client, *next;

	netlink_unregister_notifier(&socket_notifier);
	mutex_lock(&clients_mutex);
	list_for_each_entry_safe(client, next, &clients, node)
		client_close(client);
	mutex_unlock(&clients_mutex);
	destroy_workqueue(ember_wq);
}
