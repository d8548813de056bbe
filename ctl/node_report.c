// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/node_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"
#include "ember/sample.h"

#define _cleanup_json_ _cleanup_(sd_json_variant_unrefp)

#define PAGE_BYTES 4096
#define NR_NODES EMBER_MEM_UNKNOWN /* that a scan can name */
#define MIB (1024.0 * 1024)
#define MAX_NAMES 512 /* characters of a list of names; more are cut off */

struct report {
	const struct node_roots *roots;
	unsigned int node;
	sd_json_variant *status; /* NULL: emberd does not run */
	sd_json_variant *checks, *leaks;
	uint64_t followed_bytes;
	bool failed; /* a check */
};

/* What the node's meminfo counts and ember never brings there. */
static const struct {
	const char *leak;
	const char *lines[4];
	const char *less; /* counted in the first line, and no leak */
	const char *sentence, *advice;
} kinds[] = {
    {"page-cache",
     {"FilePages"},
     "SwapCached",
     "pages of files, tmpfs and shared memory",
     "what was cached before the cpusets were set goes when the node's memory blocks go offline and "
     "come back; tmpfs: remove the files or mount it with mpol=bind"},
    {"kernel",
     {"Slab", "KernelStack", "PageTables", "SecPageTables"},
     NULL,
     "memory of the kernel itself",
     "a part of the node is not in ZONE_MOVABLE, or was not when this was allocated: put it there "
     "before it is used"},
};

__attribute__((format(printf, 5, 6))) static int add_check(struct report *rep, const char *check,
							   bool holds, const char *advice,
							   const char *fmt, ...)
{
	char detail[MAX_NAMES + 128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	rep->failed |= !holds;
	return sd_json_variant_append_arraybo(
	    &rep->checks, SD_JSON_BUILD_PAIR_STRING("check", check),
	    SD_JSON_BUILD_PAIR_BOOLEAN("holds", holds), SD_JSON_BUILD_PAIR_STRING("detail", detail),
	    SD_JSON_BUILD_PAIR_CONDITION(!holds, "advice", SD_JSON_BUILD_STRING(advice)));
}

/* ---- checks ---- */

static int check_cpus(struct report *rep)
{
	char cpus[256];
	int r = node_read_cpus(rep->roots, rep->node, cpus, sizeof(cpus));

	if (r < 0 || !node_read_meminfo(rep->roots, rep->node, "MemTotal"))
		return r < 0 && r != -ENOENT ? r : -ENXIO;
	if (cpus[0])
		return add_check(rep, "no-cpus", false,
				 "a node with CPUs cannot be kept: choose another",
				 "has the CPUs %s", cpus);
	return add_check(rep, "no-cpus", true, NULL, "has no CPUs");
}

static int check_zones(struct report *rep)
{
	uint64_t present, movable;
	int r = node_read_zones(rep->roots, rep->node, &present, &movable);

	if (r < 0)
		return r;
	if (present == movable)
		return add_check(rep, "movable", true, NULL, "all its memory is in ZONE_MOVABLE");
	return add_check(
	    rep, "movable", false,
	    "boot with memhp_default_state=online_movable (daxctl online-memory makes it so "
	    "without): docs/restricted-node.md",
	    "%.1f of %.1f MiB are not in ZONE_MOVABLE",
	    (double)(present - movable) * PAGE_BYTES / MIB, (double)present * PAGE_BYTES / MIB);
}

static int check_cgroups(struct report *rep)
{
	char names[MAX_NAMES], others[128], advice[256];
	unsigned int nr;
	int r = node_read_cgroups(rep->roots, rep->node, names, sizeof(names), &nr);

	if (r < 0)
		return r;
	if (!names[0])
		return add_check(rep, "cpusets", true, NULL,
				 "left out of the cpusets of all %u top-level control groups", nr);
	node_read_others(rep->roots, rep->node, others, sizeof(others));
	snprintf(advice, sizeof(advice), "systemctl set-property UNIT AllowedMemoryNodes=%s",
		 others);
	return add_check(rep, "cpusets", false, advice, "open to what runs in: %s", names);
}

static int check_root_cgroup(struct report *rep)
{
	char names[MAX_NAMES];
	int r = node_read_root_cgroup(rep->roots, names, sizeof(names));

	if (r < 0)
		return r;
	if (!names[0])
		return add_check(rep, "root-cgroup", true, NULL,
				 "no program runs in the root control group");
	return add_check(rep, "root-cgroup", false,
			 "the root control group has no cpuset: start them in a slice",
			 "in the root control group: %s", names);
}

static bool is_restricted(const struct report *rep)
{
	sd_json_variant *nodes = sd_json_variant_by_key(rep->status, "nodes");

	for (size_t i = 0; i < sd_json_variant_elements(nodes); i++) {
		sd_json_variant *n = sd_json_variant_by_index(nodes, i);

		if (sd_json_variant_unsigned(sd_json_variant_by_key(n, "node")) == rep->node)
			return sd_json_variant_boolean(sd_json_variant_by_key(n, "restricted"));
	}
	return false;
}

static int check_policy(struct report *rep)
{
	char advice[160];

	if (!rep->status)
		return sd_json_variant_append_arraybo(
		    &rep->checks, SD_JSON_BUILD_PAIR_STRING("check", "policy"),
		    SD_JSON_BUILD_PAIR_STRING("detail",
					      "what the policy in force says is not known: "
					      "emberd is not running"),
		    SD_JSON_BUILD_PAIR_STRING("advice", "systemctl start emberd"));
	if (is_restricted(rep))
		return add_check(rep, "policy", true, NULL, "restricted by emberd's policy");
	snprintf(advice, sizeof(advice),
		 "write \"restricted_nodes\": [%u] into a file in /etc/ember/policy.d; systemctl "
		 "reload emberd",
		 rep->node);
	return add_check(rep, "policy", false, advice, "not restricted by emberd's policy");
}

/* ---- leaks ---- */

static bool is_followed(const struct report *rep, uint32_t pid)
{
	sd_json_variant *pids = sd_json_variant_by_key(rep->status, "followed_pids");

	for (size_t i = 0; i < sd_json_variant_elements(pids); i++)
		if (sd_json_variant_unsigned(sd_json_variant_by_index(pids, i)) == pid)
			return true;
	return false;
}

static int note_process(const struct node_process *process, void *userdata)
{
	struct report *rep = userdata;

	if (is_followed(rep, process->pid)) {
		rep->followed_bytes += process->bytes;
		return 0;
	}
	return sd_json_variant_append_arraybo(
	    &rep->leaks, SD_JSON_BUILD_PAIR_STRING("leak", "process"),
	    SD_JSON_BUILD_PAIR_UNSIGNED("bytes", process->bytes),
	    SD_JSON_BUILD_PAIR_UNSIGNED("pid", process->pid),
	    SD_JSON_BUILD_PAIR_STRING("comm", process->comm),
	    SD_JSON_BUILD_PAIR_STRING("cgroup", process->cgroup),
	    SD_JSON_BUILD_PAIR_STRING("sentence", rep->status
						      ? "a process that emberd does not follow"
						      : "a process, followed or not"),
	    SD_JSON_BUILD_PAIR_STRING(
		"advice", "from before its cpuset was set, put there by hand, or left by "
			  "a policy that followed it: restart it, or use migratepages(8)"));
}

static int add_leak(struct report *rep, const char *leak, uint64_t bytes, const char *sentence,
		    const char *advice)
{
	if (!bytes)
		return 0;
	return sd_json_variant_append_arraybo(&rep->leaks, SD_JSON_BUILD_PAIR_STRING("leak", leak),
					      SD_JSON_BUILD_PAIR_UNSIGNED("bytes", bytes),
					      SD_JSON_BUILD_PAIR_STRING("sentence", sentence),
					      SD_JSON_BUILD_PAIR_STRING("advice", advice));
}

static uint64_t bytes_of_kind(const struct report *rep, size_t kind)
{
	uint64_t bytes = 0, less = 0;

	for (size_t i = 0; i < 4 && kinds[kind].lines[i]; i++)
		bytes += node_read_meminfo(rep->roots, rep->node, kinds[kind].lines[i]);
	if (kinds[kind].less)
		less = node_read_meminfo(rep->roots, rep->node, kinds[kind].less);
	return bytes > less ? bytes - less : 0;
}

static int look_for_leaks(struct report *rep)
{
	int r = node_read_processes(rep->roots, rep->node, note_process, rep);

	for (size_t i = 0; r >= 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		r = add_leak(rep, kinds[i].leak, bytes_of_kind(rep, i), kinds[i].sentence,
			     kinds[i].advice);
	if (r < 0)
		return r;
	return add_leak(rep, "hugetlb", node_read_hugetlb(rep->roots, rep->node),
			"the node's pool of huge pages, used or not",
			"echo 0 to nr_hugepages in its hugepages/ of /sys/devices/system/node");
}

/* ---- all of it ---- */

static int make(struct report *rep, sd_json_variant **ret)
{
	uint64_t total = node_read_meminfo(rep->roots, rep->node, "MemTotal");
	uint64_t free = node_read_meminfo(rep->roots, rep->node, "MemFree");
	bool kept = !rep->failed && !sd_json_variant_elements(rep->leaks);
	/* what is not known may be all that is wrong */
	bool known = rep->status || !kept;

	return sd_json_buildo(
	    ret, SD_JSON_BUILD_PAIR_UNSIGNED("node", rep->node),
	    SD_JSON_BUILD_PAIR_CONDITION(known, "kept", SD_JSON_BUILD_BOOLEAN(kept)),
	    SD_JSON_BUILD_PAIR_UNSIGNED("capacity_bytes", total),
	    SD_JSON_BUILD_PAIR_UNSIGNED("used_bytes", total > free ? total - free : 0),
	    SD_JSON_BUILD_PAIR_UNSIGNED("followed_bytes", rep->followed_bytes),
	    SD_JSON_BUILD_PAIR_UNSIGNED("unevictable_bytes",
					node_read_meminfo(rep->roots, rep->node, "Unevictable")),
	    SD_JSON_BUILD_PAIR_VARIANT("checks", rep->checks),
	    SD_JSON_BUILD_PAIR_VARIANT("leaks", rep->leaks));
}

static void report_clear(struct report *rep)
{
	sd_json_variant_unref(rep->checks);
	sd_json_variant_unref(rep->leaks);
}

int node_report_make(const struct node_roots *roots, unsigned int node, sd_json_variant *status,
		     sd_json_variant **ret)
{
	static int (*const steps[])(struct report *rep) = {check_cpus,    check_zones,
							   check_cgroups, check_root_cgroup,
							   check_policy,  look_for_leaks};
	_cleanup_(report_clear) struct report rep = {
	    .roots = roots, .node = node, .status = status};
	int r;

	if (node >= NR_NODES)
		return -ERANGE;
	/* Whom emberd follows it tells to root; one that does not tell is of another version. */
	if (status && geteuid() == 0 && !sd_json_variant_by_key(status, "followed_pids"))
		return -EPROTO;
	r = sd_json_variant_new_array(&rep.checks, NULL, 0);
	if (r >= 0)
		r = sd_json_variant_new_array(&rep.leaks, NULL, 0);
	for (size_t i = 0; r >= 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = steps[i](&rep);
	return r < 0 ? r : make(&rep, ret);
}

/* ---- as text ---- */

void node_report_explain(int error, const struct node_roots *roots, unsigned int node, FILE *out)
{
	switch (-error) {
	case ENXIO:
		fprintf(out, "there is no node %u with memory\n", node);
		break;
	case ERANGE:
		fprintf(out, "ember knows nodes 0 to %d, and cannot keep node %u\n", NR_NODES - 1,
			node);
		break;
	case EACCES:
	case EPERM:
		fputs("only root may see where other users' memory lies\n", out);
		break;
	case ENOTSUP:
		fprintf(out, "there is no cgroup2 at %s\n", roots->cgroup);
		break;
	case EPROTO:
	case EREMOTEIO:
		fputs("emberd is of another version than this emberctl: systemctl restart emberd\n",
		      out);
		break;
	default:
		fprintf(out, "checking node %u failed: %s\n", node, strerror(-error));
	}
}

static uint64_t num(sd_json_variant *v, const char *key)
{
	return sd_json_variant_unsigned(sd_json_variant_by_key(v, key));
}

static const char *str(sd_json_variant *v, const char *key)
{
	return sd_json_variant_string(sd_json_variant_by_key(v, key));
}

static double mib(sd_json_variant *v, const char *key)
{
	return (double)num(v, key) / MIB;
}

static void print_check(sd_json_variant *check, FILE *out)
{
	sd_json_variant *holds = sd_json_variant_by_key(check, "holds");
	const char *word = !holds ? "?" : sd_json_variant_boolean(holds) ? "ok" : "NOT SO";

	fprintf(out, "  %-7s %s\n", word, str(check, "detail"));
	if (str(check, "advice"))
		fprintf(out, "  %-7s   %s\n", "", str(check, "advice"));
}

static void print_leak(sd_json_variant *leak, FILE *out)
{
	fprintf(out, "  %9.1f MiB  %s", mib(leak, "bytes"), str(leak, "sentence"));
	if (str(leak, "comm"))
		fprintf(out, ": %" PRIu64 " (%s), %s", num(leak, "pid"), str(leak, "comm"),
			str(leak, "cgroup"));
	fprintf(out, "\n  %9s        %s\n", "", str(leak, "advice"));
}

void node_report_print(sd_json_variant *report, FILE *out)
{
	sd_json_variant *checks = sd_json_variant_by_key(report, "checks");
	sd_json_variant *leaks = sd_json_variant_by_key(report, "leaks");
	sd_json_variant *kept = sd_json_variant_by_key(report, "kept");

	fprintf(out, "node %" PRIu64 ": %s\n", num(report, "node"),
		!kept                           ? "not known whether it is kept for ember"
		: sd_json_variant_boolean(kept) ? "kept for ember"
						: "not kept for ember");
	for (size_t i = 0; i < sd_json_variant_elements(checks); i++)
		print_check(sd_json_variant_by_index(checks, i), out);
	fprintf(out,
		"used: %.1f of %.1f MiB; by followed processes %.1f MiB; unevictable %.1f MiB\n",
		mib(report, "used_bytes"), mib(report, "capacity_bytes"),
		mib(report, "followed_bytes"), mib(report, "unevictable_bytes"));
	fprintf(out, "leaks: %s\n", sd_json_variant_elements(leaks) ? "" : "none");
	for (size_t i = 0; i < sd_json_variant_elements(leaks); i++)
		print_leak(sd_json_variant_by_index(leaks, i), out);
}
