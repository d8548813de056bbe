// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cooldown.h"
#include "util/cleanup.h"

/* Fault samples are one in many: regions between two of them are probably new as well. */
#define MERGE_GAP_REGIONS 8

static uint32_t lower_bound(const struct ember_process_table *table, uint32_t tgid)
{
	uint32_t lo = 0, hi = table->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (table->procs[mid]->id.tgid < tgid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void free_process(struct ember_process *process)
{
	ember_regions_clear(&process->regions);
	ember_hands_clear(&process->hands);
	free(process);
}

void ember_processes_clear(struct ember_process_table *table)
{
	for (uint32_t i = 0; i < table->nr; i++)
		free_process(table->procs[i]);
	free(table->procs);
	*table = (struct ember_process_table){};
}

struct ember_process *ember_process_find(const struct ember_process_table *table, uint32_t tgid)
{
	uint32_t at = lower_bound(table, tgid);

	return at < table->nr && table->procs[at]->id.tgid == tgid ? table->procs[at] : NULL;
}

struct ember_process *ember_process_find_id(const struct ember_process_table *table,
					    const struct ember_proc_id *id)
{
	struct ember_process *process = ember_process_find(table, id->tgid);

	return process && ember_proc_id_equal(&process->id, id) ? process : NULL;
}

struct ember_process *ember_process_add(struct ember_process_table *table,
					const struct ember_proc_id *id,
					const struct ember_proc *facts,
					const struct ember_rule *rule)
{
	_cleanup_free_ struct ember_process *process = calloc(1, sizeof(*process));
	uint32_t at = lower_bound(table, id->tgid);

	if (!process)
		return NULL;
	if (table->nr == table->nr_alloc) {
		uint32_t nr = table->nr_alloc ? 2 * table->nr_alloc : 64;
		struct ember_process **grown = reallocarray(table->procs, nr, sizeof(*grown));

		if (!grown)
			return NULL;
		table->procs = grown;
		table->nr_alloc = nr;
	}
	process->id = *id;
	process->facts = *facts;
	process->weight = rule->weight;
	process->home = process->home_seen = EMBER_NO_NODE;
	process->nodes = facts->mems_allowed; /* of policies nothing is known yet */
	snprintf(process->rule, sizeof(process->rule), "%s", rule->name);
	ember_regions_init(&process->regions);
	memmove(table->procs + at + 1, table->procs + at, (table->nr - at) * sizeof(*table->procs));
	table->procs[at] = process;
	table->nr++;
	return TAKE_PTR(process);
}

void ember_process_remove(struct ember_process_table *table, struct ember_process *process)
{
	uint32_t at = lower_bound(table, process->id.tgid);

	memmove(table->procs + at, table->procs + at + 1,
		(table->nr - at - 1) * sizeof(*table->procs));
	table->nr--;
	free_process(process);
}

uint16_t ember_process_allowed(const struct ember_process *process, uint16_t restricted)
{
	return process->nodes | (process->policy_nodes & restricted);
}

void ember_process_note_denied(struct ember_process *process, uint8_t dest, uint64_t now_ns)
{
	struct ember_denied *denied = &process->denied[dest];

	/* Requests that were under way already tell nothing new. */
	if (now_ns < denied->until_ns)
		return;
	if (denied->nr < UINT8_MAX)
		denied->nr++;
	/* The second time counts double already: PATIENCE is for single pages. */
	denied->until_ns =
	    now_ns + ember_cooldown_backoff_ms(EMBER_REFUSED_LASTING, denied->nr + 1) * 1000000ULL;
}

void ember_process_note_arrived(struct ember_process *process, uint8_t dest)
{
	process->denied[dest] = (struct ember_denied){0};
}

uint16_t ember_process_denied(const struct ember_process *process, uint64_t now_ns)
{
	uint16_t denied = 0;

	for (unsigned int i = 0; i < EMBER_MAX_NODES; i++)
		if (now_ns < process->denied[i].until_ns)
			denied |= 1U << i;
	return denied;
}

void ember_process_note_home(struct ember_process *process, uint8_t home)
{
	bool unknown = process->home == EMBER_NO_NODE && process->home_seen == EMBER_NO_NODE;

	if (unknown || home == process->home_seen)
		process->home = home;
	process->home_seen = home;
}

bool ember_process_note_fault(struct ember_process *process, uint64_t addr, uint64_t time_ns)
{
	uint64_t region = addr & ~(uint64_t)(EMBER_REGION_BYTES - 1);

	if (ember_regions_find(&process->regions, region))
		return false;
	for (uint32_t i = 0; i < process->nr_faults; i++)
		if (process->faults[i] == region)
			return false;
	if (process->nr_faults == EMBER_MAX_PENDING_FAULTS) {
		/* Full: keep the outermost two, and look at all between them. */
		uint64_t lo = region, hi = region;

		for (uint32_t i = 0; i < process->nr_faults; i++) {
			lo = process->faults[i] < lo ? process->faults[i] : lo;
			hi = process->faults[i] > hi ? process->faults[i] : hi;
		}
		process->faults[0] = lo;
		process->faults[1] = hi;
		process->nr_faults = 2;
		process->faults_wide = true;
		return true;
	}
	process->faults[process->nr_faults++] = region;
	if (!process->first_fault_ns)
		process->first_fault_ns = time_ns;
	return true;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

uint32_t ember_process_take_faults(struct ember_process *process,
				   uint64_t ret[EMBER_MAX_PENDING_FAULTS][2])
{
	uint32_t nr = 0;

	qsort(process->faults, process->nr_faults, sizeof(process->faults[0]), by_value);
	for (uint32_t i = 0; i < process->nr_faults; i++) {
		uint64_t start = process->faults[i], end = start + EMBER_REGION_BYTES;

		if (nr && (process->faults_wide ||
			   start <= ret[nr - 1][1] + MERGE_GAP_REGIONS * EMBER_REGION_BYTES)) {
			ret[nr - 1][1] = end;
		} else {
			ret[nr][0] = start;
			ret[nr++][1] = end;
		}
	}
	process->nr_faults = 0;
	process->first_fault_ns = 0;
	process->faults_wide = false;
	return nr;
}
