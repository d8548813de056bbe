// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy_load.h"

#define RULE(name) "{\"version\": 1, \"rules\": [{\"name\": \"" name "\"}]}"

struct dirs {
	char usr[64], run[64], etc[64];
	const char *list[4];
};

static char root[64];

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void make_link(const char *dir, const char *name, const char *target)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	static struct dirs d;

	strcpy(root, "/tmp/ember-policy-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(d.usr, sizeof(d.usr), "%s/u", root);
	snprintf(d.run, sizeof(d.run), "%s/r", root);
	snprintf(d.etc, sizeof(d.etc), "%s/e", root);
	mkdir(d.usr, 0755);
	mkdir(d.etc, 0755); /* run is missing on purpose: no error */
	d.list[0] = d.usr;
	d.list[1] = d.run;
	d.list[2] = d.etc;
	*state = &d;
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static int load(struct dirs *d, struct ember_policy **p, struct ember_policy_error *error)
{
	int err;

	*p = NULL;
	memset(error, 0, sizeof(*error));
	err = ember_policy_load(d->list, getuid(), p, error);
	print_message("load: %d %s\n", err, error->text);
	return err;
}

static void test_order_and_masking(void **state)
{
	struct dirs *d = *state;
	struct ember_policy_error error;
	struct ember_policy *p;

	write_file(d->usr, "50-b.json", RULE("usr-b"), 0644);
	write_file(d->usr, "90-d.json", RULE("usr-d"), 0644);
	write_file(d->usr, "70-c.json", RULE("usr-c"), 0644);
	write_file(d->etc, "90-d.json", RULE("etc-d"), 0644);
	write_file(d->etc, "10-a.json", RULE("etc-a"), 0600);
	write_file(d->etc, "11-x.json.bak", "not JSON", 0644);
	write_file(d->etc, ".hidden.json", "not JSON", 0644);
	make_link(d->etc, "70-c.json", "/dev/null");
	assert_int_equal(load(d, &p, &error), 0);
	assert_int_equal(p->nr_rules, 3);
	assert_string_equal(p->rules[0].name, "etc-a");
	assert_string_equal(p->rules[1].name, "usr-b");
	assert_string_equal(p->rules[2].name, "etc-d");
	ember_policy_free(p);
}

static void test_nothing_there(void **state)
{
	struct dirs *d = *state;
	struct ember_policy_error error;
	struct ember_policy *p;

	assert_int_equal(load(d, &p, &error), 0);
	assert_int_equal(p->nr_rules, 0);
	ember_policy_free(p);
}

static void must_refuse(struct dirs *d, int expected, const char *says)
{
	struct ember_policy_error error;
	struct ember_policy *p;

	assert_int_equal(load(d, &p, &error), expected);
	assert_null(p);
	assert_non_null(strstr(error.text, says));
}

static void test_bad_content_names_the_file(void **state)
{
	struct dirs *d = *state;

	write_file(d->usr, "a.json", RULE("fine"), 0644);
	write_file(d->etc, "b.json", "{\"version\": 3}", 0644);
	must_refuse(d, -EINVAL, "b.json: /version");
}

static void test_writable_by_others(void **state)
{
	struct dirs *d = *state;

	write_file(d->etc, "a.json", RULE("x"), 0664);
	must_refuse(d, -EPERM, "a.json: may be written by others");
}

static void test_writable_directory(void **state)
{
	struct dirs *d = *state;

	assert_int_equal(chmod(d->etc, 0777), 0);
	must_refuse(d, -EPERM, "/e: may be written by others");
}

static void test_wrong_owner(void **state)
{
	struct dirs *d = *state;
	struct ember_policy_error error;
	struct ember_policy *p = NULL;

	write_file(d->etc, "a.json", RULE("x"), 0644);
	assert_int_equal(ember_policy_load(d->list, getuid() + 1, &p, &error), -EPERM);
	assert_non_null(strstr(error.text, "does not belong"));
}

static void test_links(void **state)
{
	struct dirs *d = *state;
	char target[96];

	write_file(d->usr, "a.txt", RULE("x"), 0644);
	snprintf(target, sizeof(target), "%s/a.txt", d->usr);
	make_link(d->etc, "a.json", target);
	must_refuse(d, -EPERM, "a.json: is a symbolic link");
}

static void test_fifo(void **state)
{
	struct dirs *d = *state;
	char path[96];

	snprintf(path, sizeof(path), "%s/a.json", d->etc);
	assert_int_equal(mkfifo(path, 0644), 0);
	must_refuse(d, -EPERM, "a.json: is not a regular file");
}

static void test_too_large(void **state)
{
	struct dirs *d = *state;
	char path[96];

	write_file(d->etc, "a.json", RULE("x"), 0644);
	snprintf(path, sizeof(path), "%s/a.json", d->etc);
	assert_int_equal(truncate(path, EMBER_POLICY_MAX_FILE_BYTES + 1), 0);
	must_refuse(d, -EFBIG, "a.json: is larger than 1 MiB");
}

/* The files that are shipped are accepted by what is shipped. */
static void test_default_policy(void **state)
{
	struct dirs *d = *state;
	static const char *const names[] = {"policies/default.json", "../policies/default.json",
					    "../../../policies/default.json"};
	static char text[65536];
	struct ember_policy_error error;
	struct ember_policy *p;
	FILE *f = NULL;

	for (size_t i = 0; !f && i < NR(names); i++)
		f = fopen(names[i], "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	write_file(d->etc, "default.json", text, 0644);
	assert_int_equal(load(d, &p, &error), 0);
	assert_int_equal(p->nr_rules, 1);
	assert_int_equal(p->rules[0].min_rss_bytes, 64 << 20);
	ember_policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order_and_masking, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_content_names_the_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_writable_by_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_writable_directory, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_wrong_owner, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fifo, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_default_policy, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
