// SPDX-License-Identifier: GPL-2.0-only
/*
 * ember: moves pages of processes between memories when a privileged client asks.
 *
 * Bring-up in the order of dependence, take-down in the mirror order. The netlink
 * family comes up last and goes down first: when ember_genl_exit() returns, no request
 * can arrive any more, and ember_clients_exit() then ends the ones under way. The
 * other way in, the access-bit kfunc, cannot be open by then: a loaded BPF program
 * that uses it holds the module.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "access.h"
#include "client.h"
#include "dma.h"
#include "genl.h"
#include "memory.h"
#include "pool.h"

static int __init ember_init(void)
{
	int err;

	err = ember_memory_init();
	if (err)
		return err;
	err = ember_pools_init();
	if (err)
		goto exit_memory;
	err = ember_dma_init();
	if (err)
		goto exit_pools;
	err = ember_clients_init();
	if (err)
		goto exit_dma;
	/* Nothing undoes it: the kernel forgets the kfunc with the module. */
	err = ember_access_init();
	if (err)
		goto exit_clients;
	err = ember_genl_init();
	if (err)
		goto exit_clients;
	return 0;

exit_clients:
	ember_clients_exit();
exit_dma:
	ember_dma_exit();
exit_pools:
	ember_pools_exit();
exit_memory:
	ember_memory_exit();
	return err;
}

static void __exit ember_exit(void)
{
	ember_genl_exit();
	ember_clients_exit();
	ember_dma_exit();
	ember_pools_exit();
	ember_memory_exit();
}

module_init(ember_init);
module_exit(ember_exit);

MODULE_DESCRIPTION("Page migration and access bits for tiered memory");
MODULE_AUTHOR("ember developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(EMBER_VERSION);
/*
 * No MODULE_ALIAS_GENL_FAMILY: an unprivileged lookup of the family must not load
 * the module.
 */
