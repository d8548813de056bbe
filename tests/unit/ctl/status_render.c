// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/render.h"

static const char golden[] =
    "{ \"version\": \"0.1.0\", \"time_ns\": 1, \"uptime_ns\": 8000000000000,"
    "  \"observe_only\": false,"
    "  \"policy\": { \"age_ns\": 720000000000, \"rejected\": false },"
    "  \"tiers\": ["
    "    { \"tier\": 0, \"nodes\": [0], \"capacity_bytes\": 1073741824,"
    "      \"free_bytes\": 268435456, \"reserve_bytes\": 33554432,"
    "      \"followed_bytes\": 536870912 },"
    "    { \"tier\": 1, \"nodes\": [1], \"capacity_bytes\": 2147483648,"
    "      \"free_bytes\": 2147483648, \"reserve_bytes\": 0, \"followed_bytes\": 0 } ],"
    "  \"nodes\": ["
    "    { \"node\": 0, \"tier\": 0, \"cpus\": 2, \"claim\": \"kernel\","
    "      \"claim_sentence\": \"the kernel's memory tiers\", \"kernel_tier\": 4,"
    "      \"capacity_bytes\": 1073741824, \"free_bytes\": 268435456,"
    "      \"high_watermark_bytes\": 0, \"reserve_bytes\": 33554432, \"arriving_bytes\": 8192 },"
    "    { \"node\": 1, \"tier\": 1, \"cpus\": 0, \"claim\": \"distance\","
    "      \"claim_sentence\": \"a node without CPUs, far by distance\","
    "      \"read_latency_ns\": 250, \"capacity_bytes\": 2147483648,"
    "      \"free_bytes\": 2147483648, \"high_watermark_bytes\": 0, \"reserve_bytes\": 0,"
    "      \"arriving_bytes\": 0 } ],"
    "  \"ignored_nodes\": 0, \"processes_followed\": 3, \"processes_not_shown\": 1,"
    "  \"processes\": ["
    "    { \"pid\": 4711, \"uid\": 1000, \"comm\": \"redis-server\", \"cgroup\": \"/x\","
    "      \"rule\": \"big\", \"rss_bytes\": 419430400,"
    "      \"tier_bytes\": [314572800, 104857600], \"metadata_bytes\": 1, \"scans\": 20,"
    "      \"lost_scans\": 0,"
    "      \"areas\": [ { \"start\": 1048576, \"end\": 2097152, \"first_scan_ns\": 5,"
    "                     \"by_fault\": true } ] },"
    "    { \"pid\": 4712, \"uid\": 0, \"comm\": \"e\\u001b[2Jvil\\u202egnp\", \"cgroup\": \"/\","
    "      \"rule\": \"big\", \"rss_bytes\": 0, \"tier_bytes\": [0, 0], \"metadata_bytes\": 0,"
    "      \"scans\": 20, \"lost_scans\": 3 } ],"
    "  \"plan\": { \"plans\": 57, \"settled\": true, \"threshold_interval_ns\": 120000000,"
    "    \"why\": [ { \"word\": \"fill\", \"sentence\": \"hot, and there is room\","
    "               \"pages\": 512 } ],"
    "    \"why_not\": [ { \"word\": \"placed\", \"sentence\": \"already there\","
    "                   \"pages\": 131072 } ] },"
    "  \"moves_submitted\": 12, \"moves_done\": 10,"
    "  \"split_pages\": 1024, \"unsplit_pages\": 512,"
    "  \"moves\": ["
    "    { \"direction\": \"promote\", \"mover\": \"module\", \"tried_pages\": 1000,"
    "      \"applied_pages\": 960,"
    "      \"refused\": [ { \"word\": \"busy\", \"sentence\": \"locked\", \"pages\": 40 } ] },"
    "    { \"direction\": \"demote\", \"mover\": \"move_pages\", \"tried_pages\": 0,"
    "      \"applied_pages\": 0, \"refused\": [] } ],"
    "  \"cost\": { \"cpu_share_bp\": 137, \"cpu_ns\": 41000000000, \"move_ns\": 2500000000,"
    "    \"scan_ns\": 20000000000, \"last_scan_ns\": 9000000, \"scans\": 2000,"
    "    \"period_ns\": 1000000000, \"stretched_ns\": 4000000000, \"window_ns\": 60000000, \"tables_read\": 100,"
    "    \"tables_skipped\": 900, \"flush_cpus\": 4242, \"faults_sampled\": 77,"
    "    \"events_lost\": 3, \"metadata_bytes\": 65536,"
    "    \"stages\": [ { \"stage\": \"scan\", \"longest_ns\": 20000000 },"
    "      { \"stage\": \"plan\", \"longest_ns\": 1500000000 },"
    "      { \"stage\": \"report\", \"longest_ns\": 0 } ] },"
    "  \"copies\": { \"dma_wanted\": false, \"channels\": 2, \"cpu_pages\": 500,"
    "    \"dma_pages\": 400, \"fallback_pages\": 3, \"timeouts\": 1, \"leaked_pages\": 5,"
    "    \"times\": [ { \"batch_pages\": 1, \"cpu_ns\": 1100 },"
    "      { \"batch_pages\": 512, \"cpu_ns\": 700, \"dma_ns\": 900 } ] },"
    "  \"numa_balancing\": { \"mode\": 0, \"saved_mode\": 1, \"conflict\": false,"
    "    \"reason\": \"pulls-to-cpu\", \"reason_sentence\": \"pulls pages to the CPU\" },"
    "  \"damon_stat\": { \"borrowed\": true, \"reason\": \"steals\","
    "    \"reason_sentence\": \"clears bits\" } }";

static sd_json_variant *parse(const char *text)
{
	sd_json_variant *v = NULL;

	assert_true(sd_json_parse(text, 0, &v, NULL, NULL) >= 0);
	return v;
}

static char *render(sd_json_variant *v, struct render_options options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(render_status(v, &options, out), 0);
	fclose(out);
	return text;
}

static char *render_text(const char *json, struct render_options options)
{
	sd_json_variant *v = parse(json);
	char *text = render(v, options);

	sd_json_variant_unref(v);
	return text;
}

static void expect_in(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("expects \"%s\" in:\n%s", wanted, text);
}

static void expect_not_in(const char *text, const char *unwanted)
{
	if (strstr(text, unwanted))
		fail_msg("expects no \"%s\" in:\n%s", unwanted, text);
}

/* The golden object with its first @from replaced. */
static char *changed(const char *from, const char *to)
{
	const char *at = strstr(golden, from);
	char *copy = malloc(sizeof(golden) + strlen(to));

	assert_non_null(at);
	sprintf(copy, "%.*s%s%s", (int)(at - golden), golden, to, at + strlen(from));
	return copy;
}

static char *render_changed(const char *from, const char *to)
{
	char *json = changed(from, to), *text = render_text(json, (struct render_options){0});

	free(json);
	return text;
}

static void figures_are_told(void **state)
{
	static const char *const wanted[] = {
	    "emberd 0.1.0, up 2 h 13 min, moving pages; policy loaded 12 min ago",
	    "tier 0         1.00 GiB  768.0 MiB  256.0 MiB   32.0 MiB  512.0 MiB  "
	    "[############======......]",
	    "tier 1         2.00 GiB        0 B   2.00 GiB        0 B        0 B  "
	    "[........................]",
	    "2 CPUs; rank: the kernel's memory tiers (memory_tier4); 8.0 KiB arriving",
	    "no CPUs; rank: a node without CPUs, far by distance, 250 ns",
	    "3 followed, 1 not shown",
	    "   4711   1000  redis-server     big                   400.0 MiB  300.0 MiB  75 %  "
	    "100.0 MiB  25 %\n",
	    "3 of 20 scans lost",
	    "2 batches under way",
	    "promote by module: tried 1000, applied 960 (3.8 MiB, 96.0 %), refused:\n"
	    "            40  busy          locked\n",
	    "huge pages: 4.0 MiB moved in pieces, 2.0 MiB would not be split\n",
	    "number 57, settled: next to nothing to do; pages touched at least every 120.0 ms "
	    "fill tier 0",
	    "           512  fill          hot, and there is room",
	    "        131072  placed        already there",
	    "1.37 % of one CPU over the last minute",
	    "41.0 s in the daemon (20.0 s inside scans), 2.5 s moving in the module",
	    "2000, one 10.0 ms on average, the last 9.0 ms; every 1.0 s, stretched to 4.0 s by "
	    "cpu_budget, over windows of 60.0 ms",
	    "100 read, 900 skipped untouched (90.0 %)",
	    "4242 CPUs interrupted",
	    "silent    for 1.5 s at most, at: plan\n",
	    "77 sampled",
	    "3 events",
	    "64.0 KiB, 0.50 bytes per followed page",
	    "by CPU    500, 3 of them after a DMA engine had failed\n",
	    "by DMA    400; 2 channels, used where measured to be faster\n",
	    "stopped   1 times, because an engine took too long\n",
	    "lost      5 pages, to which an engine may still write\n",
	    "             1 and more        1.1 us           -\n",
	    "           512 and more        0.7 us      0.9 us\n",
	    "kernel.numa_balancing  0 while ember runs, then 1 again: automatic NUMA balancing "
	    "pulls pages to the CPU",
	    "DAMON_STAT  off while ember samples, then on again: it clears bits",
	};
	char *text = render_text(golden, (struct render_options){0});

	print_message("%s", text);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		expect_in(text, wanted[i]);
	expect_not_in(text, "demote by"); /* nothing was tried there */
	expect_not_in(text, "rejected");
	expect_not_in(text, "new area");
	expect_not_in(text, "placed by hand");
	free(text);
}

static void unnoticed_placements_are_told(void **state)
{
	char *text = render_changed("\"settled\": true,",
				    "\"settled\": true, \"placements_unnoticed\": true,");

	expect_in(text, "what is placed by hand is not noticed");
	free(text);
}

static void pools_are_told_apart_from_nodes(void **state)
{
	char *text = render_changed("\"node\": 1, \"tier\": 1, \"cpus\": 0,",
				    "\"node\": 14, \"tier\": 1, \"cpus\": 0, \"pool_of\": 0,");

	print_message("%s", text);
	expect_in(text, "\n  pool 14      2.00 GiB        0 B   2.00 GiB        0 B  "
			"of node 0; rank: a node without CPUs");
	expect_in(text, "\n  node 0 ");
	expect_not_in(text, "no CPUs;");
	free(text);
}

static void names_cannot_reach_the_terminal(void **state)
{
	char *text = render_text(golden, (struct render_options){0});

	expect_in(text, "e\\u{1b}[2Jvil\\u{202e}gnp");
	expect_not_in(text, "\033");
	expect_not_in(text, "\xe2\x80\xae");
	free(text);
}

static void names_keep_their_letters(void **state)
{
	char *text;

	text = render_changed("redis-server", "caf\xc3\xa9 \xe7\x81\xab");
	if (setlocale(LC_CTYPE, "C.UTF-8")) {
		char *utf8 = render_changed("redis-server", "caf\xc3\xa9 \xe7\x81\xab");

		/* padded by columns: the last letter takes two */
		expect_in(utf8, "caf\xc3\xa9 \xe7\x81\xab          big ");
		free(utf8);
		setlocale(LC_CTYPE, "C");
	}
	expect_in(text, "caf\\u{e9} \\u{706b}");
	free(text);
}

static void trouble_is_told(void **state)
{
	char *text;

	text = render_changed("\"rejected\": false",
			      "\"rejected\": true, \"error\": \"50-x.json: /rules: no list\"");
	expect_in(text, "The policy on disk was rejected; the older one stays in force:\n"
			"  50-x.json: /rules: no list\n");
	free(text);
	text = render_changed("\"rejected\": false", "\"rejected\": true");
	expect_in(text, "The policy on disk was rejected; the older one stays in force\n");
	free(text);
	text = render_changed("\"saved_mode\": 1, \"conflict\": false", "\"conflict\": true");
	expect_in(text, "kernel.numa_balancing  0, and works against ember: ");
	free(text);
	text = render_changed("\"saved_mode\": 1, ", "");
	expect_in(text, "kernel.numa_balancing  0, left alone: ");
	free(text);
	text = render_changed("\"mode\": 0, \"saved_mode\": 1, ", "");
	expect_in(text, "kernel.numa_balancing  not in this kernel");
	free(text);
	text = render_changed("\"borrowed\": true", "\"borrowed\": false");
	expect_in(text, "DAMON_STAT  on, and works against ember: it clears bits");
	free(text);
	text = render_changed("\"borrowed\": true, \"reason\": \"steals\"",
			      "\"borrowed\": false, \"reason\": \"off\"");
	expect_in(text, "DAMON_STAT  left alone: it clears bits");
	free(text);
	text = render_changed("\"observe_only\": false", "\"observe_only\": true");
	expect_in(text, "observing only: nothing is moved");
	free(text);
	text = render_changed("\"tried_pages\": 1000", "\"tried_pages\": 0");
	expect_in(text, "none yet");
	free(text);
}

static void copies_are_told(void **state)
{
	char *text;

	text = render_changed("\"dma_wanted\": false", "\"dma_wanted\": true");
	expect_in(text, "400; 2 channels, used because the policy asks for it\n");
	free(text);
	text = render_changed("\"channels\": 2", "\"channels\": 0");
	expect_in(text, "400; no channel is held\n");
	free(text);
	text = render_changed("\"dma_wanted\": false, \"channels\": 2",
			      "\"dma_wanted\": true, \"channels\": 0");
	expect_in(text, "400; no channel, though the policy asks for DMA: CPUs copy\n");
	free(text);
	/* the module does not answer */
	text = render_changed("\"copies\"", "\"other\"");
	expect_not_in(text, "COPIES");
	free(text);
}

static void options_add(void **state)
{
	char *text = render_text(golden, (struct render_options){.areas = true});

	expect_in(text, "new area 0x100000-0x200000 (1.0 MiB), found by a fault sample");
	free(text);
	text = render_text(golden, (struct render_options){.colour = true});
	expect_in(text, "\033[1m");
	expect_in(text, "\033[1;31m3 events");
	free(text);
}

static void old_figures_are_told(void **state)
{
	/* the golden snapshot is of 1 ns and the period 1 s: up to 8 s are no trouble */
	char *text = render_text(golden, (struct render_options){.now_ns = 8000000001});

	expect_not_in(text, "old: ");
	free(text);
	text = render_text(golden, (struct render_options){.now_ns = 8000000002});
	expect_in(text, "These figures are 8.0 s old: the engine of emberd is stuck");
	free(text);
}

static void bars_stay_in_their_frame(void **state)
{
	/* the figures are read at different moments: more followed than used, more free than there
	 * is */
	char *text = render_changed("\"followed_bytes\": 536870912",
				    "\"followed_bytes\": 18446744073709551615");

	expect_in(text, "[##################......]");
	free(text);
	text = render_changed("\"free_bytes\": 268435456", "\"free_bytes\": 99999999999");
	expect_in(text, "[........................]");
	free(text);
	text = render_changed("\"capacity_bytes\": 1073741824", "\"capacity_bytes\": 0");
	expect_in(text, "[........................]");
	free(text);
}

static void other_objects_are_refused_whole(void **state)
{
	static const char *const parts[] = {"tiers", "nodes",          "processes",
					    "moves", "policy",         "plan",
					    "cost",  "numa_balancing", "damon_stat"};
	const struct render_options options = {0};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		sd_json_variant *v = parse(golden);
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);

		assert_true(sd_json_variant_set_field_string(&v, parts[i], "other") >= 0);
		assert_int_equal(render_status(v, &options, out), -EPROTO);
		fclose(out);
		assert_int_equal(size, 0);
		free(text);
		sd_json_variant_unref(v);
	}
	assert_int_equal(render_status(NULL, &options, stdout), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(figures_are_told),
	    cmocka_unit_test(pools_are_told_apart_from_nodes),
	    cmocka_unit_test(unnoticed_placements_are_told),
	    cmocka_unit_test(names_cannot_reach_the_terminal),
	    cmocka_unit_test(names_keep_their_letters),
	    cmocka_unit_test(trouble_is_told),
	    cmocka_unit_test(copies_are_told),
	    cmocka_unit_test(options_add),
	    cmocka_unit_test(old_figures_are_told),
	    cmocka_unit_test(bars_stay_in_their_frame),
	    cmocka_unit_test(other_objects_are_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
