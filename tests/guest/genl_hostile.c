/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netlink family ember against senders that mean no good: many messages from the
 * grammar of tests/lib/genl_grammar.h, most of them from root, so that every command and
 * every attribute's policy is reached, the rest from senders that lack something. Every
 * answer must be one that tests/lib/genl_judge.h allows, and the kernel must name the
 * attribute at fault. What is good among them is carried out on a process of the test; its
 * books must add up, and its pages must lie where the books say. At the end nothing is left
 * in the kernel.
 *
 *	genl_hostile [--messages N] [--seed SEED] [--pool START]
 *
 * With the start of 16 MiB that the kernel's command line sets apart, pools come, are used and go
 * meanwhile.
 *
 * The same seed makes the same messages; what they meet depends on the time.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <linux/genetlink.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/drop_cap.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/genl_policy.h"
#include "tests/lib/genl_sender.h"
#include "tests/lib/leak.h"

#define NR_MESSAGES 50000
#define NR_IDS 11 /* more than credits, so that they run out, and few enough to meet again */

/*
 * Two areas of a target, far from each other: of the first, every request is waited for, so
 * that it is known where each page lies. The sockets of those of the second are closed
 * while requests are open.
 */
#define KEPT_BASE 0x100000000000UL
#define LOST_BASE 0x2aaa80000000UL
#define NR_REGIONS 4U
#define NR_PAGES (NR_REGIONS * REGION_PAGES)
_Static_assert(NR_PAGES == GENL_BOOKS_PAGES, "all of it is in the books");
#define SEED_OF_CONTENTS 0x4057

#define NR_MASTERS 2 /* senders with all rights, each with a target of its own */

/*
 * What may be missing at the end: what the kernel keeps in caches, which does not grow with
 * the number of messages (seen: 0.6 to 2.6 MiB of slab, up to 7.4 MiB in all). Small objects
 * that leak are counted one by one; this is for pages, and for objects that no cache is
 * large enough for.
 */
#define MAX_LOST_KIB 16384
#define MAX_SLAB_KIB 8192

struct target_books {
	struct ember_identity identity;
	bool sound;
};

struct shared {
	struct target_books targets[NR_MASTERS];
	struct genl_tally tallies[16];
};

static struct shared *shared;
static struct ember_nl nl;
static struct genl_world world;
static uint64_t seed;
static uint64_t pool_start; /* 0: no memory is set apart */

/* ---- senders ---- */

static int roots_socket = -1; /* opened before the rights were dropped; -1: none */

static void no_change(void)
{
}

static void without_net_admin(void)
{
	drop_cap(CAP_NET_ADMIN);
}

static void without_sys_nice(void)
{
	drop_cap(CAP_SYS_NICE);
}

static void without_sys_ptrace(void)
{
	drop_cap(CAP_SYS_PTRACE);
}

static void as_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		fail("cannot become nobody: %s", strerror(errno));
}

static void with_roots_socket(void)
{
	roots_socket = genl_socket();
	as_nobody();
}

static void leave(int namespaces)
{
	if (unshare(namespaces))
		fail("unshare: %s", strerror(errno));
}

static void user_namespace(void)
{
	leave(CLONE_NEWUSER);
}

static void user_namespace_roots_socket(void)
{
	roots_socket = genl_socket();
	leave(CLONE_NEWUSER);
}

/* Only children are in it. */
static void pid_namespace(void)
{
	pid_t child;
	int status;

	leave(CLONE_NEWPID);
	child = fork();
	if (child == 0)
		return;
	if (waitpid(child, &status, 0) != child || status)
		_exit(1);
	_exit(0);
}

static void net_namespace(void)
{
	leave(CLONE_NEWNET);
}

/* Shares in per cent. */
static const struct sender_kind {
	struct genl_sender sender;
	unsigned int share;
	void (*become)(void);
} kinds[] = {
    {{"root", true, true, true, true}, 30, no_change},
    {{"root, second", true, true, true, true}, 30, no_change},
    {{"root without CAP_NET_ADMIN", false, true, false, true}, 5, without_net_admin},
    {{"root without CAP_SYS_NICE", false, true, true, false}, 5, without_sys_nice},
    {{"root without CAP_SYS_PTRACE", false, true, true, false}, 5, without_sys_ptrace},
    {{"nobody", false, true, false, false}, 6, as_nobody},
    {{"nobody with root's socket", false, true, false, false}, 3, with_roots_socket},
    {{"root of a user namespace", false, true, false, false}, 6, user_namespace},
    {{"the same with root's socket", false, true, false, false}, 3, user_namespace_roots_socket},
    {{"root of a pid namespace", false, true, true, false}, 4, pid_namespace},
    {{"root of a network namespace", false, false, false, false}, 3, net_namespace},
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Does not return. */
static void start_life(unsigned int kind, uint64_t nr_messages)
{
	struct genl_life life = {
	    .sender = &kinds[kind].sender,
	    .world = &world,
	    .kept_base = KEPT_BASE,
	    .lost_base = LOST_BASE,
	    .nr_messages = nr_messages * kinds[kind].share / 100,
	    .seed = seed * 1000 + kind,
	    .tally = &shared->tallies[kind],
	};

	memset(life.tally, 0, sizeof(*life.tally));
	world.target.identity = shared->targets[kind % NR_MASTERS].identity;
	world.other_tgid = shared->targets[(kind + 1) % NR_MASTERS].identity.tgid;
	kinds[kind].become();
	genl_sender_live(&life, roots_socket);
	fflush(stdout);
	_exit(0);
}

static pid_t start_sender(unsigned int kind, uint64_t nr_messages)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start_life(kind, nr_messages);
	}
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	return pid;
}

static void reap(pid_t pid, const char *name)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		expect(false, "%s: want an orderly end, saw status %#x", name, status);
}

/* The masters all the time, the others one after the other beside them. */
static void run_senders(uint64_t nr_messages)
{
	pid_t masters[NR_MASTERS];

	for (unsigned int i = 0; i < NR_MASTERS; i++)
		masters[i] = start_sender(i, nr_messages);
	for (unsigned int i = NR_MASTERS; i < NR_KINDS; i++)
		reap(start_sender(i, nr_messages), kinds[i].sender.name);
	for (unsigned int i = 0; i < NR_MASTERS; i++)
		reap(masters[i], kinds[i].sender.name);
}

/* ---- targets ---- */

static void map_at(uint64_t base)
{
	char *addr = mmap((void *)base, NR_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (addr == MAP_FAILED || madvise(addr, NR_PAGES * PAGE_BYTES, MADV_NOHUGEPAGE))
		fail("the target's memory: %s", strerror(errno));
	area_fill(addr, NR_PAGES, 0, SEED_OF_CONTENTS);
}

/* Sleeps while its pages are moved; at the end it tells whether they are what they were. */
static void target_life(struct target_books *books, int ready_fd, int end_fd)
{
	char byte;

	map_at(KEPT_BASE);
	map_at(LOST_BASE);
	if (ember_nl_self(&books->identity))
		fail("the target's identity");
	close(ready_fd);
	if (read(end_fd, &byte, 1) != 1)
		fail("read: %s", strerror(errno));
	books->sound = !area_check((void *)KEPT_BASE, NR_PAGES, SEED_OF_CONTENTS) &&
		       !area_check((void *)LOST_BASE, NR_PAGES, SEED_OF_CONTENTS);
	_exit(0);
}

struct target {
	pid_t pid;
	int end_fd;
};

static struct target start_target(unsigned int i)
{
	int ready[2], end[2];
	struct target target;
	char byte;

	if (pipe(ready) || pipe(end))
		fail("pipe: %s", strerror(errno));
	fflush(stdout);
	target.pid = fork();
	if (target.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(end[1]);
		close(ready[0]);
		target_life(&shared->targets[i], ready[1], end[0]);
	}
	close(ready[1]);
	close(end[0]);
	if (target.pid < 0 || read(ready[0], &byte, 1) != 0)
		fail("the target did not start");
	close(ready[0]);
	target.end_fd = end[1];
	return target;
}

static void stop_target(struct target target, unsigned int i)
{
	int status;

	if (write(target.end_fd, "", 1) != 1)
		fail("write: %s", strerror(errno));
	close(target.end_fd);
	waitpid(target.pid, &status, 0);
	expect(!status && shared->targets[i].sound,
	       "contents of target %u: want all as before, saw %s", i,
	       shared->targets[i].sound ? "that" : "other ones");
}

static pid_t dead_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

/* Senders and targets, from beginning to end. */
static void campaign(uint64_t nr_messages)
{
	struct target targets[NR_MASTERS];

	for (unsigned int i = 0; i < NR_MASTERS; i++)
		targets[i] = start_target(i);
	world.gone_tgid = (uint32_t)dead_process();
	run_senders(nr_messages);
	for (unsigned int i = 0; i < NR_MASTERS; i++)
		stop_target(targets[i], i);
}

/* ---- the account ---- */

/* Sums over all senders, or over the privileged ones. */
#define SUM(field, of_all)                                                                         \
	({                                                                                         \
		uint64_t sum_ = 0;                                                                 \
		for (unsigned int k_ = 0; k_ < NR_KINDS; k_++)                                     \
			if ((of_all) || kinds[k_].sender.privileged)                               \
				sum_ += shared->tallies[k_].field;                                 \
		sum_;                                                                              \
	})
#define LLU(x) ((unsigned long long)(x))

static void tell_senders(void)
{
	for (unsigned int k = 0; k < NR_KINDS; k++) {
		const struct genl_tally *t = &shared->tallies[k];

		printf("     %-28s %8llu messages; answers:", kinds[k].sender.name,
		       LLU(t->nr_made));
		for (int e = 0; e < GENL_MAX_ERRNO; e++)
			if (t->errors[e])
				printf(" %s %llu", e ? strerrorname_np(e) : "0", LLU(t->errors[e]));
		printf("\n");
		expect(t->ended && !t->nr_complaints,
		       "%s: want 0 wrong answers and an end, saw %llu%s", kinds[k].sender.name,
		       LLU(t->nr_complaints), t->ended ? "" : " and none");
	}
}

static void tell_layers(void)
{
	printf("     what decided:");
	for (int i = 0; i < GENL_NR_LAYERS; i++)
		printf(" %s %llu", genl_layer_names[i], LLU(SUM(layers[i], true)));
	printf("\n     what was wrong with them:");
	for (unsigned int i = 0; i < GENL_NR_FAULTS; i++) {
		uint64_t unused;
		const char *name = genl_fault(i, &unused);

		if (!name)
			break;
		printf("%s %s %llu", i % 5 ? ";" : "\n      ", name, LLU(SUM(faults[i], true)));
		if (!SUM(faults[i], true))
			expect(false, "fault \"%s\": want some, saw 0", name);
	}
	printf("\n");
}

struct reach {
	unsigned int nr, nr_missed;
};

static void reached(struct reach *reach, uint64_t nr, const char *op, const char *attr,
		    const char *how)
{
	reach->nr++;
	reach->nr_missed += !nr;
	if (!nr)
		printf("     %s, %s: never %s\n", op, attr, how);
}

static void reach_inner(struct reach *reach, unsigned int op, unsigned int type)
{
	const struct genl_set *set = genl_attrs.attrs[type].nested;

	for (unsigned int inner = 1; inner <= set->max; inner++) {
		const char *name = set->attrs[inner].name;

		if (set->instead & BIT(inner) && !world.pool_bytes)
			printf("     %s, %s: not accepted, as no memory is set apart (--pool)\n",
			       genl_ops[op].name, name);
		else if (set->accepts & BIT(inner))
			reached(reach, SUM(good[op][type][inner], false), genl_ops[op].name, name,
				"accepted");
		reached(reach, SUM(bad[op][type][inner], false), genl_ops[op].name, name,
			"refused");
	}
}

/* Every attribute by every command: accepted, if it may be, and refused. Privileged senders only.
 */
static struct reach reach_op(unsigned int op)
{
	struct reach reach = {0};

	reached(&reach, SUM(op_good[op], false), genl_ops[op].name, "the command", "done");
	reached(&reach, SUM(op_bad[op], false), genl_ops[op].name, "the command", "refused");
	for (unsigned int type = 1; type <= genl_attrs.max; type++) {
		const char *name = genl_attrs.attrs[type].name;
		bool accepts = genl_ops[op].accepts & BIT(type);

		if (accepts)
			reached(&reach, SUM(good[op][type][0], false), genl_ops[op].name, name,
				"accepted");
		reached(&reach, SUM(bad[op][type][0], false), genl_ops[op].name, name, "refused");
		if (accepts && genl_attrs.attrs[type].nested)
			reach_inner(&reach, op, type);
	}
	return reach;
}

static void check_reach(void)
{
	for (unsigned int op = 0; op < genl_nr_ops; op++) {
		struct reach reach = reach_op(op);

		expect(!reach.nr_missed, "%s: want %u ways of its policy reached by root, saw %u",
		       genl_ops[op].name, reach.nr, reach.nr - reach.nr_missed);
	}
}

static void check_shares(uint64_t nr_messages)
{
	uint64_t made = SUM(nr_made, true), privileged = SUM(nr_made, false);

	expect(made >= nr_messages * 99 / 100, "messages: want %llu, saw %llu", LLU(nr_messages),
	       LLU(made));
	expect(privileged * 2 > made, "by senders with all rights: want more than half, saw %llu",
	       LLU(privileged));
}

static void check_books(void)
{
	uint64_t asked = SUM(books.nr_asked, true), moved = SUM(books.nr_moved, true);
	uint64_t drops = SUM(nr_drops, true), recovered = SUM(nr_recovered, true);
	uint64_t too_long = SUM(nr_too_long, true), refused = 0;

	printf("     pages by outcome:");
	for (unsigned int i = 1; i <= EMBER_OUTCOME_MAX; i++) {
		uint64_t nr = SUM(books.outcomes[i], true);

		refused += i == EMBER_OUTCOME_MOVED ? 0 : nr;
		if (nr)
			printf(" %s %llu", ember_outcome_name(i), LLU(nr));
	}
	printf("\n     %llu requests, %llu of them open when their socket was closed\n",
	       LLU(SUM(books.nr_requests, true)), LLU(SUM(books.nr_closed, true)));
	expect(moved && asked == moved + refused,
	       "pages: want asked = moved + refused, saw %llu = %llu + %llu", LLU(asked),
	       LLU(moved), LLU(refused));
	expect(
	    drops && recovered,
	    "full sockets: want messages lost and no result, saw %llu lost, %llu results fetched "
	    "after it",
	    LLU(drops), LLU(recovered));
	expect(too_long, "datagrams too long for a socket: want some, saw %llu", LLU(too_long));
}

static void check_leaks(const struct leak_books *before, const struct leak_books *after)
{
	if (!expect(after->nr_objects <= before->nr_objects,
		    "kernel objects of the module: want %ld as before or fewer, saw %ld",
		    before->nr_objects, after->nr_objects))
		leak_show();
	expect(after->module_refs == before->module_refs,
	       "references on the module: want %d, saw %d", before->module_refs,
	       after->module_refs);
	expect(after->unreclaimable_kib - before->unreclaimable_kib < MAX_SLAB_KIB,
	       "unreclaimable slab: want less than %d KiB more, saw %ld", MAX_SLAB_KIB,
	       after->unreclaimable_kib - before->unreclaimable_kib);
	expect(before->free_kib - after->free_kib < MAX_LOST_KIB,
	       "free memory: want less than %d KiB lost, saw %ld", MAX_LOST_KIB,
	       before->free_kib - after->free_kib);
}

/* ---- preparation ---- */

/* "0-1,3" */
/* Those in a list of sysfs. */
static uint64_t nodes_in(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned int first, last;
	uint64_t nodes = 0;
	int next;

	while (file && fscanf(file, "%u", &first) == 1) {
		last = first;
		next = fgetc(file);
		if (next == '-') {
			if (fscanf(file, "%u", &last) != 1)
				break;
			next = fgetc(file);
		}
		for (unsigned int node = first; node <= last && node < 64; node++)
			nodes |= BIT(node);
	}
	if (!nodes)
		fail("%s: no node", path);
	fclose(file);
	return nodes;
}

/* The highest number that names no family: netlink gives them from below. */
static uint16_t number_of_no_family(void)
{
	static struct ember_nl_msg msg;
	uint16_t number = GENL_MAX_ID;
	int err;

	ember_nl_msg_init(&msg, number, NLM_F_ACK, 1);
	err = ember_nl_send(&nl, &msg);
	if (err != -ENOENT)
		fail("family %u: want none, saw %d", number, err);
	return number;
}

static void prepare(void)
{
	struct ember_nl_info info;

	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	ember_nl_begin(&nl, NULL);
	if (ember_nl_get_info(&nl, &info))
		fail("GET_INFO");
	world = (struct genl_world){
	    .family = nl.family,
	    .no_family = number_of_no_family(),
	    .nodes = nodes_in("/sys/devices/system/node/has_memory"),
	    .cpu_nodes = nodes_in("/sys/devices/system/node/has_cpu"),
	    .addr_end = 1UL << 47,
	    .pool_start = pool_start,
	    .pool_bytes = pool_start ? 16UL << 20 : 0,
	    .nr_ids = NR_IDS,
	    .target.nr_regions = NR_REGIONS,
	};
	_Static_assert(NR_KINDS <= sizeof(shared->tallies) / sizeof(shared->tallies[0]),
		       "more tallies");
	if (genl_nr_ops > GENL_MAX_OPS)
		fail("more than %d operations", GENL_MAX_OPS);
}

static void check_grammar(void)
{
	int nr = genl_policy_compare(&nl);

	expect(!*genl_grammar_check(), "grammar and header: want no difference, saw %s",
	       *genl_grammar_check() ? genl_grammar_check() : "none");
	expect(!nr, "grammar and the module's policies: want 0 differences, saw %d", nr);
}

static uint64_t parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"messages", required_argument, NULL, 'm'},
						{"pool", required_argument, NULL, 'p'},
						{"seed", required_argument, NULL, 's'},
						{NULL, 0, NULL, 0}};
	uint64_t nr_messages = NR_MESSAGES;
	int option;

	seed = (uint64_t)time(NULL);
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'm')
			nr_messages = strtoull(optarg, NULL, 0);
		else if (option == 'p') /* the start of 16 MiB that are set apart */
			pool_start = strtoull(optarg, NULL, 0);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			exit(2);
	}
	return nr_messages;
}

/* Those that could not be added stay until somebody removes them. */
static void remove_pools(void)
{
	for (unsigned int try = 0, left = 1; left && try < 100; try++) {
		left = 0;
		for (uint32_t id = 1; id < 16; id++)
			left += ember_nl_pool_remove(&nl, id) != -ENOENT;
		usleep(20000);
	}
}

int main(int argc, char **argv)
{
	uint64_t nr_messages = parse_options(argc, argv), to_pools;
	struct leak_books before, after;

	printf("     seed %llu\n", LLU(seed));
	prepare();
	check_grammar();
	campaign(2000); /* what the first ones need stays in the kernel's caches */
	remove_pools();
	leak_begin(&before);
	campaign(nr_messages);
	remove_pools();
	tell_senders();
	to_pools = SUM(books.nr_to_pools, false);
	expect(!world.pool_bytes || to_pools, "pages moved to pools: %llu", LLU(to_pools));
	tell_layers();
	check_reach();
	check_shares(nr_messages);
	check_books();
	leak_end(&before, &after);
	check_leaks(&before, &after);
	ember_nl_close(&nl);
	return expect_status();
}
