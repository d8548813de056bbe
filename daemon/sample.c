// SPDX-License-Identifier: GPL-2.0-or-later
#include "sample.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/*
 * The light skeleton: its loader runs in the kernel and finds the module's kfunc there,
 * where libbpf would need CAP_SYS_ADMIN (docs/sampling.md). Generated, so not held to
 * our warnings.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "ember.skel.h"
#pragma GCC diagnostic pop

#include "util/cleanup.h"

#define NR_PROGS 6

struct ember_sampler {
	struct ember *skel;
	struct ring_buffer *ring;
	const struct ember_region_rec *recs;
	size_t recs_bytes;
	int nr_possible_cpus;
	int stats_fd; /* keeps the kernel counting run times; -1 if not permitted */

	/* During ember_sampler_consume() only. */
	ember_event_handler handler;
	void *userdata;
};

static const char *const reason_texts[] = {
    [EMBER_SAMPLER_OK] = "sampling",
    [EMBER_SAMPLER_NO_BTF] = "the kernel has no BTF (/sys/kernel/btf/vmlinux); use one built with "
			     "CONFIG_DEBUG_INFO_BTF",
    [EMBER_SAMPLER_NO_MODULE] = "the module ember is not loaded; run: modprobe ember",
    [EMBER_SAMPLER_OTHER_MODULE] =
	"the loaded module ember is of another version; install the one of this daemon and "
	"load it again",
    [EMBER_SAMPLER_NO_CAPABILITY] =
	"not permitted to load BPF programs; the daemon needs CAP_BPF and CAP_PERFMON",
    [EMBER_SAMPLER_NO_MEMORY] = "not enough memory for the sampling buffers",
    [EMBER_SAMPLER_REFUSED] = "the kernel refused the BPF programs; it may be older than 6.12",
};

const char *ember_sampler_reason_text(enum ember_sampler_reason reason)
{
	if ((size_t)reason >= sizeof(reason_texts) / sizeof(reason_texts[0]))
		return NULL;
	return reason_texts[reason];
}

static const struct {
	const char *name;
	const char *sentence;
} stat_texts[] = {
#define EMBER_STAT(name, sentence) {#name, sentence},
#include "ember/stats.def"
#undef EMBER_STAT
};

const char *ember_stat_name(enum ember_stat stat)
{
	return stat < EMBER_NR_STATS ? stat_texts[stat].name : NULL;
}

const char *ember_stat_sentence(enum ember_stat stat)
{
	return stat < EMBER_NR_STATS ? stat_texts[stat].sentence : NULL;
}

/* Asked only after a failure: depending on what is missing, the error need not be EPERM. */
static bool is_capable(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	uint64_t wanted = 1ULL << CAP_BPF | 1ULL << CAP_PERFMON;
	uint64_t caps;

	if (syscall(SYS_capget, &header, data) < 0)
		return true;
	caps = (uint64_t)data[1].effective << 32 | data[0].effective;
	return (caps & wanted) == wanted;
}

/* -ENOENT from the loader means a name that it did not find: BTF or the kfunc. */
static enum ember_sampler_reason load_reason(int error)
{
	if (error == -EPERM || error == -EACCES || !is_capable())
		return EMBER_SAMPLER_NO_CAPABILITY;
	if (error == -ENOMEM || error == -E2BIG)
		return EMBER_SAMPLER_NO_MEMORY;
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return EMBER_SAMPLER_NO_BTF;
	if (access("/sys/module/ember", F_OK) < 0)
		return EMBER_SAMPLER_NO_MODULE;
	if (error == -ENOENT || error == -ESRCH)
		return EMBER_SAMPLER_OTHER_MODULE;
	return EMBER_SAMPLER_REFUSED;
}

static int load(struct ember_sampler *sampler, const struct ember_sampler_config *config)
{
	struct ember *skel = sampler->skel = ember__open();

	if (!skel)
		return -ENOMEM;
	skel->rodata->fault_period = config->fault_period;
	skel->rodata->grow_samples = config->grow_samples;
	skel->rodata->all_processes = config->all_processes;
	skel->maps.tracked.max_entries = config->max_tracked;
	skel->maps.events.max_entries = config->ring_bytes;
	return ember__load(skel);
}

static int handle_event(void *context, void *data, size_t size)
{
	struct ember_sampler *sampler = context;

	if (size < sizeof(struct ember_event))
		return 0;
	return sampler->handler(data, sampler->userdata);
}

static int map_buffers(struct ember_sampler *sampler)
{
	struct bpf_map_info info = {};
	__u32 info_bytes = sizeof(info);
	int fd = sampler->skel->maps.scan_buffer.map_fd;
	void *recs;

	if (bpf_map_get_info_by_fd(fd, &info, &info_bytes) < 0)
		return -errno;
	recs = mmap(NULL, info.value_size, PROT_READ, MAP_SHARED, fd, 0);
	if (recs == MAP_FAILED)
		return -errno;
	sampler->recs = recs;
	sampler->recs_bytes = info.value_size;
	sampler->ring =
	    ring_buffer__new(sampler->skel->maps.events.map_fd, handle_event, sampler, NULL);
	return sampler->ring ? 0 : -errno;
}

/* Not ember__attach(): without fault sampling a fault shall cost nothing at all. */
static int attach(struct ember *skel, uint32_t fault_period)
{
	int r;

	r = ember__ember_fork__attach(skel);
	if (r < 0)
		return r;
	r = ember__ember_exec__attach(skel);
	if (r < 0)
		return r;
	r = ember__ember_exit__attach(skel);
	if (r < 0)
		return r;
	return fault_period ? ember__ember_fault__attach(skel) : 0;
}

/* Looks at this process without clearing anything, to see what the module writes. */
static int check_version(struct ember_sampler *sampler)
{
	struct ember_scan_req req = {.end = 1ULL << 47, .flags = EMBER_SCAN_COLD};
	const struct ember_region_rec *recs;
	struct ember_proc_id self;
	int r;

	r = ember_sampler_identify(sampler, getpid(), &self);
	if (r < 0)
		return r;
	r = ember_sampler_scan(sampler, &self, &req, &recs);
	if (r < 0)
		return r;
	return req.nr_recs > 0 && recs[0].version == EMBER_SAMPLE_VERSION ? 0 : -EPROTO;
}

static int bring_up(struct ember_sampler *sampler, const struct ember_sampler_config *config,
		    enum ember_sampler_reason *reason)
{
	int r;

	r = load(sampler, config);
	if (r < 0) {
		*reason = load_reason(r);
		return r;
	}
	*reason = EMBER_SAMPLER_NO_MEMORY;
	r = map_buffers(sampler);
	if (r < 0)
		return r;
	*reason = EMBER_SAMPLER_OTHER_MODULE;
	r = check_version(sampler);
	if (r < 0)
		return r;
	*reason = EMBER_SAMPLER_REFUSED;
	r = attach(sampler->skel, config->fault_period);
	if (r < 0)
		return r;
	*reason = EMBER_SAMPLER_OK;
	return 0;
}

int ember_sampler_open(const struct ember_sampler_config *config, struct ember_sampler **ret,
		       enum ember_sampler_reason *ret_reason)
{
	_cleanup_(ember_sampler_closep) struct ember_sampler *sampler = NULL;
	enum ember_sampler_reason reason = EMBER_SAMPLER_NO_MEMORY;
	int r = -ENOMEM;

	sampler = calloc(1, sizeof(*sampler));
	if (sampler) {
		sampler->nr_possible_cpus = libbpf_num_possible_cpus();
		sampler->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		r = bring_up(sampler, config, &reason);
	}
	if (ret_reason)
		*ret_reason = reason;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(sampler);
	return 0;
}

struct ember_sampler *ember_sampler_close(struct ember_sampler *sampler)
{
	if (!sampler)
		return NULL;
	ring_buffer__free(sampler->ring);
	if (sampler->recs)
		munmap((void *)sampler->recs, sampler->recs_bytes);
	if (sampler->stats_fd >= 0)
		close(sampler->stats_fd);
	ember__destroy(sampler->skel);
	free(sampler);
	return NULL;
}

/* Runs a SEC("syscall") program; its return value is 0 or a negative errno. */
static int run(int prog_fd, struct ember_scan_ctx *context)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = sizeof(*context));
	int r = bpf_prog_test_run_opts(prog_fd, &opts);

	return r < 0 ? r : (int)opts.retval;
}

int ember_sampler_identify(struct ember_sampler *sampler, uint32_t tgid, struct ember_proc_id *ret)
{
	struct ember_scan_ctx context = {.tgid = tgid};
	int r = run(sampler->skel->progs.ember_access_identify.prog_fd, &context);

	if (r < 0)
		return r;
	*ret = (struct ember_proc_id){
	    .start_boottime_ns = context.start_boottime_ns,
	    .tgid = tgid,
	    .self_exec_id = context.self_exec_id,
	};
	return 0;
}

static int check_identity(struct ember_sampler *sampler, const struct ember_proc_id *id)
{
	struct ember_proc_id now;
	int r = ember_sampler_identify(sampler, id->tgid, &now);

	if (r < 0)
		return r;
	return ember_proc_id_equal(&now, id) ? 0 : -ESTALE;
}

int ember_sampler_track(struct ember_sampler *sampler, const struct ember_proc_id *id)
{
	struct ember_tracked value = {
	    .start_boottime_ns = id->start_boottime_ns,
	    .self_exec_id = id->self_exec_id,
	};
	int fd = sampler->skel->maps.tracked.map_fd;
	int r;

	r = bpf_map_update_elem(fd, &id->tgid, &value, BPF_ANY);
	if (r < 0)
		return r;
	/* Checked after it is in the map: an exit from here on removes it. */
	r = check_identity(sampler, id);
	if (r < 0)
		bpf_map_delete_elem(fd, &id->tgid);
	return r;
}

int ember_sampler_untrack(struct ember_sampler *sampler, const struct ember_proc_id *id)
{
	int fd = sampler->skel->maps.tracked.map_fd;
	struct ember_tracked value;

	if (bpf_map_lookup_elem(fd, &id->tgid, &value) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* The number may have been tracked again for another process. */
	if (value.start_boottime_ns != id->start_boottime_ns ||
	    value.self_exec_id != id->self_exec_id)
		return 0;
	if (bpf_map_delete_elem(fd, &id->tgid) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int ember_sampler_event_fd(const struct ember_sampler *sampler)
{
	return ring_buffer__epoll_fd(sampler->ring);
}

int ember_sampler_consume(struct ember_sampler *sampler, ember_event_handler handler,
			  void *userdata)
{
	sampler->handler = handler;
	sampler->userdata = userdata;
	return ring_buffer__consume(sampler->ring);
}

int ember_sampler_scan(struct ember_sampler *sampler, const struct ember_proc_id *id,
		       struct ember_scan_req *req, const struct ember_region_rec **ret_recs)
{
	struct ember_scan_ctx context = {
	    .req = *req,
	    .start_boottime_ns = id->start_boottime_ns,
	    .self_exec_id = id->self_exec_id,
	    .tgid = id->tgid,
	};
	int r = run(sampler->skel->progs.ember_access_scan.prog_fd, &context);

	if (r < 0)
		return r;
	*req = context.req;
	*ret_recs = sampler->recs;
	return 0;
}

static int read_counters(struct ember_sampler *sampler, uint64_t counters[static EMBER_NR_STATS])
{
	_cleanup_free_ uint64_t *values = calloc(sampler->nr_possible_cpus, sizeof(*values));
	uint32_t stat;
	int cpu;

	if (!values)
		return -ENOMEM;
	for (stat = 0; stat < EMBER_NR_STATS; stat++) {
		if (bpf_map_lookup_elem(sampler->skel->maps.stats.map_fd, &stat, values) < 0)
			return -errno;
		counters[stat] = 0;
		for (cpu = 0; cpu < sampler->nr_possible_cpus; cpu++)
			counters[stat] += values[cpu];
	}
	return 0;
}

static int add_prog(int prog_fd, struct ember_sampler_stats *stats)
{
	struct bpf_prog_info info = {};
	__u32 info_bytes = sizeof(info);

	if (bpf_prog_get_info_by_fd(prog_fd, &info, &info_bytes) < 0)
		return -errno;
	stats->run_ns += info.run_time_ns;
	stats->nr_runs += info.run_cnt;
	stats->nr_missed += info.recursion_misses;
	return 0;
}

static int read_progs(struct ember_sampler *sampler, struct ember_sampler_stats *stats)
{
	const int prog_fds[NR_PROGS] = {
	    sampler->skel->progs.ember_fault.prog_fd,
	    sampler->skel->progs.ember_fork.prog_fd,
	    sampler->skel->progs.ember_exec.prog_fd,
	    sampler->skel->progs.ember_exit.prog_fd,
	    sampler->skel->progs.ember_access_scan.prog_fd,
	    sampler->skel->progs.ember_access_identify.prog_fd,
	};
	int i, r;

	for (i = 0; i < NR_PROGS; i++) {
		r = add_prog(prog_fds[i], stats);
		if (r < 0)
			return r;
	}
	/* Opening has run the scanning program once: nothing counted means not counting. */
	stats->cost_known = stats->nr_runs > 0;
	return 0;
}

int ember_sampler_stats(struct ember_sampler *sampler, struct ember_sampler_stats *ret)
{
	struct ember_sampler_stats stats = {};
	int r;

	r = read_counters(sampler, stats.counters);
	if (r < 0)
		return r;
	r = read_progs(sampler, &stats);
	if (r < 0)
		return r;
	*ret = stats;
	return 0;
}
