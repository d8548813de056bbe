// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that the administrator has set apart from the kernel's own work (isolcpus=,
 * nohz_full=, and from 7.x isolated partitions of cpusets): what runs there must not be
 * interrupted, because all others of a bulk-synchronous program wait for the slowest.
 *
 * Moving a page flushes its translation on each CPU that has the address space loaded, so a
 * process that runs on such a CPU is left alone unless the asker insists. Only a glance: a
 * thread may begin to run there while its pages move.
 */
#include <linux/cpumask.h>
#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/sched/isolation.h>

#include "isolated.h"

/* Under RCU, or with preemption disabled: 7.x replaces the masks. */
bool ember_cpu_is_isolated(int cpu)
{
	return !housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN) ||
	       !housekeeping_test_cpu(cpu, HK_TYPE_TICK);
}

/* Has an isolated CPU loaded this address space? */
bool ember_runs_isolated(const struct mm_struct *mm)
{
	bool isolated = false;
	int cpu;

	if (!housekeeping_enabled(HK_TYPE_DOMAIN) && !housekeeping_enabled(HK_TYPE_TICK))
		return false;
	rcu_read_lock();
	for_each_cpu(cpu, mm_cpumask((struct mm_struct *)mm))
		isolated = isolated || ember_cpu_is_isolated(cpu);
	rcu_read_unlock();
	return isolated;
}
