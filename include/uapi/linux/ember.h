/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The generic netlink family "ember": a privileged client asks the ember module
 * to move pages of a process to another memory, and learns page by page what
 * became of them. This header is the specification; docs/netlink/ember.yaml says
 * the same for YNL tools, and tests/check/netlink-spec compares the two.
 *
 *
 * Conversation
 * ------------
 *
 * A client is one netlink socket (port id) in the initial network namespace. A
 * request travels like this:
 *
 *	client				module
 *	MIGRATE(id, ...)	->	checks and queues
 *				<-	netlink acknowledgement (NLM_F_ACK), 0 or errno
 *				<-	RESULT(id, ...), later, when the work is done
 *	ACK(id)			->	frees the result and the request's credit
 *
 * The work begins before the acknowledgement is sent, so RESULT may arrive first.
 *
 * The module keeps every result until the client frees it with ACK. If the
 * socket's buffer was full when RESULT was sent, or there was no memory for the
 * message (recv fails with ENOBUFS), then nothing is lost: a GET_RESULT dump lists the
 * requests, GET_RESULT(id) fetches the result again. A RESULT that was on its way
 * then may still arrive later, even after the ACK; a client that never uses an id
 * twice can tell that it is an old one.
 * Closing the socket cancels the client's requests and frees its results; so does
 * unloading the module, after which the family is unknown (the generic netlink
 * controller announces CTRL_CMD_DELFAMILY).
 *
 * RESULT is unsolicited: its nlmsg_seq is 0. With libnl, switch sequence
 * checking off (nl_socket_disable_seq_check()).
 *
 *
 * General rules
 * -------------
 *
 * Times are nanoseconds, addresses user virtual addresses of the target, pages
 * are 4 KiB. Integers are in host byte order. Nested attributes carry
 * NLA_F_NESTED. Every attribute not listed for a command, every unknown flag and
 * every malformed length is refused; the extended acknowledgement says which
 * attribute it was. EMBER_A_PAD may stand before a u64 from the module; ignore it.
 *
 * All commands but GET_INFO need, in the initial user namespace, CAP_NET_ADMIN,
 * CAP_SYS_NICE (as move_pages(2) does) and CAP_SYS_PTRACE (the module cannot ask
 * the security modules whether this client may reach that process), and a sender
 * in the initial pid namespace. Else: -EPERM.
 *
 *
 * EMBER_CMD_GET_INFO (do; anybody)
 * --------------------------------
 *
 * Request: no attributes. Reply:
 *
 *	EMBER_A_INFO_ABI		u32, EMBER_ABI_VERSION of the module
 *	EMBER_A_INFO_VERSION		string, MODULE_VERSION, at most 63 bytes
 *	EMBER_A_INFO_FEATURES		u32, EMBER_FEATURE_* flags
 *	EMBER_A_INFO_MAX_REGIONS	u32, most regions in one request
 *	EMBER_A_INFO_CREDITS		u32, most requests a client may have open
 *
 * A client that finds another ABI number than its own must not go on.
 *
 *
 * EMBER_CMD_MIGRATE (do)
 * ----------------------
 *
 *	EMBER_A_ID			u64, not 0, chosen by the client, unique among its open
 *					requests; better never used twice (see above)
 *	EMBER_A_TARGET			nested: which process
 *		EMBER_A_TARGET_TGID		u32, thread group id in the initial pid namespace
 *		EMBER_A_TARGET_START_NS		u64, start_boottime of the group leader, ns
 *		EMBER_A_TARGET_EXEC_ID		u32, self_exec_id: changes with every execve(2)
 *	EMBER_A_DEST			nested: where to; exactly one of
 *		EMBER_A_DEST_NODE		u32, NUMA node with memory
 *		EMBER_A_DEST_POOL		u32, id of a pool that is ready
 *	EMBER_A_FLAGS			u32, optional, EMBER_MIGRATE_* flags
 *	EMBER_A_REGION			nested, 1..EMBER_MAX_REGIONS times, ascending by address
 *		EMBER_A_REGION_ADDR		u64, 2 MiB aligned
 *		EMBER_A_REGION_PAGES		binary, exactly 64 bytes: 8 u64 words, bit i of
 *						word w stands for page w * 64 + i; not empty
 *
 * The request is queued, or refused as a whole:
 *
 *	-EINVAL		malformed, a missing attribute, regions out of order, unknown flag,
 *			EMBER_MIGRATE_RESTRICTED for a node with CPUs
 *	-ERANGE		bitmap not of 64 bytes, tgid 0
 *	-EPERM		see above
 *	-ESRCH		no such process, or another one by now
 *	-ENODEV		the node has no memory; no such pool, or it is not ready
 *	-EEXIST		the client has an open request of this id
 *	-EBUSY		no credit: EMBER_CREDITS requests are open; free a result first
 *	-E2BIG		more than EMBER_MAX_REGIONS regions
 *	-ENOMEM
 *
 * A request is open from here until its result is freed with ACK. Requests of one
 * client are done in the order in which they were sent.
 *
 * What the cpusets and memory policies of the process leave out stays where it is
 * (EMBER_OUTCOME_NOT_ALLOWED); with EMBER_MIGRATE_RESTRICTED only policies count. A
 * pool is in no cpuset and no policy: any process may have pages there, but for areas
 * that a policy binds to nodes.
 *
 *
 * EMBER_CMD_RESULT (notification, unicast to the client)
 * ------------------------------------------------------
 *
 *	EMBER_A_ID			u64
 *	EMBER_A_STATE			u32, enum ember_state: EMBER_STATE_DONE
 *	EMBER_A_STATUS			s32: 0: every page was tried (and is busy if the process
 *					would not let go of a lock); -ESRCH: the process was or
 *					went away; -ECANCELED; -ENOMEM; -ENODEV: the pool was
 *					removed meanwhile. Pages that were not
 *					tried have an outcome all the same.
 *	EMBER_A_TIME_NS			u64, time the work took, waiting in the queue not counted
 *	EMBER_A_NR_ASKED		u32, pages asked for
 *	EMBER_A_NR_MOVED		u32, of these, pages with outcome EMBER_OUTCOME_MOVED
 *	EMBER_A_REGION			nested, once per region of the request, in its order
 *		EMBER_A_REGION_ADDR		u64
 *		EMBER_A_REGION_RUNS		binary, array of struct ember_run
 *
 * The runs of a region cover exactly the pages that were asked for (the set bits
 * of the request's bitmap), in ascending order: their counts add up to the number
 * of set bits. Adjacent runs have different outcomes. A result is always one
 * message of at most EMBER_RESULT_MAX_BYTES; it is never fragmented.
 *
 *
 * EMBER_CMD_GET_RESULT (do and dump)
 * ----------------------------------
 *
 * do: EMBER_A_ID in, the attributes of RESULT out. -ENOENT: no open request of this
 * id; -EINPROGRESS: not done yet.
 *
 * dump: no attributes in; for every open request of this client EMBER_A_ID,
 * EMBER_A_STATE, EMBER_A_NR_ASKED, and once it is done EMBER_A_STATUS,
 * EMBER_A_TIME_NS, EMBER_A_NR_MOVED. The dump is one consistent snapshot.
 *
 *
 * EMBER_CMD_ACK (do)
 * ------------------
 *
 * EMBER_A_ID: frees that result and gives the credit back. -ENOENT: no open request
 * of this id; -EINPROGRESS: not done yet (CANCEL it first).
 *
 *
 * EMBER_CMD_CANCEL (do)
 * ---------------------
 *
 * EMBER_A_ID: the request ends as soon as possible: pages not tried by then get
 * EMBER_OUTCOME_CANCELLED. Its RESULT still comes and must be freed. Cancelling what
 * is done already has no effect and is no error. -ENOENT: no open request of this id.
 */
#ifndef _UAPI_LINUX_EMBER_H
#define _UAPI_LINUX_EMBER_H

#include <linux/types.h>

#define EMBER_GENL_NAME "ember"
#define EMBER_GENL_VERSION 1

/* Raised by every change that an older client would misunderstand. */
#define EMBER_ABI_VERSION 1

#define EMBER_REGION_BITMAP_BYTES 64 /* 512 pages of 4 KiB: one 2 MiB region */
#define EMBER_MAX_REGIONS 16	     /* so that the largest result fits one message */
#define EMBER_CREDITS 8		     /* open requests of one client */

/* 16 regions of 512 runs of 4 bytes, plus headers. */
#define EMBER_RESULT_MAX_BYTES 36864

/* EMBER_A_INFO_FEATURES */
#define EMBER_FEATURE_NODE (1U << 0) /* destinations may be NUMA nodes */
#define EMBER_FEATURE_POOL (1U << 1) /* destinations may be pools */

/*
 * EMBER_A_FLAGS. Without SHARED, pages that other processes map too are left where
 * they are (EMBER_OUTCOME_SHARED), as move_pages(2) does without MPOL_MF_MOVE_ALL.
 */
#define EMBER_MIGRATE_SHARED (1U << 0)
/*
 * The pages take the place of others that leave the node: it is used down to its low
 * watermarks; without the flag down to the high ones, up to which kswapd reclaims.
 */
#define EMBER_MIGRATE_EXCHANGE (1U << 1)
/*
 * The destination is a node that the administrator keeps for the asker: cpusets, which all
 * leave it out, are not asked. Memory policies that bind are. Only for a node without CPUs.
 */
#define EMBER_MIGRATE_RESTRICTED (1U << 2)
#define EMBER_MIGRATE_ALL_FLAGS 0x7U

enum ember_cmd {
	EMBER_CMD_UNSPEC = 0,
	EMBER_CMD_GET_INFO = 1,
	EMBER_CMD_MIGRATE = 2,
	EMBER_CMD_RESULT = 3,
	EMBER_CMD_GET_RESULT = 4,
	EMBER_CMD_ACK = 5,
	EMBER_CMD_CANCEL = 6,
	EMBER_CMD_POOL_ADD = 7,
	EMBER_CMD_POOL_REMOVE = 8,
	__EMBER_CMD_MAX,
};
#define EMBER_CMD_MAX (__EMBER_CMD_MAX - 1)

/* Attributes of GET_INFO. */
enum ember_info_attr {
	EMBER_A_INFO_UNSPEC = 0,
	EMBER_A_INFO_ABI = 1,
	EMBER_A_INFO_VERSION = 2,
	EMBER_A_INFO_FEATURES = 3,
	EMBER_A_INFO_MAX_REGIONS = 4,
	EMBER_A_INFO_CREDITS = 5,
	__EMBER_A_INFO_MAX,
};
#define EMBER_A_INFO_MAX (__EMBER_A_INFO_MAX - 1)

/* Attributes of all other commands. */
enum ember_attr {
	EMBER_A_UNSPEC = 0,
	EMBER_A_PAD = 1,
	EMBER_A_ID = 2,
	EMBER_A_TARGET = 3,
	EMBER_A_DEST = 4,
	EMBER_A_FLAGS = 5,
	EMBER_A_REGION = 6,
	EMBER_A_STATE = 7,
	EMBER_A_STATUS = 8,
	EMBER_A_TIME_NS = 9,
	EMBER_A_NR_ASKED = 10,
	EMBER_A_NR_MOVED = 11,
	EMBER_A_POOL = 12,
	__EMBER_A_MAX,
};
#define EMBER_A_MAX (__EMBER_A_MAX - 1)

enum ember_target_attr {
	EMBER_A_TARGET_UNSPEC = 0,
	EMBER_A_TARGET_TGID = 1,
	EMBER_A_TARGET_START_NS = 2,
	EMBER_A_TARGET_EXEC_ID = 3,
	__EMBER_A_TARGET_MAX,
};
#define EMBER_A_TARGET_MAX (__EMBER_A_TARGET_MAX - 1)

enum ember_dest_attr {
	EMBER_A_DEST_UNSPEC = 0,
	EMBER_A_DEST_NODE = 1,
	EMBER_A_DEST_POOL = 2,
	__EMBER_A_DEST_MAX,
};
#define EMBER_A_DEST_MAX (__EMBER_A_DEST_MAX - 1)

enum ember_pool_attr {
	EMBER_A_POOL_UNSPEC = 0,
	EMBER_A_POOL_PAD = 1,
	EMBER_A_POOL_ID = 2,
	EMBER_A_POOL_START = 3,
	EMBER_A_POOL_BYTES = 4,
	EMBER_A_POOL_NODE = 5,
	__EMBER_A_POOL_MAX,
};
#define EMBER_A_POOL_MAX (__EMBER_A_POOL_MAX - 1)

enum ember_region_attr {
	EMBER_A_REGION_UNSPEC = 0,
	EMBER_A_REGION_PAD = 1,
	EMBER_A_REGION_ADDR = 2,
	EMBER_A_REGION_PAGES = 3,
	EMBER_A_REGION_RUNS = 4,
	__EMBER_A_REGION_MAX,
};
#define EMBER_A_REGION_MAX (__EMBER_A_REGION_MAX - 1)

enum ember_state {
	EMBER_STATE_UNSPEC = 0,
	EMBER_STATE_QUEUED = 1,
	EMBER_STATE_RUNNING = 2,
	EMBER_STATE_DONE = 3,
};

/* count pages in a row, among those asked for, that met the same outcome. */
struct ember_run {
	__u16 outcome; /* enum ember_outcome */
	__u16 count;   /* 1..512 */
};

/*
 * What became of a page: X(NAME, value, "name", "sentence"). The list is closed:
 * every page that was asked for gets exactly one of these. 0 is never sent.
 */
#define EMBER_OUTCOMES(X)                                                                          \
	X(MOVED, 1, "moved", "lies in the destination now")                                        \
	X(ALREADY_THERE, 2, "already-there", "lay in the destination before")                      \
	X(NOT_PRESENT, 3, "not-present", "no page is mapped: never touched, or swapped out")       \
	X(NO_AREA, 4, "no-area", "the address belongs to no memory area of the process")           \
	X(SPECIAL, 5, "special", "of a kind that never moves: hugetlb, I/O, raw pfn, device")      \
	X(NOT_ANON, 6, "not-anon", "belongs to a file or to shared memory: use move_pages(2)")     \
	X(ZERO_PAGE, 7, "zero-page", "only read so far: the shared page of zeroes is mapped")      \
	X(LARGE_FOLIO, 8, "large-folio", "part of a huge page or large folio: use move_pages(2)")  \
	X(SHARED, 9, "shared", "mapped by other processes too, and EMBER_MIGRATE_SHARED not set")  \
	X(KSM, 10, "ksm", "merged with equal pages by KSM")                                        \
	X(PINNED, 11, "pinned", "somebody holds references: direct I/O, a pipe, a device")         \
	X(BUSY, 12, "busy", "it or a lock of the process was in use by another at the time")       \
	X(WRITEBACK, 13, "writeback", "being written to swap")                                     \
	X(NO_MEMORY, 14, "no-memory", "the destination has no free page")                          \
	X(COPY_FAILED, 15, "copy-failed", "the copy met a memory error; the page stays")           \
	X(RACED, 16, "raced", "changed between the look and the move: unmapped, remapped, forked") \
	X(GONE, 17, "gone", "the process exited or executed another program")                      \
	X(CANCELLED, 18, "cancelled", "not tried: the request was cancelled")                      \
	X(NOT_ALLOWED, 19, "not-allowed", "a cpuset or memory policy of it leaves that node out")

enum ember_outcome {
	EMBER_OUTCOME_UNSPEC = 0,
#define EMBER_OUTCOME_ENUM(NAME, value, name, sentence) EMBER_OUTCOME_##NAME = value,
	EMBER_OUTCOMES(EMBER_OUTCOME_ENUM)
#undef EMBER_OUTCOME_ENUM
	__EMBER_OUTCOME_MAX,
};
#define EMBER_OUTCOME_MAX (__EMBER_OUTCOME_MAX - 1)

#endif /* _UAPI_LINUX_EMBER_H */
