/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies by a DMA engine, and everything that an engine can do wrong. The engine is
 * kmod/tests/ember_test_dma.c: dmaengine and ember are the real ones.
 *
 * For each fault an area moves there and back with the engine asked for; contents and
 * places are checked after each move, and the books afterwards: every page that was
 * asked for has an outcome, every page that moved was copied by somebody, the engine did
 * copy, and the fault did happen (the engine counts too). Then the checking program runs with
 * writers under faults, and the modules are unloaded at bad moments.
 *
 *	dma_copy [TEXT]		only the parts whose name holds TEXT, and unloading
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

#define ENGINE "ember_test_dma"
#define NR_PAGES (4 * REGION_PAGES)
#define NR_CHANNELS 2
#define NR_TAKEN (8 * REGION_PAGES)
#define SEED 0xd3a
#define FOR_EVER "1000000" /* ms */

static char *area;
static cpu_set_t all_cpus;
static struct ember_nl nl;
static struct ember_identity self;

static const char *const engine_faults[] = {
    "max_bytes", "delay_us", "fail_every",  "stall_every",
    "stall_ms",  "reverse",  "refuse_stop", "stop_ms",
};

static int write_parameter(const char *module, const char *name, const char *value)
{
	char path[128];
	ssize_t wrote;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	wrote = write(fd, value, strlen(value));
	wrote = wrote < 0 ? -errno : 0;
	close(fd);
	return (int)wrote;
}

static unsigned int engine_count(const char *name)
{
	unsigned int value;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/" ENGINE "/parameters/%s", name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%u", &value) != 1)
		fail("%s: %s", path, strerror(errno));
	fclose(file);
	return value;
}

static int open_channels(unsigned int nr)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nr);
	return write_parameter("ember", "dma_channels", text);
}

static void set_engine(const char *name, const char *value)
{
	int err = write_parameter(ENGINE, name, value);

	if (err)
		fail("parameter %s of the engine: %s", name, strerror(-err));
}

/* settings: "NAME=VALUE NAME=VALUE...", all others are reset. */
static void order_faults(const char *settings)
{
	char text[256], *rest = text, *word, *value;

	for (size_t i = 0; i < sizeof(engine_faults) / sizeof(*engine_faults); i++)
		set_engine(engine_faults[i], "0");
	set_engine("ring", "256");
	snprintf(text, sizeof(text), "%s", settings);
	while ((word = strsep(&rest, " ")) && *word) {
		value = strchr(word, '=');
		if (!value)
			fail("setting %s", word);
		*value++ = '\0';
		set_engine(word, value);
	}
}

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

static struct ember_nl_copy books(void)
{
	struct ember_nl_info info;
	int err = ember_nl_get_info(&nl, &info);

	if (err)
		fail("GET_INFO: %s", strerror(-err));
	return info.copy;
}

static uint32_t features(void)
{
	struct ember_nl_info info;
	int err = ember_nl_get_info(&nl, &info);

	if (err)
		fail("GET_INFO: %s", strerror(-err));
	return info.features;
}

/* What moves made of pages, and what the module has counted meanwhile. */
struct tally {
	size_t asked, moved, copy_failed, other, bad, misplaced;
	struct ember_nl_copy copy; /* differences, but for channels and leaked_pages */
};

static void move(struct tally *tally, uint32_t node, uint32_t flags)
{
	static uint8_t outcome[NR_PAGES];
	static int nodes[NR_PAGES];
	long moved = ember_nl_move(&nl, &self, area, NR_PAGES, NULL, node, flags, outcome);

	if (moved < 0)
		fail("move: %s", strerror((int)-moved));
	tally->bad += area_check(area, NR_PAGES, SEED);
	area_nodes(area, NR_PAGES, nodes);
	for (size_t i = 0; i < NR_PAGES; i++) {
		bool there =
		    outcome[i] == EMBER_OUTCOME_MOVED || outcome[i] == EMBER_OUTCOME_ALREADY_THERE;

		tally->moved += outcome[i] == EMBER_OUTCOME_MOVED;
		tally->copy_failed += outcome[i] == EMBER_OUTCOME_COPY_FAILED;
		tally->misplaced += there != (nodes[i] == (int)node);
		tally->other += !there && outcome[i] != EMBER_OUTCOME_COPY_FAILED;
		tally->asked += outcome[i] != EMBER_OUTCOME_ALREADY_THERE;
	}
}

/* There and back, beginning with there. */
static struct tally move_around(unsigned int nr_moves, uint32_t flags)
{
	struct ember_nl_copy before = books();
	struct tally tally = {0};

	for (unsigned int i = 0; i < nr_moves; i++)
		move(&tally, !(i % 2), flags);
	tally.copy = books();
	tally.copy.cpu_pages -= before.cpu_pages;
	tally.copy.dma_pages -= before.dma_pages;
	tally.copy.fallbacks -= before.fallbacks;
	tally.copy.timeouts -= before.timeouts;
	return tally;
}

/* What must hold whatever the engine does. */
static void expect_sound(const char *name, const struct tally *t)
{
	printf("       %s: asked %zu, moved %zu; by cpu %lu, by dma %lu, fallbacks %lu, timeouts "
	       "%lu, leaked %lu, channels %u\n",
	       name, t->asked, t->moved, (unsigned long)t->copy.cpu_pages,
	       (unsigned long)t->copy.dma_pages, (unsigned long)t->copy.fallbacks,
	       (unsigned long)t->copy.timeouts, (unsigned long)t->copy.leaked_pages,
	       t->copy.channels);
	expect(!t->bad && !t->misplaced, "%s: contents and places: want 0 wrong, saw %zu and %zu",
	       name, t->bad, t->misplaced);
	/* A page may be busy for a moment, in a list of another CPU. */
	expect(t->asked == t->moved + t->copy_failed + t->other && t->other <= t->asked / 100,
	       "%s: want %zu moved or not copied, saw %zu and %zu, and %zu others", name, t->asked,
	       t->moved, t->copy_failed, t->other);
	expect(t->copy.cpu_pages + t->copy.dma_pages == t->moved,
	       "%s: want %zu copied by somebody, saw %lu", name, t->moved,
	       (unsigned long)(t->copy.cpu_pages + t->copy.dma_pages));
}

struct fault {
	const char *name;
	const char *settings;
	const char *counter; /* of the engine: that it happened */
	bool falls_back;
	bool times_out;
	bool copies; /* the engine must have copied something */
};

static const struct fault faults[] = {
    {"no fault", "", "nr_copied", .copies = true},
    {"every 3rd fails", "fail_every=3", "nr_failed", .falls_back = true, .copies = true},
    {"all fail", "fail_every=1", "nr_failed", .falls_back = true},
    {"delays", "delay_us=100", "nr_copied", .copies = true},
    {"out of order", "reverse=1", "nr_overtaken", .copies = true},
    {"ring of 4", "ring=4", "nr_full", .copies = true},
    {"two pages at most", "max_bytes=8192", "nr_too_long", .copies = true},
    {"less than a page", "max_bytes=2048", "nr_too_long", .falls_back = true},
    {"one in 40 hangs", "stall_every=40 stall_ms=" FOR_EVER, "nr_dropped", .falls_back = true,
     .times_out = true, .copies = true},
    {"all hang", "stall_every=1 stall_ms=" FOR_EVER, "nr_dropped", .falls_back = true,
     .times_out = true},
    /* It writes when the pages belong to others, if it has not been stopped. */
    {"much too late", "stall_every=40 stall_ms=300", "nr_dropped", .falls_back = true,
     .times_out = true, .copies = true},
    {"everything at once",
     "fail_every=7 reverse=1 ring=4 max_bytes=8192 "
     "stall_every=61 stall_ms=300",
     "nr_failed", .falls_back = true, .copies = true},
};

static void use_engine(const char *settings)
{
	int err;

	order_faults(settings);
	err = open_channels(0);
	if (!err)
		err = open_channels(NR_CHANNELS);
	if (err)
		fail("dma_channels: %s", strerror(-err));
}

/*
 * A channel may be lost also on a host that is too busy for the worker that stops it; it
 * comes back by itself then.
 */
static bool engine_recovers(void)
{
	for (int i = 0; i < 100; i++) {
		struct ember_nl_copy copy = books();

		if (!copy.leaked_pages && copy.channels == NR_CHANNELS)
			return true;
		usleep(50000);
	}
	return false;
}

/* Until the fault has happened, and the engine has copied if it must: a busy host makes it late. */
static struct tally try_fault(const struct fault *fault)
{
	unsigned int before = engine_count(fault->counter), attempt = 0;
	struct tally tally;
	bool again;

	do {
		use_engine(fault->settings);
		tally = move_around(6, EMBER_MIGRATE_DMA);
		/* Whoever might still write has now had the time to. */
		if (fault->times_out)
			usleep(500000);
		tally.bad += area_check(area, NR_PAGES, SEED);
		expect_sound(fault->name, &tally);
		expect(engine_recovers() && (!tally.copy_failed || tally.copy.timeouts),
		       "%s: want %u channels, 0 pages leaked at last, saw %u, %lu", fault->name,
		       NR_CHANNELS, books().channels, (unsigned long)books().leaked_pages);
		again = (fault->copies && !tally.copy.dma_pages) ||
			engine_count(fault->counter) == before;
	} while (again && ++attempt < 5);
	return tally;
}

static void with_fault(const struct fault *fault)
{
	unsigned int before = engine_count(fault->counter), pages = engine_count("nr_pages");
	struct tally tally = try_fault(fault);

	pages = engine_count("nr_pages") - pages;
	expect(engine_count(fault->counter) > before, "%s: %s of the engine grew by %u",
	       fault->name, fault->counter, engine_count(fault->counter) - before);
	expect(fault->copies ? tally.copy.dma_pages && pages >= tally.copy.dma_pages
			     : !tally.copy.dma_pages,
	       "%s: the engine copied %s: %lu pages by the module's count, %u by its own",
	       fault->name, fault->copies ? "some" : "none", (unsigned long)tally.copy.dma_pages,
	       pages);
	if (fault->times_out)
		expect(tally.copy.timeouts, "%s: want timeouts, saw %lu", fault->name,
		       (unsigned long)tally.copy.timeouts);
	if (fault->falls_back)
		expect(tally.copy.fallbacks, "%s: want fallbacks, saw %lu", fault->name,
		       (unsigned long)tally.copy.fallbacks);
}

/*
 * Takes what is free first on the node, on each CPU: pages that the module has given back
 * too early are among them.
 */
static size_t take_free_pages(char *taken[], int node)
{
	size_t nr = 0;

	for (int cpu = 0; cpu < 2; cpu++) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus))
			continue; /* a machine with one */
		taken[nr] = area_map(NR_TAKEN);
		area_fill(taken[nr++], NR_TAKEN, node, SEED + 1);
	}
	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
	return nr;
}

static void wait_for_late_writes(void)
{
	unsigned int late = engine_count("nr_late");

	for (int i = 0; i < 400 && engine_count("nr_late") == late; i++)
		usleep(50000);
	expect(engine_count("nr_late") > late, "does not stop: %u descriptors written late",
	       engine_count("nr_late") - late);
}

/* Nobody but the module sees what is written late, to pages that are out of use. */
static void expect_harmless(void)
{
	char *taken[2];
	size_t nr = take_free_pages(taken, 1), bad = 0;

	wait_for_late_writes();
	for (size_t i = 0; i < nr; i++) {
		bad += area_check(taken[i], NR_TAKEN, SEED + 1);
		munmap(taken[i], NR_TAKEN * PAGE_BYTES);
	}
	expect(nr && !bad && !area_check(area, NR_PAGES, SEED),
	       "does not stop: written late: want 0 bad pages here and of others, saw %zu, %zu",
	       area_check(area, NR_PAGES, SEED), bad);
}

/* Pages that an engine may still write to are out of use until it has been stopped. */
static void refuses_to_stop(void)
{
	struct tally tally;
	int err;

	use_engine("stall_every=5 stall_ms=4000 refuse_stop=1");
	tally = move_around(1, EMBER_MIGRATE_DMA);
	expect_sound("does not stop", &tally);
	expect(tally.copy_failed && tally.copy.leaked_pages == tally.copy_failed,
	       "does not stop: want as many pages leaked as not copied, saw %lu and %zu",
	       (unsigned long)tally.copy.leaked_pages, tally.copy_failed);
	expect(tally.copy.channels < NR_CHANNELS, "does not stop: want it disabled, saw %u of %u",
	       tally.copy.channels, NR_CHANNELS);
	expect_harmless();
	err = open_channels(0);
	expect(err == -EBUSY, "does not stop: want closing to fail (%s), saw %s", strerror(EBUSY),
	       strerror(-err));
	err = unload("ember");
	expect(err == -EWOULDBLOCK, "does not stop: want no unload (%s), saw %s",
	       strerror(EWOULDBLOCK), strerror(-err));
	set_engine("refuse_stop", "0");
	err = open_channels(0);
	expect(!err && !books().leaked_pages, "stops at last: want closed, 0 leaked, saw %s, %lu",
	       strerror(-err), (unsigned long)books().leaked_pages);
	move(&tally, 0, 0);
}

/* The same for a while, without anybody's help. */
static void stops_slowly(void)
{
	struct tally tally;

	use_engine("stall_every=5 stall_ms=" FOR_EVER " stop_ms=600");
	tally = move_around(2, EMBER_MIGRATE_DMA);
	expect_sound("stops slowly", &tally);
	expect(tally.copy_failed, "stops slowly: want pages not copied, saw %zu",
	       tally.copy_failed);
	expect(engine_recovers() && !area_check(area, NR_PAGES, SEED),
	       "stops slowly: want %u channels and 0 leaked at last, 0 bad, saw %u, %lu, %zu",
	       NR_CHANNELS, books().channels, (unsigned long)books().leaked_pages,
	       area_check(area, NR_PAGES, SEED));
	set_engine("stop_ms", "0");
}

/* Without the flag times decide, so both engines must have been measured. */
static void without_flag(void)
{
	struct tally tally;

	use_engine("");
	tally = move_around(6, 0);
	expect_sound("not asked for", &tally);
	expect(
	    tally.copy.cpu_ns[EMBER_COPY_CLASSES - 1] && tally.copy.dma_ns[EMBER_COPY_CLASSES - 1],
	    "not asked for: both measured: cpu %u ns, dma %u ns a page of 512",
	    tally.copy.cpu_ns[EMBER_COPY_CLASSES - 1], tally.copy.dma_ns[EMBER_COPY_CLASSES - 1]);
	expect(features() & EMBER_FEATURE_DMA, "not asked for: want the feature, saw %#x",
	       features());
}

static void without_channels(void)
{
	struct tally tally;

	if (open_channels(0))
		fail("the channels cannot be closed");
	tally = move_around(2, EMBER_MIGRATE_DMA);
	expect_sound("no channels", &tally);
	expect(!tally.copy.dma_pages && !tally.copy.fallbacks && !(features() & EMBER_FEATURE_DMA),
	       "no channels: want 0 by dma, no feature, saw %lu, features %#x",
	       (unsigned long)tally.copy.dma_pages, features());
	expect(open_channels(17) == -EINVAL, "more channels than there can be: want EINVAL");
}

static int run_checking_program(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl("/usr/lib/ember/tests/migrate_check", "migrate_check", "--dma", "--pages",
		      "2048", "--seconds", "15", "--writers", "1", "--min-moved", "500", NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Writers all the time, lost updates found. */
static void with_writers(const char *settings)
{
	struct ember_nl_copy before, after;
	int status;

	use_engine(settings);
	before = books();
	status = run_checking_program();
	after = books();
	expect(!status, "writers, \"%s\": the checking program: want 0, saw %#x", settings, status);
	expect(
	    after.dma_pages > before.dma_pages && after.fallbacks > before.fallbacks,
	    "writers, \"%s\": want copies by dma and fallbacks, saw %lu, %lu (cpu %lu, timeouts %lu)",
	    settings, (unsigned long)(after.dma_pages - before.dma_pages),
	    (unsigned long)(after.fallbacks - before.fallbacks),
	    (unsigned long)(after.cpu_pages - before.cpu_pages),
	    (unsigned long)(after.timeouts - before.timeouts));
}

/* Channels of the engine that somebody holds. */
static unsigned int channels_in_use(void)
{
	unsigned int nr = 0;
	glob_t found;

	if (glob("/sys/devices/platform/" ENGINE "/dma/*/in_use", 0, NULL, &found))
		fail("the engine's channels are not in sysfs");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");
		int in_use;

		if (!file || fscanf(file, "%d", &in_use) != 1)
			fail("%s: %s", found.gl_pathv[i], strerror(errno));
		nr += in_use > 0;
		fclose(file);
	}
	globfree(&found);
	return nr;
}

/* Says so once pages have moved. */
static void move_for_ever(int out)
{
	static uint8_t outcome[NR_PAGES];
	struct ember_identity child;
	unsigned long moved = 0;
	struct ember_nl own;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ember_nl_open(&own) || ember_nl_self(&child))
		_exit(1);
	area_fill(area, NR_PAGES, 0, SEED); /* pages of its own */
	for (uint32_t node = 1;; node = !node) {
		long some = ember_nl_move(&own, &child, area, NR_PAGES, NULL, node,
					  EMBER_MIGRATE_DMA, outcome);

		if (some < 0) /* the module is gone */
			_exit(area_check(area, NR_PAGES, SEED) ? 2 : 0);
		if (some > 0 && !moved && write(out, "", 1) != 1)
			_exit(3);
		moved += (unsigned long)some;
	}
}

/* The engine's module stays while it is in use; ember's lets go of it, also under load. */
static void unloading(void)
{
	int err, status, fds[2];
	pid_t pid;
	char byte;

	use_engine("delay_us=500");
	expect(channels_in_use() == NR_CHANNELS, "in use: want %u channels, saw %u", NR_CHANNELS,
	       channels_in_use());
	err = unload(ENGINE);
	expect(err == -EWOULDBLOCK, "unload of an engine in use: want %s, saw %s",
	       strerror(EWOULDBLOCK), strerror(-err));
	if (pipe(fds))
		fail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid)
		move_for_ever(fds[1]);
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		fail("the client has moved nothing");
	usleep(100000);
	err = unload("ember");
	expect(!err, "unload under load: want ok, saw %s", strerror(-err));
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid: %s", strerror(errno));
	expect(!status, "unload under load: the client: want pages moved, none bad, saw status %#x",
	       status);
	expect(!channels_in_use(), "after unload: want 0 channels in use, saw %u",
	       channels_in_use());
	err = unload(ENGINE);
	expect(!err, "unload of an engine that is not in use: want ok, saw %s", strerror(-err));
}

/* It would take pages that this program reads to the node of its CPUs: says what it was. */
static char set_numa_balancing(char value)
{
	int fd = open("/proc/sys/kernel/numa_balancing", O_RDWR | O_CLOEXEC);
	char old;

	if (fd < 0 || pread(fd, &old, 1, 0) != 1 || pwrite(fd, &value, 1, 0) != 1)
		fail("kernel.numa_balancing: %s", strerror(errno));
	close(fd);
	return old;
}

static void begin(void)
{
	struct utsname kernel;
	char command[256];

	uname(&kernel);
	unload("ember");
	snprintf(command, sizeof(command), "insmod /usr/lib/ember/tests/modules/%s/" ENGINE ".ko",
		 kernel.release);
	if (system(command) || system("modprobe ember dma_channels=2"))
		fail("the modules cannot be loaded");
	ember_nl_begin(&nl, &self);
	expect(books().channels == NR_CHANNELS && channels_in_use() == NR_CHANNELS,
	       "channels by option of the module: want %u, saw %u", NR_CHANNELS, books().channels);
	area = area_map(NR_PAGES);
	area_fill(area, NR_PAGES, 0, SEED);
}

static void without_engine(void)
{
	struct ember_nl_info info;
	int err;

	if (system("modprobe ember dma_channels=2") || ember_nl_open(&nl))
		fail("ember does not load without an engine");
	if (ember_nl_get_info(&nl, &info))
		fail("GET_INFO");
	err = open_channels(1);
	expect(!info.copy.channels && err == -ENODEV, "no engine: want 0 channels, %s, saw %u, %s",
	       strerror(ENODEV), info.copy.channels, strerror(-err));
	ember_nl_close(&nl);
	unload("ember");
}

static const char *only; /* part of a name, or NULL */

static bool is_wanted(const char *name)
{
	return !only || strstr(name, only);
}

int main(int argc, char **argv)
{
	char balancing = set_numa_balancing('0');

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		fail("sched_getaffinity: %s", strerror(errno));
	only = argc > 1 ? argv[1] : NULL;
	begin();
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		if (is_wanted(faults[i].name))
			with_fault(&faults[i]);
	if (is_wanted("does not stop"))
		refuses_to_stop();
	if (is_wanted("stops slowly"))
		stops_slowly();
	if (is_wanted("not asked for"))
		without_flag();
	if (is_wanted("no channels"))
		without_channels();
	if (is_wanted("writers")) {
		with_writers("fail_every=3 reverse=1 ring=16 max_bytes=16384");
		with_writers("stall_every=97 stall_ms=300");
	}
	unloading();
	ember_nl_close(&nl);
	without_engine();
	set_numa_balancing(balancing);
	return expect_status();
}
