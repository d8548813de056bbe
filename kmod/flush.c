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
 *  2. Interrupt the CPUs in mm_cpumask and drop the translations of this mm there. A
 *     CPU sets itself in the mask before it reads tlb_gen (switch_mm_irqs_off()), so
 *     it is either seen here or sees the new generation.
 *
 * A CPU whose current task has another mm, or none, drops nothing: what other
 * processes have cached is not ours to throw away. It may be in the mask all the same
 * (lazily, under a kernel thread; from 6.14 on also long after it left). Before it
 * runs in this mm again it passes switch_mm_irqs_off() and compares generations there,
 * when it comes from another mm and when it comes out of lazy mode.
 *
 * The handler does not record the generation in the CPU's cpu_tlbstate (not
 * visible to modules). The next flush that the kernel itself sends therefore finds
 * that CPU more than one generation behind and flushes everything instead of a
 * range: work that was not needed, never a flush too few.
 *
 * Global ASIDs (INVLPGB, 7.x on AMD): a CPU that left such a process keeps its
 * entries, is not in the mask and does not compare generations when it comes
 * back. Then every online CPU is interrupted and drops everything.
 *
 * Known limit: PCID without INVPCID (before Haswell) and page table isolation
 * together. Reloading CR3 drops only the kernel's half of the entries there, and
 * bits are as inexact as without a flush.
 */
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include <asm/invpcid.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "flush.h"
#include "isolated.h"

struct flush {
	struct mm_struct *mm;
	bool global_asid;
	atomic_t nr_cpus;
};

/* With page table isolation user mode has a PCID of its own, and what that caches must go too. */
static void flush_user_pcid(unsigned long cr3)
{
#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
	if (boot_cpu_has(X86_FEATURE_PTI) && boot_cpu_has(X86_FEATURE_PCID) &&
	    boot_cpu_has(X86_FEATURE_INVPCID))
		invpcid_flush_single_context((cr3 & X86_CR3_PCID_MASK) |
					     BIT(X86_CR3_PTI_PCID_USER_BIT));
#endif
}

/*
 * Drops what belongs to the address space in use on this CPU: reading CR3 does not
 * return the bit that keeps translations.
 */
static void flush_used_mm(void)
{
	unsigned long cr3 = __read_cr3();

	write_cr3(cr3);
	flush_user_pcid(cr3);
}

static void flush_this_cpu(void *info)
{
	struct flush *flush = info;

	atomic_inc(&flush->nr_cpus);
	if (flush->global_asid && boot_cpu_has(X86_FEATURE_INVPCID))
		invpcid_flush_all_nonglobals();
	else if (current->mm == flush->mm)
		flush_used_mm();
}

/* They set bits from stale translations for a while, which is the price of not being disturbed. */
static bool may_interrupt(int cpu, void *info)
{
	return !ember_cpu_is_isolated(cpu);
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
 * ember_flush_mm - make every CPU that is not isolated walk the tables of a process again
 * @mm: address space of which mm_users is held
 *
 * May sleep only as smp_call_function does (interrupts on, no spinlock held).
 *
 * Return: number of CPUs that were interrupted.
 */
unsigned int ember_flush_mm(struct mm_struct *mm)
{
	struct flush flush = { .mm = mm, .global_asid = has_global_asid(mm) };

	atomic64_inc_return(&mm->context.tlb_gen);
	on_each_cpu_cond_mask(may_interrupt, flush_this_cpu, &flush, true,
			      flush.global_asid ? cpu_online_mask : mm_cpumask(mm));
	return atomic_read(&flush.nr_cpus);
}
