// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pool_text.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* What a test wrote, until the next written(). */
static char *text;
static size_t text_size;
static FILE *out;

static int set_up(void **state)
{
	out = open_memstream(&text, &text_size);
	return out ? 0 : -1;
}

static int tear_down(void **state)
{
	fclose(out);
	free(text);
	return 0;
}

static const char *written(void)
{
	fflush(out);
	print_message("%s", text);
	return text;
}

static void start_over(void)
{
	assert_int_equal(tear_down(NULL), 0);
	assert_int_equal(set_up(NULL), 0);
}

static void expect_text(const char *wanted)
{
	if (!strstr(written(), wanted))
		fail_msg("no \"%s\" in it", wanted);
}

/* ---- understanding ---- */

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t bytes;
	} table[] = {
	    {"0", 0, 0},
	    {"4096", 0, 4096},
	    {"2M", 0, 2 * MIB},
	    {"2m", 0, 2 * MIB},
	    {"1K", 0, 1024},
	    {"3G", 0, 3 * GIB},
	    {"1T", 0, 1024 * GIB},
	    {"0x80000000", 0, 2 * GIB},
	    {"0X1fG", 0, 31 * GIB},
	    {"0100M", 0, 100 * MIB}, /* no octal */
	    {"0xffffffffffffffff", 0, UINT64_MAX},
	    {"0x10000000000000000", -ERANGE, 0},
	    {"16777216T", -ERANGE, 0},
	    {"16777215T", 0, 16777215ULL << 40},
	    {"", -EINVAL, 0},
	    {"M", -EINVAL, 0},
	    {"0x", -EINVAL, 0},
	    {"0xG", -EINVAL, 0},
	    {"-2M", -EINVAL, 0},
	    {"+2M", -EINVAL, 0},
	    {" 2M", -EINVAL, 0},
	    {"2MB", -EINVAL, 0},
	    {"2 M", -EINVAL, 0},
	    {"2P", -EINVAL, 0},
	    {"1.5G", -EINVAL, 0},
	};

	for (size_t i = 0; i < NR(table); i++) {
		uint64_t bytes = 77;
		int r = pool_parse_bytes(table[i].text, &bytes);

		print_message("\"%s\": %d, %#llx\n", table[i].text, r, (unsigned long long)bytes);
		assert_int_equal(r, table[i].result);
		assert_int_equal(bytes, r ? 77 : table[i].bytes);
	}
}

static void test_ids(void **state)
{
	static const struct {
		const char *text;
		int id; /* -1: refused */
	} table[] = {{"0", 0},
		     {"14", 14},
		     {"pool14", 14},
		     {"15", -1},
		     {"", -1},
		     {"pool", -1},
		     {"0x2", -1},
		     {"1K", -1},
		     {"-1", -1},
		     {"14 ", -1},
		     {"x", -1},
		     {"pool1x", -1},
		     {"99999999999999999999", -1}};

	for (size_t i = 0; i < NR(table); i++) {
		uint32_t id = 77;
		int r = pool_parse_id(table[i].text, &id);

		print_message("\"%s\": %d\n", table[i].text, r);
		assert_int_equal(r, table[i].id < 0 ? -EINVAL : 0);
		assert_int_equal(id, table[i].id < 0 ? 77 : table[i].id);
	}
}

static void test_range_faults(void **state)
{
	assert_null(pool_range_fault(2 * GIB, 512 * MIB));
	assert_null(pool_range_fault(0, 2 * MIB));
	assert_non_null(pool_range_fault(2 * GIB, 0));
	assert_non_null(pool_range_fault(2 * GIB + MIB, 2 * MIB));
	assert_non_null(pool_range_fault(2 * GIB, 3 * MIB));
	assert_non_null(pool_range_fault(-2 * MIB, 4 * MIB));
	assert_null(pool_range_fault(-4 * MIB, 2 * MIB));
}

/* ---- the firmware's map ---- */

/* A PC's: low RAM, a hole, tables, RAM above 4 GiB, HBM. */
static const struct pool_range map[] = {
    {0x0, 0x9fbff, "System RAM"},
    {0x9fc00, 0x9ffff, "Reserved"},
    {0x100000, 0x7fffffff, "System RAM"},
    {0x80000000, 0x8fffffff, "System RAM"}, /* beside it, of another node */
    {0xfffc0000, 0xffffffff, "Reserved"},
    {0x140000000, 0x17fffffff, "Soft Reserved"},
    {0x180000000, 0x1ffffffff, "ACPI Tables"},
    {0x188000000, 0x18fffffff, "System RAM"}, /* maps overlap: the other one counts */
    {0x200000000, 0x2ffffffff, "System RAM"},
    {0x240000000, 0x24000ffff, "ACPI Tables"}, /* in the middle of it */
};

static void test_firmware(void **state)
{
	static const struct {
		uint64_t start, bytes;
		bool agrees;
		uint64_t at;
		const char *what;
	} table[] = {
	    {0x80000000, 256 * MIB, true, 0, NULL},
	    {0x40000000, GIB + 256 * MIB, true, 0, NULL}, /* two entries in a row */
	    {0x140000000, GIB, true, 0, NULL},
	    {0x80000000, 258 * MIB, false, 0x90000000, ""}, /* runs into a hole */
	    {0x90000000, 2 * MIB, false, 0x90000000, ""},   /* all of it a hole */
	    {0xffe00000, 2 * MIB, false, 0xffe00000, ""},   /* a hole, then Reserved */
	    {0xfffc0000, 2 * MIB, false, 0xfffc0000, "Reserved"},
	    {0x0, 2 * MIB, false, 0x9fc00, "Reserved"}, /* in the middle */
	    {0x17fe00000, 4 * MIB, false, 0x180000000, "ACPI Tables"},
	    {0x188000000, 2 * MIB, false, 0x180000000, "ACPI Tables"},
	    {0x138000000, GIB, false, 0x138000000, ""},
	    {0x200000000, 2 * GIB, false, 0x240000000, "ACPI Tables"},
	    {0x240000000, 2 * MIB, false, 0x240000000, "ACPI Tables"},
	    {0x250000000, 2 * MIB, true, 0, NULL},
	};

	for (size_t i = 0; i < NR(table); i++) {
		struct pool_range first = {.what = "untouched"};
		bool agrees =
		    pool_firmware_agrees(map, NR(map), table[i].start, table[i].bytes, &first);

		print_message("%#llx: %s, %#llx \"%s\"\n", (unsigned long long)table[i].start,
			      agrees ? "agrees" : "objects", (unsigned long long)first.start,
			      first.what);
		assert_int_equal(agrees, table[i].agrees);
		if (agrees)
			continue;
		assert_int_equal(first.start, table[i].at);
		assert_string_equal(first.what, table[i].what);
	}
	/* the hole is told with its end */
	{
		struct pool_range first;

		assert_false(pool_firmware_agrees(map, NR(map), 0x80000000, 2 * GIB, &first));
		assert_int_equal(first.start, 0x90000000);
		assert_int_equal(first.end, 0xfffbffff);
		assert_false(pool_firmware_agrees(map, 0, 0, 2 * MIB, &first));
	}
}

static const char iomem[] = "00000000-00000fff : Reserved\n"
			    "00100000-7fffffff : System RAM\n"
			    "  01000000-020fffff : Kernel code\n"
			    "80000000-8fffffff : Reserved\n"
			    "  80000000-87ffffff : ember pool\n"
			    "  88000000-8fffffff : PCI Bus \033[2J\n"
			    "    88000000-88000fff : 0000:00:02.0\n"
			    "90000000-9fffffff : Soft Reserved\n";

static unsigned int owners(uint64_t start, uint64_t bytes)
{
	FILE *in = fmemopen((void *)iomem, strlen(iomem), "r");
	unsigned int nr;

	assert_non_null(in);
	start_over();
	nr = pool_print_owners(in, start, bytes, out);
	fclose(in);
	return nr;
}

static void test_owners(void **state)
{
	assert_int_equal(owners(0x80000000, 2 * MIB), 1);
	assert_string_equal(written(), "    0x80000000-0x87ffffff : ember pool\n");
	assert_int_equal(owners(0x86000000, 64 * MIB), 2);
	expect_text("ember pool");
	expect_text("0000:00:02.0");
	assert_int_equal(owners(0x90000000, 2 * MIB), 1);
	expect_text("Soft Reserved");
	assert_int_equal(owners(0x8a000000, 2 * MIB), 1);
	expect_text("PCI Bus \\u{1b}[2J"); /* drivers choose names */
	assert_int_equal(owners(0xa0000000, 2 * MIB), 0);
	assert_string_equal(written(), "");
}

/* ---- saying ---- */

static void test_errors_say_what_to_do(void **state)
{
	static const struct {
		int error;
		const char *text;
	} table[] = {
	    {-ENXIO, "memmap=0x20000000$0x80000000"},
	    {-EBUSY, "somebody uses it; give it up there first\n"},
	    {-EEXIST, "emberctl pool list"},
	    {-EINVAL, "multiples of 2M"},
	    {-ERANGE, "no such physical address"},
	    {-ENODEV, "no such node"},
	    {-ENOSPC, "remove a pool first"},
	    {-ENOMEM, "8.0 MiB"}, /* 64 bytes for each 4 KiB of 512 MiB */
	    {-EPERM, "only root"},
	    {-ENOENT, "modprobe ember"},
	    {-EPROTO, "another version"},
	    {-EIO, "Input/output error"},
	};

	for (size_t i = 0; i < NR(table); i++) {
		start_over();
		pool_explain_add(table[i].error, 2 * GIB, 512 * MIB, out);
		expect_text(table[i].text);
		assert_int_equal(text[text_size - 1], '\n');
	}
	start_over();
	pool_explain_remove(-ENOENT, 3, out); /* not: the module is not loaded */
	expect_text("no pool 3");
	start_over();
	pool_explain_remove(-EBUSY, 3, out);
	expect_text("being added, or emptied");
	start_over();
	pool_explain_remove(-EPERM, 3, out);
	expect_text("only root");
}

static const struct pool_info pools[] = {
    {.id = 14,
     .node = 1,
     .start = 2 * GIB,
     .bytes = 512 * MIB,
     .used_bytes = 100 * MIB,
     .bad_bytes = 12 * MIB,
     .error = -EBUSY,
     .state = "ready",
     .stuck = "pinned 512\nno-memory 3\nunmapped 1\nprocess 4711"},
    {.id = 13, .start = 0x140000000, .bytes = 2 * MIB, .error = -ENXIO, .state = "failed"},
    {.id = 12, .start = 0x180000000, .bytes = 2 * MIB, .error = -EBUSY, .state = "failed"},
};

static void test_list(void **state)
{
	pool_print_list(pools, 1, out);
	expect_text("  14     1      0x80000000   512.0 MiB   100.0 MiB   400.0 MiB    12.0 MiB  "
		    "ready\n");
	expect_text("could not be removed:\n      2.0 MiB  pinned");
	start_over();
	pool_print_list(pools + 1, 1, out);
	expect_text("failed\n      cannot be added: it is not set apart");
	start_over(); /* from pools=: nobody reads /proc/iomem for it here */
	pool_print_list(pools + 2, 1, out);
	expect_text("failed\n      cannot be added: somebody uses it; give it up there first\n");
	assert_null(strstr(written(), "says:"));
	start_over();
	pool_print_list(NULL, 0, out);
	assert_string_equal(written(), "no pools\n");
}

/* Without an error what is left in "stuck" is no news. */
static void test_list_of_sound_pools(void **state)
{
	struct pool_info pool = pools[0];

	pool.error = 0;
	pool_print_list(&pool, 1, out);
	assert_null(strstr(written(), "removed"));
}

static void test_stuck(void **state)
{
	struct pool_info pool = pools[0];

	pool_print_stuck(&pool, out);
	assert_string_equal(
	    written(),
	    "      2.0 MiB  pinned       somebody holds references: direct I/O, a pipe, a device\n"
	    "     12.0 KiB  no-memory    the destination has no free page\n"
	    "      4.0 KiB  unmapped     no process maps it, but somebody holds a reference: a "
	    "device, a pipe\n");
	assert_int_equal(pool_stuck_process(&pool), 4711);
	start_over();
	strcpy(pool.stuck, "");
	pool_print_stuck(&pool, out);
	assert_string_equal(written(), "");
	assert_int_equal(pool_stuck_process(&pool), 0);
	strcpy(pool.stuck, "new-reason 7\nprocess 99999999999\n");
	pool_print_stuck(&pool, out);
	expect_text("new-reason   for a reason that this emberctl does not know");
	assert_int_equal(pool_stuck_process(&pool), 0);
}

static uint64_t number(sd_json_variant *v, const char *key)
{
	assert_true(sd_json_variant_is_unsigned(sd_json_variant_by_key(v, key)));
	return sd_json_variant_unsigned(sd_json_variant_by_key(v, key));
}

static void test_json(void **state)
{
	sd_json_variant *v = NULL, *stuck;

	assert_true(pool_json(&pools[0], &v) >= 0);
	assert_int_equal(number(v, "pool"), 14);
	assert_int_equal(number(v, "node"), 1);
	assert_int_equal(number(v, "start"), 2 * GIB);
	assert_int_equal(number(v, "size_bytes"), 512 * MIB);
	assert_int_equal(number(v, "used_bytes"), 100 * MIB);
	assert_int_equal(number(v, "bad_bytes"), 12 * MIB);
	assert_int_equal(sd_json_variant_integer(sd_json_variant_by_key(v, "error")), -EBUSY);
	assert_string_equal(sd_json_variant_string(sd_json_variant_by_key(v, "state")), "ready");
	assert_int_equal(number(v, "stuck_process"), 4711);
	stuck = sd_json_variant_by_key(v, "stuck");
	assert_int_equal(sd_json_variant_elements(stuck), 3); /* the process is no reason */
	assert_int_equal(number(sd_json_variant_by_index(stuck, 0), "pages"), 512);
	sd_json_variant_unref(v);
	v = NULL;
	assert_true(pool_json(&pools[1], &v) >= 0);
	assert_int_equal(sd_json_variant_elements(sd_json_variant_by_key(v, "stuck")), 0);
	assert_true(sd_json_variant_is_array(sd_json_variant_by_key(v, "stuck")));
	assert_null(sd_json_variant_by_key(v, "stuck_process"));
	sd_json_variant_unref(v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_bytes),        TEST(test_ids),
	    TEST(test_range_faults), TEST(test_firmware),
	    TEST(test_owners),       TEST(test_errors_say_what_to_do),
	    TEST(test_list),         TEST(test_list_of_sound_pools),
	    TEST(test_stuck),        TEST(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
