// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine's loops over what comes from outside end, whatever comes: a process that ends each of
 * its scans and looks alive all the same, a ring that is refilled as fast as it is emptied. The
 * kernel side is what this file makes of it, since no kernel can be asked to behave like that; the
 * rest is real, /proc and the policy too. A loop without an end is ended by an alarm.
 */
#include "check.h"

#include <signal.h>
#include <unistd.h>

#include "../../../daemon/follow.c"
#include "../../../daemon/scan.c"

#define HANG_S 60

/* ---- the kernel side ---- */

static struct {
	enum ember_scan_stop stop;
	unsigned int nr_scans;
	unsigned int nr_events; /* that were taken */
	struct ember_event event;
	struct ember_hand_event hands[EMBER_MAX_EARLY_HANDS + 2];
	unsigned int nr_hands;
} kernel;

/* engine.c itself is not linked: it needs the programs */
void ember_engine_enter(struct ember_engine *e, enum ember_stage stage)
{
	ember_heart_beat(&e->heart, stage, now_ns(), 0);
}

static unsigned int nr_beats;

void ember_engine_beat(struct ember_engine *e)
{
	nr_beats++;
}

int ember_sampler_identify(struct ember_sampler *sampler, uint32_t tgid, struct ember_proc_id *ret)
{
	*ret = (struct ember_proc_id){.tgid = tgid, .start_boottime_ns = 1};
	return 0;
}

int ember_sampler_track(struct ember_sampler *sampler, const struct ember_proc_id *id)
{
	return 0;
}

int ember_sampler_untrack(struct ember_sampler *sampler, const struct ember_proc_id *id)
{
	return 0;
}

int ember_sampler_scan(struct ember_sampler *sampler, const struct ember_proc_id *id,
		       struct ember_scan_req *req, const struct ember_region_rec **ret_recs)
{
	static const struct ember_region_rec none;

	kernel.nr_scans++;
	req->stop = kernel.stop;
	req->nodes = UINT16_MAX;
	*ret_recs = &none;
	return 0;
}

/* Endless: only the handler can end it. */
int ember_sampler_consume(struct ember_sampler *sampler, ember_event_handler handler,
			  void *userdata)
{
	int r = 0;

	while (kernel.event.type && r >= 0) {
		kernel.nr_events++;
		kernel.event.arg += EMBER_REGION_BYTES;
		r = handler(&kernel.event, userdata);
	}
	return r;
}

void ember_hands_watch_consume(struct ember_hands_watch *watch, ember_hand_handler handler,
			       void *userdata)
{
	for (unsigned int i = 0; i < kernel.nr_hands; i++)
		handler(&kernel.hands[i], userdata);
	kernel.nr_hands = 0;
}

/* ---- the engine ---- */

static struct ember_engine engine;

/* The parent of this process is followed: /proc tells the truth of it. */
static int setup(void **state)
{
	static const char text[] = "{\"version\": 1, \"rules\": [{}]}";
	struct ember_policy_file file = {"a.json", text, strlen(text)};
	struct ember_policy_error error = {0};

	memset(&engine, 0, sizeof(engine));
	memset(&kernel, 0, sizeof(kernel));
	nr_beats = 0;
	engine.config.proc_root = "/proc";
	ember_calibration_init(&engine.calibration);
	ember_plan_init(&engine.plan);
	assert_int_equal(ember_policy_parse(&file, 1, &engine.policy, &error), 0);
	alarm(HANG_S);
	consider(&engine, getppid());
	return engine.processes.nr == 1 ? 0 : -1;
}

static int teardown(void **state)
{
	alarm(0);
	ember_processes_clear(&engine.processes);
	ember_policy_free(engine.policy);
	return 0;
}

static void test_who_ends_every_scan_and_looks_alive_is_asked_once_a_round(void **state)
{
	kernel.stop = EMBER_STOP_GONE;
	ember_scan_round(&engine);
	assert_int_equal(kernel.nr_scans, 1);
	assert_int_equal(engine.processes.nr, 1);
	ember_scan_round(&engine);
	assert_int_equal(kernel.nr_scans, 2);
	assert_true(nr_beats >= 2);
}

static void test_who_is_gone_leaves_its_place_to_the_next(void **state)
{
	const struct ember_proc_id gone = {.tgid = UINT32_MAX - 1}, after = {.tgid = UINT32_MAX};
	const struct ember_proc *facts = &engine.processes.procs[0]->facts;

	assert_non_null(ember_process_add(&engine.processes, &gone, facts, engine.policy->rules));
	assert_non_null(ember_process_add(&engine.processes, &after, facts, engine.policy->rules));
	kernel.stop = EMBER_STOP_GONE;
	ember_scan_round(&engine);
	assert_int_equal(kernel.nr_scans, 3);
	assert_int_equal(engine.processes.nr, 1); /* /proc knows neither of the two */
}

static struct ember_hand_event *place_by_hand(uint32_t tgid, uint64_t start_boottime_ns,
					      uint64_t region)
{
	struct ember_hand_event *event = &kernel.hands[kernel.nr_hands++];

	*event = (struct ember_hand_event){.time_ns = 1,
					   .start_boottime_ns = start_boottime_ns,
					   .tgid = tgid,
					   .start = region * EMBER_REGION_BYTES,
					   .end = (region + 1) * EMBER_REGION_BYTES};
	return event;
}

static bool is_held(const struct ember_process *process, uint64_t region)
{
	return ember_hands_hold(&process->hands, region * EMBER_REGION_BYTES);
}

static void test_hands_of_a_followed_process(void **state)
{
	const struct ember_process *process = engine.processes.procs[0];

	place_by_hand(process->id.tgid, 1, 10);
	place_by_hand(process->id.tgid, 2, 20); /* another one had the number */
	ember_follow_take_hands(&engine);
	assert_true(is_held(process, 10));
	assert_false(is_held(process, 20));
}

/* What a program places before it is large enough to be followed, as most do that place at all. */
static void test_hands_before_a_process_is_followed(void **state)
{
	const struct ember_process *process;

	place_by_hand(getpid() + 1, 1, 10);
	ember_process_remove(&engine.processes, engine.processes.procs[0]);
	place_by_hand(getppid(), 1, 30);
	ember_follow_take_hands(&engine);
	place_by_hand(getppid(), 1, 40); /* not taken yet */
	place_by_hand(getppid(), 2, 50);
	consider(&engine, getppid());
	assert_int_equal(engine.processes.nr, 1);
	process = engine.processes.procs[0];
	assert_false(is_held(process, 10));
	assert_true(is_held(process, 30));
	assert_true(is_held(process, 40));
	assert_false(is_held(process, 50));
}

/* Placed twice, once before the process is followed: the time of the second counts. */
static void test_a_later_placement_in_the_ring_decides(void **state)
{
	const struct ember_hands *hands;

	ember_process_remove(&engine.processes, engine.processes.procs[0]);
	place_by_hand(getppid(), 1, 30)->time_ns = 1000 * NSEC_PER_SEC;
	ember_follow_take_hands(&engine);
	place_by_hand(getppid(), 1, 30)->time_ns = 2000 * NSEC_PER_SEC; /* not taken yet */
	consider(&engine, getppid());
	assert_int_equal(engine.processes.nr, 1);
	hands = &engine.processes.procs[0]->hands;
	assert_int_equal(hands->nr, 1);
	assert_int_equal(hands->ranges[0].time_ns, 2000 * NSEC_PER_SEC);
}

static void test_early_hands_are_bounded(void **state)
{
	ember_process_remove(&engine.processes, engine.processes.procs[0]);
	for (uint64_t i = 0; i < NR(kernel.hands); i++)
		place_by_hand(getppid(), 1, 10 * i);
	ember_follow_take_hands(&engine);
	consider(&engine, getppid());
	assert_false(is_held(engine.processes.procs[0], 10)); /* the oldest two gave way */
	assert_true(is_held(engine.processes.procs[0], 20));
	assert_true(is_held(engine.processes.procs[0], 10 * (NR(kernel.hands) - 1)));
}

/* Each of the two kinds: fault samples, and events that wait in a queue. */
static void test_a_ring_that_never_empties(void **state)
{
	kernel.event =
	    (struct ember_event){.type = EMBER_EVENT_FAULT, .tgid = getppid(), .time_ns = 1234};
	ember_follow_take_events(&engine);
	assert_int_equal(kernel.nr_events, EMBER_MAX_FAULTS);
	assert_int_equal(engine.processes.procs[0]->first_fault_ns,
			 1234);            /* not the time of reading */
	ember_follow_take_events(&engine); /* and on from there */
	assert_int_equal(kernel.nr_events, 2 * EMBER_MAX_FAULTS);

	kernel.event = (struct ember_event){.type = EMBER_EVENT_FORK, .tgid = UINT32_MAX};
	kernel.nr_events = 0;
	ember_follow_take_events(&engine);
	assert_int_equal(kernel.nr_events, EMBER_MAX_EVENTS);
	ember_follow_take_events(&engine); /* the queue is full: not one more */
	assert_int_equal(kernel.nr_events, EMBER_MAX_EVENTS);
	ember_follow_handle_events(&engine);
	assert_true(nr_beats >= EMBER_MAX_EVENTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_who_ends_every_scan_and_looks_alive_is_asked_once_a_round, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_who_is_gone_leaves_its_place_to_the_next, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_hands_of_a_followed_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hands_before_a_process_is_followed, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_a_later_placement_in_the_ring_decides, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_early_hands_are_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_ring_that_never_empties, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
