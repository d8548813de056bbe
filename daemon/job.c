// SPDX-License-Identifier: GPL-2.0-or-later
#include "job.h"

#include <stdlib.h>

struct ember_job *ember_job_free(struct ember_job *job)
{
	if (job) {
		free(job->runs);
		free(job->first_runs);
		free(job);
	}
	return NULL;
}

void ember_job_push(struct ember_job_list *list, struct ember_job *job)
{
	job->next = NULL;
	*(list->nr++ ? list->last : &list->first) = job;
	list->last = &job->next;
}

struct ember_job *ember_job_pop(struct ember_job_list *list)
{
	struct ember_job *job = list->nr ? list->first : NULL;

	if (job) {
		list->first = job->next;
		list->nr--;
	}
	return job;
}
