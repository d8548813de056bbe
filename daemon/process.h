/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that are followed: identity, facts, rule, regions, and the fault samples
 * that wait for an early look. Belongs to the engine thread.
 */
#ifndef EMBER_PROCESS_H
#define EMBER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"
#include "proc.h"
#include "proc_id.h"
#include "region.h"
#include "status.h"

/* Distinct regions remembered between two early looks; more than that: one wide look. */
#define EMBER_MAX_PENDING_FAULTS 256

/* Moves of the whole process to one memory that were denied. */
struct ember_denied {
	uint64_t until_ns; /* not asked for before */
	uint8_t nr;        /* in a row */
};

struct ember_process {
	struct ember_proc_id id;
	struct ember_proc facts;
	struct ember_regions regions;
	char rule[64];
	uint32_t weight;
	uint8_t home;      /* node of the CPUs that use it, EMBER_NO_NODE: unknown, or several */
	uint8_t home_seen; /* what the last look found */
	uint64_t last_scan_ns; /* start of the last scan that cleared, 0: none */
	uint64_t nr_scans;
	uint64_t nr_lost_scans;
	uint32_t nr_cpus; /* that it ran on when it was scanned last */
	bool on_isolated; /* of them, some that are isolated */
	bool untrackable; /* KVM: access bits mean nothing */
	/* As last scanned: nodes that suit the cpuset and memory policies of its threads ... */
	uint16_t nodes;
	uint16_t policy_nodes;                       /* ... and that suit the policies at least */
	struct ember_denied denied[EMBER_MAX_NODES]; /* by destination */

	/* Regions that fault samples named and no scan has seen. */
	uint64_t faults[EMBER_MAX_PENDING_FAULTS]; /* 2 MiB aligned, not sorted */
	uint32_t nr_faults;
	uint64_t first_fault_ns; /* when the first of those happened, 0: none */
	bool faults_wide;        /* there were more: all between the outermost */

	struct ember_status_area areas[EMBER_STATUS_MAX_AREAS]; /* areas.h */
	uint32_t nr_areas;
};

struct ember_process_table {
	struct ember_process **procs; /* sorted by tgid */
	uint32_t nr;
	uint32_t nr_alloc;
};

void ember_processes_clear(struct ember_process_table *table);

struct ember_process *ember_process_find(const struct ember_process_table *table, uint32_t tgid);

/* NULL unless the process of that number is still the one named. */
struct ember_process *ember_process_find_id(const struct ember_process_table *table,
					    const struct ember_proc_id *id);

/* A new entry; an older process of the same number must have been removed. NULL: no memory. */
struct ember_process *ember_process_add(struct ember_process_table *table,
					const struct ember_proc_id *id,
					const struct ember_proc *facts,
					const struct ember_rule *rule);

void ember_process_remove(struct ember_process_table *table, struct ember_process *process);

/* Nodes that its memory may be sent to; @restricted ones are in no cpuset by their very purpose. */
uint16_t ember_process_allowed(const struct ember_process *process, uint16_t restricted);

/*
 * All pages of a request were denied the way to @dest: that is about the process, not about these
 * pages, so the others are not asked for either, for as long as a page would be left alone that was
 * refused for a lasting reason. A page that gets there ends that.
 */
void ember_process_note_denied(struct ember_process *process, uint8_t dest, uint64_t now_ns);
void ember_process_note_arrived(struct ember_process *process, uint8_t dest);

/* Memories that its pages are kept from for that reason. */
uint16_t ember_process_denied(const struct ember_process *process, uint64_t now_ns);

/*
 * A look found the process at home at @home. That counts when two looks in a row agree, or at once
 * where nothing was known: a scheduler that sends it to and fro shall not send its memory along.
 */
void ember_process_note_home(struct ember_process *process, uint8_t home);

/* Note a fault at @addr, at @time_ns. False if its region is known already or noted. */
bool ember_process_note_fault(struct ember_process *process, uint64_t addr, uint64_t time_ns);

/*
 * The noted samples as ranges [start, end), merged where they lie close together, and forgets
 * them. @ret holds EMBER_MAX_PENDING_FAULTS pairs. Returns the number of ranges.
 */
uint32_t ember_process_take_faults(struct ember_process *process,
				   uint64_t ret[EMBER_MAX_PENDING_FAULTS][2]);

#define ember_for_each_process(p, table)                                                           \
	for (uint32_t p##_i = 0; p##_i < (table)->nr && ((p) = (table)->procs[p##_i]); p##_i++)

#endif /* EMBER_PROCESS_H */
