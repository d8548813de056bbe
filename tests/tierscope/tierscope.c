// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The plugin itself: the thin edge between QEMU and the parts that can be tested
 * without it. Each load or store of user code goes
 *
 *   vrange -> physical address -> memory (memmap) -> hit or miss (llc)
 *          -> counters of the vCPU (counts) -> the page's misses (pages)
 *
 * and a thread (recorder) writes the sums. This code runs for every memory access of
 * the guest's programs: whatever is done here is paid for in the guest's speed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counts.h"
#include "llc.h"
#include "memmap.h"
#include "options.h"
#include "pages.h"
#include "qemu_api.h"
#include "recorder.h"

#ifndef QEMU_PLUGIN_VERSION
#error "QEMU_PLUGIN_VERSION comes from the Makefile: 1 for QEMU before 9.0, 2 from then on"
#endif

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define USER_END (1ull << 47) /* user code lies below, the kernel above */

static struct options options;
static struct range vrange;
static struct memmap memmap;
static struct llc llc;
static struct pages pages;
static struct pages *counted_pages; /* &pages or NULL */
static struct vcpu_counts vcpus[COUNTS_MAX_VCPUS];
static struct recorder recorder;
static pthread_once_t recorder_once = PTHREAD_ONCE_INIT;

/*
 * Firmware and the kernel's decompressor run at low addresses, too, and for long. They
 * are over once code at the kernel's addresses has been seen.
 */
static bool count_low_code;

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
	struct qemu_plugin_hwaddr *hwaddr;
	uint64_t paddr;
	uint32_t mem;
	bool hit;

	(void)userdata;
	if (vaddr - vrange.start >= vrange.end - vrange.start)
		return;
	hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
		return;
	paddr = qemu_plugin_hwaddr_phys_addr(hwaddr);

	hit = llc_access(&llc, paddr);
	mem = memmap_find(&memmap, paddr);
	counts_add(&vcpus[vcpu % COUNTS_MAX_VCPUS].counts, mem, hit);
	if (!hit && counted_pages)
		pages_add(counted_pages, vaddr, mem);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	if (qemu_plugin_tb_vaddr(tb) >= USER_END) {
		__atomic_store_n(&count_low_code, true, __ATOMIC_RELAXED);
		return;
	}
	if (!__atomic_load_n(&count_low_code, __ATOMIC_RELAXED))
		return;

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access,
						 QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
}

static void start_recorder(void)
{
	int r = recorder_start(&recorder);

	if (r < 0)
		fprintf(stderr, "tierscope: Failed to start the recorder: %s\n", strerror(-r));
}

/* Not at once when loaded: QEMU may still fork then, and a thread would be lost. */
static void on_vcpu_init(qemu_plugin_id_t id, unsigned int vcpu)
{
	(void)id;
	(void)vcpu;
	pthread_once(&recorder_once, start_recorder);
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *userdata)
{
	(void)id;
	(void)userdata;
	/* vCPUs may still run: the tables they count in are left to the end of the process. */
	recorder_stop(&recorder);
}

static int set_up(uint32_t nr_vcpus, int argc, char **argv)
{
	char err[256];
	int r;

	r = options_parse(&options, argc, argv, err, sizeof(err));
	if (r < 0) {
		fprintf(stderr, "tierscope: %s\n", err);
		return r;
	}
	vrange = options.vrange;
	if (vrange.end == 0)
		vrange.end = USER_END;
	count_low_code = options.early;

	r = memmap_init(&memmap, options.mems, options.nr_mems, QEMU_PLUGIN_VERSION);
	if (r < 0) {
		fprintf(stderr, "tierscope: the ranges of the memories overlap\n");
		return r;
	}
	r = llc_init(&llc, options.llc_bytes, options.nr_ways);
	if (r < 0) {
		fprintf(stderr, "tierscope: llc=, ways=: %s\n", strerror(-r));
		return r;
	}
	if (options.pages) {
		r = pages_init(&pages);
		if (r < 0)
			return r;
		counted_pages = &pages;
	}
	r = recorder_open(&recorder, &options, vcpus, nr_vcpus, counted_pages);
	if (r < 0)
		fprintf(stderr, "tierscope: Failed to open %s: %s\n", options.out, strerror(-r));
	return r;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (!info->system_emulation) {
		fprintf(stderr, "tierscope: there are no physical addresses in user emulation\n");
		return -1;
	}
	if (set_up(info->system.smp_vcpus, argc, argv) < 0)
		return -1;

	qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
