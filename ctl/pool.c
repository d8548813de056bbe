// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * emberctl pool: what pools there are, by sysfs; adding and removing them, by netlink. The module
 * does both in the background: the command waits by looking at the pool's state.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/pool_sys.h"
#include "ctl/pool_text.h"
#include "ctl/render.h"
#include "daemon/genl.h"
#include "daemon/util/cleanup.h"

#define SYS_ROOT "/sys"
#define POLL_MS 50

struct options {
	bool json;
	bool force;
	int node; /* -1: as the firmware says */
};

static const char help_text[] =
    "usage: emberctl pool [list] [--json]\n"
    "       emberctl pool add START SIZE [--node=N] [--force] [--json]\n"
    "       emberctl pool remove ID [--json]\n"
    "\n"
    "A pool is a range of physical memory that only ember puts pages into.\n"
    "\n"
    "  list     the pools, what they hold, and what could not be added or removed\n"
    "  add      make SIZE bytes at the physical address START a pool, and wait until it is\n"
    "           ready. Both are multiples of 2M, with K, M, G or T behind, or as 0x...; the\n"
    "           range must be set apart at boot: memmap=SIZE$START, or soft-reserved memory\n"
    "  remove   move everything out of pool ID and give its memory back; goes on when\n"
    "           emberctl is interrupted. If something cannot leave, the pool stays\n"
    "\n"
    "  --node=N   account the memory to node N, not to the one that the firmware says\n"
    "  --force    also memory that the firmware does not call System RAM or Soft Reserved\n"
    "  --json     for programs\n"
    "  --help     this text\n";

static void closep(struct ember_genl **genl)
{
	ember_genl_close(*genl);
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&ts, NULL);
}

static int print_json(sd_json_variant *v)
{
	int r =
	    sd_json_variant_dump(v, SD_JSON_FORMAT_PRETTY | SD_JSON_FORMAT_NEWLINE, stdout, NULL);

	return r < 0 ? CTL_ERROR : CTL_OK;
}

static int out_of_memory(void)
{
	fputs("emberctl pool: out of memory\n", stderr);
	return CTL_ERROR;
}

static int print_pool_json(const struct pool_info *pool)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	return pool_json(pool, &v) < 0 ? out_of_memory() : print_json(v);
}

/* 0 or an exit status. */
static int open_module(const char *command, struct ember_genl **ret)
{
	struct ember_genl_info info;
	int r = ember_genl_open(ret, &info);

	if (r >= 0)
		return 0;
	fprintf(stderr, "emberctl pool %s: ", command);
	pool_explain_module(r, stderr);
	return CTL_ERROR;
}

/* ---- list ---- */

static int print_list_json(const struct pool_info *pools, size_t nr)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *array = NULL, *object = NULL;
	int r = sd_json_variant_new_array(&array, NULL, 0);

	for (size_t i = 0; r >= 0 && i < nr; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		r = pool_json(&pools[i], &v);
		if (r >= 0)
			r = sd_json_variant_append_array(&array, v);
	}
	if (r >= 0)
		r = sd_json_buildo(&object, SD_JSON_BUILD_PAIR_VARIANT("pools", array));
	return r < 0 ? out_of_memory() : print_json(object);
}

static int list(int argc, char **argv, const struct options *o)
{
	_cleanup_free_ struct pool_info *pools = NULL;
	size_t nr;
	int r = pool_sys_read_all(SYS_ROOT, &pools, &nr);

	if (r < 0) {
		fputs("emberctl pool list: ", stderr);
		pool_explain_module(r, stderr);
		return CTL_ERROR;
	}
	if (o->json)
		return print_list_json(pools, nr);
	pool_print_list(pools, nr, stdout);
	return CTL_OK;
}

/* ---- add ---- */

/* What the firmware keeps for itself must not be taken by a slip of the finger. */
static bool firmware_objects(uint64_t start, uint64_t bytes)
{
	_cleanup_free_ struct pool_range *map = NULL;
	struct pool_range first;
	size_t nr = 0;
	int r = pool_sys_firmware(SYS_ROOT, &map, &nr);

	if (r < 0) {
		fprintf(
		    stderr,
		    "emberctl pool add: the firmware's map of memory (/sys/firmware/memmap) cannot "
		    "be read: %s\n",
		    strerror(-r));
	} else if (pool_firmware_agrees(map, nr, start, bytes, &first)) {
		return false;
	} else {
		fprintf(stderr,
			"emberctl pool add: the firmware says of %#" PRIx64 "-%#" PRIx64 ": ",
			first.start, first.end);
		render_name(first.what[0] ? first.what : "nothing", stderr);
		fputc('\n', stderr);
	}
	fputs(
	    "A pool may only be what it calls \"System RAM\" or \"Soft Reserved\": the rest may be "
	    "tables, registers,\nor in use by the firmware. If you know that it is free memory: "
	    "--force\n",
	    stderr);
	return true;
}

static void say_not_added(int error, uint64_t start, uint64_t bytes)
{
	fprintf(stderr, "emberctl pool add: %#" PRIx64 "+%#" PRIx64 ": ", start, bytes);
	pool_explain_add(error, start, bytes, stderr);
	if (error == -EBUSY || error == -ENXIO) {
		_cleanup_fclose_ FILE *iomem = fopen("/proc/iomem", "re");

		fputs("/proc/iomem says:\n", stderr);
		if (!iomem || !pool_print_owners(iomem, start, bytes, stderr))
			fputs("    (nothing)\n", stderr);
	}
}

/* Wait until it is no longer being added. 0, or why it failed; its remains are cleared away. */
static int wait_added(struct ember_genl *genl, uint32_t id, struct pool_info *ret)
{
	for (;;) {
		int r = pool_sys_read(SYS_ROOT, id, ret);

		if (r < 0)
			return r == -ENOENT ? -ECANCELED : r; /* somebody has removed it */
		if (!strcmp(ret->state, "failed")) {
			ember_genl_pool_remove(genl, id);
			return ret->error;
		}
		if (strcmp(ret->state, "adding") != 0)
			return 0;
		pause_ms(POLL_MS);
	}
}

static int add_range(uint64_t start, uint64_t bytes, const struct options *o)
{
	_cleanup_(closep) struct ember_genl *genl = NULL;
	struct pool_info pool = {0};
	uint32_t id;
	int r = open_module("add", &genl);

	if (r)
		return r;
	if (!o->force && firmware_objects(start, bytes))
		return CTL_ERROR;
	r = ember_genl_pool_add(genl, start, bytes, o->node, &id);
	if (!r)
		r = wait_added(genl, id, &pool);
	if (r < 0) {
		say_not_added(r, start, bytes);
		return CTL_ERROR;
	}
	if (o->json)
		return print_pool_json(&pool);
	printf("pool %" PRIu32 ": ", pool.id);
	render_bytes(pool.bytes, 0, stdout);
	printf(" of node %" PRIu32 ", %s\n", pool.node, pool.state);
	return CTL_OK;
}

static int parse_range(char **argv, uint64_t *ret_start, uint64_t *ret_bytes)
{
	const char *fault = NULL, *wrong = argv[1];
	int r = pool_parse_bytes(argv[1], ret_start);

	if (!r) {
		wrong = argv[2];
		r = pool_parse_bytes(argv[2], ret_bytes);
	}
	if (!r)
		fault = pool_range_fault(*ret_start, *ret_bytes);
	if (r)
		fprintf(stderr, "emberctl pool add: \"%s\": %s\n", wrong,
			r == -ERANGE ? "too large"
				     : "want a number with K, M, G or T behind it, or 0x...");
	else if (fault)
		fprintf(stderr, "emberctl pool add: %s %s: %s\n", argv[1], argv[2], fault);
	return r || fault ? -EINVAL : 0;
}

static int add(int argc, char **argv, const struct options *o)
{
	uint64_t start, bytes;

	if (parse_range(argv, &start, &bytes) < 0)
		return CTL_USAGE;
	return add_range(start, bytes, o);
}

/* ---- remove ---- */

static void show_progress(const struct pool_info *pool)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[Kpool %" PRIu32 ": ", pool->id);
	render_bytes(pool->used_bytes, 0, stderr);
	fputs(" left", stderr);
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* 1: it is gone; 0: it stays, *ret says why; -errno. */
static int wait_removed(uint32_t id, struct pool_info *ret)
{
	for (;;) {
		int r = pool_sys_read(SYS_ROOT, id, ret);

		if (r < 0)
			return r == -ENOENT ? 1 : r;
		/* ready without an error, or being added: a new one has its number */
		if (strcmp(ret->state, "draining") != 0)
			return !ret->error;
		show_progress(ret);
		pause_ms(POLL_MS);
	}
}

static void print_process(uint32_t pid)
{
	char path[64], comm[64] = "";
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(comm, sizeof(comm), f))
		snprintf(comm, sizeof(comm), "gone by now");
	comm[strcspn(comm, "\n")] = 0;
	fprintf(stderr, "one of those who have such pages: process %" PRIu32 " (", pid);
	render_name(comm, stderr);
	fputs(")\n", stderr);
}

static int say_it_stays(const struct pool_info *pool, const struct options *o)
{
	uint32_t process = pool_stuck_process(pool);

	fprintf(stderr, "emberctl pool remove: pool %" PRIu32 " stays, ", pool->id);
	render_bytes(pool->used_bytes, 0, stderr);
	fputs(" could not leave:\n", stderr);
	pool_print_stuck(pool, stderr);
	if (process)
		print_process(process);
	fputs(
	    "What has left it is elsewhere now. Try again when that is over, or end who holds it\n",
	    stderr);
	if (o->json)
		print_pool_json(pool);
	return CTL_ERROR;
}

static int say_it_is_gone(uint32_t id, const struct options *o)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	if (!o->json) {
		printf("pool %" PRIu32 " is removed\n", id);
		return CTL_OK;
	}
	if (sd_json_buildo(&v, SD_JSON_BUILD_PAIR_UNSIGNED("pool", id),
			   SD_JSON_BUILD_PAIR_STRING("state", "removed")) < 0)
		return out_of_memory();
	return print_json(v);
}

static int remove_pool(uint32_t id, const struct options *o)
{
	_cleanup_(closep) struct ember_genl *genl = NULL;
	struct pool_info pool = {0};
	int r = open_module("remove", &genl);

	if (r)
		return r;
	r = ember_genl_pool_remove(genl, id);
	if (!r) {
		r = wait_removed(id, &pool);
		end_progress();
	}
	if (r == 0)
		return say_it_stays(&pool, o);
	if (r > 0)
		return say_it_is_gone(id, o);
	fprintf(stderr, "emberctl pool remove: pool %" PRIu32 ": ", id);
	pool_explain_remove(r, id, stderr);
	return CTL_ERROR;
}

static int pool_remove(int argc, char **argv, const struct options *o)
{
	uint32_t id;

	if (pool_parse_id(argv[1], &id) < 0) {
		fprintf(stderr, "emberctl pool remove: \"%s\" is no pool's number\n", argv[1]);
		return CTL_USAGE;
	}
	return remove_pool(id, o);
}

/* ---- the command ---- */

static const struct {
	const char *name;
	int nr_arguments;
	int (*run)(int argc, char **argv, const struct options *o);
} verbs[] = {
    {"list", 0, list},
    {"add", 2, add},
    {"remove", 1, pool_remove},
};

static int parse_node(const char *text, int *ret)
{
	char *end;
	long node;

	errno = 0;
	node = strtol(text, &end, 10);
	if (errno || end == text || *end || node < 0 || node > INT_MAX)
		return -EINVAL;
	*ret = (int)node;
	return 0;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
	enum { OPT_JSON = 1, OPT_FORCE, OPT_NODE, OPT_HELP };
	static const struct option options[] = {
	    {"json", no_argument, NULL, OPT_JSON},
	    {"force", no_argument, NULL, OPT_FORCE},
	    {"node", required_argument, NULL, OPT_NODE},
	    {"help", no_argument, NULL, OPT_HELP},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_JSON:
			o->json = true;
			break;
		case OPT_FORCE:
			o->force = true;
			break;
		case OPT_NODE:
			if (parse_node(optarg, &o->node) == 0)
				break;
			fprintf(stderr, "emberctl pool: --node=%s: want a node's number\n", optarg);
			return CTL_USAGE;
		case OPT_HELP:
		case 'h':
			fputs(help_text, stdout);
			return CTL_OK;
		default:
			fputs(help_text, stderr);
			return CTL_USAGE;
		}
	}
	return -1;
}

int ctl_pool(int argc, char **argv)
{
	static char *list_alone[] = {"list", NULL};
	struct options o = {.node = -1};
	int r = parse(argc, argv, &o), nr = argc - optind;
	char **words = nr > 0 ? argv + optind : list_alone;

	if (r >= 0)
		return r;
	nr = nr > 0 ? nr : 1;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		bool adds = !strcmp(verbs[i].name, "add");

		if (strcmp(words[0], verbs[i].name) != 0)
			continue;
		if (nr - 1 != verbs[i].nr_arguments || (!adds && (o.force || o.node >= 0)))
			break;
		return verbs[i].run(nr, words, &o);
	}
	fputs(help_text, stderr);
	return CTL_USAGE;
}
