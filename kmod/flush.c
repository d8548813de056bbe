// SPDX-License-Identifier: GPL-2.0-only
/*
 * One TLB flush per scan.
 *
 * A CPU sets the accessed bit when it walks the tables. A translation that stays
 * in its TLB is used without a walk, so after the bit was cleared a page in
 * constant use would look idle until its entry happens to be evicted: the hottest
 * pages would look cold. Clearing needs no flush for correctness (x86 omits it in
 * ptep_clear_flush_young() for that reason), exactness does.
 *
 * flush_tlb_mm_range() is not exported, so its protocol is followed by hand:
 *
 *  1. Advance context.tlb_gen. The increment is a full barrier and comes after
 *     the bits were cleared. A CPU that switches to this mm later finds its own
 *     generation behind and flushes what it kept under a PCID.
 *  2. Interrupt the CPUs in mm_cpumask and drop their user translations. A CPU
 *     sets itself in the mask before it reads tlb_gen (switch_mm_irqs_off()), so
 *     it is either seen here or sees the new generation.
 *
 * The handler does not record the generation in the CPU's cpu_tlbstate (not
 * visible to modules). The next flush that the kernel itself sends therefore finds
 * that CPU more than one generation behind and flushes everything instead of a
 * range: work that was not needed, never a flush too few.
 *
 * Global ASIDs (INVLPGB, 7.x on AMD): a CPU that left such a process keeps its
 * entries, is not in the mask and does not compare generations when it comes
 * back. Then every online CPU is interrupted.
 *
 * Known limit: PCID without INVPCID (before Haswell) and page table isolation
 * together. Reloading CR3 drops only the kernel's half of the entries there, and
 * bits are as inexact as without a flush.
 */
#include <linux/mm_types.h>
#include <linux/smp.h>

#include <asm/invpcid.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "flush.h"

static void flush_this_cpu(void *info)
{
	atomic_t *nr_cpus = info;

	if (boot_cpu_has(X86_FEATURE_INVPCID))
		invpcid_flush_all_nonglobals();
	else
		write_cr3(__read_cr3());
	atomic_inc(nr_cpus);
}

static bool has_global_asid(struct mm_struct *mm)
{
#ifdef CONFIG_BROADCAST_TLB_FLUSH
	return boot_cpu_has(X86_FEATURE_INVLPGB) && READ_ONCE(mm->context.global_asid);
#else
	return false;
#endif
}

/**
 * ember_flush_mm - make every CPU walk the tables of a process again
 * @mm: address space of which mm_users is held
 *
 * May sleep only as smp_call_function does (interrupts on, no spinlock held).
 *
 * Return: number of CPUs that dropped their translations.
 */
unsigned int ember_flush_mm(struct mm_struct *mm)
{
	atomic_t nr_cpus = ATOMIC_INIT(0);

	atomic64_inc_return(&mm->context.tlb_gen);
	on_each_cpu_mask(has_global_asid(mm) ? cpu_online_mask : mm_cpumask(mm), flush_this_cpu,
			 &nr_cpus, true);
	return atomic_read(&nr_cpus);
}
