// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/pool_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ember.h>

#include "ctl/render.h"
#include "ember/sample.h"

#define POOL_ALIGN (2ULL << 20) /* the kernel plugs memory in such pieces */
#define PAGE_BYTES 4096

/* ---- understanding ---- */

static int shift_of(const char *suffix)
{
	static const char letters[] = "KMGT";
	const char *at;

	if (!*suffix)
		return 0;
	at = strchr(letters, suffix[0] & ~0x20); /* in either case */
	return at && !suffix[1] ? 10 * (int)(at - letters + 1) : -1;
}

int pool_parse_bytes(const char *text, uint64_t *ret)
{
	unsigned long long value;
	char *end;
	int shift;

	/* strtoull() would take spaces and signs */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	/* no octal: nobody who writes 0100M means 64 */
	value = strtoull(text, &end, !strncasecmp(text, "0x", 2) ? 16 : 10);
	shift = shift_of(end);
	if (shift < 0)
		return -EINVAL;
	if (errno || value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret = value << shift;
	return 0;
}

int pool_parse_id(const char *text, uint32_t *ret)
{
	uint64_t value;

	if (!strncmp(text, "pool", 4))
		text += 4;
	if (strspn(text, "0123456789") != strlen(text) || pool_parse_bytes(text, &value) < 0 ||
	    value >= EMBER_MEM_UNKNOWN)
		return -EINVAL;
	*ret = value;
	return 0;
}

const char *pool_range_fault(uint64_t start, uint64_t bytes)
{
	if (!bytes)
		return "an empty range";
	if (start % POOL_ALIGN || bytes % POOL_ALIGN)
		return "START and SIZE must be multiples of 2M";
	if (start + bytes - 1 < start)
		return "goes beyond the last address";
	return NULL;
}

static bool can_be_given(const char *what)
{
	return !strcmp(what, "System RAM") || !strcmp(what, "Soft Reserved");
}

/* The entry that holds @at: one that must not be given goes before another (maps may overlap). */
static const struct pool_range *entry_at(const struct pool_range *map, size_t nr, uint64_t at)
{
	const struct pool_range *found = NULL;

	for (size_t i = 0; i < nr; i++)
		if (map[i].start <= at && at <= map[i].end && (!found || can_be_given(found->what)))
			found = &map[i];
	return found;
}

/* Where, behind @at and up to @last, another entry begins; @last + 1 if none does. */
static uint64_t next_start(const struct pool_range *map, size_t nr, uint64_t at, uint64_t last)
{
	uint64_t next = last + 1;

	for (size_t i = 0; i < nr; i++)
		if (map[i].start > at && map[i].start < next)
			next = map[i].start;
	return next;
}

bool pool_firmware_agrees(const struct pool_range *map, size_t nr, uint64_t start, uint64_t bytes,
			  struct pool_range *ret_first)
{
	uint64_t at = start, last = start + bytes - 1;

	while (at <= last) {
		const struct pool_range *entry = entry_at(map, nr, at);
		uint64_t next = next_start(map, nr, at, last);

		if (!entry || !can_be_given(entry->what)) {
			*ret_first = (struct pool_range){.start = at, .end = next - 1};
			if (!entry)
				return false;
			*ret_first = *entry;
			return false;
		}
		at = entry->end < next - 1 ? entry->end + 1 : next;
		if (at == 0) /* past the last address */
			break;
	}
	return true;
}

static unsigned int indent_of(const char *line)
{
	return strspn(line, " ");
}

/* "  100000-1fffff : System RAM", indented by the depth. */
static bool parse_iomem(const char *line, struct pool_range *ret)
{
	return sscanf(line, " %" SCNx64 "-%" SCNx64 " : %63[^\n]", &ret->start, &ret->end,
		      ret->what) == 3;
}

static void print_owner(const struct pool_range *owner, FILE *out)
{
	fprintf(out, "    %#" PRIx64 "-%#" PRIx64 " : ", owner->start, owner->end);
	render_name(owner->what, out);
	fputc('\n', out);
}

unsigned int pool_print_owners(FILE *iomem, uint64_t start, uint64_t bytes, FILE *out)
{
	struct pool_range range, held = {0};
	unsigned int depth = 0, nr = 0;
	char line[256];

	/* A line is the innermost unless the next one that touches the range is deeper. */
	while (fgets(line, sizeof(line), iomem)) {
		if (!parse_iomem(line, &range) || range.start > start + bytes - 1 ||
		    range.end < start)
			continue;
		if (held.what[0] && indent_of(line) <= depth) {
			print_owner(&held, out);
			nr++;
		}
		held = range;
		depth = indent_of(line);
	}
	if (held.what[0]) {
		print_owner(&held, out);
		nr++;
	}
	return nr;
}

/* ---- saying ---- */

void pool_explain_module(int error, FILE *out)
{
	if (error == -ENOENT)
		fputs("the module ember is not loaded (modprobe ember)\n", out);
	else if (error == -EPROTO)
		fputs(
		    "the module ember is of another version than this emberctl: load the one that "
		    "was installed with it\n",
		    out);
	else if (error == -EPERM)
		fputs("only root may, with CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_NICE and "
		      "CAP_SYS_PTRACE\n",
		      out);
	else
		fprintf(out, "%s\n", strerror(-error));
}

static void explain_not_set_apart(uint64_t start, uint64_t bytes, FILE *out)
{
	fprintf(out,
		"it is not set apart: the kernel uses that memory itself, or it is none.\n"
		"Boot with memmap=%#" PRIx64 "$%#" PRIx64
		" on the kernel's command line (GRUB wants the $ escaped: docs/pools.md),\n"
		"or use memory that the firmware marks as soft-reserved\n",
		bytes, start);
}

void pool_explain_add(int error, uint64_t start, uint64_t bytes, FILE *out)
{
	switch (-error) {
	case ENXIO:
		explain_not_set_apart(start, bytes, out);
		break;
	case EBUSY:
		fputs("somebody uses it; give it up there first\n", out);
		break;
	case EEXIST:
		fputs("it overlaps a pool that is there already (emberctl pool list)\n", out);
		break;
	case EINVAL:
		fputs("START and SIZE must be multiples of 2M\n", out);
		break;
	case ERANGE:
		fputs("this machine has no such physical address\n", out);
		break;
	case ENODEV:
		fputs("there is no such node, or it is not online\n", out);
		break;
	case ENOSPC:
		fprintf(out, "nodes and pools together have all %u numbers; remove a pool first\n",
			EMBER_MEM_UNKNOWN);
		break;
	case ENOMEM:
		fprintf(out, "the kernel has no memory for its page structures, which take ");
		render_bytes(bytes / 64, 0, out);
		fputs(" of the node\n", out);
		break;
	default:
		pool_explain_module(error, out);
	}
}

void pool_explain_remove(int error, uint32_t id, FILE *out)
{
	if (error == -ENOENT)
		fprintf(out, "there is no pool %" PRIu32 " (emberctl pool list)\n", id);
	else if (error == -EBUSY)
		fputs("it is being added, or emptied already: wait until it is ready\n", out);
	else
		pool_explain_module(error, out);
}

/* ---- what is in the way ---- */

static const char *sentence_of(const char *word)
{
	static const char *const table[][2] = {
#define X(NAME, value, name, sentence) {name, sentence},
	    EMBER_OUTCOMES(X)
#undef X
		{"unmapped",
		 "no process maps it, but somebody holds a reference: a device, a pipe"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(table[i][0], word))
			return table[i][1];
	return "for a reason that this emberctl does not know";
}

/* The next "WORD NUMBER" at *@at, which goes behind it. */
static bool next_stuck(const char **at, char word[static 32], uint64_t *ret_number)
{
	int length = 0;

	if (sscanf(*at, "%31s %" SCNu64 "%n", word, ret_number, &length) != 2)
		return false;
	*at += length;
	return true;
}

uint32_t pool_stuck_process(const struct pool_info *pool)
{
	const char *at = pool->stuck;
	uint64_t number;
	char word[32];

	while (next_stuck(&at, word, &number))
		if (!strcmp(word, "process"))
			return number <= UINT32_MAX ? (uint32_t)number : 0;
	return 0;
}

void pool_print_stuck(const struct pool_info *pool, FILE *out)
{
	const char *at = pool->stuck;
	uint64_t number;
	char word[32];

	while (next_stuck(&at, word, &number)) {
		if (!strcmp(word, "process"))
			continue;
		render_bytes(number * PAGE_BYTES, 13, out);
		fprintf(out, "  %-12s %s\n", word, sentence_of(word));
	}
}

/* ---- the list ---- */

static uint64_t free_bytes(const struct pool_info *pool)
{
	uint64_t taken = pool->used_bytes + pool->bad_bytes;

	return pool->bytes > taken ? pool->bytes - taken : 0;
}

static void print_pool(const struct pool_info *pool, FILE *out)
{
	char start[24];

	snprintf(start, sizeof(start), "%#" PRIx64, pool->start);
	fprintf(out, "%4" PRIu32 "%6" PRIu32 "%16s", pool->id, pool->node, start);
	render_bytes(pool->bytes, 12, out);
	render_bytes(pool->used_bytes, 12, out);
	render_bytes(free_bytes(pool), 12, out);
	render_bytes(pool->bad_bytes, 12, out);
	fprintf(out, "  %s\n", pool->state);
	if (!strcmp(pool->state, "failed")) {
		fputs("      cannot be added: ", out);
		pool_explain_add(pool->error, pool->start, pool->bytes, out);
	} else if (pool->error) {
		fputs("      could not be removed:\n", out);
		pool_print_stuck(pool, out);
	}
}

void pool_print_list(const struct pool_info *pools, size_t nr, FILE *out)
{
	if (!nr) {
		fputs("no pools\n", out);
		return;
	}
	fprintf(out, "%4s%6s%16s%12s%12s%12s%12s  %s\n", "POOL", "NODE", "START", "SIZE", "USED",
		"FREE", "BAD", "STATE");
	for (size_t i = 0; i < nr; i++)
		print_pool(&pools[i], out);
}

static int append_stuck(const struct pool_info *pool, sd_json_variant **array)
{
	const char *at = pool->stuck;
	uint64_t number;
	char word[32];
	int r = sd_json_variant_new_array(array, NULL, 0);

	while (r >= 0 && next_stuck(&at, word, &number))
		if (strcmp(word, "process") != 0)
			r = sd_json_variant_append_arraybo(
			    array, SD_JSON_BUILD_PAIR_STRING("word", word),
			    SD_JSON_BUILD_PAIR_STRING("sentence", sentence_of(word)),
			    SD_JSON_BUILD_PAIR_UNSIGNED("pages", number));
	return r;
}

int pool_json(const struct pool_info *pool, sd_json_variant **ret)
{
	uint32_t process = pool_stuck_process(pool);
	sd_json_variant *stuck = NULL;
	int r = append_stuck(pool, &stuck);

	if (r >= 0)
		r = sd_json_buildo(ret, SD_JSON_BUILD_PAIR_UNSIGNED("pool", pool->id),
				   SD_JSON_BUILD_PAIR_UNSIGNED("node", pool->node),
				   SD_JSON_BUILD_PAIR_UNSIGNED("start", pool->start),
				   SD_JSON_BUILD_PAIR_UNSIGNED("size_bytes", pool->bytes),
				   SD_JSON_BUILD_PAIR_UNSIGNED("used_bytes", pool->used_bytes),
				   SD_JSON_BUILD_PAIR_UNSIGNED("bad_bytes", pool->bad_bytes),
				   SD_JSON_BUILD_PAIR_STRING("state", pool->state),
				   SD_JSON_BUILD_PAIR_INTEGER("error", pool->error),
				   SD_JSON_BUILD_PAIR_VARIANT("stuck", stuck),
				   SD_JSON_BUILD_PAIR_CONDITION(process, "stuck_process",
								SD_JSON_BUILD_UNSIGNED(process)));
	sd_json_variant_unref(stuck);
	return r;
}
