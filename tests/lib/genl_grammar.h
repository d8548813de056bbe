/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grammar of what may be said to the netlink family "ember": its operations, its
 * attributes, and for each a maker of good and of bad values. A new attribute or command
 * is one line in genl_grammar.c; without it genl_grammar_check() fails.
 *
 * Three readers: the generator (genl_make.h) builds messages from it, the judge
 * (genl_judge.h) tells what the answer must be, and the test compares it with the policies
 * that the kernel says the module has.
 */
#ifndef EMBER_TESTS_GENL_GRAMMAR_H
#define EMBER_TESTS_GENL_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ember_nl.h"

#define BIT(n) (1ULL << (n))
#define GENL_MAX_ATTRS 64 /* so that a set of types is one word */
#define GENL_MAX_VALUE 512

enum genl_kind {
	GENL_U32,
	GENL_U64,
	GENL_BINARY,
	GENL_NESTED,
	GENL_ANSWER, /* only the module sends it; of any kind */
};

/* A process that requests are about. */
struct genl_target {
	struct ember_identity identity;
	uint64_t base; /* of the pages that requests ask for, 2 MiB aligned */
	uint32_t nr_regions;
};

/* What is true while the messages travel. */
struct genl_world {
	uint16_t family;
	uint16_t no_family; /* the number of none */
	uint64_t nodes;     /* with memory */
	uint64_t cpu_nodes;
	uint64_t pool_start, pool_bytes; /* set apart for pools; 0 bytes: nothing is */
	uint64_t addr_end;               /* first address that no process can have */
	unsigned int nr_ids;             /* good ids are 1..nr_ids */
	struct genl_target target;       /* its memory is asked for */
	uint32_t other_tgid;             /* lives, too */
	uint32_t gone_tgid;              /* lived */
};

/* One message under construction: the random numbers, and what values must agree about. */
struct genl_maker {
	uint64_t random;
	const struct genl_world *world;
	uint64_t next_addr; /* of the next region */
};

/* It depends on who adds and removes just now whether this pool is ready; else it never is. */
bool genl_may_be_pool(const struct genl_world *world, uint64_t id);

uint64_t genl_random(struct genl_maker *maker);
/* 0..limit-1 */
uint32_t genl_below(struct genl_maker *maker, uint32_t limit);
/* Once in so many times. */
bool genl_once_in(struct genl_maker *maker, uint32_t times);

/* Writes a value of at most GENL_MAX_VALUE bytes, returns its length. */
typedef size_t (*genl_value_fn)(struct genl_maker *maker, uint8_t *value);

struct genl_set;

struct genl_attr {
	const char *name;
	enum genl_kind kind;
	uint16_t len;  /* GENL_BINARY: exactly so many bytes */
	uint32_t min;  /* GENL_U32: at least this */
	uint32_t mask; /* GENL_U32: no bits but these; 0: all */
	const struct genl_set *nested;
	genl_value_fn good, bad;
};

/* One attribute enum of the header. For nested sets also what a client may and must send. */
struct genl_set {
	const char *name;
	const struct genl_attr *attrs; /* by type */
	unsigned int max;
	uint64_t accepts,
		requires;
	uint64_t instead; /* of what it requires, where there may be pools; 0: nothing */
};

/* One command in one mode. */
struct genl_op {
	const char *name;
	uint8_t cmd;
	bool dump;
	bool anybody; /* needs no capability */
	uint64_t accepts,
		requires; /* of genl_attrs */
	uint32_t weight;  /* how often, in relation to the others */
};

extern const struct genl_set genl_attrs;
extern const struct genl_op genl_ops[];
extern const unsigned int genl_nr_ops;

const struct genl_op *genl_op_find(uint8_t cmd, bool dump);
/* "" or what the header has and the grammar does not, or the other way round. */
const char *genl_grammar_check(void);

#endif /* EMBER_TESTS_GENL_GRAMMAR_H */
