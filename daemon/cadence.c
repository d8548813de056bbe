// SPDX-License-Identifier: GPL-2.0-or-later
#include "cadence.h"

#include "ember/sample.h"
#include "level.h"

#define NSEC_PER_MSEC 1000000ULL
#define DEFAULT_MIN_WINDOW_NS (10 * NSEC_PER_MSEC)
#define DEFAULT_FULL_EVERY 8

/* Mean interval between touches at the threshold, in windows: young in 1-exp(-1/2) = 39 %. */
#define WINDOWS_PER_TOUCH 2

/* While much is out of place: so many readings in a period, for so many times the budget. */
#define BUSY_READINGS 6
#define BUSY_BUDGET 15

/*
 * So many plans in a row find next to nothing to do before the period is stretched to the budget:
 * pages that wait in a CPU's lists of free pages are room that one plan does not see, and the
 * next one does.
 */
#define SETTLED_PLANS 4

/* A scan over an interval in which a page at the threshold is touched so often tells nothing. */
#define SATURATED_TOUCHES 4

/* The first second: any rate from 1 to 100 per second lies near one of these. Then a plan. */
static const uint64_t ladder_ns[] = {
    0,
    20 * NSEC_PER_MSEC,
    40 * NSEC_PER_MSEC,
    80 * NSEC_PER_MSEC,
    160 * NSEC_PER_MSEC,
    320 * NSEC_PER_MSEC,
    160 * NSEC_PER_MSEC,
    80 * NSEC_PER_MSEC,
};
#define LADDER_STEPS (sizeof(ladder_ns) / sizeof(ladder_ns[0]))
#define LADDER_PLANS_FROM 5

static uint64_t clamp_u64(uint64_t v, uint64_t lo, uint64_t hi)
{
	if (v < lo)
		return lo;
	return v > hi ? hi : v;
}

void ember_cadence_init(struct ember_cadence *c, const struct ember_cadence_params *params)
{
	*c = (struct ember_cadence){.window_ns = 100 * NSEC_PER_MSEC};
	ember_cadence_set(c, params);
}

void ember_cadence_set(struct ember_cadence *c, const struct ember_cadence_params *params)
{
	c->params = *params;
	c->period_ns = params->period_ns;
	if (!c->params.min_window_ns)
		c->params.min_window_ns = DEFAULT_MIN_WINDOW_NS;
	if (!c->params.full_every)
		c->params.full_every = DEFAULT_FULL_EVERY;
}

static bool is_settled(const struct ember_cadence *c)
{
	return c->nr_settled >= SETTLED_PLANS;
}

/* Not while one is under way, and only when the last one is paid for. */
static bool may_begin_ladder(const struct ember_cadence *c)
{
	return c->warm == LADDER_STEPS && !c->ladder_debt_ns;
}

bool ember_cadence_warm_up(struct ember_cadence *c)
{
	c->ladder_wanted = true;
	return may_begin_ladder(c);
}

/* Half-way towards the window that suits the threshold (in octaves, a factor of 2 at most). */
static void adapt_window(struct ember_cadence *c, uint8_t threshold_level)
{
	uint64_t want = ember_level_interval_ns(threshold_level) / WINDOWS_PER_TOUCH;
	uint64_t min = c->params.min_window_ns;

	/* while the scan itself takes its time, windows differ between first and last page */
	if (min < 2 * c->scan_wall_ns)
		min = 2 * c->scan_wall_ns;
	want = clamp_u64(want, c->window_ns / 2, c->window_ns * 2);
	c->window_ns = clamp_u64(want, min, c->period_ns);
}

static uint64_t average(uint64_t old, uint64_t new)
{
	return old ? (3 * old + new) / 4 : new;
}

static void learn(struct ember_cadence *c, const struct ember_cadence_obs *obs)
{
	if (obs->cost_ns)
		c->scan_cost_ns = average(c->scan_cost_ns, obs->cost_ns);
	if (obs->scan_ns)
		c->scan_wall_ns = average(c->scan_wall_ns, obs->scan_ns);
	if (obs->planned) {
		c->nr_settled = obs->settled ? c->nr_settled + 1 : 0;
		adapt_window(c, obs->threshold_level);
	}
}

/* Scans that the budget pays for in one period. */
static uint64_t affordable(const struct ember_cadence *c, unsigned int times)
{
	uint64_t budget_ns = c->params.period_ns / 10000 * c->params.cpu_budget_bp * times;

	if (!c->params.cpu_budget_bp || !c->scan_cost_ns)
		return UINT64_MAX;
	return budget_ns / c->scan_cost_ns;
}

/* The period, stretched so that @scans keep within @times the budget. */
static uint64_t period(const struct ember_cadence *c, uint64_t scans, unsigned int times)
{
	if (affordable(c, times) >= scans)
		return c->params.period_ns;
	return scans * c->scan_cost_ns * 10000 / ((uint64_t)c->params.cpu_budget_bp * times);
}

static unsigned int budget_times(const struct ember_cadence *c)
{
	return is_settled(c) ? 1 : BUSY_BUDGET;
}

/* Is the window about as long as the time between scans would be? */
static bool one_scan_per_period(const struct ember_cadence *c)
{
	return c->window_ns > period(c, 1, budget_times(c)) / 2;
}

/* Readings in the period that begins. */
static uint8_t plan_readings(const struct ember_cadence *c)
{
	uint64_t scans = affordable(c, BUSY_BUDGET), fit = c->params.period_ns / c->window_ns;
	uint64_t readings;

	if (is_settled(c) || one_scan_per_period(c))
		return 1;
	readings = scans > 2 ? scans - 1 : 1;
	if (readings >= fit)
		readings = fit ? fit - 1 : 0;
	return clamp_u64(readings, 1, BUSY_READINGS);
}

/* What a ladder costs, at the busy budget: before that much time there is not another. */
static uint64_t ladder_debt(const struct ember_cadence *c)
{
	if (!c->params.cpu_budget_bp)
		return 0;
	return LADDER_STEPS * c->scan_cost_ns * 10000 /
	       ((uint64_t)c->params.cpu_budget_bp * BUSY_BUDGET);
}

static void begin_ladder_if_wanted(struct ember_cadence *c)
{
	if (!c->ladder_wanted || !may_begin_ladder(c))
		return;
	c->ladder_wanted = false;
	c->nr_settled = 0;
	c->warm = 0;
	c->opened = false;
}

static void warm_step(struct ember_cadence *c, struct ember_cadence_step *step)
{
	step->next_scan_in_ns = ladder_ns[c->warm];
	if (!c->warm) {
		/* where everything lies; since when its bits have been gathering nobody knows */
		step->role = EMBER_SCAN_CLEARING;
		step->scan_flags |= EMBER_SCAN_FULL | EMBER_SCAN_COLD;
		step->score = false;
	}
	step->plan = c->warm >= LADDER_PLANS_FROM;
	c->left = 0;
	if (++c->warm == LADDER_STEPS)
		c->ladder_debt_ns = ladder_debt(c);
}

static void opening_step(struct ember_cadence *c, struct ember_cadence_step *step)
{
	uint64_t windows, rest;

	c->left = plan_readings(c);
	windows = c->left * c->window_ns;
	c->period_ns = period(c, c->left + 1, budget_times(c));
	rest = c->period_ns > windows ? c->period_ns - windows : 0;
	step->role = EMBER_SCAN_CLEARING;
	step->next_scan_in_ns = rest;
	step->score = rest / c->window_ns < SATURATED_TOUCHES * WINDOWS_PER_TOUCH;
	c->opened = true;
}

static void reading_step(struct ember_cadence *c, struct ember_cadence_step *step)
{
	if (one_scan_per_period(c) && !c->opened) {
		c->left = 1;
		c->period_ns = period(c, 1, budget_times(c));
		step->next_scan_in_ns = c->period_ns;
	} else {
		step->next_scan_in_ns = c->window_ns;
	}
	c->left--;
	step->plan = !c->left;
	if (c->left)
		return;
	c->opened = false;
	if (++c->nr_periods % c->params.full_every == 0)
		step->scan_flags |= EMBER_SCAN_FULL | EMBER_SCAN_COLD;
}

struct ember_cadence_step ember_cadence_next(struct ember_cadence *c,
					     const struct ember_cadence_obs *obs)
{
	struct ember_cadence_step step = {.scan_flags = EMBER_SCAN_CLEAR | EMBER_SCAN_FLUSH,
					  .role = EMBER_SCAN_READING,
					  .score = true};

	learn(c, obs);
	begin_ladder_if_wanted(c);
	if (c->warm < LADDER_STEPS)
		warm_step(c, &step);
	else if (c->opened || one_scan_per_period(c))
		reading_step(c, &step);
	else
		opening_step(c, &step);
	c->ladder_debt_ns -=
	    c->ladder_debt_ns < step.next_scan_in_ns ? c->ladder_debt_ns : step.next_scan_in_ns;
	step.window_ns = c->window_ns;
	step.period_ns = c->period_ns;
	step.prior_level = ember_level_of_interval(c->window_ns * WINDOWS_PER_TOUCH);
	return step;
}
