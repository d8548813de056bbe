// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/pool_sys.h"

static char root[64];

static int set_up(void **state)
{
	strcpy(root, "/tmp/ember-pools-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void write_pool(int id, const char *attr, const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), "kernel/ember/pool%d/%s", id, attr);
	write_file(name, text);
}

static void make_pool(int id, const char *state)
{
	write_pool(id, "start", "0x80000000\n");
	write_pool(id, "bytes", "268435456\n");
	write_pool(id, "node", "1\n");
	write_pool(id, "used_bytes", "8192\n");
	write_pool(id, "bad_bytes", "4096\n");
	write_pool(id, "error", "-16\n");
	write_pool(id, "stuck", "pinned 2\nprocess 12\n");
	write_pool(id, "state", state);
}

static void test_one(void **state)
{
	struct pool_info pool = {.id = 77};

	assert_int_equal(pool_sys_read(root, 3, &pool), -ENOENT);
	make_pool(3, "ready\n");
	assert_int_equal(pool_sys_read(root, 3, &pool), 0);
	assert_int_equal(pool.id, 3);
	assert_int_equal(pool.start, 0x80000000);
	assert_int_equal(pool.bytes, 256 << 20);
	assert_int_equal(pool.node, 1);
	assert_int_equal(pool.used_bytes, 8192);
	assert_int_equal(pool.bad_bytes, 4096);
	assert_int_equal(pool.error, -EBUSY);
	assert_string_equal(pool.state, "ready");
	assert_string_equal(pool.stuck, "pinned 2\nprocess 12");
}

static void test_bad_files(void **state)
{
	struct pool_info pool = {.id = 77};

	make_pool(3, "ready\n");
	write_pool(3, "bytes", "many\n");
	assert_int_equal(pool_sys_read(root, 3, &pool), -EBADMSG);
	write_pool(3, "bytes", "");
	assert_int_equal(pool_sys_read(root, 3, &pool), -EBADMSG);
	write_pool(3, "bytes", "99999999999999999999\n");
	assert_int_equal(pool_sys_read(root, 3, &pool), -EBADMSG);
	assert_int_equal(pool.id, 77); /* untouched */
	/* a state that is longer than any is cut off, not written beyond its place */
	write_pool(3, "bytes", "4096\n");
	write_pool(3, "state", "a-state-that-nobody-has-thought-of\n");
	assert_int_equal(pool_sys_read(root, 3, &pool), 0);
	assert_string_equal(pool.state, "a-state-that-no");
}

static void test_all(void **state)
{
	struct pool_info *pools = NULL;
	size_t nr = 77;

	assert_int_equal(pool_sys_read_all(root, &pools, &nr), -ENOENT); /* no module */
	make_pool(14, "draining\n");
	make_pool(0, "ready\n");
	make_pool(15, "ready\n"); /* beyond all numbers */
	write_file("kernel/ember/other", "");
	assert_int_equal(pool_sys_read_all(root, &pools, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(pools[0].id, 0);
	assert_int_equal(pools[1].id, 14);
	assert_string_equal(pools[1].state, "draining");
	free(pools);
}

static void test_none(void **state)
{
	struct pool_info *pools = NULL;
	size_t nr = 77;

	write_file("kernel/ember/other", ""); /* the module is there */
	assert_int_equal(pool_sys_read_all(root, &pools, &nr), 0);
	assert_int_equal(nr, 0);
	free(pools);
}

static void test_firmware(void **state)
{
	struct pool_range *map = NULL;
	size_t nr = 77;

	assert_int_equal(pool_sys_firmware(root, &map, &nr), -ENOENT);
	write_file("firmware/memmap/0/start", "0x0\n");
	write_file("firmware/memmap/0/end", "0x9fbff\n");
	write_file("firmware/memmap/0/type", "System RAM\n");
	assert_int_equal(pool_sys_firmware(root, &map, &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(map[0].start, 0);
	assert_int_equal(map[0].end, 0x9fbff);
	assert_string_equal(map[0].what, "System RAM");
	free(map);
	map = NULL;
	/* an entry that cannot be read is not one that is not there: nobody may guess */
	write_file("firmware/memmap/1/start", "0x100000\n");
	assert_int_equal(pool_sys_firmware(root, &map, &nr), -ENOENT);
	assert_null(map);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one),  TEST(test_bad_files), TEST(test_all),
	    TEST(test_none), TEST(test_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
