/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the family ember refuses, and with which error: each case starts from a good
 * MIGRATE request and spoils one thing. The good request itself is accepted, before
 * and after.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/drop_cap.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

static struct ember_nl nl;
static struct ember_identity self;
static char *area;
static struct ember_nl_msg msg;

/* One good request, in parts that cases can leave out, repeat or replace. */
struct request {
	uint8_t cmd;
	bool no_id, no_target, no_dest, no_regions;
	bool no_tgid, no_start, no_exec_id, no_addr, no_pages, no_nested_flag;
	bool pool, node_and_pool, extra_attr, extra_in_target, runs_in_region;
	bool second_region_first, same_region_twice;
	uint64_t id, addr;
	uint64_t start_ns;
	uint32_t exec_id, tgid, node, flags;
	size_t id_len, pages_len, addr_len;
	unsigned int nr_regions;
	uint8_t page_byte;
};

static struct request good_request(void)
{
	return (struct request){
	    .cmd = EMBER_CMD_MIGRATE,
	    .id = 7,
	    .addr = (uint64_t)(uintptr_t)area,
	    .start_ns = self.start_ns,
	    .exec_id = self.exec_id,
	    .tgid = self.tgid,
	    .node = 1,
	    .id_len = 8,
	    .pages_len = EMBER_REGION_BITMAP_BYTES,
	    .addr_len = 8,
	    .nr_regions = 1,
	    .page_byte = 1,
	};
}

static void put_target(const struct request *req)
{
	size_t nest = ember_nl_nest(&msg, EMBER_A_TARGET);

	if (!req->no_tgid)
		ember_nl_put_u32(&msg, EMBER_A_TARGET_TGID, req->tgid);
	if (!req->no_start)
		ember_nl_put_u64(&msg, EMBER_A_TARGET_START_NS, req->start_ns);
	if (!req->no_exec_id)
		ember_nl_put_u32(&msg, EMBER_A_TARGET_EXEC_ID, req->exec_id);
	if (req->extra_in_target)
		ember_nl_put_u32(&msg, EMBER_A_TARGET_MAX + 1, 1);
	ember_nl_nest_end(&msg, nest);
}

static void put_dest(const struct request *req)
{
	size_t nest = ember_nl_nest(&msg, EMBER_A_DEST);

	if (!req->pool)
		ember_nl_put_u32(&msg, EMBER_A_DEST_NODE, req->node);
	if (req->pool || req->node_and_pool)
		ember_nl_put_u32(&msg, EMBER_A_DEST_POOL, 0);
	ember_nl_nest_end(&msg, nest);
}

static void put_region(const struct request *req, uint64_t addr)
{
	size_t nest = ember_nl_nest(&msg, EMBER_A_REGION);
	uint8_t pages[256];

	memset(pages, req->page_byte, sizeof(pages));
	if (!req->no_addr)
		ember_nl_put(&msg, EMBER_A_REGION_ADDR, &addr, req->addr_len);
	if (!req->no_pages)
		ember_nl_put(&msg, EMBER_A_REGION_PAGES, pages, req->pages_len);
	if (req->runs_in_region)
		ember_nl_put_u32(&msg, EMBER_A_REGION_RUNS, 1);
	ember_nl_nest_end(&msg, nest);
	if (req->no_nested_flag)
		((struct nlattr *)(msg.data + nest))->nla_type = EMBER_A_REGION;
}

static void put_regions(const struct request *req)
{
	if (req->second_region_first)
		put_region(req, req->addr + REGION_BYTES);
	for (unsigned int i = 0; i < req->nr_regions; i++)
		put_region(req, req->addr + i * REGION_BYTES);
	if (req->same_region_twice)
		put_region(req, req->addr);
}

static int send_request(const struct request *req)
{
	ember_nl_msg_init(&msg, nl.family, NLM_F_ACK, req->cmd);
	if (!req->no_id)
		ember_nl_put(&msg, EMBER_A_ID, &req->id, req->id_len);
	if (!req->no_target)
		put_target(req);
	if (!req->no_dest)
		put_dest(req);
	if (req->flags)
		ember_nl_put_u32(&msg, EMBER_A_FLAGS, req->flags);
	if (req->extra_attr)
		ember_nl_put_u32(&msg, EMBER_A_MAX + 1, 1);
	if (!req->no_regions)
		put_regions(req);
	return ember_nl_send(&nl, &msg);
}

static void finish(uint64_t id)
{
	static struct ember_nl_job job;

	job.id = id;
	job.nr_regions = 0;
	if (ember_nl_wait(&nl, &job, 20000) || ember_nl_ack(&nl, id))
		fail("the good request has no result");
}

static void accepted(const char *what)
{
	struct request req = good_request();
	int err = send_request(&req);

	expect(err == 0, "%s: want 0, saw %d (%s)", what, err, strerror(-err));
	if (!err)
		finish(req.id);
}

static void refused(const char *what, int want, struct request req)
{
	int err = send_request(&req);

	expect(err == want, "%s: want %d (%s), saw %d (%s)", what, want, strerror(-want), err,
	       strerror(-err));
	if (!err)
		finish(req.id);
}

/* A good request with one change. */
#define REFUSED(what, want, change)                                                                \
	do {                                                                                       \
		struct request bad = good_request();                                               \
		change;                                                                            \
		refused(what, want, bad);                                                          \
	} while (0)

static void missing(void)
{
	REFUSED("no id", -EINVAL, bad.no_id = true);
	REFUSED("no target", -EINVAL, bad.no_target = true);
	REFUSED("no destination", -EINVAL, bad.no_dest = true);
	REFUSED("no region", -EINVAL, bad.no_regions = true);
	REFUSED("target without tgid", -EINVAL, bad.no_tgid = true);
	REFUSED("target without start time", -EINVAL, bad.no_start = true);
	REFUSED("target without exec id", -EINVAL, bad.no_exec_id = true);
	REFUSED("region without address", -EINVAL, bad.no_addr = true);
	REFUSED("region without pages", -EINVAL, bad.no_pages = true);
}

static void malformed(void)
{
	REFUSED("id of 4 bytes", -EINVAL, bad.id_len = 4);
	REFUSED("id 0", -EINVAL, bad.id = 0);
	REFUSED("bitmap of 63 bytes", -ERANGE, bad.pages_len = 63);
	REFUSED("bitmap of 65 bytes", -ERANGE, bad.pages_len = 65);
	REFUSED("empty bitmap", -EINVAL, bad.page_byte = 0);
	REFUSED("address of 4 bytes", -EINVAL, bad.addr_len = 4);
	REFUSED("address not aligned", -EINVAL, bad.addr += PAGE_BYTES);
	REFUSED("address of the kernel", -EINVAL, bad.addr = 0xffff888000000000);
	REFUSED("regions in descending order", -EINVAL, bad.second_region_first = true);
	REFUSED("the same region twice", -EINVAL, bad.same_region_twice = true);
	REFUSED("one region too many", -E2BIG, bad.nr_regions = EMBER_MAX_REGIONS + 1);
	REFUSED("region without NLA_F_NESTED", -EINVAL, bad.no_nested_flag = true);
	REFUSED("unknown flag", -EINVAL, bad.flags = 1U << 31);
	REFUSED("unknown attribute", -EINVAL, bad.extra_attr = true);
	REFUSED("unknown attribute in the target", -EINVAL, bad.extra_in_target = true);
	REFUSED("an attribute of results", -EINVAL, bad.runs_in_region = true);
	REFUSED("unknown command", -EOPNOTSUPP, bad.cmd = EMBER_CMD_MAX + 1);
	REFUSED("a command of the module", -EOPNOTSUPP, bad.cmd = EMBER_CMD_RESULT);
	REFUSED("attributes for GET_INFO", -EINVAL, bad.cmd = EMBER_CMD_GET_INFO);
	REFUSED("attributes of MIGRATE for ACK", -EINVAL, bad.cmd = EMBER_CMD_ACK);
}

static void wrong(void)
{
	REFUSED("a pool that there is not", -ENODEV, bad.pool = true);
	REFUSED("node and pool", -EINVAL, bad.node_and_pool = true);
	REFUSED("a node that is not there", -ENODEV, bad.node = 63);
	REFUSED("a node beyond all limits", -ENODEV, bad.node = 0x80000001);
	REFUSED("a restricted node with CPUs", -EINVAL, bad.node = 0;
		bad.flags = EMBER_MIGRATE_RESTRICTED);
	REFUSED("tgid 0", -ERANGE, bad.tgid = 0);
	REFUSED("a process that is not there", -ESRCH, bad.tgid = 0x3fffff);
	REFUSED("another start time", -ESRCH, bad.start_ns++);
	REFUSED("another exec id", -ESRCH, bad.exec_id++);
	REFUSED("a kernel thread", -ESRCH, bad.tgid = 2);
}

/* Cut off after every byte: never anything but an error, and the kernel lives. */
static void truncated(void)
{
	struct request req = good_request();
	unsigned int good = 0;
	size_t len;

	send_request(&req);
	finish(req.id);
	len = msg.len;
	for (size_t cut = 20; cut < len; cut += 4) {
		msg.len = cut;
		good += ember_nl_send(&nl, &msg) == 0;
	}
	expect(good == 0, "request cut off anywhere: want 0 accepted, saw %u", good);
}

static void without_cap(const char *what, unsigned int cap)
{
	struct ember_nl_info info;
	pid_t child = fork();
	int status;

	if (child == 0) {
		expect_failures = 0;
		drop_cap(cap);
		REFUSED(what, -EPERM, (void)bad);
		expect(ember_nl_cancel(&nl, 1) == -EPERM, "  CANCEL: want EPERM");
		expect(ember_nl_ack(&nl, 1) == -EPERM, "  ACK: want EPERM");
		expect(ember_nl_dump(&nl, NULL, 0) == -EPERM, "  GET_RESULT dump: want EPERM");
		expect(ember_nl_get_info(&nl, &info) == 0, "  GET_INFO: want 0");
		_exit(expect_status());
	}
	waitpid(child, &status, 0);
	expect_failures += status != 0;
}

static void in_user_namespace(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		expect_failures = 0;
		if (unshare(CLONE_NEWUSER))
			fail("unshare: %s", strerror(errno));
		/* The socket was opened with all capabilities; they do not count here. */
		REFUSED("root of a user namespace, old socket", -EPERM, (void)bad);
		ember_nl_close(&nl);
		if (ember_nl_open(&nl))
			fail("cannot open a socket in the user namespace");
		REFUSED("root of a user namespace, own socket", -EPERM, (void)bad);
		_exit(expect_status());
	}
	waitpid(child, &status, 0);
	expect_failures += status != 0;
}

static void in_pid_namespace(void)
{
	pid_t child;
	int status;

	if (unshare(CLONE_NEWPID))
		fail("unshare: %s", strerror(errno));
	child = fork();
	if (child == 0) {
		expect_failures = 0;
		REFUSED("root of a pid namespace", -EPERM, (void)bad);
		_exit(expect_status());
	}
	waitpid(child, &status, 0);
	expect_failures += status != 0;
}

static void in_net_namespace(void)
{
	struct ember_nl other;
	int err;

	if (unshare(CLONE_NEWNET))
		fail("unshare: %s", strerror(errno));
	err = ember_nl_open(&other);
	expect(err == -ENOENT, "family in another network namespace: want %d, saw %d", -ENOENT,
	       err);
	if (!err)
		ember_nl_close(&other);
}

int main(void)
{
	ember_nl_begin(&nl, &self);
	area = area_map(512);
	area_fill(area, 512, 0, 1);
	accepted("a good request");
	missing();
	malformed();
	wrong();
	truncated();
	without_cap("without CAP_NET_ADMIN", CAP_NET_ADMIN);
	without_cap("without CAP_SYS_NICE", CAP_SYS_NICE);
	without_cap("without CAP_SYS_PTRACE", CAP_SYS_PTRACE);
	in_user_namespace();
	accepted("the good request again");
	in_pid_namespace();
	in_net_namespace();
	ember_nl_close(&nl);
	return expect_status();
}
