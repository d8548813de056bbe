// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything is read from JSON by name. What is missing prints as 0 or "?": the parts that every
 * version has are checked once, before anything is printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "ctl/render.h"

#define BAR_CELLS 24
#define PAGE_BYTES 4096

struct render {
	FILE *out;
	const struct render_options *options;
};

/* ---- reading ---- */

static sd_json_variant *get(sd_json_variant *v, const char *key)
{
	return sd_json_variant_by_key(v, key);
}

static bool has(sd_json_variant *v, const char *key)
{
	return sd_json_variant_is_unsigned(get(v, key));
}

static uint64_t num(sd_json_variant *v, const char *key)
{
	return has(v, key) ? sd_json_variant_unsigned(get(v, key)) : 0;
}

static bool flag(sd_json_variant *v, const char *key)
{
	return sd_json_variant_is_boolean(get(v, key)) && sd_json_variant_boolean(get(v, key));
}

static const char *str(sd_json_variant *v, const char *key)
{
	return sd_json_variant_is_string(get(v, key)) ? sd_json_variant_string(get(v, key)) : "?";
}

#define for_each_element(element, array)                                                           \
	for (size_t i_ = 0; i_ < sd_json_variant_elements(array) &&                                \
			    ((element) = sd_json_variant_by_index(array, i_));                     \
	     i_++)

static uint64_t sum(sd_json_variant *array, const char *key)
{
	sd_json_variant *element;
	uint64_t total = 0;

	for_each_element(element, array) total += num(element, key);
	return total;
}

/* ---- numbers and names ---- */

struct text {
	char s[32];
};

static struct text bytes(uint64_t value)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double scaled = (double)value;
	unsigned int unit = 0;
	struct text t;

	while (scaled >= 1024 && unit < 6) {
		scaled /= 1024;
		unit++;
	}
	snprintf(t.s, sizeof(t.s), "%.*f %s",
		 unit == 0  ? 0
		 : unit < 3 ? 1
			    : 2,
		 scaled, units[unit]);
	return t;
}

void render_bytes(uint64_t value, int width, FILE *out)
{
	fprintf(out, "%*s", width, bytes(value).s);
}

static struct text duration(uint64_t ns)
{
	struct text t;
	uint64_t s = ns / 1000000000;

	if (ns < 1000000)
		snprintf(t.s, sizeof(t.s), "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(t.s, sizeof(t.s), "%.1f ms", (double)ns / 1e6);
	else if (s < 120)
		snprintf(t.s, sizeof(t.s), "%.1f s", (double)ns / 1e9);
	else if (s < 7200)
		snprintf(t.s, sizeof(t.s), "%" PRIu64 " min", s / 60);
	else if (s < 172800)
		snprintf(t.s, sizeof(t.s), "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(t.s, sizeof(t.s), "%" PRIu64 " days", s / 86400);
	return t;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* One character of UTF-8 (sd-json lets nothing else in); its length. */
static unsigned int decode(const char *s, uint32_t *ret)
{
	uint8_t lead = (uint8_t)*s;
	unsigned int n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? lead : lead & (0x7f >> n);
	unsigned int i;

	for (i = 1; i < n && s[i]; i++)
		c = c << 6 | ((uint8_t)s[i] & 0x3f);
	*ret = c;
	return i;
}

/* Shows itself as itself, in a column of its own: no control, no direction mark, no accent alone.
 */
static bool shows(uint32_t c)
{
	if (c < 0x80)
		return c >= 0x20 && c < 0x7f;
	return !strcmp(nl_langinfo(CODESET), "UTF-8") && wcwidth((wchar_t)c) > 0;
}

/* Returns the columns taken. */
static int print_name(const char *text, FILE *out)
{
	int columns = 0;
	uint32_t c;

	for (unsigned int n; *text; text += n) {
		n = decode(text, &c);
		if (!shows(c)) {
			columns += fprintf(out, "\\u{%" PRIx32 "}", c);
			continue;
		}
		fwrite(text, 1, n, out);
		columns += c < 0x80 ? 1 : wcwidth((wchar_t)c);
	}
	return columns;
}

void render_name(const char *text, FILE *out)
{
	print_name(text, out);
}

static void print_padded(const char *text, int width, FILE *out)
{
	int columns = print_name(text, out);

	fprintf(out, "%*s", columns < width ? width - columns : 1, "");
}

/* ---- dress ---- */

#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define BLUE "\033[34m"
#define PLAIN "\033[0m"

static void dress(const struct render *r, const char *code)
{
	if (r->options->colour)
		fputs(code, r->out);
}

__attribute__((format(printf, 3, 4))) static void dressed(const struct render *r, const char *code,
							  const char *fmt, ...)
{
	va_list ap;

	dress(r, code);
	va_start(ap, fmt);
	vfprintf(r->out, fmt, ap);
	va_end(ap);
	dress(r, PLAIN);
}

static void bar_part(const struct render *r, const char *code, char c, unsigned int cells)
{
	dress(r, code);
	for (unsigned int i = 0; i < cells; i++)
		fputc(c, r->out);
	dress(r, PLAIN);
}

/* "#" followed processes, "=" other use, "." free. */
static void print_bar(const struct render *r, sd_json_variant *tier)
{
	uint64_t capacity = num(tier, "capacity_bytes"), free_bytes = num(tier, "free_bytes");
	uint64_t used = capacity > free_bytes ? capacity - free_bytes : 0;
	uint64_t followed = num(tier, "followed_bytes");
	unsigned int used_cells, followed_cells;

	if (followed > used)
		followed = used;
	used_cells = (unsigned int)(percent(used, capacity) * BAR_CELLS / 100 + 0.5);
	followed_cells = (unsigned int)(percent(followed, capacity) * BAR_CELLS / 100 + 0.5);
	fputc('[', r->out);
	bar_part(r, GREEN, '#', followed_cells);
	bar_part(r, BLUE, '=', used_cells - followed_cells);
	bar_part(r, "", '.', BAR_CELLS - used_cells);
	fputc(']', r->out);
}

/* ---- sections ---- */

/* The daemon answers although its engine is stuck: then the figures do not move. */
static void print_staleness(const struct render *r, sd_json_variant *s)
{
	uint64_t limit_ns = 3 * num(get(s, "cost"), "period_ns") + 5000000000;
	uint64_t then_ns = num(s, "time_ns"), now_ns = r->options->now_ns;

	if (now_ns > then_ns && now_ns - then_ns > limit_ns)
		dressed(r, RED, "These figures are %s old: the engine of emberd is stuck\n",
			duration(now_ns - then_ns).s);
}

static void print_head(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *policy = get(s, "policy");

	dressed(r, BOLD, "emberd ");
	print_name(str(s, "version"), r->out);
	fprintf(r->out, ", up %s, %s; policy loaded %s ago\n", duration(num(s, "uptime_ns")).s,
		flag(s, "observe_only") ? "observing only: nothing is moved" : "moving pages",
		duration(num(policy, "age_ns")).s);
	if (!flag(policy, "rejected"))
		return;
	dressed(r, RED, "The policy on disk was rejected");
	fputs("; the older one stays in force", r->out);
	if (sd_json_variant_is_string(get(policy, "error"))) {
		fputs(":\n  ", r->out);
		print_name(str(policy, "error"), r->out);
	}
	fputc('\n', r->out);
}

static void print_memory_row(const struct render *r, sd_json_variant *v, bool is_tier)
{
	uint64_t capacity = num(v, "capacity_bytes"), free_bytes = num(v, "free_bytes");
	const char *what = is_tier ? "tier" : has(v, "pool_of") ? "  pool" : "  node";

	fprintf(r->out, "%s %-*" PRIu64, what, is_tier ? 7 : 5, num(v, is_tier ? "tier" : "node"));
	fprintf(r->out, "%11s%11s", bytes(capacity).s,
		bytes(capacity > free_bytes ? capacity - free_bytes : 0).s);
	fprintf(r->out, "%11s%11s", bytes(free_bytes).s, bytes(num(v, "reserve_bytes")).s);
}

static void print_claim(const struct render *r, sd_json_variant *node)
{
	fputs("  ", r->out);
	if (has(node, "pool_of"))
		fprintf(r->out, "of node %" PRIu64 "; ", num(node, "pool_of"));
	else if (num(node, "cpus"))
		fprintf(r->out, "%" PRIu64 " CPUs; ", num(node, "cpus"));
	else
		fputs("no CPUs; ", r->out);
	fputs("rank: ", r->out);
	print_name(str(node, "claim_sentence"), r->out);
	if (has(node, "kernel_tier"))
		fprintf(r->out, " (memory_tier%" PRIu64 ")", num(node, "kernel_tier"));
	if (has(node, "read_latency_ns"))
		fprintf(r->out, ", %" PRIu64 " ns", num(node, "read_latency_ns"));
	if (has(node, "read_bandwidth_mbs"))
		fprintf(r->out, ", %" PRIu64 " MB/s", num(node, "read_bandwidth_mbs"));
	if (num(node, "arriving_bytes"))
		fprintf(r->out, "; %s arriving", bytes(num(node, "arriving_bytes")).s);
	fputc('\n', r->out);
}

static void print_tier(const struct render *r, sd_json_variant *s, sd_json_variant *tier)
{
	sd_json_variant *node;

	print_memory_row(r, tier, true);
	fprintf(r->out, "%11s  ", bytes(num(tier, "followed_bytes")).s);
	print_bar(r, tier);
	fputc('\n', r->out);
	for_each_element(node, get(s, "nodes"))
	{
		if (!has(node, "tier") || num(node, "tier") != num(tier, "tier"))
			continue;
		print_memory_row(r, node, false);
		print_claim(r, node);
	}
}

static void print_memories(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *tier;

	dressed(r, BOLD, "\n%-12s%11s%11s%11s%11s%11s", "MEMORY", "capacity", "used", "free",
		"reserve", "followed");
	fprintf(r->out, "  %s\n", "# followed  = other use  . free");
	for_each_element(tier, get(s, "tiers")) print_tier(r, s, tier);
	if (num(s, "ignored_nodes"))
		dressed(r, RED, "%" PRIu64 " nodes have numbers too large for ember: ignored\n",
			num(s, "ignored_nodes"));
}

static void print_areas(const struct render *r, sd_json_variant *process)
{
	sd_json_variant *area;

	for_each_element(area, get(process, "areas")) fprintf(
	    r->out, "        new area %#" PRIx64 "-%#" PRIx64 " (%s), found by %s\n",
	    num(area, "start"), num(area, "end"), bytes(num(area, "end") - num(area, "start")).s,
	    flag(area, "by_fault") ? "a fault sample" : "the regular scan");
}

static void print_process(const struct render *r, sd_json_variant *p)
{
	sd_json_variant *on_tiers = get(p, "tier_bytes");
	uint64_t total = 0;

	fprintf(r->out, "%7" PRIu64 "%7" PRIu64 "  ", num(p, "pid"), num(p, "uid"));
	print_padded(str(p, "comm"), 17, r->out);
	print_padded(str(p, "rule"), 20, r->out);
	fprintf(r->out, "%11s", bytes(num(p, "rss_bytes")).s);
	for (size_t i = 0; i < sd_json_variant_elements(on_tiers); i++)
		total += sd_json_variant_unsigned(sd_json_variant_by_index(on_tiers, i));
	for (size_t i = 0; i < sd_json_variant_elements(on_tiers); i++) {
		uint64_t here = sd_json_variant_unsigned(sd_json_variant_by_index(on_tiers, i));

		fprintf(r->out, "%11s %3.0f %%", bytes(here).s, percent(here, total));
	}
	if (num(p, "lost_scans"))
		fprintf(r->out, "  %" PRIu64 " of %" PRIu64 " scans lost", num(p, "lost_scans"),
			num(p, "scans"));
	fputc('\n', r->out);
	if (r->options->areas)
		print_areas(r, p);
}

static void print_processes(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *list = get(s, "processes"), *p;

	dressed(r, BOLD, "\nPROCESSES");
	fprintf(r->out, "  %" PRIu64 " followed", num(s, "processes_followed"));
	if (num(s, "processes_not_shown"))
		fprintf(r->out, ", %" PRIu64 " not shown (other users', or beyond the largest)",
			num(s, "processes_not_shown"));
	fputc('\n', r->out);
	if (sd_json_variant_elements(list) == 0)
		return;
	dress(r, BOLD);
	fprintf(r->out, "%7s%7s  %-17s%-20s%11s", "PID", "UID", "COMMAND", "RULE", "RSS");
	for (size_t i = 0; i < sd_json_variant_elements(get(s, "tiers")); i++)
		fprintf(r->out, "%9s %zu      ", "tier", i);
	dress(r, PLAIN);
	fputc('\n', r->out);
	for_each_element(p, list) print_process(r, p);
}

static void print_reasons(const struct render *r, sd_json_variant *reasons)
{
	sd_json_variant *reason;

	for_each_element(reason, reasons)
	{
		fprintf(r->out, "  %12" PRIu64 "  ", num(reason, "pages"));
		print_padded(str(reason, "word"), 14, r->out);
		print_name(str(reason, "sentence"), r->out);
		fputc('\n', r->out);
	}
}

static void print_moves(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *books = get(s, "moves"), *book;
	uint64_t submitted = num(s, "moves_submitted"), done = num(s, "moves_done");

	dressed(r, BOLD, "\nMOVES");
	fputs("  since the start, in 4 KiB pages", r->out);
	if (submitted > done)
		fprintf(r->out, "; %" PRIu64 " batches under way", submitted - done);
	fputc('\n', r->out);
	if (sum(books, "tried_pages") == 0) {
		fputs("  none yet\n", r->out);
		return;
	}
	for_each_element(book, books)
	{
		uint64_t tried = num(book, "tried_pages"), applied = num(book, "applied_pages");

		if (tried == 0)
			continue;
		fprintf(r->out, "%s by %s: ", str(book, "direction"), str(book, "mover"));
		fprintf(r->out, "tried %" PRIu64 ", applied %" PRIu64 " (%s, %.1f %%)", tried,
			applied, bytes(applied * PAGE_BYTES).s, percent(applied, tried));
		fputs(tried > applied ? ", refused:\n" : "\n", r->out);
		print_reasons(r, get(book, "refused"));
	}
}

/* Only pools and restricted nodes call for it. */
static void print_splits(const struct render *r, sd_json_variant *s)
{
	uint64_t split = num(s, "split_pages"), unsplit = num(s, "unsplit_pages");

	if (!split && !unsplit)
		return;
	fprintf(r->out, "huge pages: %s moved in pieces", bytes(split * PAGE_BYTES).s);
	fprintf(r->out, ", %s would not be split\n", bytes(unsplit * PAGE_BYTES).s);
}

static void print_plan(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *plan = get(s, "plan");

	dressed(r, BOLD, "\nLAST PLAN");
	fprintf(r->out, "  number %" PRIu64 "%s; pages touched at least every %s fill tier 0\n",
		num(plan, "plans"), flag(plan, "settled") ? ", settled: next to nothing to do" : "",
		duration(num(plan, "threshold_interval_ns")).s);
	if (flag(plan, "placements_unnoticed"))
		dressed(
		    r, RED,
		    "what is placed by hand is not noticed and may be moved: see the journal of "
		    "emberd\n");
	if (sd_json_variant_elements(get(plan, "why")) > 0) {
		fputs("pages to move:\n", r->out);
		print_reasons(r, get(plan, "why"));
	}
	if (sd_json_variant_elements(get(plan, "why_not")) > 0) {
		fputs("pages left where they are:\n", r->out);
		print_reasons(r, get(plan, "why_not"));
	}
}

static void print_scanning(const struct render *r, sd_json_variant *c)
{
	uint64_t scans = num(c, "scans"), read = num(c, "tables_read");
	uint64_t skipped = num(c, "tables_skipped");

	fprintf(r->out, "  scans     %" PRIu64 ", one %s on average, the last %s;", scans,
		duration(scans ? num(c, "scan_ns") / scans : 0).s,
		duration(num(c, "last_scan_ns")).s);
	fprintf(r->out, " every %s", duration(num(c, "period_ns")).s);
	if (num(c, "stretched_ns") > num(c, "period_ns"))
		fprintf(r->out, ", stretched to %s by cpu_budget,",
			duration(num(c, "stretched_ns")).s);
	fprintf(r->out, " over windows of %s\n", duration(num(c, "window_ns")).s);
	fprintf(r->out, "  tables    %" PRIu64 " read, %" PRIu64 " skipped untouched (%.1f %%)\n",
		read, skipped, percent(skipped, read + skipped));
	fprintf(r->out, "  flushes   %" PRIu64 " CPUs interrupted\n", num(c, "flush_cpus"));
}

/* The stage that was silent for longest. */
static void print_longest_stage(const struct render *r, sd_json_variant *c)
{
	sd_json_variant *stage, *longest = NULL;

	for_each_element(stage, get(c, "stages")) if (!longest || num(stage, "longest_ns") >
								      num(longest, "longest_ns"))
	    longest = stage;
	if (longest)
		fprintf(r->out, "  silent    for %s at most, at: %s\n",
			duration(num(longest, "longest_ns")).s, str(longest, "stage"));
}

static void print_cost(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *c = get(s, "cost");
	uint64_t pages = sum(get(s, "tiers"), "followed_bytes") / PAGE_BYTES;
	uint64_t metadata = num(c, "metadata_bytes"), lost = num(c, "events_lost");

	dressed(r, BOLD, "\nCOST");
	fprintf(r->out, "  %.2f %% of one CPU over the last minute\n",
		(double)num(c, "cpu_share_bp") / 100);
	fprintf(r->out, "  CPU       %s in the daemon", duration(num(c, "cpu_ns")).s);
	fprintf(r->out, " (%s inside scans)", duration(num(c, "scan_ns")).s);
	fprintf(r->out, ", %s moving in the module\n", duration(num(c, "move_ns")).s);
	fprintf(r->out, "  waits     at most %s for the mmap_lock",
		duration(num(c, "longest_lock_ns")).s);
	fprintf(r->out, ", %s for a page that moved, caused by the module\n",
		duration(num(c, "longest_unmapped_ns")).s);
	print_scanning(r, c);
	print_longest_stage(r, c);
	fprintf(r->out, "  faults    %" PRIu64 " sampled\n", num(c, "faults_sampled"));
	fputs("  lost      ", r->out);
	dressed(r, lost ? RED : "", "%" PRIu64 " events\n", lost);
	fprintf(r->out, "  metadata  %s", bytes(metadata).s);
	if (pages)
		fprintf(r->out, ", %.2f bytes per followed page", (double)metadata / (double)pages);
	fputc('\n', r->out);
}

static void print_copy_times(const struct render *r, sd_json_variant *times)
{
	sd_json_variant *time;

	if (!sd_json_variant_elements(times))
		return;
	fprintf(r->out, "  %-24s%12s%12s\n", "per page, in batches of", "CPU", "DMA");
	for_each_element(time, times)
	{
		fprintf(r->out, "  %12" PRIu64 " and more  ", num(time, "batch_pages"));
		fprintf(r->out, "%12s",
			has(time, "cpu_ns") ? duration(num(time, "cpu_ns")).s : "-");
		fprintf(r->out, "%12s\n",
			has(time, "dma_ns") ? duration(num(time, "dma_ns")).s : "-");
	}
}

static void print_channels(const struct render *r, sd_json_variant *c)
{
	uint64_t channels = num(c, "channels");

	if (!channels && flag(c, "dma_wanted"))
		dressed(r, RED, "no channel, though the policy asks for DMA: CPUs copy");
	else if (!channels)
		fputs("no channel is held", r->out);
	else
		fprintf(r->out, "%" PRIu64 " channels, used %s", channels,
			flag(c, "dma_wanted") ? "because the policy asks for it"
					      : "where measured to be faster");
	fputc('\n', r->out);
}

static void print_copies(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *c = get(s, "copies");
	uint64_t cpu_pages = num(c, "cpu_pages"), fallback = num(c, "fallback_pages");
	uint64_t leaked = num(c, "leaked_pages");

	if (!sd_json_variant_is_object(c))
		return;
	dressed(r, BOLD, "\nCOPIES");
	fputs("  by the module since it was loaded, in 4 KiB pages\n", r->out);
	fprintf(r->out, "  by CPU    %" PRIu64, cpu_pages);
	if (fallback)
		fprintf(r->out, ", %" PRIu64 " of them after a DMA engine had failed", fallback);
	fprintf(r->out, "\n  by DMA    %" PRIu64 "; ", num(c, "dma_pages"));
	print_channels(r, c);
	if (num(c, "timeouts"))
		fprintf(r->out, "  stopped   %" PRIu64 " times, because an engine took too long\n",
			num(c, "timeouts"));
	if (leaked)
		dressed(r, RED,
			"  lost      %" PRIu64 " pages, to which an engine may still write\n",
			leaked);
	print_copy_times(r, get(c, "times"));
}

static void print_numab(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *n = get(s, "numa_balancing");

	dressed(r, BOLD, "\nkernel.numa_balancing");
	if (!has(n, "mode")) {
		fputs("  not in this kernel\n", r->out);
		return;
	}
	fprintf(r->out, "  %" PRIu64, num(n, "mode"));
	if (has(n, "saved_mode"))
		fprintf(r->out,
			" while ember runs, then %" PRIu64 " again: ", num(n, "saved_mode"));
	else if (flag(n, "conflict"))
		dressed(r, RED, ", and works against ember: ");
	else
		fputs(", left alone: ", r->out);
	fputs("automatic NUMA balancing ", r->out);
	print_name(str(n, "reason_sentence"), r->out);
	fputc('\n', r->out);
}

static void print_damon(const struct render *r, sd_json_variant *s)
{
	sd_json_variant *d = get(s, "damon_stat");

	dressed(r, BOLD, "DAMON_STAT");
	if (flag(d, "borrowed"))
		fputs("  off while ember samples, then on again: it ", r->out);
	else if (!strcmp(str(d, "reason"), "steals"))
		dressed(r, RED, "  on, and works against ember: it ");
	else
		fputs("  left alone: it ", r->out);
	print_name(str(d, "reason_sentence"), r->out);
	fputc('\n', r->out);
}

static bool is_complete(sd_json_variant *s)
{
	static const char *const arrays[] = {"tiers", "nodes", "processes", "moves"};
	static const char *const objects[] = {"policy", "plan", "cost", "numa_balancing",
					      "damon_stat"};

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (!sd_json_variant_is_array(get(s, arrays[i])))
			return false;
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		if (!sd_json_variant_is_object(get(s, objects[i])))
			return false;
	return true;
}

int render_status(sd_json_variant *status, const struct render_options *options, FILE *out)
{
	struct render r = {.out = out, .options = options};

	if (!sd_json_variant_is_object(status) || !is_complete(status))
		return -EPROTO;
	print_head(&r, status);
	print_staleness(&r, status);
	print_memories(&r, status);
	print_processes(&r, status);
	print_moves(&r, status);
	print_splits(&r, status);
	print_plan(&r, status);
	print_cost(&r, status);
	print_copies(&r, status);
	print_numab(&r, status);
	print_damon(&r, status);
	return 0;
}
