/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process may keep its own locks for as long as it likes. It maps a file of a file
 * system in user space, here this program, whose page is still being read: mmap(2)
 * waits for the page with mmap_lock held for writing. Or it executes a program with
 * such a file open: exec closes it, and waits for the answer to the flush, in 6.12 with
 * exec_update_lock held (later kernels close files first). Nobody needs a privilege for either (a
 * user namespace gives the right to mount).
 *
 * Requests for its pages must end as busy, or cancelled; scans must stop for the lock;
 * the module must unload. And a process that ends during a scan must end the scan.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/area.h"
#include "tests/lib/ember_nl.h"
#include "tests/lib/expect.h"
#include "tests/lib/sampling.h"

#define MOUNT_DIR "/tmp/held-locks"
#define FILE_PATH MOUNT_DIR "/file"
#define FILE_NODE 2
#define MAX_HELD 64
#define NR_PAGES (EMBER_MAX_REGIONS * REGION_PAGES)
#define SEED 0x10c5

/* The file system: one file under any name, whose reads and flushes wait for the release. */
struct server {
	int fd;
	pthread_t thread;
	bool released;
	unsigned int nr_reads, nr_flushes; /* seen so far */
	unsigned int nr_held;
	struct fuse_in_header held[MAX_HELD];
};

static struct server server;
static struct ember_nl nl;

static void reply(const struct fuse_in_header *in, int error, const void *data, size_t len)
{
	char buffer[sizeof(struct fuse_out_header) + PAGE_BYTES];
	struct fuse_out_header out = {
	    .len = (uint32_t)(sizeof(out) + len), .error = error, .unique = in->unique};

	memcpy(buffer, &out, sizeof(out));
	if (len)
		memcpy(buffer + sizeof(out), data, len);
	if (write(server.fd, buffer, out.len) < 0 && errno != ENOENT)
		fail("answer to request %u: %s", in->opcode, strerror(errno));
}

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){.ino = node,
				  .size = node == FILE_NODE ? PAGE_BYTES : 0,
				  .mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777,
				  .nlink = 1,
				  .blksize = PAGE_BYTES};
}

static void answer_open(const struct fuse_in_header *in, const struct fuse_open_in *open_in)
{
	struct fuse_open_out out = {.fh = 1};

	/* Mapping a file opened so throws the pages of the others out. */
	if ((open_in->flags & O_ACCMODE) == O_RDWR)
		out.open_flags = FOPEN_DIRECT_IO;
	reply(in, 0, &out, sizeof(out));
}

static void hold(const struct fuse_in_header *in, unsigned int *count)
{
	if (server.nr_held == MAX_HELD)
		fail("more than %u requests held", MAX_HELD);
	server.held[server.nr_held++] = *in;
	__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
}

static void answer(const struct fuse_in_header *in)
{
	struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = PAGE_BYTES};
	struct fuse_entry_out entry = {.nodeid = FILE_NODE,
				       .entry_valid = 3600,
				       .attr_valid = 3600,
				       .attr = attr_of(FILE_NODE)};
	struct fuse_attr_out attr = {.attr_valid = 3600, .attr = attr_of(in->nodeid)};

	switch (in->opcode) {
	case FUSE_INIT:
		reply(in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(in, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer_open(in, (const void *)(in + 1));
		break;
	case FUSE_READ:
		hold(in, &server.nr_reads);
		break;
	case FUSE_FLUSH:
		hold(in, &server.nr_flushes);
		break;
	case FUSE_RELEASE:
		reply(in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(in, -ENOSYS, NULL, 0);
	}
}

static void let_go(void)
{
	static const char zeroes[PAGE_BYTES];

	while (server.nr_held) {
		const struct fuse_in_header *in = &server.held[--server.nr_held];

		reply(in, 0, zeroes, in->opcode == FUSE_READ ? sizeof(zeroes) : 0);
	}
}

static void *serve(void *arg)
{
	static union {
		struct fuse_in_header header;
		char bytes[FUSE_MIN_READ_BUFFER + PAGE_BYTES];
	} in;
	struct pollfd pfd = {.fd = server.fd, .events = POLLIN};

	for (;;) {
		if (__atomic_load_n(&server.released, __ATOMIC_SEQ_CST))
			let_go();
		if (poll(&pfd, 1, 20) <= 0)
			continue;
		if (read(server.fd, &in, sizeof(in)) > 0)
			answer(&in.header);
		else if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
			return NULL; /* not mounted any more */
	}
}

static void start_server(void)
{
	char options[128];

	memset(&server, 0, sizeof(server));
	server.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (server.fd < 0)
		fail("/dev/fuse: %s", strerror(errno));
	mkdir(MOUNT_DIR, 0700);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", server.fd);
	if (mount("held-locks", MOUNT_DIR, "fuse", MS_NOSUID | MS_NODEV, options))
		fail("mount: %s", strerror(errno));
	if (pthread_create(&server.thread, NULL, serve, NULL))
		fail("pthread_create");
}

static void release(void)
{
	__atomic_store_n(&server.released, true, __ATOMIC_SEQ_CST);
}

static void stop_server(void)
{
	release();
	umount2(MOUNT_DIR, MNT_DETACH);
	pthread_join(server.thread, NULL);
	close(server.fd);
}

/* Waits for the server to hold a request of the kind that is counted here. */
static void wait_until_held(const char *what, const unsigned int *count)
{
	for (unsigned int i = 0; i < 3000; i++) {
		if (__atomic_load_n(count, __ATOMIC_SEQ_CST))
			return;
		usleep(10000);
	}
	fail("no %s within 30 s", what);
}

/* The process that keeps a lock. */
struct victim {
	pid_t pid;
	int go; /* the first byte: open the file; the second: take the lock */
	char *area;
	struct ember_identity identity;
};

static void *read_file(void *arg)
{
	int fd = open(FILE_PATH, O_RDONLY);
	char byte;

	return read(fd, &byte, 1) == 1 ? NULL : arg;
}

static void wait_for_byte(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(10);
}

/* Holds mmap_lock. Ends with 0 if all is well after the release. */
static int map_file(char *area, int go)
{
	pthread_t thread;
	void *failed;
	int fd;

	wait_for_byte(go);
	fd = open(FILE_PATH, O_RDWR);
	if (fd < 0 || pthread_create(&thread, NULL, read_file, area))
		return 1;
	wait_for_byte(go);
	if (mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return 2;
	pthread_join(thread, &failed);
	return failed ? 3 : area_check(area, NR_PAGES, SEED) ? 4 : 0;
}

/* Holds exec_update_lock. */
static int exec_program(char *area, int go)
{
	(void)area;
	wait_for_byte(go);
	if (open(FILE_PATH, O_RDONLY | O_CLOEXEC) < 0)
		return 1;
	wait_for_byte(go);
	execl("/bin/true", "true", NULL);
	return 2;
}

/* Before there are a client and a sampler: what it inherited of them would stay open. */
static struct victim start_victim(int (*fn)(char *area, int go))
{
	struct victim victim = {.area = area_map(NR_PAGES)};
	int ready[2], go[2];

	if (pipe(ready) || pipe2(go, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	victim.pid = fork();
	if (victim.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(server.fd); /* with the last one the file system ends */
		area_fill(victim.area, NR_PAGES, 0, SEED);
		if (ember_nl_self(&victim.identity) ||
		    write(ready[1], &victim.identity, sizeof(victim.identity)) < 0)
			_exit(11);
		_exit(fn(victim.area, go[0]));
	}
	close(ready[1]);
	close(go[0]);
	victim.go = go[1];
	if (read(ready[0], &victim.identity, sizeof(victim.identity)) != sizeof(victim.identity))
		fail("the victim failed");
	close(ready[0]);
	return victim;
}

static void step(const struct victim *victim)
{
	if (write(victim->go, "", 1) != 1)
		fail("pipe: %s", strerror(errno));
}

static int wait_for_victim(const struct victim *victim)
{
	int status;

	close(victim->go);
	munmap(victim->area, NR_PAGES * PAGE_BYTES);
	return waitpid(victim->pid, &status, 0) == victim->pid ? status : -1;
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "", *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		fail("%s: %s", path, strerror(errno));
	fclose(file);
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

/* The first thread waits for the page, holding mmap_lock. */
static void wait_until_blocked(const struct victim *victim)
{
	for (unsigned int i = 0; i < 3000; i++) {
		if (state_of(victim->pid) == 'D')
			return;
		usleep(10000);
	}
	fail("mmap(2) of the file does not wait for its page");
}

static void submit(struct ember_nl_job *job, uint64_t id, const struct victim *victim)
{
	int err;

	memset(job, 0, sizeof(*job));
	job->id = id;
	job->target = victim->identity;
	job->node = 1;
	if (ember_nl_job_fill(job, victim->area, NR_PAGES, NULL))
		fail("the job does not fit");
	err = ember_nl_migrate(&nl, job);
	if (err)
		fail("request: %s", strerror(-err));
}

/* Waits for the result; returns false, after saying so, if it does not come. */
static bool collect(struct ember_nl_job *job, size_t count[EMBER_OUTCOME_MAX + 1])
{
	int err = ember_nl_wait(&nl, job, 30000);

	ember_nl_job_count(job, count);
	if (!err)
		err = ember_nl_ack(&nl, job->id);
	return err ? expect(false, "result within 30 s: %s", strerror(-err)) : true;
}

static void ask_while_locked(const struct victim *victim, const char *lock)
{
	size_t count[EMBER_OUTCOME_MAX + 1];
	struct ember_nl_job *job = calloc(1, sizeof(*job));

	submit(job, 1, victim);
	if (collect(job, count))
		expect(count[EMBER_OUTCOME_BUSY] == NR_PAGES && job->status == 0,
		       "%s held, request: want %lu pages busy and status 0, saw %zu and %d", lock,
		       NR_PAGES, count[EMBER_OUTCOME_BUSY], job->status);
	free(job);
}

/* Cancelled in the middle: some regions have been given up for the lock by then, some not. */
static void cancel_while_locked(const struct victim *victim)
{
	static struct ember_nl_job listed[EMBER_CREDITS];
	struct ember_nl_job *job = calloc(1, sizeof(*job));
	size_t count[EMBER_OUTCOME_MAX + 1];

	submit(job, 2, victim);
	do {
		usleep(10000);
		if (ember_nl_dump(&nl, listed, EMBER_CREDITS) != 1)
			fail("dump");
	} while (listed[0].state == EMBER_STATE_QUEUED);
	expect(ember_nl_cancel(&nl, 2) == 0, "cancel of a request that waits is accepted");
	if (collect(job, count))
		expect(count[EMBER_OUTCOME_BUSY] + count[EMBER_OUTCOME_CANCELLED] == NR_PAGES &&
			   count[EMBER_OUTCOME_CANCELLED],
		       "mmap_lock held, cancelled: want some of %lu pages cancelled and the rest "
		       "busy, saw %zu and %zu",
		       NR_PAGES, count[EMBER_OUTCOME_CANCELLED], count[EMBER_OUTCOME_BUSY]);
	free(job);
}

static void scan_while_locked(struct ember_sampler *sampler, const struct victim *victim,
			      const char *lock)
{
	const struct ember_proc_id id = {.tgid = victim->identity.tgid,
					 .start_boottime_ns = victim->identity.start_ns,
					 .self_exec_id = victim->identity.exec_id};
	uint64_t start = (uintptr_t)victim->area;
	struct ember_scan_req req = {
	    .cursor = start, .end = start + NR_PAGES * PAGE_BYTES, .flags = EMBER_SCAN_FULL};
	const struct ember_region_rec *recs;
	int err = ember_sampler_scan(sampler, &id, &req, &recs);

	expect(!err && req.stop == EMBER_STOP_LOCK && req.cursor == start && !req.nr_recs,
	       "%s held, scan: want stop %d, no region done and no record; saw error %d, stop %u, "
	       "%llu regions, %u records",
	       lock, EMBER_STOP_LOCK, err, req.stop,
	       (unsigned long long)(req.cursor - start) / REGION_BYTES, req.nr_recs);
}

/* What the sampler loaded keeps the module for a moment after it was closed. */
static void unload_while_locked(const struct victim *victim)
{
	static struct ember_nl_job jobs[EMBER_CREDITS];
	unsigned int tries;
	int status = 1;

	for (unsigned int i = 0; i < EMBER_CREDITS; i++)
		submit(&jobs[i], 10 + i, victim);
	for (tries = 0; status && tries < 150; tries++) {
		status = system("timeout 30 rmmod ember 2>/dev/null");
		usleep(200000);
	}
	expect(status == 0, "%u requests under way: rmmod ends with 0, saw %d after %u tries",
	       EMBER_CREDITS, status, tries);
	ember_nl_close(&nl);
}

static void mmap_lock_held(void)
{
	struct ember_sampler *sampler;
	struct victim victim;
	int status;

	start_server();
	victim = start_victim(map_file);
	ember_nl_begin(&nl, NULL);
	sampler = start_sampler();
	step(&victim);
	wait_until_held("read", &server.nr_reads);
	step(&victim);
	wait_until_blocked(&victim);
	ask_while_locked(&victim, "mmap_lock");
	cancel_while_locked(&victim);
	scan_while_locked(sampler, &victim, "mmap_lock");
	ember_sampler_close(sampler);
	unload_while_locked(&victim);
	expect(state_of(victim.pid) == 'D', "the lock was held all the time");
	release();
	status = wait_for_victim(&victim);
	expect(status == 0, "the process, in the end: want status 0, saw %d", status);
	stop_server();
}

static void exec_lock_held(void)
{
	struct ember_sampler *sampler;
	struct utsname kernel;
	struct victim victim;
	int status;

	uname(&kernel);
	if (strncmp(kernel.release, "6.12", 4)) {
		printf("skip exec_update_lock held: kernel %s closes files before it takes it\n",
		       kernel.release);
		return;
	}
	start_server();
	victim = start_victim(exec_program);
	ember_nl_begin(&nl, NULL);
	sampler = start_sampler();
	step(&victim);
	step(&victim);
	wait_until_held("flush", &server.nr_flushes);
	ask_while_locked(&victim, "exec_update_lock");
	scan_while_locked(sampler, &victim, "exec_update_lock");
	release();
	status = wait_for_victim(&victim);
	expect(status == 0, "the program, in the end: want status 0, saw %d", status);
	stop_server();
	ember_nl_close(&nl);
	ember_sampler_close(sampler);
}

/* A page in each of many regions, so that a scan takes many turns of the lock. */
#define GONE_REGIONS 1024UL

static pid_t start_large(char *area)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready))
		fail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < GONE_REGIONS; i++)
			area[i * REGION_BYTES] = 1;
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		fail("the process failed");
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void *kill_later(void *arg)
{
	usleep((useconds_t)(rand() % 20000));
	kill((pid_t)(intptr_t)arg, SIGKILL);
	return NULL;
}

/* Scans until the process is gone. Returns whether a scan noticed that itself. */
static bool scan_to_the_end(struct ember_sampler *sampler, pid_t pid, const char *area)
{
	struct ember_proc_id id = identify(sampler, (uint32_t)pid);
	const struct ember_region_rec *recs;
	struct ember_scan_req req;
	pthread_t killer;
	int err;

	if (pthread_create(&killer, NULL, kill_later, (void *)(intptr_t)pid))
		fail("pthread_create");
	do {
		req = (struct ember_scan_req){.cursor = (uintptr_t)area,
					      .end = (uintptr_t)area + GONE_REGIONS * REGION_BYTES,
					      .flags = EMBER_SCAN_FULL};
		err = ember_sampler_scan(sampler, &id, &req, &recs);
	} while (!err && req.stop != EMBER_STOP_GONE);
	pthread_join(killer, NULL);
	waitpid(pid, NULL, 0);
	if (err && err != -ESRCH)
		fail("scan: %s", strerror(-err));
	return !err;
}

/* A race cannot be had on command. */
static void gone_while_scanned(void)
{
	struct ember_sampler *sampler = start_sampler();
	char *area = area_map(GONE_REGIONS * REGION_PAGES);
	unsigned int rounds = 0;
	bool seen = false;

	while (!seen && rounds++ < 100)
		seen = scan_to_the_end(sampler, start_large(area), area);
	expect(seen, "killed during a scan: want a scan that stops for it, saw %d in %u rounds",
	       seen, rounds);
	ember_sampler_close(sampler);
}

int main(void)
{
	mmap_lock_held();
	exec_lock_held();
	gone_while_scanned();
	return expect_status();
}
