/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmod/engine_choice.c: which engine copies, by measured times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kmod/engine_choice.c"

#define CPU EMBER_ENGINE_CPU
#define DMA EMBER_ENGINE_DMA
#define MS 1000000U

struct row {
	const char *what;
	struct ember_engine_case c;
	enum ember_engine want;
};

static const struct row rows[] = {
    {"no engine", {512, {700, 100}, {0, 9999}, false, false}, CPU},
    {"no engine, asked for", {512, {700, 100}, {0, 9999}, false, true}, CPU},
    {"nothing is known", {512, {0, 0}, {0, 0}, true, false}, DMA},
    {"nothing is known, asked", {512, {0, 0}, {0, 0}, true, true}, DMA},
    {"the engine is not known", {8, {700, 0}, {0, 0}, true, false}, DMA},
    {"the CPU is not known", {8, {0, 700}, {0, 0}, true, false}, CPU},
    {"the CPU is not known, asked", {8, {0, 700}, {0, 0}, true, true}, DMA},
    {"the engine is faster", {512, {700, 600}, {0, 0}, true, false}, DMA},
    {"the CPU is faster", {512, {600, 700}, {0, 0}, true, false}, CPU},
    {"both the same", {512, {700, 700}, {0, 0}, true, false}, CPU},
    {"slower, but asked", {512, {600, 7000}, {0, 0}, true, true}, DMA},
    {"asked, at the limit", {512, {600, 20 * MS / 512}, {0, 0}, true, true}, DMA},
    {"asked, above the limit", {512, {600, 20 * MS / 512 + 1}, {0, 0}, true, true}, CPU},
    {"the limit is for a batch", {1, {600, 20 * MS}, {0, 0}, true, true}, DMA},
    {"the largest numbers", {512, {600, UINT32_MAX}, {0, 0}, true, true}, CPU},
    {"trial of the engine: not yet", {512, {600, 700}, {0, 63}, true, false}, CPU},
    {"trial of the engine", {512, {600, 700}, {0, 64}, true, false}, DMA},
    {"trial of the CPU: not yet", {512, {700, 600}, {63, 0}, true, false}, DMA},
    {"trial of the CPU", {512, {700, 600}, {64, 0}, true, false}, CPU},
    {"no trial of the CPU when asked", {512, {700, 600}, {9999, 0}, true, true}, DMA},
    {"10 times slower: not yet", {8, {100, 1000}, {0, 639}, true, false}, CPU},
    {"10 times slower: rarer", {8, {100, 1000}, {0, 640}, true, false}, DMA},
    {"above the limit: not yet", {512, {MS / 10, MS}, {0, 639}, true, true}, CPU},
    {"above the limit: a trial", {512, {MS / 10, MS}, {0, 640}, true, true}, DMA},
    {"above, the CPU not known", {512, {0, MS}, {0, 63}, true, true}, CPU},
    {"above, the CPU not known", {512, {0, MS}, {0, 64}, true, true}, DMA},
};

static void the_table(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (ember_engine_choose(&rows[i].c) != rows[i].want)
			fail_msg("%s: not the engine that was wanted", rows[i].what);
}

static void classes_are_powers_of_two(void **state)
{
	assert_int_equal(ember_engine_class(1), 0);
	assert_int_equal(ember_engine_class(2), 1);
	assert_int_equal(ember_engine_class(3), 1);
	assert_int_equal(ember_engine_class(4), 2);
	assert_int_equal(ember_engine_class(511), 8);
	assert_int_equal(ember_engine_class(512), EMBER_COPY_CLASSES - 1);
	assert_int_equal(ember_engine_class(UINT32_MAX), EMBER_COPY_CLASSES - 1);
}

static void an_average_follows(void **state)
{
	uint32_t average = ember_engine_average(0, 1000);

	assert_int_equal(average, 1000); /* the first sample */
	assert_int_equal(ember_engine_average(1000, 1800), 1100);
	for (int i = 0; i < 100; i++)
		average = ember_engine_average(average, 5000);
	assert_in_range(average, 4990, 5000);
	assert_int_equal(ember_engine_average(0, 0), 1); /* 0 is "never" */
	assert_int_equal(ember_engine_average(1, 0), 1);
	assert_int_equal(ember_engine_average(0, UINT64_MAX), UINT32_MAX);
	assert_int_equal(ember_engine_average(UINT32_MAX, UINT64_MAX), UINT32_MAX);
}

/*
 * A hundred thousand batches on engines of given cost: the faster one gets them, and
 * what trials cost stays about the promised share.
 */
static void expect_cheap_trials(uint32_t cpu_ns, uint32_t dma_ns)
{
	uint32_t cost[] = {cpu_ns, dma_ns}, best = cpu_ns < dma_ns ? cpu_ns : dma_ns;
	struct ember_engine_case c = {.nr_pages = 512, .ready = true};
	uint64_t total = 0, nr = 100000;

	for (uint64_t i = 0; i < nr; i++) {
		enum ember_engine engine = ember_engine_choose(&c);

		total += cost[engine];
		c.ns[engine] = ember_engine_average(c.ns[engine], cost[engine]);
		c.since[!engine]++;
		c.since[engine] = 0;
	}
	assert_in_range(total, nr * best, nr * best * 103 / 100);
}

static void trials_cost_little(void **state)
{
	expect_cheap_trials(700, 350);
	expect_cheap_trials(350, 700);
	expect_cheap_trials(500, 5000);
	expect_cheap_trials(500, 100000);
	expect_cheap_trials(100000, 300);
	expect_cheap_trials(500, 501);
}

/* An engine that was slow once, and is the faster one now, is found out. */
static void a_change_is_noticed(void **state)
{
	struct ember_engine_case c = {.nr_pages = 512, .ready = true, .ns = {600, 6000}};
	unsigned int by_dma = 0;

	for (unsigned int i = 0; i < 100000; i++) {
		enum ember_engine engine = ember_engine_choose(&c);

		c.ns[engine] = ember_engine_average(c.ns[engine], engine == DMA ? 300 : 600);
		c.since[!engine]++;
		c.since[engine] = 0;
		if (i >= 90000)
			by_dma += engine == DMA;
	}
	assert_in_range(by_dma, 9500, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table),           cmocka_unit_test(classes_are_powers_of_two),
	    cmocka_unit_test(an_average_follows),  cmocka_unit_test(trials_cost_little),
	    cmocka_unit_test(a_change_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
