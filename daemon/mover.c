// SPDX-License-Identifier: GPL-2.0-or-later
#include "mover.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/ember.h>

#include "log.h"
#include "movepages.h"
#include "split.h"
#include "util/cleanup.h"

/* How often a waiting mover looks whether it shall stop. */
#define POLL_MS 100
/* At the end: what the module has not finished after this time is cancelled. */
#define LINGER_NS 2000000000ULL

struct lane {
	struct ember_movers *movers;
	enum ember_direction direction;
	pthread_t thread;
	bool started;
	struct ember_genl *genl;
	struct ember_job_list queue; /* under movers->lock */
	struct ember_job_list again; /* go to the module once more. Only of this thread. */
	uint64_t nr_submitted;       /* under movers->lock */
	uint64_t nr_done;            /* under movers->lock */
	/* Sent to the module, result outstanding. Only of this thread. */
	struct ember_job *sent[EMBER_CREDITS];
	unsigned int nr_sent;
	uint64_t next_id;
};

struct ember_movers {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a queue, a counter of done jobs, or stop */
	struct lane lanes[EMBER_NR_DIRECTIONS];
	struct ember_job_list done; /* under lock */
	uint32_t nr_open;           /* under lock */
	bool stop;                  /* under lock */
	int done_fd;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void finish(struct lane *lane, struct ember_job *job)
{
	struct ember_movers *movers = lane->movers;
	uint64_t one = 1;

	if (job->first_runs)
		ember_split_settle(job);
	pthread_mutex_lock(&movers->lock);
	lane->nr_done++;
	ember_job_push(&movers->done, job);
	pthread_cond_broadcast(&movers->changed);
	pthread_mutex_unlock(&movers->lock);
	if (write(movers->done_fd, &one, sizeof(one)) < 0)
		log_warning("eventfd of finished moves: %m, ignoring");
}

/* All pages of @job met the same fate. */
static void finish_with(struct lane *lane, struct ember_job *job, enum ember_fate fate)
{
	job->runs = malloc(sizeof(*job->runs));
	if (job->runs) {
		job->runs[0] =
		    (struct ember_fate_run){.outcome = fate, .nr_pages = job->move.nr_pages};
		job->nr_runs = 1;
	}
	finish(lane, job);
}

static enum ember_fate fate_of_refusal(int error)
{
	switch (error) {
	case -ESRCH:
		return EMBER_FATE_GONE;
	case -EPERM:
		return EMBER_FATE_DENIED;
	case -ENODEV:
		return EMBER_FATE_NO_DEST;
	case -ECANCELED:
		return EMBER_FATE_CANCELLED;
	default:
		return EMBER_FATE_FAILED;
	}
}

static bool stopping(struct ember_movers *movers)
{
	bool stop;

	pthread_mutex_lock(&movers->lock);
	stop = movers->stop;
	pthread_mutex_unlock(&movers->lock);
	return stop;
}

static uint64_t longer(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The module has left huge pages as they are that are wanted in pieces: once more, then? */
static bool split_first(struct lane *lane, struct ember_job *job)
{
	uint64_t start = now_ns();
	bool again = ember_split_is_due(job) && !stopping(lane->movers) && ember_split_run(job);

	job->split_ns += now_ns() - start;
	return again;
}

static void collect(struct lane *lane, struct ember_genl_result *result)
{
	for (unsigned int i = 0; i < lane->nr_sent; i++) {
		struct ember_job *job = lane->sent[i];

		if (job->request != result->id)
			continue;
		lane->sent[i] = lane->sent[--lane->nr_sent];
		job->runs = TAKE_PTR(result->runs);
		job->nr_runs = result->nr_runs;
		job->time_ns += result->time_ns;
		job->longest_lock_ns = longer(job->longest_lock_ns, result->longest_lock_ns);
		job->longest_unmapped_ns =
		    longer(job->longest_unmapped_ns, result->longest_unmapped_ns);
		if (result->status < 0 && !job->nr_runs)
			finish_with(lane, job, fate_of_refusal(result->status));
		else if (split_first(lane, job))
			ember_job_push(&lane->again, job);
		else
			finish(lane, job);
		break;
	}
	ember_genl_result_clear(result);
}

/*
 * With a new connection: what the old one still has open would count against its credits for ever.
 * 0 or -errno of ember_genl_open(); then there is none until the next job asks for one.
 */
static int connect_anew(struct lane *lane)
{
	struct ember_genl_info info;

	lane->genl = ember_genl_close(lane->genl); /* cancels what the module has of it */
	return ember_genl_open(&lane->genl, &info);
}

/* What was under way on the connection that broke is not known. */
static void lose_touch(struct lane *lane, int error)
{
	log_warning("lost touch with the module: %s; its moves are not counted", strerror(-error));
	while (lane->nr_sent)
		finish_with(lane, lane->sent[--lane->nr_sent], EMBER_FATE_UNKNOWN);
	connect_anew(lane);
}

static void wait_for_result(struct lane *lane)
{
	struct ember_genl_result result = {};
	int r = ember_genl_wait(lane->genl, POLL_MS, &result);

	if (r == 0)
		collect(lane, &result);
	else if (r != -EAGAIN)
		lose_touch(lane, r);
}

static void send_to_module(struct lane *lane, struct ember_job *job)
{
	int r;

	while (lane->nr_sent == EMBER_CREDITS && !stopping(lane->movers))
		wait_for_result(lane);
	if (stopping(lane->movers)) {
		finish_with(lane, job, EMBER_FATE_CANCELLED);
		return;
	}
	job->request = ++lane->next_id;
	r = lane->genl ? 0 : connect_anew(lane);
	if (r < 0) {
		finish_with(lane, job, fate_of_refusal(r));
		return;
	}
	r = ember_genl_migrate(lane->genl, job->request, &job->move, job->regions);
	if (r == 0) {
		lane->sent[lane->nr_sent++] = job;
		return;
	}
	if (r == -EIO || r == -ETIMEDOUT) /* no answer of the module's */
		lose_touch(lane, r);
	finish_with(lane, job, fate_of_refusal(r));
}

static void run_move_pages(struct lane *lane, struct ember_job *job)
{
	uint64_t start = now_ns();

	/* Out of memory: no runs, and the books say "unknown" for every page. */
	if (ember_movepages_run(&job->move, job->regions, job->floor_bytes, &job->runs,
				&job->nr_runs) < 0)
		log_warning(
		    "no memory for the result of a move: its pages are not counted as moved");
	job->time_ns = now_ns() - start;
	finish(lane, job);
}

/* May the first job of the queue start? Under the lock. */
static bool ready(const struct lane *lane)
{
	const struct lane *other = &lane->movers->lanes[ember_opposite(lane->direction)];

	return lane->queue.nr && lane->queue.first->after <= other->nr_done;
}

/* The next job, NULL if there is none now; false: the thread shall end. */
static bool next_job(struct lane *lane, struct ember_job **ret)
{
	struct ember_movers *movers = lane->movers;
	bool stop;

	pthread_mutex_lock(&movers->lock);
	/* With results outstanding the caller waits for those instead. */
	while (!movers->stop && !ready(lane) && !lane->again.nr && !lane->nr_sent)
		pthread_cond_wait(&movers->changed, &movers->lock);
	stop = movers->stop;
	*ret = NULL;
	if (!stop && lane->again.nr)
		*ret = ember_job_pop(&lane->again);
	else if (!stop && ready(lane))
		*ret = ember_job_pop(&lane->queue);
	pthread_mutex_unlock(&movers->lock);
	return !stop;
}

/* Let the module finish what it has begun; what it does not in time ends with the socket. */
static void linger(struct lane *lane)
{
	uint64_t end = now_ns() + LINGER_NS;

	while (lane->nr_sent && now_ns() < end)
		wait_for_result(lane);
	while (lane->nr_sent)
		ember_job_free(lane->sent[--lane->nr_sent]);
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	struct ember_job *job;

	while (next_job(lane, &job)) {
		if (!job)
			wait_for_result(lane);
		else if (ember_mover_is_module(job->move.mover))
			send_to_module(lane, job);
		else
			run_move_pages(lane, job);
	}
	linger(lane);
	return NULL;
}

static int start_lane(struct ember_movers *movers, enum ember_direction direction,
		      struct ember_genl_info *ret_info)
{
	struct lane *lane = &movers->lanes[direction];
	int r;

	lane->movers = movers;
	lane->direction = direction;
	r = ember_genl_open(&lane->genl, ret_info);
	if (r < 0)
		return r;
	r = -pthread_create(&lane->thread, NULL, lane_main, lane);
	lane->started = r == 0;
	if (r == 0)
		pthread_setname_np(lane->thread,
				   direction == EMBER_DEMOTE ? "ember-demote" : "ember-promote");
	return r;
}

static void freep(struct ember_movers **movers)
{
	ember_movers_free(*movers);
}

int ember_movers_new(struct ember_movers **ret, struct ember_genl_info *ret_info)
{
	_cleanup_(freep) struct ember_movers *movers = calloc(1, sizeof(*movers));
	int r;

	if (!movers)
		return -ENOMEM;
	movers->done_fd = -1;
	pthread_mutex_init(&movers->lock, NULL);
	pthread_cond_init(&movers->changed, NULL);
	movers->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (movers->done_fd < 0)
		return -errno;
	for (int direction = 0; direction < EMBER_NR_DIRECTIONS; direction++) {
		r = start_lane(movers, direction, ret_info);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(movers);
	return 0;
}

static void stop_lane(struct lane *lane)
{
	struct ember_job *job;

	if (lane->started)
		pthread_join(lane->thread, NULL);
	ember_genl_close(lane->genl); /* cancels what the module has of it */
	while ((job = ember_job_pop(&lane->again)))
		ember_job_free(job);
	while ((job = ember_job_pop(&lane->queue)))
		ember_job_free(job);
}

struct ember_movers *ember_movers_free(struct ember_movers *movers)
{
	struct ember_job *job;

	if (!movers)
		return NULL;
	pthread_mutex_lock(&movers->lock);
	movers->stop = true;
	pthread_cond_broadcast(&movers->changed);
	pthread_mutex_unlock(&movers->lock);
	for (int direction = 0; direction < EMBER_NR_DIRECTIONS; direction++)
		stop_lane(&movers->lanes[direction]);
	while ((job = ember_job_pop(&movers->done)))
		ember_job_free(job);
	if (movers->done_fd >= 0)
		close(movers->done_fd);
	pthread_cond_destroy(&movers->changed);
	pthread_mutex_destroy(&movers->lock);
	free(movers);
	return NULL;
}

void ember_movers_submit(struct ember_movers *movers, struct ember_job *job)
{
	struct lane *lane = &movers->lanes[job->move.direction];

	pthread_mutex_lock(&movers->lock);
	ember_job_push(&lane->queue, job);
	lane->nr_submitted++;
	movers->nr_open++;
	pthread_cond_broadcast(&movers->changed);
	pthread_mutex_unlock(&movers->lock);
}

int ember_movers_done_fd(const struct ember_movers *movers)
{
	return movers->done_fd;
}

struct ember_job *ember_movers_take_done(struct ember_movers *movers)
{
	struct ember_job *job;
	uint64_t count;

	pthread_mutex_lock(&movers->lock);
	job = ember_job_pop(&movers->done);
	if (job)
		movers->nr_open--;
	/* It does not block: EFD_NONBLOCK.
	 * NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection) */
	else if (read(movers->done_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warning("eventfd of finished moves: %m, ignoring");
	pthread_mutex_unlock(&movers->lock);
	return job;
}

uint64_t ember_movers_nr_submitted(struct ember_movers *movers, enum ember_direction direction)
{
	uint64_t nr;

	pthread_mutex_lock(&movers->lock);
	nr = movers->lanes[direction].nr_submitted;
	pthread_mutex_unlock(&movers->lock);
	return nr;
}

uint32_t ember_movers_nr_open(struct ember_movers *movers)
{
	uint32_t nr;

	pthread_mutex_lock(&movers->lock);
	nr = movers->nr_open;
	pthread_mutex_unlock(&movers->lock);
	return nr;
}
