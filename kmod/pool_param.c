// SPDX-License-Identifier: GPL-2.0-only
/* The module's parameter "pools". */
#include <linux/kstrtox.h>
#include <linux/moduleparam.h>
#include <linux/numa.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pool.h"

static char *pools;
module_param(pools, charp, 0444);
MODULE_PARM_DESC(pools, "Ranges to own: START+SIZE[:NODE][,...], as in 0x140000000+256M:1");

/* "START+SIZE[:NODE]", with memparse()'s suffixes. Return: 0 or -EINVAL. */
static int parse_range(char *spec, u64 *ret_start, u64 *ret_bytes, int *ret_nid)
{
	char *at;

	*ret_start = memparse(spec, &at);
	if (at == spec || *at++ != '+')
		return -EINVAL;
	spec = at;
	*ret_bytes = memparse(spec, &at);
	*ret_nid = NUMA_NO_NODE;
	if (at == spec || !*at)
		return at == spec ? -EINVAL : 0;
	return *at == ':' ? kstrtoint(at + 1, 10, ret_nid) : -EINVAL;
}

/* A wrong range is said and left out: a machine that boots without a pool can be mended. */
static void add_all(char *specs)
{
	u64 start, bytes;
	int nid, err;
	char *spec;
	u32 id;

	while ((spec = strsep(&specs, ","))) {
		if (parse_range(spec, &start, &bytes, &nid)) {
			pr_err("ember: pools: cannot understand \"%s\": want START+SIZE[:NODE]\n",
			       spec);
			continue;
		}
		err = ember_pool_add(start, bytes, nid, &id);
		if (err)
			pr_err("ember: pools: %llu bytes at 0x%llx: error %d\n", bytes, start, err);
	}
}

/**
 * ember_pools_add_from_parameter() - begin to own what the parameter "pools" names
 */
void ember_pools_add_from_parameter(void)
{
	char *specs = pools ? kstrdup(pools, GFP_KERNEL) : NULL; /* it stays readable */

	if (specs)
		add_all(specs);
	else if (pools)
		pr_err("ember: pools: no memory\n");
	kfree(specs);
}
