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
 *	EMBER_A_INFO_COPY		nested: who has copied pages since the module was loaded
 *		EMBER_A_COPY_CHANNELS		u32, channels of DMA engines that the module holds
 *						and that work
 *		EMBER_A_COPY_CPU_PAGES		u64, pages copied by a CPU
 *		EMBER_A_COPY_DMA_PAGES		u64, pages copied by an engine
 *		EMBER_A_COPY_FALLBACKS		u64, of those by a CPU: an engine was to copy them,
 *						and failed or was too slow
 *		EMBER_A_COPY_TIMEOUTS		u64, times that a channel was stopped for that
 *		EMBER_A_COPY_LEAKED_PAGES	u64, pages out of use now, because an engine that
 *						does not stop may still write to them
 *		EMBER_A_COPY_CPU_NS		binary, EMBER_COPY_CLASSES u32: time per page of
 *						batches of [2^i, 2^(i+1)) pages that a CPU
 *						copied, a moving average; 0: none yet
 *		EMBER_A_COPY_DMA_NS		the same of batches that were given to an engine
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
 *	EMBER_A_LIMIT_NS		u32, optional, at least EMBER_MIN_LIMIT_NS: how long a page
 *					fault of the process shall wait at most, because the
 *					module has the mmap_lock or is moving the page. Without
 *					it as long as a region takes. The module moves as many
 *					pages at a time as fit by what pages have taken before;
 *					a copy that is interrupted itself takes longer.
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
 *	EMBER_A_LONGEST_LOCK_NS		u64, the longest time that the mmap_lock was held
 *	EMBER_A_LONGEST_UNMAPPED_NS	u64, the longest time that pages were unmapped, on which a
 *					fault would have waited
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
 * EMBER_A_TIME_NS, EMBER_A_NR_MOVED and the two longest times. The dump is one consistent snapshot.
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
 *
 *
 * EMBER_CMD_POOL_ADD (do)
 * -----------------------
 *
 * Also needs CAP_SYS_ADMIN. The module comes to own a physical range as device memory
 * that CPUs reach like any other: nobody but the module can allocate from it.
 *
 *	EMBER_A_POOL			nested
 *		EMBER_A_POOL_START		u64, physical address
 *		EMBER_A_POOL_BYTES		u64; both multiples of 2 MiB
 *		EMBER_A_POOL_NODE		u32, optional: the node that its pages are
 *						accounted to; without it, what the firmware says
 *
 * Reply: EMBER_A_POOL with EMBER_A_POOL_ID, u32, never 0, which is also the memory's
 * index in scans (include/ember/sample.h). The range must be set apart from the kernel's
 * memory (memmap=SIZE$START, or soft-reserved "specific purpose" memory) and in nobody's
 * use. Setting it up takes seconds for a TiB and is going on when the reply comes:
 * /sys/kernel/ember/poolID tells how.
 *
 *	state		adding, ready, draining (being removed), or failed
 *	error		what failed last: negative errno, or 0
 *	start, bytes, node, used_bytes
 *	bad_bytes	broken memory, never used again
 *	stuck		after a removal that failed, what was in the way: lines of an
 *			outcome and a number of pages; "unmapped" and the number of those
 *			that no process maps; "locked" and the number of processes whose
 *			lock was kept; "process" and one that has some of them
 *
 *	-EINVAL		not aligned, or empty
 *	-ERANGE		not an address that this machine can have memory at
 *	-EEXIST		overlaps another pool
 *	-ENODEV		no such node
 *	-ENOSPC		as many memories as scans can name
 *	-ENOMEM
 *
 * "error" may be -ENXIO: not memory that is set apart; -EBUSY: in use; -ENOMEM.
 *
 *
 * EMBER_CMD_POOL_REMOVE (do)
 * --------------------------
 *
 * Also needs CAP_SYS_ADMIN. EMBER_A_ID: of the pool. From now on no page goes there; what
 * is there is moved to nodes, and when all of it is out the pool is gone. If something
 * stays (it is pinned, or no memory is free) the pool is ready again after some seconds,
 * with error and stuck saying why. -ENOENT: no such pool; -EBUSY: it is just being added
 * or removed.
 *
 * While any page of a pool is in use the module cannot be unloaded.
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
#define EMBER_MIN_LIMIT_NS 50000
#define EMBER_CREDITS 8		     /* open requests of one client */
#define EMBER_COPY_CLASSES 10	     /* sizes of batches whose times are kept apart */

/* 16 regions of 512 runs of 4 bytes, plus headers. */
#define EMBER_RESULT_MAX_BYTES 36864

/* EMBER_A_INFO_FEATURES */
#define EMBER_FEATURE_NODE (1U << 0) /* destinations may be NUMA nodes */
#define EMBER_FEATURE_POOL (1U << 1) /* destinations may be pools */
#define EMBER_FEATURE_DMA (1U << 2)  /* now: a DMA engine can copy (EMBER_MIGRATE_DMA) */

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
 * Rather a DMA engine copies than a CPU, also where that takes longer. Without the flag the
 * module takes the one that it has measured to be faster; without an engine the flag has
 * no effect.
 */
#define EMBER_MIGRATE_DMA (1U << 2)
/*
 * Also pages of a process that runs on an isolated or nohz_full CPU, which is interrupted then
 * for each of them. Without the flag they stay (EMBER_OUTCOME_ISOLATED).
 */
#define EMBER_MIGRATE_ISOLATED (1U << 3)
/*
 * The destination is a node that the administrator keeps for the asker: cpusets, which all
 * leave it out, are not asked. Memory policies that bind are. Only for a node without CPUs.
 */
#define EMBER_MIGRATE_RESTRICTED (1U << 4)
#define EMBER_MIGRATE_ALL_FLAGS 0x1fU

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
	EMBER_A_INFO_COPY = 6,
	__EMBER_A_INFO_MAX,
};
#define EMBER_A_INFO_MAX (__EMBER_A_INFO_MAX - 1)

/* Attributes in EMBER_A_INFO_COPY. */
enum ember_copy_attr {
	EMBER_A_COPY_UNSPEC = 0,
	EMBER_A_COPY_PAD = 1,
	EMBER_A_COPY_CHANNELS = 2,
	EMBER_A_COPY_CPU_PAGES = 3,
	EMBER_A_COPY_DMA_PAGES = 4,
	EMBER_A_COPY_FALLBACKS = 5,
	EMBER_A_COPY_TIMEOUTS = 6,
	EMBER_A_COPY_LEAKED_PAGES = 7,
	EMBER_A_COPY_CPU_NS = 8,
	EMBER_A_COPY_DMA_NS = 9,
	__EMBER_A_COPY_MAX,
};
#define EMBER_A_COPY_MAX (__EMBER_A_COPY_MAX - 1)

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
	EMBER_A_LIMIT_NS = 13,
	EMBER_A_LONGEST_LOCK_NS = 14,
	EMBER_A_LONGEST_UNMAPPED_NS = 15,
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
	X(COPY_FAILED, 15, "copy-failed", "memory error, or a DMA engine hangs; the page stays")   \
	X(RACED, 16, "raced", "changed between the look and the move: unmapped, remapped, forked") \
	X(GONE, 17, "gone", "the process exited or executed another program")                      \
	X(CANCELLED, 18, "cancelled", "not tried: the request was cancelled")                      \
	X(NOT_ALLOWED, 19, "not-allowed", "a cpuset or memory policy of it leaves that node out")  \
	X(ISOLATED, 20, "isolated", "it runs on isolated CPUs, which nobody may interrupt")

enum ember_outcome {
	EMBER_OUTCOME_UNSPEC = 0,
#define EMBER_OUTCOME_ENUM(NAME, value, name, sentence) EMBER_OUTCOME_##NAME = value,
	EMBER_OUTCOMES(EMBER_OUTCOME_ENUM)
#undef EMBER_OUTCOME_ENUM
	__EMBER_OUTCOME_MAX,
};
#define EMBER_OUTCOME_MAX (__EMBER_OUTCOME_MAX - 1)

#endif /* _UAPI_LINUX_EMBER_H */
