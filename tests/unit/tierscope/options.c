// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tierscope/options.c"

static struct options options;
static char err[256];

static int parse(const char *extra)
{
	char *argv[] = {"out=/tmp/f", "fast=0x0-0x40000000", (char *)extra};

	return options_parse(&options, extra ? 3 : 2, argv, err, sizeof(err));
}

static void defaults_are_those_of_the_readme(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL), 0);
	assert_string_equal(options.out, "/tmp/f");
	assert_null(options.pages);
	assert_int_equal(options.llc_bytes, 2 << 20);
	assert_int_equal(options.nr_ways, 16);
	assert_int_equal(options.pages_every_s, 10);
	assert_int_equal(options.vrange.end, 0);
	assert_false(options.early);
	assert_int_equal(options.nr_mems, 1);
	assert_string_equal(options.mems[0].name, "node0");
	assert_int_equal(options.mems[0].tier, TIER_FAST);
}

static void values_are_taken(void **state)
{
	char *argv[] = {"out=/tmp/a,b",  "slow=ddr:0x0-0x80000000+0x100000000-0x140000000",
			"fast=1G-1536M", "llc=512K",
			"ways=8",        "vrange=0x1000-0x2000",
			"pages=/tmp/p",  "pages_every=3",
			"early=on"};

	(void)state;
	assert_int_equal(options_parse(&options, 9, argv, err, sizeof(err)), 0);
	assert_string_equal(options.out, "/tmp/a,b");
	assert_int_equal(options.nr_mems, 2);
	assert_string_equal(options.mems[0].name, "ddr");
	assert_int_equal(options.mems[0].tier, TIER_SLOW);
	assert_int_equal(options.mems[0].nr_pieces, 2);
	assert_int_equal(options.mems[0].pieces[1].end, 0x140000000);
	assert_string_equal(options.mems[1].name, "node1");
	assert_int_equal(options.mems[1].pieces[0].start, 1 << 30);
	assert_int_equal(options.mems[1].pieces[0].end, 1536ull << 20);
	assert_int_equal(options.llc_bytes, 512 << 10);
	assert_int_equal(options.nr_ways, 8);
	assert_int_equal(options.vrange.start, 0x1000);
	assert_int_equal(options.vrange.end, 0x2000);
	assert_string_equal(options.pages, "/tmp/p");
	assert_int_equal(options.pages_every_s, 3);
	assert_true(options.early);
}

static void bad_values_are_named(void **state)
{
	static const char *const bad[] = {
	    "slow=",
	    "slow=0x0",
	    "slow=0x2000-0x1000",
	    "slow=0x1000-0x1000",
	    "slow=0x0-0x1000+",
	    "slow=0x0-0x1000,",
	    "slow=A:0x0-0x1000",
	    "slow=:0x0-0x1000",
	    "llc=",
	    "llc=2X",
	    "llc=-1",
	    "llc=2MiB",
	    "llc=99999999999999999999",
	    "llc=17179869184G",
	    "ways= 8",
	    "vrange=0x1000",
	    "vrange=0x0-0x800000000001",
	    "vrange=0x0-0x1000+0x2000-0x3000",
	    "early=yes",
	    "pages=",
	    "pages_every=1s",
	    "out=",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("%s\n", bad[i]);
		assert_int_equal(parse(bad[i]), -EINVAL);
		assert_non_null(strstr(err, bad[i]));
		assert_non_null(strstr(err, "bad value"));
	}
}

static void unknown_arguments_are_named(void **state)
{
	(void)state;
	assert_int_equal(parse("cache=2M"), -EINVAL);
	assert_string_equal(err, "unknown argument: cache=2M");
	assert_int_equal(parse("early"), -EINVAL);
	assert_int_equal(parse("a_key_longer_than_any=1"), -EINVAL);
}

static void what_is_missing_is_said(void **state)
{
	char *no_out[] = {"fast=0x0-0x1000"}, *no_mem[] = {"out=f"};

	(void)state;
	assert_int_equal(options_parse(&options, 1, no_out, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "out=FILE"));
	assert_int_equal(options_parse(&options, 1, no_mem, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "no memory"));
	assert_int_equal(parse("pages_every=0"), -EINVAL);
}

static void there_is_an_end_to_memories_and_pieces(void **state)
{
	char *argv[MEMMAP_MAX_MEMS + 2] = {"out=f"};

	(void)state;
	for (int i = 1; i < MEMMAP_MAX_MEMS + 2; i++)
		argv[i] = "fast=0x0-0x1000";
	assert_int_equal(options_parse(&options, MEMMAP_MAX_MEMS + 1, argv, err, sizeof(err)), 0);
	assert_int_equal(options_parse(&options, MEMMAP_MAX_MEMS + 2, argv, err, sizeof(err)),
			 -EINVAL);
	assert_int_equal(parse("slow=0-1+2-3+4-5+6-7"), 0);
	assert_int_equal(parse("slow=0-1+2-3+4-5+6-7+8-9"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_those_of_the_readme),
	    cmocka_unit_test(values_are_taken),
	    cmocka_unit_test(bad_values_are_named),
	    cmocka_unit_test(unknown_arguments_are_named),
	    cmocka_unit_test(what_is_missing_is_said),
	    cmocka_unit_test(there_is_an_end_to_memories_and_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
