// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/pool_sys.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "daemon/util/cleanup.h"
#include "ember/sample.h"

/* ---- pools ---- */

/* A whole file of sysfs, without its last newline. 0 or -errno. */
static int read_file(const char *dir, const char *name, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX];
	size_t n;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fread(ret, 1, size - 1, f);
	if (ferror(f))
		return -EIO;
	ret[n] = 0;
	if (n && ret[n - 1] == '\n')
		ret[n - 1] = 0;
	return 0;
}

static int read_number(const char *dir, const char *name, uint64_t *ret)
{
	char text[32], *end;
	int r = read_file(dir, name, text, sizeof(text));

	if (r < 0)
		return r;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	return errno || end == text || *end ? -EBADMSG : 0;
}

static int read_error(const char *dir, int *ret)
{
	char text[32];
	int r = read_file(dir, "error", text, sizeof(text));

	if (r < 0)
		return r;
	*ret = (int)strtol(text, NULL, 10);
	return 0;
}

static int read_figures(const char *dir, struct pool_info *pool)
{
	uint64_t node;
	int r = read_number(dir, "start", &pool->start);

	if (!r)
		r = read_number(dir, "bytes", &pool->bytes);
	if (!r)
		r = read_number(dir, "node", &node);
	if (!r)
		r = read_number(dir, "used_bytes", &pool->used_bytes);
	if (!r)
		r = read_number(dir, "bad_bytes", &pool->bad_bytes);
	if (!r)
		pool->node = node;
	return r;
}

int pool_sys_read(const char *sys_root, uint32_t id, struct pool_info *ret)
{
	struct pool_info pool = {.id = id};
	char dir[PATH_MAX];
	int r;

	snprintf(dir, sizeof(dir), "%s/kernel/ember/pool%" PRIu32, sys_root, id);
	r = read_figures(dir, &pool);
	if (!r)
		r = read_file(dir, "state", pool.state, sizeof(pool.state));
	/* behind the state: of one that is ready again they say why */
	if (!r)
		r = read_error(dir, &pool.error);
	if (!r)
		r = read_file(dir, "stuck", pool.stuck, sizeof(pool.stuck));
	/* It may go while we read: the kernel then has no such device, or nothing more to read. */
	if (r == -ENODEV || r == -EIO)
		return -ENOENT;
	if (!r)
		*ret = pool;
	return r;
}

int pool_sys_read_all(const char *sys_root, struct pool_info **ret, size_t *ret_nr)
{
	_cleanup_free_ struct pool_info *pools = calloc(EMBER_MEM_UNKNOWN, sizeof(*pools));
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	size_t nr = 0;

	if (!pools)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/kernel/ember", sys_root);
	dir = opendir(path);
	if (!dir)
		return -errno;
	for (uint32_t id = 0; id < EMBER_MEM_UNKNOWN; id++) {
		int r = pool_sys_read(sys_root, id, &pools[nr]);

		if (r < 0 && r != -ENOENT)
			return r;
		nr += !r;
	}
	*ret = TAKE_PTR(pools);
	*ret_nr = nr;
	return 0;
}

/* ---- the firmware's map ---- */

static int read_entry(const char *map_dir, const char *name, struct pool_range *ret)
{
	char dir[PATH_MAX];
	int r;

	if (snprintf(dir, sizeof(dir), "%s/%s", map_dir, name) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	r = read_number(dir, "start", &ret->start);
	if (!r)
		r = read_number(dir, "end", &ret->end);
	if (!r)
		r = read_file(dir, "type", ret->what, sizeof(ret->what));
	return r;
}

int pool_sys_firmware(const char *sys_root, struct pool_range **ret, size_t *ret_nr)
{
	_cleanup_free_ struct pool_range *map = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *d;
	size_t nr = 0;

	snprintf(path, sizeof(path), "%s/firmware/memmap", sys_root);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		void *grown;
		int r;

		if (d->d_name[0] == '.')
			continue;
		grown = reallocarray(map, nr + 1, sizeof(*map));
		if (!grown)
			return -ENOMEM;
		map = grown;
		memset(&map[nr], 0, sizeof(map[nr]));
		r = read_entry(path, d->d_name, &map[nr]);
		if (r < 0)
			return r;
		nr++;
	}
	*ret = TAKE_PTR(map);
	*ret_nr = nr;
	return 0;
}
