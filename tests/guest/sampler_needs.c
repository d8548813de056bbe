// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A sampler needs CAP_BPF and CAP_PERFMON and the module, no user id and nothing else;
 * where one of them is missing, the reason says which.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/sampling.h"
#include "tests/lib/target.h"

#define NOBODY 65534

static int nr_failures;

static void expect(const char *what, long expected, long seen)
{
	printf("  %-50s expected %ld, saw %ld%s\n", what, expected, seen,
	       expected == seen ? "" : "  <-- FAIL");
	nr_failures += expected != seen;
}

/* Become nobody with just these capabilities, for good. */
static void become(uint64_t caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
	    {.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
	    {.effective = caps >> 32, .permitted = caps >> 32},
	};

	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0 || syscall(SYS_capset, &header, data) < 0)
		die("FAIL: capabilities cannot be set");
}

static bool scans_init(struct ember_sampler *sampler)
{
	struct ember_scan_req req = {.end = 1UL << 47, .flags = EMBER_SCAN_FULL | EMBER_SCAN_COLD};
	struct ember_proc_id id = identify(sampler, 1);
	const struct ember_region_rec *recs;

	return ember_sampler_track(sampler, &id) == 0 &&
	       ember_sampler_scan(sampler, &id, &req, &recs) == 0 && req.nr_present > 0;
}

/* Exit status of a process with these capabilities: the reason, or 100 if it could scan. */
static int try_with(uint64_t caps)
{
	const struct ember_sampler_config config = EMBER_SAMPLER_CONFIG_DEFAULT;
	enum ember_sampler_reason reason;
	struct ember_sampler *sampler;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("FAIL: fork");
	if (pid == 0) {
		become(caps);
		if (ember_sampler_open(&config, &sampler, &reason) < 0) {
			printf("  \"%s\"\n", ember_sampler_reason_text(reason));
			exit(reason);
		}
		exit(scans_init(sampler) ? 100 : 101);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CAP(name) (1UL << (name))

int main(void)
{
	int tries;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Loads the module. */
	ember_sampler_close(start_sampler());
	printf("not root, with CAP_BPF and CAP_PERFMON\n");
	expect("loads, attaches, scans process 1", 100, try_with(CAP(CAP_BPF) | CAP(CAP_PERFMON)));
	printf("with CAP_BPF only\n");
	expect("reason", EMBER_SAMPLER_NO_CAPABILITY, try_with(CAP(CAP_BPF)));
	printf("with CAP_PERFMON only\n");
	expect("reason", EMBER_SAMPLER_NO_CAPABILITY, try_with(CAP(CAP_PERFMON)));
	printf("with none\n");
	expect("reason", EMBER_SAMPLER_NO_CAPABILITY, try_with(0));
	printf("without the module\n");
	/* Programs are freed a moment after the last descriptor is closed. */
	for (tries = 0; tries < 600 && system("rmmod ember 2>/dev/null") != 0; tries++)
		usleep(50000);
	expect("module unloaded", -1, access("/sys/module/ember", F_OK));
	expect("reason", EMBER_SAMPLER_NO_MODULE, try_with(CAP(CAP_BPF) | CAP(CAP_PERFMON)));
	if (system("modprobe ember") != 0)
		die("FAIL: the module does not load again");
	expect("and with it again", 100, try_with(CAP(CAP_BPF) | CAP(CAP_PERFMON)));
	printf(nr_failures ? "FAIL\n" : "PASS\n");
	return nr_failures ? 1 : 0;
}
