/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The books of the family ember: ids, credits, results that are held until they are
 * freed, and results whose notification was lost in a full socket buffer.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"

#define NR_PAGES (EMBER_MAX_REGIONS * REGION_PAGES)

static struct ember_nl nl;
static struct ember_identity self;
static char *area;
static struct ember_nl_job jobs[EMBER_CREDITS + 1], listed[EMBER_CREDITS + 1];

static void make_job(struct ember_nl_job *job, uint64_t id, uint32_t node, size_t nr_pages,
		     size_t stride)
{
	static uint8_t mask[NR_PAGES];

	memset(job, 0, sizeof(*job));
	memset(mask, 0, sizeof(mask));
	for (size_t i = 0; i < nr_pages; i += stride)
		mask[i] = 1;
	job->id = id;
	job->target = self;
	job->node = node;
	if (ember_nl_job_fill(job, area, nr_pages, mask))
		fail("the job does not fit");
}

static void want(const char *what, int wanted, int saw)
{
	expect(saw == wanted, "%s: want %d (%s), saw %d (%s)", what, wanted,
	       wanted < 0 ? strerror(-wanted) : "ok", saw, saw < 0 ? strerror(-saw) : "ok");
}

static unsigned int sum_runs(const struct ember_nl_job *job)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < job->nr_regions; i++)
		for (unsigned int run = 0; run < job->regions[i].nr_runs; run++)
			sum += job->regions[i].runs[run].count;
	return sum;
}

static void info(void)
{
	struct ember_nl_info seen;

	want("GET_INFO", 0, ember_nl_get_info(&nl, &seen));
	expect(seen.abi == EMBER_ABI_VERSION && seen.max_regions == EMBER_MAX_REGIONS &&
		   seen.credits == EMBER_CREDITS &&
		   (seen.features & ~EMBER_FEATURE_DMA) ==
		       (EMBER_FEATURE_NODE | EMBER_FEATURE_POOL) &&
		   seen.version[0],
	       "info: abi %u, version \"%s\", features %#x, %u regions, %u credits", seen.abi,
	       seen.version, seen.features, seen.max_regions, seen.credits);
}

/* One long request keeps the worker busy while the others are queued behind it. */
static void credits(void)
{
	for (unsigned int i = 0; i < EMBER_CREDITS; i++) {
		make_job(&jobs[i], 100 + i, (i + 1) % 2, NR_PAGES, 1);
		want("request within the credits", 0, ember_nl_migrate(&nl, &jobs[i]));
	}
	make_job(&jobs[EMBER_CREDITS], 200, 1, 1, 1);
	want("one request more", -EBUSY, ember_nl_migrate(&nl, &jobs[EMBER_CREDITS]));
	jobs[EMBER_CREDITS].id = 100;
	want("an id in use", -EEXIST, ember_nl_migrate(&nl, &jobs[EMBER_CREDITS]));
	want("ACK of the last, not done yet", -EINPROGRESS,
	     ember_nl_ack(&nl, 100 + EMBER_CREDITS - 1));
	want("GET_RESULT of the last, not done yet", -EINPROGRESS,
	     ember_nl_get_result(&nl, &jobs[EMBER_CREDITS - 1]));
	want("ACK of an unknown id", -ENOENT, ember_nl_ack(&nl, 999));
	want("CANCEL of an unknown id", -ENOENT, ember_nl_cancel(&nl, 999));
	want("dump", EMBER_CREDITS, ember_nl_dump(&nl, listed, EMBER_CREDITS + 1));
}

/* With sums that add up; a result is there until it is freed. */
static void results(void)
{
	unsigned int balanced = 0;

	for (unsigned int i = 0; i < EMBER_CREDITS; i++) {
		want("RESULT", 0, ember_nl_wait(&nl, &jobs[i], 60000));
		balanced += jobs[i].nr_asked == NR_PAGES && sum_runs(&jobs[i]) == NR_PAGES &&
			    jobs[i].state == EMBER_STATE_DONE && jobs[i].time_ns > 0;
	}
	expect(balanced == EMBER_CREDITS,
	       "results whose runs add up to what was asked: want %u, saw %u", EMBER_CREDITS,
	       balanced);
	make_job(&jobs[EMBER_CREDITS], 200, 1, 1, 1);
	want("results not freed yet: request", -EBUSY, ember_nl_migrate(&nl, &jobs[EMBER_CREDITS]));
	want("ACK", 0, ember_nl_ack(&nl, 100));
	want("ACK again", -ENOENT, ember_nl_ack(&nl, 100));
	want("one result freed: request", 0, ember_nl_migrate(&nl, &jobs[EMBER_CREDITS]));
	want("its RESULT", 0, ember_nl_wait(&nl, &jobs[EMBER_CREDITS], 60000));
	want("its ACK", 0, ember_nl_ack(&nl, 200));
	for (unsigned int i = 1; i < EMBER_CREDITS; i++)
		want("ACK", 0, ember_nl_ack(&nl, 100 + i));
	want("dump of nothing", 0, ember_nl_dump(&nl, listed, EMBER_CREDITS + 1));
}

/* Outcomes that alternate from page to page make the longest result. */
static void largest_result(void)
{
	struct ember_nl_job *job = &jobs[0];
	unsigned int nr_runs = 0;

	make_job(job, 1, 0, NR_PAGES, 1);
	want("all pages to node 0", 0, ember_nl_migrate(&nl, job));
	want("RESULT", 0, ember_nl_wait(&nl, job, 60000));
	want("ACK", 0, ember_nl_ack(&nl, 1));
	make_job(job, 2, 1, NR_PAGES, 2);
	want("every second page to node 1", 0, ember_nl_migrate(&nl, job));
	want("RESULT", 0, ember_nl_wait(&nl, job, 60000));
	want("ACK", 0, ember_nl_ack(&nl, 2));
	expect(job->nr_moved == NR_PAGES / 2 && job->regions[0].nr_runs == 1,
	       "every second page: want %lu moved in one run a region, saw %u and %u", NR_PAGES / 2,
	       job->nr_moved, job->regions[0].nr_runs);
	make_job(job, 3, 1, NR_PAGES, 1);
	want("all pages to node 1", 0, ember_nl_migrate(&nl, job));
	want("RESULT", 0, ember_nl_wait(&nl, job, 60000));
	want("ACK", 0, ember_nl_ack(&nl, 3));
	for (unsigned int i = 0; i < job->nr_regions; i++)
		nr_runs += job->regions[i].nr_runs;
	expect(nr_runs == NR_PAGES && sum_runs(job) == NR_PAGES,
	       "alternating outcomes: want %lu runs of one page, saw %u runs of %u pages in all",
	       NR_PAGES, nr_runs, sum_runs(job));
}

static void do_now(struct ember_nl_job *job, uint64_t id, uint32_t node, size_t stride)
{
	make_job(job, id, node, NR_PAGES, stride);
	if (ember_nl_migrate(&nl, job) || ember_nl_wait(&nl, job, 60000) || ember_nl_ack(&nl, id))
		fail("a plain request failed");
}

static unsigned int dropped(void)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	getsockopt(nl.fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

/*
 * The smallest buffer, and nobody reads it: the first message that comes is kept, the
 * large result of the first request fills the buffer, the rest is dropped.
 */
static void overrun(void)
{
	static uint8_t bytes[65536];
	int size = 1;

	do_now(&jobs[0], 1, 1, 1);
	do_now(&jobs[0], 2, 0, 2);
	make_job(&jobs[0], 300, 0, NR_PAGES, 1);
	make_job(&jobs[1], 301, 0, NR_PAGES, 1);
	setsockopt(nl.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (ember_nl_post(&nl, &jobs[0]) || ember_nl_post(&nl, &jobs[1]))
		fail("send: %s", strerror(errno));
	for (unsigned int i = 0; i < 600 && !dropped(); i++)
		usleep(100000);
	expect(dropped() > 0, "a full buffer that nobody reads: want drops, saw %u", dropped());
	while (recv(nl.fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
	size = 1 << 20;
	setsockopt(nl.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

/* A notification that was lost is found by the dump and fetched. */
static void lost_notification(void)
{
	int nr;

	overrun();
	do {
		usleep(50000);
		nr = ember_nl_dump(&nl, listed, EMBER_CREDITS + 1);
	} while (nr == 2 && listed[1].state != EMBER_STATE_DONE);
	want("dump", 2, nr);
	for (int i = 0; i < nr; i++) {
		struct ember_nl_job *job = &jobs[i];

		want("GET_RESULT", 0, ember_nl_get_result(&nl, job));
		expect(job->id == listed[i].id && job->nr_moved == listed[i].nr_moved &&
			   sum_runs(job) == NR_PAGES,
		       "its runs: want %lu pages, saw %u", NR_PAGES, sum_runs(job));
		want("ACK", 0, ember_nl_ack(&nl, job->id));
	}
}

/* Two clients know nothing of each other. */
static void other_client(void)
{
	struct ember_nl other;

	make_job(&jobs[0], 1, 1, 1, 1);
	want("request", 0, ember_nl_migrate(&nl, &jobs[0]));
	want("RESULT", 0, ember_nl_wait(&nl, &jobs[0], 60000));
	want("second client", 0, ember_nl_open(&other));
	want("its dump", 0, ember_nl_dump(&other, listed, 1));
	want("its ACK of the first one's id", -ENOENT, ember_nl_ack(&other, 1));
	want("its request of the same id", 0, ember_nl_migrate(&other, &jobs[0]));
	want("its RESULT", 0, ember_nl_wait(&other, &jobs[0], 60000));
	ember_nl_close(&other);
	want("ACK by the first client", 0, ember_nl_ack(&nl, 1));
}

static long unreclaimable_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* Clients that never free a result, some of them closed before it is there. */
#define NR_CARELESS 2000

static void careless_clients(void)
{
	static struct ember_nl other;
	long before = 0, grown;

	for (unsigned int i = 0; i < NR_CARELESS + 100; i++) {
		if (i == 100) /* what the first ones needed stays in the kernel's caches */
			before = unreclaimable_kib();
		make_job(&jobs[0], 1, i % 2, NR_PAGES, NR_PAGES / EMBER_MAX_REGIONS);
		if (ember_nl_open(&other) || ember_nl_migrate(&other, &jobs[0]) ||
		    (i % 4 && ember_nl_wait(&other, &jobs[0], 60000)))
			fail("client %u", i);
		ember_nl_close(&other);
	}
	grown = unreclaimable_kib() - before;
	/* A request of 16 regions takes more than 9 KiB. */
	expect(grown < NR_CARELESS * 9 / 4,
	       "%u clients that free nothing: want less than %u KiB of slab more, saw %ld",
	       NR_CARELESS, NR_CARELESS * 9 / 4, grown);
}

int main(void)
{
	ember_nl_begin(&nl, &self);
	area = area_map(NR_PAGES);
	area_fill(area, NR_PAGES, 0, 1);
	info();
	credits();
	results();
	largest_result();
	lost_notification();
	other_client();
	careless_clients();
	expect(!area_check(area, NR_PAGES, 1), "contents: want 0 bad pages, saw %zu",
	       area_check(area, NR_PAGES, 1));
	ember_nl_close(&nl);
	return expect_status();
}
