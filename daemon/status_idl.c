// SPDX-License-Identifier: GPL-2.0-or-later
#include "status_idl.h"

#define COMMENT(text) SD_VARLINK_FIELD_COMMENT(text)
#define INT(name) SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_INT, 0)
#define MAYBE_INT(name) SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_INT, SD_VARLINK_NULLABLE)
#define INTS(name) SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_INT, SD_VARLINK_ARRAY)
#define MAYBE_INTS(name)                                                                           \
	SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_INT, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE)
#define BOOL(name) SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_BOOL, 0)
#define STR(name) SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_STRING, 0)
#define MAYBE_STR(name) SD_VARLINK_DEFINE_FIELD(name, SD_VARLINK_STRING, SD_VARLINK_NULLABLE)
#define TYPE(name, type) SD_VARLINK_DEFINE_FIELD_BY_TYPE(name, type, 0)
#define MAYBE_TYPE(name, type) SD_VARLINK_DEFINE_FIELD_BY_TYPE(name, type, SD_VARLINK_NULLABLE)
#define ARRAY(name, type) SD_VARLINK_DEFINE_FIELD_BY_TYPE(name, type, SD_VARLINK_ARRAY)
#define MAYBE_ARRAY(name, type)                                                                    \
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(name, type, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE)

/* clang-format off: one field a line, its comment before it */

static SD_VARLINK_DEFINE_STRUCT_TYPE(Reason, STR(word), STR(sentence), COMMENT("Of 4 KiB"),
				     INT(pages));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Policy, COMMENT("Since the policy in force was loaded"), INT(age_ns),
    COMMENT("The files on disk were refused: an older policy stays in force"), BOOL(rejected),
    COMMENT("Why; for root and the group ember-view"), MAYBE_STR(error));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Tier, COMMENT("0 is the fastest"), INT(tier), INTS(nodes), INT(capacity_bytes), INT(free_bytes),
    COMMENT("Kept free: the kernel's high watermark and what the policy adds"), INT(reserve_bytes),
    COMMENT("Memory of followed processes"), INT(followed_bytes));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Node, INT(node), COMMENT("Absent for a node without memory"), MAYBE_INT(tier), INT(cpus),
    COMMENT("A pool: memory that ember owns; and the node that it is accounted to"),
    MAYBE_INT(pool_of), COMMENT("Where its rank comes from"), STR(claim), STR(claim_sentence),
    COMMENT("N of /sys/devices/virtual/memory_tiering/memory_tierN"), MAYBE_INT(kernel_tier),
    COMMENT("By firmware (HMAT)"), MAYBE_INT(read_latency_ns), MAYBE_INT(read_bandwidth_mbs),
    INT(capacity_bytes), INT(free_bytes), INT(high_watermark_bytes), INT(reserve_bytes),
    COMMENT("Moves on their way to it"), INT(arriving_bytes),
    COMMENT("Kept for ember by the policy: cpusets are not asked"), BOOL(restricted));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Area, INT(start), COMMENT("Exclusive"), INT(end),
    COMMENT("CLOCK_MONOTONIC; of its first part, others followed within a second"),
    INT(first_scan_ns), COMMENT("Found by fault samples, not by the regular scan"), BOOL(by_fault));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Process, INT(pid), INT(uid),
    COMMENT("In names, bytes that are not safe to print, and backslashes, are escaped as in C"),
    STR(comm), STR(cgroup), COMMENT("The rule of the policy that matched it"), STR(rule),
    INT(rss_bytes), COMMENT("By tier, fastest first"), INTS(tier_bytes), INT(metadata_bytes),
    INT(scans), COMMENT("Begun and not completed: never read as cold"), INT(lost_scans),
    COMMENT("Newly found ranges; for root and the process's own user"), MAYBE_ARRAY(areas, Area));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Plan, COMMENT("Since the start"), INT(plans),
				     COMMENT("Next to nothing is wanted"), BOOL(settled),
				     COMMENT("Pages touched more often than this fill tier 0"),
				     INT(threshold_interval_ns),
				     COMMENT("The policy leaves alone what is placed by hand, but "
					     "emberd cannot notice it: the journal says why"),
				     BOOL(placements_unnoticed),
				     COMMENT("Pages that the last plan moves"), ARRAY(why, Reason),
				     COMMENT("Pages that it leaves where they are"),
				     ARRAY(why_not, Reason),
				     COMMENT("Since the start: pages to be left alone for a while "
					     "that were forgotten sooner, for there were too many"),
				     INT(cooldown_evicted));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Moves, COMMENT("promote or demote"), STR(direction),
    COMMENT("module, move_pages; module_shared, move_pages_all (pages that several processes map)"),
    STR(mover), COMMENT("Since the start; tried is applied and all of refused"), INT(tried_pages),
    INT(applied_pages), ARRAY(refused, Reason));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Stage, STR(stage),
    COMMENT("Without a sign of life; emberd counts 20 s for a hang and is restarted"),
    INT(longest_ns));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Cost, COMMENT("Daemon and module, of one CPU, over the last minute, in 1/10000"),
    INT(cpu_share_bp), COMMENT("From here on since the start. User and system time of the daemon"),
    INT(cpu_ns), COMMENT("Time the module spent moving"), INT(move_ns),
    COMMENT("Inside the access-bit primitive"), INT(scan_ns),
    COMMENT("The last scan of all processes"), INT(last_scan_ns), INT(scans),
    COMMENT("One plan per period"), INT(period_ns),
    COMMENT("The period in force: longer if the CPU budget demands it"), INT(stretched_ns),
    COMMENT("Between the two looks that tell busy pages from very busy ones"), INT(window_ns),
    COMMENT("Page tables; skipped: untouched as a whole"), INT(tables_read), INT(tables_skipped),
    COMMENT("CPUs interrupted for TLB flushes"), INT(flush_cpus),
    COMMENT("That a page fault could have waited for the module: for the mmap_lock, for a page"),
    INT(longest_lock_ns), INT(longest_unmapped_ns), INT(faults_sampled), INT(events_lost),
    INT(metadata_bytes), COMMENT("What the engine does, one after the other"),
    ARRAY(stages, Stage));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    CopyTime,
    COMMENT("At least so many pages, and fewer than twice as many (the largest: or more)"),
    INT(batch_pages), COMMENT("Of batches that a CPU copied; absent: none yet"), MAYBE_INT(cpu_ns),
    COMMENT("Of batches that were given to a DMA engine, with what the CPU had to copy after it"),
    MAYBE_INT(dma_ns));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Copies, COMMENT("The policy wants DMA engines to copy, also where they take longer"),
    BOOL(dma_wanted), COMMENT("Of DMA engines that the module holds and that work, now"),
    INT(channels), COMMENT("Of 4 KiB, copied by CPUs and by DMA engines"), INT(cpu_pages),
    INT(dma_pages), COMMENT("Of cpu_pages: an engine was to copy them, and failed or was too slow"),
    INT(fallback_pages), COMMENT("Times that a channel was stopped for that"), INT(timeouts),
    COMMENT("Out of use now, because an engine that does not stop may still write to them"),
    INT(leaked_pages), ARRAY(times, CopyTime));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    NumaBalancing, COMMENT("kernel.numa_balancing now; absent: not in this kernel"),
    MAYBE_INT(mode), COMMENT("What ember found and will put back; absent: it changed nothing"),
    MAYBE_INT(saved_mode), COMMENT("It would undo what ember does"), BOOL(conflict), STR(reason),
    STR(reason_sentence));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    DamonStat, COMMENT("Switched off while ember samples, and put back after that"), BOOL(borrowed),
    COMMENT("absent, unknown, off or steals: as it was when ember looked"), STR(reason),
    STR(reason_sentence));

static SD_VARLINK_DEFINE_STRUCT_TYPE(
    Status, STR(version), COMMENT("CLOCK_MONOTONIC of this snapshot"), INT(time_ns), INT(uptime_ns),
    COMMENT("Nothing is moved"), BOOL(observe_only), TYPE(policy, Policy), ARRAY(tiers, Tier),
    ARRAY(nodes, Node), COMMENT("Nodes with numbers that ember cannot hold"), INT(ignored_nodes),
    INT(processes_followed), COMMENT("Other users', and those beyond the largest 64"),
    INT(processes_not_shown), COMMENT("Of all; for root and the group ember-view"),
    MAYBE_INTS(followed_pids),
    COMMENT("Those of the asker's user; all for root and the group ember-view"),
    ARRAY(processes, Process), TYPE(plan, Plan), COMMENT("Batches handed to a mover"),
    INT(moves_submitted), INT(moves_done),
    COMMENT("Of huge pages that a pool or restricted node was to have: moved once they were split"),
    INT(split_pages), COMMENT("The same: would not be split"), INT(unsplit_pages),
    ARRAY(moves, Moves), TYPE(cost, Cost), COMMENT("Absent: the module does not answer"),
    MAYBE_TYPE(copies, Copies), TYPE(numa_balancing, NumaBalancing), TYPE(damon_stat, DamonStat));

/* clang-format on */

static SD_VARLINK_DEFINE_METHOD(GetStatus, SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(status, Status, 0));

const sd_varlink_interface ember_status_interface = {
    .name = "io.ember.Daemon",
    .symbols = {SD_VARLINK_INTERFACE_COMMENT("emberd: what it sees, does and costs."),
		SD_VARLINK_SYMBOL_COMMENT("The last snapshot, at most a round old."),
		&vl_method_GetStatus,
		&vl_type_Status,
		&vl_type_Policy,
		&vl_type_Tier,
		&vl_type_Node,
		SD_VARLINK_SYMBOL_COMMENT("The same words in status, journal and plan."),
		&vl_type_Reason,
		&vl_type_Process,
		&vl_type_Area,
		&vl_type_Plan,
		&vl_type_Moves,
		&vl_type_Stage,
		&vl_type_Cost,
		SD_VARLINK_SYMBOL_COMMENT(
		    "Of pages that the module moved, whoever asked for it, since it was loaded"),
		&vl_type_Copies,
		SD_VARLINK_SYMBOL_COMMENT("Moving averages per page, of batches of one size"),
		&vl_type_CopyTime,
		&vl_type_NumaBalancing,
		&vl_type_DamonStat,
		NULL},
};
