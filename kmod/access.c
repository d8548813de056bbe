// SPDX-License-Identifier: GPL-2.0-only
/*
 * ember_scan(): the kfunc by which a BPF program reads, and clears, the accessed
 * bits of a process.
 *
 * The kfunc walks the areas itself. The verifier lets a program step through areas
 * only one at a time and, on the kernels ember builds for, as snapshots without a
 * lock; an area seen there may be gone when its tables are read. Here areas and
 * tables are looked at under one mmap_lock.
 *
 * A scan goes region by region (2 MiB, one PMD entry) from req->cursor to req->end.
 * Areas that share a region share its record. It never holds up the process:
 *
 *  - locks of the process are only ever tried for, and mmap_lock is handed back after
 *    CHUNK_TABLES tables or CHUNK_STEPS regions, or when somebody waits for it or for
 *    this CPU;
 *  - the caller's time budget is checked after every table;
 *  - the reference on the address space delays its teardown, so a scan ends when
 *    nobody else is left.
 *
 * Areas without pages that could move are passed over: device mappings and others
 * that a driver has filled (VM_SPECIAL; the vDSO is one), DAX, and hugetlb, whose
 * tables may be shared between processes under locks that modules cannot take.
 *
 * The program is trusted to call this for whom it wants (loading it takes CAP_BPF
 * and CAP_PERFMON), not to pass sane numbers.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/dax.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include <ember/sample.h>

#include "access.h"
#include "compat.h"
#include "entry.h"
#include "flush.h"
#include "isolated.h"
#include "memory.h"
#include "region.h"
#include "respect.h"
#include "target.h"

#define CHUNK_TABLES 64		/* 32768 entries */
#define CHUNK_STEPS 1024	/* regions passed without reading */
#define LOCK_TRIES 8		/* 100-200 us apart */

/*
 * Private to the kernel: request and buffer may lie in a map that user space has
 * mapped. They are read once at the start and written, never read back.
 */
struct scan {
	struct mm_struct *mm;
	struct ember_scan_req req;
	struct ember_region_rec rec;
	struct ember_region_rec *out;
	u32 max_recs;
	u64 deadline_ns;
};

static bool area_wanted(struct vm_area_struct *vma)
{
	return !(vma->vm_flags & VM_SPECIAL) && !is_vm_hugetlb_page(vma) && !vma_is_dax(vma);
}

/* A private file area keeps its kind although its written pages are anonymous. */
static u8 area_kind(struct vm_area_struct *vma)
{
	if (!vma->vm_file)
		return EMBER_KIND_ANON;
	if (ember_is_shmem(file_inode(vma->vm_file)))
		return EMBER_KIND_SHMEM;
	return EMBER_KIND_FILE;
}

static void window_add(struct ember_region_window *window, unsigned int first, unsigned int end,
		       u8 kind)
{
	unsigned int i;

	if (first == 0 && end == EMBER_REGION_PAGES)
		memset(window->pages, 0xff, sizeof(window->pages));
	else
		for (i = first; i < end; i++)
			window->pages[i / 64] |= BIT_ULL(i % 64);
	if (window->kind == EMBER_KIND_UNSPEC)
		window->kind = kind;
	else if (window->kind != kind)
		window->kind = EMBER_KIND_MIXED;
}

/*
 * Collect the areas that overlap [lo, hi), a part of one region.
 * @vma: (in/out) an area that ends above lo; left at the last one that overlaps
 */
static void window_of(struct scan *scan, unsigned long lo, unsigned long hi,
		      struct vm_area_struct **vma, struct ember_region_window *window)
{
	unsigned long base = ALIGN_DOWN(lo, EMBER_REGION_BYTES);
	struct vm_area_struct *next = *vma;

	memset(window, 0, sizeof(*window));
	while (next && next->vm_start < hi) {
		unsigned long first = max(lo, next->vm_start);
		unsigned long end = min(hi, next->vm_end);

		*vma = next;
		if (area_wanted(next)) {
			window_add(window, (first - base) >> PAGE_SHIFT, (end - base) >> PAGE_SHIFT,
				   area_kind(next));
			window->bound |= ember_respect_is_bound(next);
		}
		next = end < hi ? find_vma(scan->mm, end) : NULL;
	}
}

static void emit(struct scan *scan)
{
	struct ember_region_rec *rec = &scan->rec;

	if (!rec->nr_young)
		rec->flags |= EMBER_REC_COLD;
	memcpy(&scan->out[scan->req.nr_recs++], rec, sizeof(*rec));
}

static void count_region(struct scan *scan, enum ember_region_result result)
{
	struct ember_scan_req *req = &scan->req;

	if (result == EMBER_REGION_SKIPPED)
		req->nr_skipped++;
	if (result != EMBER_REGION_READ)
		return;
	req->nr_tables++;
	req->nr_present += scan->rec.nr_present;
	req->nr_young += scan->rec.nr_young;
	if (scan->rec.nr_young || ((req->flags & EMBER_SCAN_COLD) && scan->rec.nr_present))
		emit(scan);
}

/*
 * Scan the part of one region that begins at the cursor, and move the cursor on.
 * @vma: (in/out) an area that ends above the cursor
 *
 * Return: false if the region was busy; the cursor stays.
 */
static bool scan_region(struct scan *scan, struct vm_area_struct **vma)
{
	struct ember_scan_req *req = &scan->req;
	unsigned long base = ALIGN_DOWN(req->cursor, EMBER_REGION_BYTES);
	unsigned long hi = min_t(unsigned long, base + EMBER_REGION_BYTES, req->end);
	enum ember_region_result result = EMBER_REGION_EMPTY;
	struct ember_region_window window;
	unsigned long next = hi;
	pmd_t *pmd;

	window_of(scan, req->cursor, hi, vma, &window);
	if (window.kind != EMBER_KIND_UNSPEC) {
		pmd = ember_find_entry(scan->mm,
				       max_t(unsigned long, req->cursor, (*vma)->vm_start), &next);
		scan->rec.addr = base;
		scan->rec.kind = window.kind;
		scan->rec.flags = 0;
		if (req->cursor == base && hi - base == EMBER_REGION_BYTES)
			scan->rec.flags = EMBER_REC_WHOLE;
		if (window.bound)
			scan->rec.flags |= EMBER_REC_BOUND;
		if (pmd)
			result = ember_region_scan(scan->mm, pmd, req->flags, &window, &scan->rec,
						   &req->nr_unflushed);
		if (result == EMBER_REGION_BUSY)
			return false;
		count_region(scan, result);
	} else if ((*vma)->vm_end > hi) {
		/* Nothing but an unwanted area from here to its last region. */
		next = max(hi, ALIGN_DOWN((*vma)->vm_end, EMBER_REGION_BYTES));
	}
	req->cursor = min_t(u64, next, req->end);
	return true;
}

/* The area that holds the cursor; else the next one, and the cursor moves there. */
static struct vm_area_struct *find_area(struct scan *scan, struct vm_area_struct *vma)
{
	struct ember_scan_req *req = &scan->req;

	if (vma && req->cursor >= vma->vm_start && req->cursor < vma->vm_end)
		return vma;
	vma = find_vma(scan->mm, req->cursor);
	if (!vma || vma->vm_start >= req->end)
		return NULL;
	/* To the start of its region, not of the area: regions are not split. */
	req->cursor = max_t(u64, req->cursor, ALIGN_DOWN(vma->vm_start, EMBER_REGION_BYTES));
	return vma;
}

static bool out_of_time(struct scan *scan)
{
	return scan->deadline_ns && ktime_get_ns() >= scan->deadline_ns;
}

static bool chunk_over(struct scan *scan, u64 nr_tables, unsigned int steps)
{
	return scan->req.nr_tables - nr_tables >= CHUNK_TABLES || steps >= CHUNK_STEPS ||
	       need_resched() || mmap_lock_is_contended(scan->mm);
}

/* Under mmap_lock. Return: why the scan ends, or EMBER_STOP_UNSPEC to go on. */
static enum ember_scan_stop scan_chunk(struct scan *scan)
{
	struct ember_scan_req *req = &scan->req;
	u64 nr_tables = req->nr_tables;
	struct vm_area_struct *vma = NULL;
	unsigned int steps = 0;

	do {
		u64 before = req->nr_tables;

		vma = req->cursor < req->end ? find_area(scan, vma) : NULL;
		if (!vma) {
			req->cursor = req->end;
			return EMBER_STOP_DONE;
		}
		if (req->nr_recs == scan->max_recs)
			return EMBER_STOP_BUFFER;
		if (!scan_region(scan, &vma))
			return EMBER_STOP_LOCK;
		if (req->nr_tables != before && out_of_time(scan))
			return req->cursor < req->end ? EMBER_STOP_TIME : EMBER_STOP_DONE;
	} while (!chunk_over(scan, nr_tables, ++steps));
	return EMBER_STOP_UNSPEC;
}

static bool try_lock(struct mm_struct *mm)
{
	unsigned int i;

	for (i = 0; i < LOCK_TRIES; i++) {
		if (mmap_read_trylock(mm))
			return true;
		usleep_range(100, 200);
	}
	return false;
}

static enum ember_scan_stop scan_range(struct scan *scan)
{
	enum ember_scan_stop stop;

	do {
		if (ember_mm_is_dying(scan->mm))
			return EMBER_STOP_GONE;
		if (fatal_signal_pending(current))
			return EMBER_STOP_TIME;
		if (!try_lock(scan->mm))
			return EMBER_STOP_LOCK;
		stop = scan_chunk(scan);
		mmap_read_unlock(scan->mm);
		cond_resched();
		if (stop == EMBER_STOP_UNSPEC && out_of_time(scan))
			stop = EMBER_STOP_TIME;
	} while (stop == EMBER_STOP_UNSPEC);
	return stop;
}

/*
 * After BUFFER and TIME the caller goes on at once, and one flush at the end serves
 * all calls. After LOCK it may come back much later or never: without a flush the hot
 * pages of a process that contends for its lock would look idle until then.
 */
static bool flush_is_due(const struct ember_scan_req *req)
{
	return (req->flags & EMBER_SCAN_FLUSH) && req->nr_unflushed &&
	       req->stop != EMBER_STOP_BUFFER && req->stop != EMBER_STOP_TIME;
}

static void scan_mm(struct scan *scan)
{
	struct ember_scan_req *req = &scan->req;

	/* KVM keeps the guest's accessed bits elsewhere and does not export them. */
	if (mm_has_notifiers(scan->mm)) {
		req->stop = EMBER_STOP_NOTIFIER;
		return;
	}
	req->end = min_t(u64, req->end, scan->mm->task_size);
	req->on_isolated = ember_runs_isolated(scan->mm);
	req->stop = scan_range(scan);
	if (flush_is_due(req)) {
		req->nr_flush_cpus = ember_flush_mm(scan->mm);
		req->nr_unflushed = 0;
	}
}

static bool req_valid(const struct ember_scan_req *req)
{
	return !(req->flags & ~EMBER_SCAN_ALL_FLAGS) && req->cursor <= req->end &&
	       PAGE_ALIGNED(req->cursor) && PAGE_ALIGNED(req->end);
}

static void reset_outputs(struct ember_scan_req *req)
{
	req->nr_recs = 0;
	req->nr_tables = 0;
	req->nr_skipped = 0;
	req->nr_present = 0;
	req->nr_young = 0;
	req->nr_flush_cpus = 0;
	req->ns = 0;
	req->nodes = 0;
	req->policy_nodes = 0;
	req->on_isolated = 0;
	req->reserved = 0;
	req->stop = EMBER_STOP_UNSPEC;
}

__bpf_kfunc_start_defs();

/**
 * ember_scan - test, and clear if asked, the accessed bits of a range of a process
 * @ctx: whose, and what to scan; see struct ember_scan_req. Call again with the same
 *       request until req.stop says why not
 * @buf: array of struct ember_region_rec, filled from its start on every call
 * @buf__sz: its size in bytes
 *
 * The process is named by numbers and not by a trusted task_struct: the verifier would
 * compare the module's idea of task_struct with the kernel's, and pahole fails to see
 * that the two are one as soon as two objects of a module include unlike parts of the
 * network headers (7.3; the load then fails with "expected pointer to STRUCT
 * task_struct but R1 has a pointer to STRUCT task_struct").
 *
 * Return: 0, and what happened is in @ctx->req; -EINVAL if the request is malformed or
 * the buffer does not hold one record; -ESRCH if there is no such process, -ESTALE if
 * the number belongs to another by now.
 */
__bpf_kfunc int ember_scan(struct ember_scan_ctx *ctx, void *buf, u32 buf__sz)
{
	u64 start_ns = ktime_get_ns();
	const struct ember_target target = {
		.start_ns = ctx->start_boottime_ns,
		.tgid = ctx->tgid,
		.exec_id = ctx->self_exec_id,
	};
	struct ember_respect respect;
	struct scan scan = {
		.req = ctx->req,
		.rec.version = EMBER_SAMPLE_VERSION,
		.out = buf,
		.max_recs = buf__sz / sizeof(struct ember_region_rec),
	};

	if (!req_valid(&scan.req) || !scan.max_recs)
		return -EINVAL;
	reset_outputs(&scan.req);
	/* A budget that ends beyond the clock's range is none. */
	if (check_add_overflow(start_ns, scan.req.budget_ns, &scan.deadline_ns) ||
	    !scan.req.budget_ns)
		scan.deadline_ns = 0;
	if (!ember_target_respect(&target, &respect)) {
		scan.req.nodes = ember_respect_nodes(&respect);
		scan.req.policy_nodes = ember_respect_policy_nodes(&respect);
	}
	scan.mm = ember_target_mm(&target);
	if (!IS_ERR(scan.mm)) {
		scan_mm(&scan);
		/* The last reference must not tear the address space down in here. */
		mmput_async(scan.mm);
	} else if (PTR_ERR(scan.mm) == -EAGAIN) {
		scan.req.stop = EMBER_STOP_LOCK;
	} else {
		return PTR_ERR(scan.mm);
	}
	scan.req.ns = ktime_get_ns() - start_ns;
	ctx->req = scan.req;
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(access_kfuncs)
BTF_ID_FLAGS(func, ember_scan, KF_SLEEPABLE | KF_TRUSTED_ARGS)
BTF_KFUNCS_END(access_kfuncs)

static const struct btf_kfunc_id_set access_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &access_kfuncs,
};

/**
 * ember_access_init - offer ember_scan() to BPF programs of type SYSCALL
 *
 * There is no undoing of the registration: it goes with the module's BTF, and a
 * loaded program that uses it holds the module.
 *
 * Return: 0 or a negative errno.
 */
int ember_access_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &access_kfunc_set);
}
