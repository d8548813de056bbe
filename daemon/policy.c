// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parsing is a table per kind of object: key, JSON type, parser, where the value goes. What is
 * not in the table is refused. json-c is used in this file and nowhere else.
 *
 * json-c keeps the last of two equal keys without a word, so the text, once it is known to be
 * valid, is walked a second time for duplicate keys.
 */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "policy_value.h"
#include "util/cleanup.h"

#define MAX_RULES 1024
#define MAX_STRING 256
#define COMM_MAX 15 /* TASK_COMM_LEN without its NUL */

/* Where we are: the file, and the JSON pointer to the value. */
struct ctx {
	const char *file;
	char pointer[256];
	struct ember_policy *policy;
	struct ember_policy_error *error;
};

struct key {
	const char *name;
	enum json_type type;
	/* Check @value and store it at @to. 0, or a negative errno with the error told. */
	int (*parse)(struct ctx *ctx, struct json_object *value, const struct key *key, void *to);
	size_t offset;
	int64_t min, max;
	const char *const *words; /* of an enumeration, in the order of its values */
	const char *example;      /* for the hint: what could be written here */
};

static void freep_json(struct json_object **o)
{
	json_object_put(*o);
}

static void freep_tokener(struct json_tokener **t)
{
	if (*t)
		json_tokener_free(*t);
}

/* ---- telling errors ---- */

__attribute__((format(printf, 2, 3))) static int fail(struct ctx *ctx, const char *fmt, ...)
{
	char what[288];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	/* texts come from files: one line, whatever they hold */
	for (char *c = what; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	snprintf(ctx->error->text, sizeof(ctx->error->text), "%.96s: %.120s: %s", ctx->file,
		 ctx->pointer[0] ? ctx->pointer : "/", what);
	return -EINVAL;
}

/* Add a step to the pointer; returns its old length for leave(). */
static size_t enter(struct ctx *ctx, const char *name)
{
	size_t len = strlen(ctx->pointer);

	/* RFC 6901: ~ and / in a name are written ~0 and ~1 */
	snprintf(ctx->pointer + len, sizeof(ctx->pointer) - len, "/");
	for (size_t at = len + 1; *name && at + 3 < sizeof(ctx->pointer); name++) {
		if (*name == '~' || *name == '/') {
			ctx->pointer[at++] = '~';
			ctx->pointer[at++] = *name == '~' ? '0' : '1';
		} else {
			ctx->pointer[at++] = (unsigned char)*name < ' ' ? '?' : *name;
		}
		ctx->pointer[at] = 0;
	}
	return len;
}

static size_t enter_index(struct ctx *ctx, size_t index)
{
	char name[24];

	snprintf(name, sizeof(name), "%zu", index);
	return enter(ctx, name);
}

static void leave(struct ctx *ctx, size_t len)
{
	ctx->pointer[len] = 0;
}

/* ---- objects by table ---- */

static int unknown_key(struct ctx *ctx, const struct key *keys)
{
	char known[256] = "";

	for (; keys->name; keys++) {
		size_t len = strlen(known);

		if (keys->name[0] != '/' && keys->name[0] != '$')
			snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
				 keys->name);
	}
	return fail(ctx, "unknown key (there are: %s)", known);
}

static const char *type_name(enum json_type type)
{
	switch (type) {
	case json_type_int:
		return "an integer";
	case json_type_string:
		return "a string";
	case json_type_array:
		return "an array";
	case json_type_object:
		return "an object";
	case json_type_double:
		return "a fraction";
	case json_type_boolean:
		return "true or false";
	default:
		return "null";
	}
}

/* json_type_null in the table: the parser looks at the type itself. */
static int check_type(struct ctx *ctx, struct json_object *value, const struct key *key)
{
	enum json_type type = json_object_get_type(value);

	if (key->type == json_type_null || type == key->type)
		return 0;
	if (key->example)
		return fail(ctx, "is %s, not %s (write %s)", type_name(type), type_name(key->type),
			    key->example);
	return fail(ctx, "is %s, not %s", type_name(type), type_name(key->type));
}

static int parse_object(struct ctx *ctx, struct json_object *object, const struct key *keys,
			void *to)
{
	json_object_object_foreach(object, name, value)
	{
		const struct key *key = keys;
		size_t len = enter(ctx, name);
		int err;

		while (key->name && strcmp(key->name, name))
			key++;
		if (!key->name)
			return unknown_key(ctx, keys);
		err = check_type(ctx, value, key);
		if (!err && key->parse)
			err = key->parse(ctx, value, key, (char *)to + key->offset);
		if (err < 0)
			return err;
		leave(ctx, len);
	}
	return 0;
}

static int require(struct ctx *ctx, struct json_object *object, const char *name)
{
	if (json_object_object_get_ex(object, name, NULL))
		return 0;
	return fail(ctx, "has no key \"%s\"", name);
}

/* ---- values ---- */

static int tell_value_error(struct ctx *ctx, enum ember_value_error err, const char *text,
			    const char *example)
{
	switch (err) {
	case EMBER_VALUE_OK:
		return 0;
	case EMBER_VALUE_NO_NUMBER:
		return fail(ctx, "\"%s\" does not begin with a number (write %s)", text, example);
	case EMBER_VALUE_NO_UNIT:
		return fail(ctx, "\"%s\" has no unit (write %s)", text, example);
	case EMBER_VALUE_BAD_UNIT:
		return fail(ctx, "\"%s\" has an unknown unit (write %s)", text, example);
	case EMBER_VALUE_TOO_LARGE:
		return fail(ctx, "\"%s\" is too large", text);
	case EMBER_VALUE_TOO_FINE:
		return fail(ctx, "\"%s\" has too many decimals", text);
	}
	return -EINVAL;
}

static int check_range(struct ctx *ctx, uint64_t value, const struct key *key, const char *text,
		       const char *range)
{
	if (value >= (uint64_t)key->min && value <= (uint64_t)key->max)
		return 0;
	return fail(ctx, "\"%s\" is out of range (%s)", text, range);
}

static void format_duration(uint64_t ns, char *text, size_t size)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"min", 60000000000ULL}, {"s", 1000000000ULL}, {"ms", 1000000ULL}};
	size_t i = 0;

	while (i + 1 < sizeof(units) / sizeof(*units) && ns % units[i].ns)
		i++;
	snprintf(text, size, "%" PRIu64 "%s", ns / units[i].ns, units[i].unit);
}

static int parse_duration(struct ctx *ctx, struct json_object *value, const struct key *key,
			  void *to)
{
	const char *text = json_object_get_string(value);
	uint64_t ns = 0;
	int err = tell_value_error(ctx, ember_value_duration(text, &ns), text, key->example);
	char min[24], max[24], range[64];

	format_duration(key->min, min, sizeof(min));
	format_duration(key->max, max, sizeof(max));
	snprintf(range, sizeof(range), "%s to %s", min, max);
	if (!err)
		err = check_range(ctx, ns, key, text, range);
	if (!err)
		*(uint64_t *)to = ns;
	return err;
}

/* Zero, or at least a second: what ember hears of is up to 0.1 s old. */
static int parse_hold(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);
	uint64_t ns = 0;
	int err = tell_value_error(ctx, ember_value_duration(text, &ns), text, key->example);

	if (!err && ns)
		err = check_range(ctx, ns, key, text, "0s or 1s to 1440min");
	if (!err)
		*(uint64_t *)to = ns;
	return err;
}

static int parse_bandwidth(struct ctx *ctx, struct json_object *value, const struct key *key,
			   void *to)
{
	const char *text = json_object_get_string(value);
	uint64_t rate = 0;
	int err = tell_value_error(ctx, ember_value_bandwidth(text, &rate), text, key->example);

	if (!err && rate)
		err = check_range(ctx, rate, key, text, "0MB/s or 1MB/s to 1000GB/s");
	if (!err)
		*(uint64_t *)to = rate;
	return err;
}

static int parse_size(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);
	uint64_t bytes = 0;
	int err = tell_value_error(ctx, ember_value_size(text, &bytes), text, key->example);

	if (!err)
		err = check_range(ctx, bytes, key, text, "0B to 1024TiB");
	if (!err)
		*(uint64_t *)to = bytes;
	return err;
}

static int parse_budget(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);
	uint64_t bp = 0;
	int err = tell_value_error(ctx, ember_value_percent(text, &bp), text, key->example);

	if (!err)
		err = check_range(ctx, bp, key, text, "0.1% to 100%");
	if (!err)
		*(uint32_t *)to = bp;
	return err;
}

/* Per cent of the node, or a size. */
static int parse_reserve(struct ctx *ctx, struct json_object *value, const struct key *key,
			 void *to)
{
	const char *text = json_object_get_string(value);
	struct ember_policy_global *global = to;
	size_t len = strlen(text);
	uint64_t bp = 0;
	int err;

	if (len && text[len - 1] != '%') {
		err = parse_size(ctx, value, key, &global->reserve_bytes);
		if (!err)
			global->reserve_bp = 0;
		return err;
	}
	err = tell_value_error(ctx, ember_value_percent(text, &bp), text, key->example);
	if (!err && bp > 5000)
		err = fail(ctx, "\"%s\" is out of range (0%% to 50%%)", text);
	if (!err) {
		global->reserve_bp = bp;
		global->reserve_bytes = 0;
	}
	return err;
}

static int get_int(struct ctx *ctx, struct json_object *value, const struct key *key, int64_t *ret)
{
	/* json-c holds what does not fit at the limits of int64, which are out of every range */
	*ret = json_object_get_int64(value);
	if (*ret >= key->min && *ret <= key->max)
		return 0;
	return fail(ctx, "%" PRId64 " is out of range (%" PRId64 " to %" PRId64 ")%s%s", *ret,
		    key->min, key->max, key->example ? " " : "", key->example ? key->example : "");
}

static int parse_u32(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	int64_t n;
	int err = get_int(ctx, value, key, &n);

	if (!err)
		*(uint32_t *)to = n;
	return err;
}

static int parse_i64(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	return get_int(ctx, value, key, to);
}

static int parse_u8(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	int64_t n;
	int err = get_int(ctx, value, key, &n);

	if (!err)
		*(uint8_t *)to = n;
	return err;
}

static int parse_bool(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	(void)ctx;
	(void)key;
	*(bool *)to = json_object_get_boolean(value);
	return 0;
}

static int parse_version(struct ctx *ctx, struct json_object *value, const struct key *key,
			 void *to)
{
	int64_t n = json_object_get_int64(value);

	(void)key;
	(void)to;
	return n == 1 ? 0 : fail(ctx, "this emberd reads version 1, not %" PRId64, n);
}

/* An integer, or "off" for none. */
static int parse_sampling(struct ctx *ctx, struct json_object *value, const struct key *key,
			  void *to)
{
	if (json_object_is_type(value, json_type_int))
		return parse_u32(ctx, value, key, to);
	if (!json_object_is_type(value, json_type_string) ||
	    strcmp(json_object_get_string(value), "off"))
		return fail(ctx, "is neither an integer nor \"off\"");
	*(uint32_t *)to = 0;
	return 0;
}

static int parse_word(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);
	char known[128] = "";

	for (uint32_t i = 0; key->words[i]; i++) {
		size_t len = strlen(known);

		if (!strcmp(key->words[i], text)) {
			*(uint32_t *)to = i;
			return 0;
		}
		snprintf(known + len, sizeof(known) - len, "%s\"%s\"", len ? ", " : "",
			 key->words[i]);
	}
	return fail(ctx, "\"%s\" is none of %s", text, known);
}

static int parse_string(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);
	size_t len = json_object_get_string_len(value);
	char **slot = to;

	(void)key;
	if (!len || len > MAX_STRING)
		return fail(ctx, "must have 1 to %d characters", MAX_STRING);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return fail(ctx, "has a control character");
	*slot = strdup(text);
	return *slot ? 0 : -ENOMEM;
}

static int parse_comm(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);

	if (strlen(text) > COMM_MAX && !strpbrk(text, "*?["))
		return fail(ctx,
			    "\"%s\" never matches: the kernel keeps %d characters (write \"%.*s\")",
			    text, COMM_MAX, COMM_MAX, text);
	return parse_string(ctx, value, key, to);
}

static int parse_path(struct ctx *ctx, struct json_object *value, const struct key *key, void *to)
{
	const char *text = json_object_get_string(value);

	if (text[0] != '/' && text[0] != '*')
		return fail(ctx, "\"%s\" never matches: paths begin with / (write %s)", text,
			    key->example);
	return parse_string(ctx, value, key, to);
}

/* ---- nodes and tiers ---- */

static int parse_nodes(struct ctx *ctx, struct json_object *array, const struct key *key, void *to)
{
	uint16_t *nodes = to;

	if (!json_object_array_length(array))
		return fail(ctx, "names no node");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *value = json_object_array_get_idx(array, i);
		const struct key element = {.type = json_type_int, .max = EMBER_MAX_NODES - 1};
		size_t len = enter_index(ctx, i);
		uint32_t node = 0;
		int err = check_type(ctx, value, &element);

		(void)key;
		if (!err)
			err = parse_u32(ctx, value, &element, &node);
		if (!err && *nodes & (1U << node))
			err = fail(ctx, "node %" PRIu32 " is named twice", node);
		if (err < 0)
			return err;
		*nodes |= 1U << node;
		leave(ctx, len);
	}
	return 0;
}

static const struct key tier_keys[] = {
    {"//", json_type_string, NULL, 0, 0, 0, NULL, NULL},
    {"nodes", json_type_array, parse_nodes, offsetof(struct ember_tier_override, nodes), 0, 0, NULL,
     "[1]"},
    {"rank", json_type_int, parse_u8, offsetof(struct ember_tier_override, rank), 0,
     EMBER_MAX_TIERS - 1, NULL, NULL},
    {NULL, 0, NULL, 0, 0, 0, NULL, NULL},
};

static int parse_tier(struct ctx *ctx, struct json_object *object)
{
	struct ember_policy *policy = ctx->policy;
	struct ember_tier_override tier = {0}, *tiers;
	int err = parse_object(ctx, object, tier_keys, &tier);

	if (!err)
		err = require(ctx, object, "nodes");
	if (!err)
		err = require(ctx, object, "rank");
	for (size_t i = 0; !err && i < policy->nr_tiers; i++)
		if (policy->tiers[i].nodes & tier.nodes)
			err = fail(ctx, "node %d has a rank already",
				   __builtin_ctz(policy->tiers[i].nodes & tier.nodes));
	if (err < 0)
		return err;
	tiers = reallocarray(policy->tiers, policy->nr_tiers + 1, sizeof(*tiers));
	if (!tiers)
		return -ENOMEM;
	policy->tiers = tiers;
	tiers[policy->nr_tiers++] = tier;
	return 0;
}

/* ---- rules ---- */

static const char *const action_words[] = {
    [EMBER_ACTION_FOLLOW] = "follow", [EMBER_ACTION_IGNORE] = "ignore", NULL};

static const struct key match_keys[] = {
    {"//", json_type_string, NULL, 0, 0, 0, NULL, NULL},
    {"comm", json_type_string, parse_comm, offsetof(struct ember_rule, comm), 0, 0, NULL,
     "\"redis*\""},
    {"exe", json_type_string, parse_path, offsetof(struct ember_rule, exe), 0, 0, NULL,
     "\"/usr/bin/*\""},
    {"cgroup", json_type_string, parse_path, offsetof(struct ember_rule, cgroup), 0, 0, NULL,
     "\"/system.slice/*\""},
    {"uid", json_type_int, parse_i64, offsetof(struct ember_rule, uid), 0, UINT32_MAX - 1, NULL,
     NULL},
    {"min_rss", json_type_string, parse_size, offsetof(struct ember_rule, min_rss_bytes), 0,
     1LL << 50, NULL, "\"64MiB\""},
    {NULL, 0, NULL, 0, 0, 0, NULL, NULL},
};

static int parse_match(struct ctx *ctx, struct json_object *object, const struct key *key, void *to)
{
	(void)key;
	return parse_object(ctx, object, match_keys, to);
}

static const struct key rule_keys[] = {
    {"//", json_type_string, NULL, 0, 0, 0, NULL, NULL},
    {"name", json_type_string, parse_string, offsetof(struct ember_rule, name), 0, 0, NULL, NULL},
    {"match", json_type_object, parse_match, 0, 0, 0, NULL, NULL},
    {"action", json_type_string, parse_word, offsetof(struct ember_rule, action), 0, 0,
     action_words, NULL},
    {"weight", json_type_int, parse_u32, offsetof(struct ember_rule, weight), 1, 10000, NULL, NULL},
    {NULL, 0, NULL, 0, 0, 0, NULL, NULL},
};

static void free_rule(struct ember_rule *rule)
{
	free(rule->name);
	free(rule->comm);
	free(rule->exe);
	free(rule->cgroup);
}

static int name_rule(struct ctx *ctx, struct ember_rule *rule)
{
	if (rule->name)
		return 0;
	if (asprintf(&rule->name, "%s:%s", ctx->file, ctx->pointer) < 0) {
		rule->name = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int parse_rule(struct ctx *ctx, struct json_object *object)
{
	struct ember_policy *policy = ctx->policy;
	struct ember_rule *rules, *rule;
	int err;

	if (policy->nr_rules == MAX_RULES)
		return fail(ctx, "more than %d rules", MAX_RULES);
	rules = reallocarray(policy->rules, policy->nr_rules + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	policy->rules = rules;
	/* counted at once, so that what it owns is freed with the policy */
	rule = &rules[policy->nr_rules++];
	*rule = (struct ember_rule){.uid = -1, .weight = 100};
	err = parse_object(ctx, object, rule_keys, rule);
	return err < 0 ? err : name_rule(ctx, rule);
}

/* ---- files ---- */

static int parse_each(struct ctx *ctx, struct json_object *array,
		      int (*parse)(struct ctx *ctx, struct json_object *object))
{
	static const struct key element = {.type = json_type_object};

	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *object = json_object_array_get_idx(array, i);
		size_t len = enter_index(ctx, i);
		int err = check_type(ctx, object, &element);

		if (!err)
			err = parse(ctx, object);
		if (err < 0)
			return err;
		leave(ctx, len);
	}
	return 0;
}

static int parse_tiers(struct ctx *ctx, struct json_object *array, const struct key *key, void *to)
{
	(void)key;
	(void)to;
	return parse_each(ctx, array, parse_tier);
}

static int parse_rules(struct ctx *ctx, struct json_object *array, const struct key *key, void *to)
{
	(void)key;
	(void)to;
	return parse_each(ctx, array, parse_rule);
}

static const char *const borrow_words[] = {
    [EMBER_BORROW_AUTO] = "auto", [EMBER_BORROW_LEAVE] = "leave", [EMBER_BORROW_OFF] = "off", NULL};

static const char *const shared_words[] = {
    [EMBER_SHARED_MOVE] = "move", [EMBER_SHARED_LEAVE] = "leave", NULL};

static const char *const isolated_words[] = {
    [EMBER_ISOLATED_LEAVE] = "leave", [EMBER_ISOLATED_INTERRUPT] = "interrupt", NULL};

static const char *const copy_words[] = {
    [EMBER_COPY_MEASURED] = "measured", [EMBER_COPY_DMA] = "dma", NULL};

static const struct key global_keys[] = {
    {"//", json_type_string, NULL, 0, 0, 0, NULL, NULL},
    {"period", json_type_string, parse_duration, offsetof(struct ember_policy_global, period_ns),
     100000000, 3600000000000, NULL, "\"1s\""},
    {"bandwidth", json_type_string, parse_bandwidth,
     offsetof(struct ember_policy_global, bandwidth_bytes_per_s), 1000000, 1000000000000, NULL,
     "\"200MB/s\""},
    {"reserve", json_type_string, parse_reserve, 0, 0, 1LL << 50, NULL, "\"2%\" or \"64MiB\""},
    {"cpu_budget", json_type_string, parse_budget,
     offsetof(struct ember_policy_global, cpu_budget_bp), 10, 10000, NULL, "\"2%\""},
    {"fault_sampling", json_type_null, parse_sampling,
     offsetof(struct ember_policy_global, fault_sampling), 1, 1000000, NULL,
     "(write \"off\" for none)"},
    {"numa_balancing", json_type_string, parse_word,
     offsetof(struct ember_policy_global, numa_balancing), 0, 0, borrow_words, "\"auto\""},
    {"damon_stat", json_type_string, parse_word, offsetof(struct ember_policy_global, damon_stat),
     0, 0, borrow_words, "\"auto\""},
    {"shared_memory", json_type_string, parse_word,
     offsetof(struct ember_policy_global, shared_memory), 0, 0, shared_words, "\"move\""},
    {"isolated_cpus", json_type_string, parse_word,
     offsetof(struct ember_policy_global, isolated_cpus), 0, 0, isolated_words, "\"leave\""},
    {"longest_wait", json_type_string, parse_duration,
     offsetof(struct ember_policy_global, longest_wait_ns), 1000000, 1000000000, NULL, "\"10ms\""},
    {"copy_engine", json_type_string, parse_word, offsetof(struct ember_policy_global, copy_engine),
     0, 0, copy_words, "\"measured\""},
    {"placed_by_hand", json_type_string, parse_hold,
     offsetof(struct ember_policy_global, placed_by_hand_ns), 1000000000, 86400000000000, NULL,
     "\"5min\""},
    {"split_huge_pages", json_type_boolean, parse_bool,
     offsetof(struct ember_policy_global, split_huge_pages), 0, 0, NULL, "true"},
    {NULL, 0, NULL, 0, 0, 0, NULL, NULL},
};

static int parse_global(struct ctx *ctx, struct json_object *object, const struct key *key,
			void *to)
{
	(void)key;
	return parse_object(ctx, object, global_keys, to);
}

static const struct key root_keys[] = {
    {"//", json_type_string, NULL, 0, 0, 0, NULL, NULL},
    {"$schema", json_type_string, NULL, 0, 0, 0, NULL, NULL},
    {"version", json_type_int, parse_version, 0, 0, 0, NULL, "1"},
    {"global", json_type_object, parse_global, offsetof(struct ember_policy, global), 0, 0, NULL,
     NULL},
    {"tiers", json_type_array, parse_tiers, 0, 0, 0, NULL, NULL},
    {"restricted_nodes", json_type_array, parse_nodes,
     offsetof(struct ember_policy, restricted_nodes), 0, 0, NULL, "[1]"},
    {"rules", json_type_array, parse_rules, 0, 0, 0, NULL, NULL},
    {NULL, 0, NULL, 0, 0, 0, NULL, NULL},
};

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n", *p) && *p)
		p++;
	return p;
}

static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : end;
}

static struct json_object *decode_key(const char *from, const char *to)
{
	_cleanup_(freep_tokener) struct json_tokener *tok = json_tokener_new();

	return tok ? json_tokener_parse_ex(tok, from, to - from) : NULL;
}

/* Is this key, however it is escaped, new in @seen? */
static int note_key(struct ctx *ctx, struct json_object *seen, const char *from, const char *to)
{
	_cleanup_(freep_json) struct json_object *key = decode_key(from, to);
	const char *name = json_object_get_string(key);

	if (!name)
		return -ENOMEM;
	if (json_object_object_get_ex(seen, name, NULL)) {
		enter(ctx, name);
		return fail(ctx, "the key is there twice");
	}
	return json_object_object_add(seen, name, NULL) < 0 ? -ENOMEM : 0;
}

static int check_value(struct ctx *ctx, const char **p, const char *end);

/* Members of the object or array that *p has just entered. The text is known to be valid JSON. */
static int check_members(struct ctx *ctx, const char **p, const char *end, bool object)
{
	_cleanup_(freep_json) struct json_object *seen = json_object_new_object();
	size_t index = 0;

	if (!seen)
		return -ENOMEM;
	for (;;) {
		size_t len = strlen(ctx->pointer);
		int err = 0;

		*p = skip_space(*p, end);
		if (*p >= end)
			return 0;
		if (**p == '}' || **p == ']' || **p == ',') {
			if (*(*p)++ != ',')
				return 0;
			continue;
		}
		if (object) {
			const char *from = *p;

			if (*from != '"') /* json-c takes single quotes here, strict or not */
				return fail(ctx, "a key is not in double quotes");
			*p = skip_string(*p, end);
			err = note_key(ctx, seen, from, *p);
			if (!err) {
				_cleanup_(freep_json) struct json_object *key =
				    decode_key(from, *p);

				enter(ctx, json_object_get_string(key));
			}
			*p = skip_space(*p, end) + 1; /* the colon */
		} else {
			enter_index(ctx, index++);
		}
		if (!err)
			err = check_value(ctx, p, end);
		if (err < 0)
			return err;
		leave(ctx, len);
	}
}

static int check_value(struct ctx *ctx, const char **p, const char *end)
{
	*p = skip_space(*p, end);
	if (*p >= end)
		return 0;
	if (**p == '{' || **p == '[') {
		bool object = *(*p)++ == '{';

		return check_members(ctx, p, end, object);
	}
	if (**p == '"') {
		*p = skip_string(*p, end);
		return 0;
	}
	while (*p < end && !strchr(",]} \t\r\n", **p))
		(*p)++;
	return 0;
}

static int fail_syntax(struct ctx *ctx, const struct ember_policy_file *file, size_t at,
		       const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at && i < file->len; i++) {
		column = file->bytes[i] == '\n' ? 1 : column + 1;
		line += file->bytes[i] == '\n';
	}
	return fail(ctx, "line %zu, column %zu: %s", line, column, what);
}

static int read_json(struct ctx *ctx, const struct ember_policy_file *file,
		     struct json_object **ret)
{
	_cleanup_(freep_tokener) struct json_tokener *tok =
	    json_tokener_new_ex(EMBER_POLICY_MAX_DEPTH);
	_cleanup_(freep_json) struct json_object *root = NULL;
	const char *p = file->bytes, *end = file->bytes + file->len;
	size_t at;
	int err;

	if (!tok)
		return -ENOMEM;
	if (file->len > EMBER_POLICY_MAX_FILE_BYTES)
		return fail(ctx, "the file is larger than 1 MiB");
	if (memchr(file->bytes, 0, file->len))
		return fail(ctx, "the file holds a NUL byte");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
					JSON_TOKENER_ALLOW_TRAILING_CHARS);
	root = json_tokener_parse_ex(tok, file->bytes, file->len);
	at = json_tokener_get_parse_end(tok);
	if (json_tokener_get_error(tok) == json_tokener_continue)
		return fail_syntax(ctx, file, file->len, "the file ends too early");
	if (json_tokener_get_error(tok) == json_tokener_error_depth)
		return fail_syntax(ctx, file, at, "nested deeper than 16");
	if (json_tokener_get_error(tok) != json_tokener_success)
		return fail_syntax(ctx, file, at,
				   json_tokener_error_desc(json_tokener_get_error(tok)));
	if (skip_space(file->bytes + at, end) != end)
		return fail_syntax(ctx, file, at, "there is text behind the end");
	if (!json_object_is_type(root, json_type_object))
		return fail(ctx, "is not an object");
	err = check_value(ctx, &p, end);
	if (err < 0)
		return err;
	*ret = TAKE_PTR(root);
	return 0;
}

static int parse_file(struct ember_policy *policy, const struct ember_policy_file *file,
		      struct ember_policy_error *error)
{
	struct ctx ctx = {.file = file->name, .policy = policy, .error = error};
	_cleanup_(freep_json) struct json_object *root = NULL;
	int err = read_json(&ctx, file, &root);

	if (!err)
		err = require(&ctx, root, "version");
	return err < 0 ? err : parse_object(&ctx, root, root_keys, policy);
}

int ember_policy_parse(const struct ember_policy_file *files, size_t nr_files,
		       struct ember_policy **ret, struct ember_policy_error *ret_error)
{
	_cleanup_(ember_policy_freep) struct ember_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -ENOMEM;
	policy->global = (struct ember_policy_global){
	    .period_ns = 1000000000,
	    .bandwidth_bytes_per_s = 200000000,
	    .reserve_bp = 200,
	    .cpu_budget_bp = 200,
	    .fault_sampling = 64,
	    .longest_wait_ns = 10000000,
	    .placed_by_hand_ns = 300000000000,
	    .split_huge_pages = true,
	    .numa_balancing = EMBER_BORROW_AUTO,
	    .damon_stat = EMBER_BORROW_AUTO,
	};
	for (size_t i = 0; i < nr_files; i++) {
		int err = parse_file(policy, &files[i], ret_error);

		if (err < 0)
			return err;
	}
	*ret = TAKE_PTR(policy);
	return 0;
}

void ember_policy_free(struct ember_policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->nr_rules; i++)
		free_rule(&policy->rules[i]);
	free(policy->rules);
	free(policy->tiers);
	free(policy);
}

/* ---- use ---- */

/* A star also matches slashes: "/system.slice/" and a star mean everything below. */
static bool glob(const char *pattern, const char *text)
{
	return !pattern || (text && !fnmatch(pattern, text, 0));
}

static bool matches(const struct ember_rule *rule, const struct ember_proc_facts *facts)
{
	return facts->rss_bytes >= rule->min_rss_bytes &&
	       (rule->uid < 0 || rule->uid == (int64_t)facts->uid) &&
	       glob(rule->comm, facts->comm) && glob(rule->exe, facts->exe) &&
	       glob(rule->cgroup, facts->cgroup);
}

const struct ember_rule *ember_policy_match(const struct ember_policy *policy,
					    const struct ember_proc_facts *facts)
{
	for (size_t i = 0; i < policy->nr_rules; i++)
		if (matches(&policy->rules[i], facts))
			return &policy->rules[i];
	return NULL;
}

uint16_t ember_policy_restricted(const struct ember_policy *policy,
				 const struct ember_topology *topo)
{
	return policy->restricted_nodes & topo->memory_nodes & ~topo->cpu_nodes;
}

uint64_t ember_policy_reserve_bytes(const struct ember_policy_global *global,
				    const struct ember_node *node)
{
	return global->reserve_bytes + node->capacity_bytes / 10000 * global->reserve_bp;
}
