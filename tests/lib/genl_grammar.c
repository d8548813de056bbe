/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "genl_grammar.h"

#include <stdio.h>
#include <string.h>

#define NR_MEMORIES 15 /* that scans can name: EMBER_MEM_UNKNOWN */

/* splitmix64: any seed will do, 0 too. */
uint64_t genl_random(struct genl_maker *maker)
{
	uint64_t z = maker->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t genl_below(struct genl_maker *maker, uint32_t limit)
{
	return (genl_random(maker) >> 32) * limit >> 32;
}

bool genl_once_in(struct genl_maker *maker, uint32_t times)
{
	return genl_below(maker, times) == 0;
}

static size_t put_u32(uint8_t *value, uint32_t number)
{
	memcpy(value, &number, sizeof(number));
	return sizeof(number);
}

static size_t put_u64(uint8_t *value, uint64_t number)
{
	memcpy(value, &number, sizeof(number));
	return sizeof(number);
}

/* ---- values: what the policy lets pass, and what the module has to look at ---- */

/* Few, so that they meet: used twice, unknown, freed already. */
/* Numbers are given from above. */
static uint32_t pool_number(struct genl_maker *maker)
{
	return NR_MEMORIES - 1 - genl_below(maker, 4);
}

/* Of a request or, by another command, of a pool. */
static size_t good_id(struct genl_maker *maker, uint8_t *value)
{
	if (maker->world->pool_bytes && genl_once_in(maker, 4))
		return put_u64(value, pool_number(maker));
	return put_u64(value, 1 + genl_below(maker, maker->world->nr_ids));
}

static size_t bad_id(struct genl_maker *maker, uint8_t *value)
{
	return put_u64(value, genl_once_in(maker, 2) ? 0 : genl_random(maker) | BIT(63));
}

static size_t good_tgid(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, maker->world->target.identity.tgid);
}

static size_t bad_tgid(struct genl_maker *maker, uint8_t *value)
{
	const uint32_t bad[] = {0, 2, maker->world->other_tgid, maker->world->gone_tgid,
				0x7fffffff};
	uint32_t pick = genl_below(maker, 8);

	return put_u32(value, pick < 5 ? bad[pick] : genl_random(maker));
}

static size_t good_start(struct genl_maker *maker, uint8_t *value)
{
	return put_u64(value, maker->world->target.identity.start_ns);
}

static size_t bad_start(struct genl_maker *maker, uint8_t *value)
{
	return put_u64(value, maker->world->target.identity.start_ns + 1 + genl_below(maker, 1000));
}

static size_t good_exec_id(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, maker->world->target.identity.exec_id);
}

static size_t bad_exec_id(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, maker->world->target.identity.exec_id + 1 + genl_below(maker, 1000));
}

static size_t good_node(struct genl_maker *maker, uint8_t *value)
{
	uint32_t node;

	do
		node = genl_below(maker, 64);
	while (!(maker->world->nodes & BIT(node)));
	return put_u32(value, node);
}

static size_t bad_node(struct genl_maker *maker, uint8_t *value)
{
	const uint32_t bad[] = {63, 64, 1023, 1024, 0x7fffffff, 0x80000000, 0xffffffff};
	uint32_t pick = genl_below(maker, 8);

	return put_u32(value, pick < 7 ? bad[pick] : genl_random(maker));
}

/*
 * What is set apart, so that a pool comes back that somebody has removed; or ordinary memory,
 * which is nobody's to own: the module finds that out later.
 */
static size_t good_pool_start(struct genl_maker *maker, uint8_t *value)
{
	if (maker->world->pool_bytes && genl_once_in(maker, 2))
		return put_u64(value, maker->world->pool_start);
	return put_u64(value, (128 + (uint64_t)genl_below(maker, 128)) << 21);
}

static size_t bad_pool_start(struct genl_maker *maker, uint8_t *value)
{
	return put_u64(value, genl_once_in(maker, 2) ? genl_random(maker) | 1
						     : genl_random(maker) | BIT(62));
}

static size_t good_pool_bytes(struct genl_maker *maker, uint8_t *value)
{
	return put_u64(value, (1 + (uint64_t)genl_below(maker, 8)) << 21);
}

static size_t bad_pool_bytes(struct genl_maker *maker, uint8_t *value)
{
	return put_u64(value, genl_once_in(maker, 2) ? 0 : genl_random(maker) | 1);
}

static size_t good_limit(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, EMBER_MIN_LIMIT_NS + genl_below(maker, 5000000));
}

static size_t bad_limit(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, genl_below(maker, EMBER_MIN_LIMIT_NS));
}

static size_t any_u32(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, genl_once_in(maker, 2) ? genl_below(maker, 4) : genl_random(maker));
}

bool genl_may_be_pool(const struct genl_world *world, uint64_t id)
{
	return world->pool_bytes && id > 0 && id < NR_MEMORIES;
}

static size_t good_pool(struct genl_maker *maker, uint8_t *value)
{
	if (!maker->world->pool_bytes)
		return any_u32(maker, value);
	return put_u32(value, pool_number(maker));
}

static size_t good_flags(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, genl_random(maker) & EMBER_MIGRATE_ALL_FLAGS);
}

static size_t bad_flags(struct genl_maker *maker, uint8_t *value)
{
	return put_u32(value, genl_random(maker) | (EMBER_MIGRATE_ALL_FLAGS + 1));
}

static size_t good_addr(struct genl_maker *maker, uint8_t *value)
{
	uint64_t addr = maker->next_addr;

	maker->next_addr += (1 + genl_below(maker, 4)) * EMBER_NL_REGION_BYTES;
	return put_u64(value, addr);
}

static size_t bad_addr(struct genl_maker *maker, uint8_t *value)
{
	const uint64_t bad[] = {0,
				maker->next_addr - EMBER_NL_REGION_BYTES,
				maker->next_addr + 1 + genl_below(maker, EMBER_NL_REGION_BYTES - 1),
				maker->next_addr + 4096,
				maker->world->addr_end,
				maker->world->addr_end - EMBER_NL_REGION_BYTES,
				0xffff888000000000,
				0xffffffffffe00000};
	uint32_t pick = genl_below(maker, 10);

	return put_u64(value, pick < 8 ? bad[pick] : genl_random(maker));
}

/* Mostly a few pages, for the test is about messages; sometimes all of a region. */
static size_t good_pages(struct genl_maker *maker, uint8_t *value)
{
	uint64_t words[EMBER_REGION_BITMAP_BYTES / 8] = {0};
	uint32_t nr = 1 + genl_below(maker, 6);

	for (uint32_t i = 0; i < nr; i++)
		words[genl_below(maker, 8)] |= BIT(genl_below(maker, 64));
	if (genl_once_in(maker, 40))
		memset(words, 0xff, sizeof(words));
	memcpy(value, words, sizeof(words));
	return sizeof(words);
}

static size_t bad_pages(struct genl_maker *maker, uint8_t *value)
{
	memset(value, 0, EMBER_REGION_BITMAP_BYTES);
	return EMBER_REGION_BITMAP_BYTES;
}

/* ---- the tables ---- */

static const struct genl_attr target_attrs[] = {
    [EMBER_A_TARGET_TGID] = {"TARGET_TGID", GENL_U32, .min = 1, .good = good_tgid, .bad = bad_tgid},
    [EMBER_A_TARGET_START_NS] = {"TARGET_START_NS", GENL_U64, .good = good_start, .bad = bad_start},
    [EMBER_A_TARGET_EXEC_ID] = {"TARGET_EXEC_ID", GENL_U32, .good = good_exec_id,
				.bad = bad_exec_id},
};

static const struct genl_set target_set = {
    "target",
    target_attrs,
    EMBER_A_TARGET_MAX,
    .accepts =
	BIT(EMBER_A_TARGET_TGID) | BIT(EMBER_A_TARGET_START_NS) | BIT(EMBER_A_TARGET_EXEC_ID),
    .requires =
	BIT(EMBER_A_TARGET_TGID) | BIT(EMBER_A_TARGET_START_NS) | BIT(EMBER_A_TARGET_EXEC_ID),
};

static const struct genl_attr dest_attrs[] = {
    [EMBER_A_DEST_NODE] = {"DEST_NODE", GENL_U32, .good = good_node, .bad = bad_node},
    [EMBER_A_DEST_POOL] = {"DEST_POOL", GENL_U32, .good = good_pool, .bad = any_u32},
};

/* One of the two is required: the judge knows. The generator sends what is required. */
static const struct genl_set dest_set = {
    "dest",
    dest_attrs,
    EMBER_A_DEST_MAX,
    .accepts = BIT(EMBER_A_DEST_NODE) | BIT(EMBER_A_DEST_POOL),
    .requires = BIT(EMBER_A_DEST_NODE),
    .instead = BIT(EMBER_A_DEST_POOL),
};

static const struct genl_attr pool_attrs[] = {
    [EMBER_A_POOL_PAD] = {"POOL_PAD", GENL_ANSWER},
    [EMBER_A_POOL_ID] = {"POOL_ID", GENL_ANSWER},
    [EMBER_A_POOL_START] = {"POOL_START", GENL_U64, .good = good_pool_start, .bad = bad_pool_start},
    [EMBER_A_POOL_BYTES] = {"POOL_BYTES", GENL_U64, .good = good_pool_bytes, .bad = bad_pool_bytes},
    [EMBER_A_POOL_NODE] = {"POOL_NODE", GENL_U32, .good = good_node, .bad = bad_node},
};

/* The node is not required, but then nobody would send it. */
static const struct genl_set pool_set = {
    "pool",
    pool_attrs,
    EMBER_A_POOL_MAX,
    .accepts = BIT(EMBER_A_POOL_START) | BIT(EMBER_A_POOL_BYTES) | BIT(EMBER_A_POOL_NODE),
    .requires = BIT(EMBER_A_POOL_START) | BIT(EMBER_A_POOL_BYTES) | BIT(EMBER_A_POOL_NODE),
};

static const struct genl_attr region_attrs[] = {
    [EMBER_A_REGION_PAD] = {"REGION_PAD", GENL_ANSWER},
    [EMBER_A_REGION_ADDR] = {"REGION_ADDR", GENL_U64, .good = good_addr, .bad = bad_addr},
    [EMBER_A_REGION_PAGES] = {"REGION_PAGES", GENL_BINARY, .len = EMBER_REGION_BITMAP_BYTES,
			      .good = good_pages, .bad = bad_pages},
    [EMBER_A_REGION_RUNS] = {"REGION_RUNS", GENL_ANSWER},
};

static const struct genl_set region_set = {
    "region",
    region_attrs,
    EMBER_A_REGION_MAX,
    .accepts = BIT(EMBER_A_REGION_ADDR) | BIT(EMBER_A_REGION_PAGES),
    .requires = BIT(EMBER_A_REGION_ADDR) | BIT(EMBER_A_REGION_PAGES),
};

static const struct genl_attr all_attrs[] = {
    [EMBER_A_PAD] = {"PAD", GENL_ANSWER},
    [EMBER_A_ID] = {"ID", GENL_U64, .good = good_id, .bad = bad_id},
    [EMBER_A_TARGET] = {"TARGET", GENL_NESTED, .nested = &target_set},
    [EMBER_A_DEST] = {"DEST", GENL_NESTED, .nested = &dest_set},
    [EMBER_A_FLAGS] = {"FLAGS", GENL_U32, .mask = EMBER_MIGRATE_ALL_FLAGS, .good = good_flags,
		       .bad = bad_flags},
    [EMBER_A_REGION] = {"REGION", GENL_NESTED, .nested = &region_set},
    [EMBER_A_STATE] = {"STATE", GENL_ANSWER},
    [EMBER_A_STATUS] = {"STATUS", GENL_ANSWER},
    [EMBER_A_TIME_NS] = {"TIME_NS", GENL_ANSWER},
    [EMBER_A_NR_ASKED] = {"NR_ASKED", GENL_ANSWER},
    [EMBER_A_NR_MOVED] = {"NR_MOVED", GENL_ANSWER},
    [EMBER_A_POOL] = {"POOL", GENL_NESTED, .nested = &pool_set},
    [EMBER_A_LIMIT_NS] = {"LIMIT_NS", GENL_U32, .min = EMBER_MIN_LIMIT_NS, .good = good_limit,
			  .bad = bad_limit},
    [EMBER_A_LONGEST_LOCK_NS] = {"LONGEST_LOCK_NS", GENL_ANSWER},
    [EMBER_A_LONGEST_UNMAPPED_NS] = {"LONGEST_UNMAPPED_NS", GENL_ANSWER},
};

const struct genl_set genl_attrs = {"ember", all_attrs, EMBER_A_MAX, .accepts = 0, .requires = 0};

#define MIGRATE_REQUIRES                                                                           \
	(BIT(EMBER_A_ID) | BIT(EMBER_A_TARGET) | BIT(EMBER_A_DEST) | BIT(EMBER_A_REGION))

const struct genl_op genl_ops[] = {
    {"GET_INFO", EMBER_CMD_GET_INFO, .anybody = true, .weight = 6},
    {"MIGRATE", EMBER_CMD_MIGRATE,
     .accepts = MIGRATE_REQUIRES | BIT(EMBER_A_FLAGS) | BIT(EMBER_A_LIMIT_NS),
     .requires = MIGRATE_REQUIRES, .weight = 45},
    {"GET_RESULT", EMBER_CMD_GET_RESULT, .accepts = BIT(EMBER_A_ID), .requires = BIT(EMBER_A_ID),
     .weight = 14},
    {"GET_RESULT dump", EMBER_CMD_GET_RESULT, .dump = true, .weight = 8},
    {"ACK", EMBER_CMD_ACK, .accepts = BIT(EMBER_A_ID), .requires = BIT(EMBER_A_ID), .weight = 18},
    {"CANCEL", EMBER_CMD_CANCEL, .accepts = BIT(EMBER_A_ID), .requires = BIT(EMBER_A_ID),
     .weight = 9},
    {"POOL_ADD", EMBER_CMD_POOL_ADD, .accepts = BIT(EMBER_A_POOL), .requires = BIT(EMBER_A_POOL),
     .weight = 12},
    {"POOL_REMOVE", EMBER_CMD_POOL_REMOVE, .accepts = BIT(EMBER_A_ID), .requires = BIT(EMBER_A_ID),
     .weight = 6},
};
const unsigned int genl_nr_ops = sizeof(genl_ops) / sizeof(genl_ops[0]);

/* Commands that only the module sends. */
#define NOTIFICATIONS BIT(EMBER_CMD_RESULT)

const struct genl_op *genl_op_find(uint8_t cmd, bool dump)
{
	for (unsigned int i = 0; i < genl_nr_ops; i++)
		if (genl_ops[i].cmd == cmd && genl_ops[i].dump == dump)
			return &genl_ops[i];
	return NULL;
}

/* ---- is there a line for everything? ---- */

static char complaint[128];

static bool is_whole(const struct genl_set *set, size_t bytes)
{
	for (unsigned int type = 1; type <= set->max; type++) {
		if (bytes >= (type + 1) * sizeof(*set->attrs) && set->attrs[type].name)
			continue;
		snprintf(complaint, sizeof(complaint),
			 "attribute %u of the set \"%s\" of the header has no line in the grammar",
			 type, set->name);
		return false;
	}
	return true;
}

const char *genl_grammar_check(void)
{
	if (!is_whole(&genl_attrs, sizeof(all_attrs)) ||
	    !is_whole(&target_set, sizeof(target_attrs)) ||
	    !is_whole(&dest_set, sizeof(dest_attrs)) || !is_whole(&pool_set, sizeof(pool_attrs)) ||
	    !is_whole(&region_set, sizeof(region_attrs)))
		return complaint;
	for (unsigned int cmd = 1; cmd <= EMBER_CMD_MAX; cmd++) {
		if (genl_op_find(cmd, false) || genl_op_find(cmd, true) || NOTIFICATIONS & BIT(cmd))
			continue;
		snprintf(complaint, sizeof(complaint),
			 "command %u of the header has no line in the grammar", cmd);
		return complaint;
	}
	return "";
}
