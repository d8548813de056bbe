/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The identity of the calling process as the module wants it. /proc shows the start
 * time in clock ticks and self_exec_id not at all, so a BPF program reads both from
 * the task; it is assembled here from BTF offsets, so that tests need no skeleton.
 */
#include "ember_nl.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <unistd.h>

#include "expect.h"

static int field_offset(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, "task_struct", BTF_KIND_STRUCT);
	const struct btf_type *type;
	const struct btf_member *member;

	if (id < 0)
		return id;
	type = btf__type_by_id(btf, id);
	member = btf_members(type);
	for (int i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(btf, member[i].name_off), name))
			return (int)(btf_member_bit_offset(type, i) / 8);
	return -ENOENT;
}

/* return *(u32 *)((char *)current->group_leader + offset) */
static int load_reader(int leader_offset, int offset)
{
	/* BPF_K, BPF_W and BPF_IMM are 0. NOLINTBEGIN(misc-redundant-expression) */
	const struct bpf_insn insns[] = {
	    {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_task},
	    /* *(u64 *)(fp - 8) = current->group_leader */
	    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 0},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = leader_offset},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 8},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 10},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = -8},
	    {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
	    /* *(u64 *)(fp - 8) = the field */
	    {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 3, .src_reg = 10, .off = -8},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = offset},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 4},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 10},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = -8},
	    {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
	    {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 0, .src_reg = 10, .off = -8},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	/* NOLINTEND(misc-redundant-expression) */

	return bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "ember_identity", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), NULL);
}

static int read_u32(int leader_offset, int offset, uint32_t *ret_value)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int fd, err;

	fd = load_reader(leader_offset, offset);
	if (fd < 0)
		return fd;
	err = bpf_prog_test_run_opts(fd, &opts);
	close(fd);
	if (!err)
		*ret_value = opts.retval;
	return err;
}

/* Looked up once: it takes long, and a child that is forked later knows them already. */
static int leader, start, exec_id;

static int find_fields(void)
{
	struct btf *btf;

	if (leader)
		return 0;
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return -errno;
	leader = field_offset(btf, "group_leader");
	start = field_offset(btf, "start_boottime");
	exec_id = field_offset(btf, "self_exec_id");
	btf__free(btf);
	if (leader > 0 && start > 0 && exec_id > 0)
		return 0;
	leader = 0;
	return -ENOENT;
}

int ember_nl_self(struct ember_identity *ret_identity)
{
	uint32_t low, high, exec;
	int err = find_fields();

	if (err)
		return err;
	err = read_u32(leader, start, &low);
	if (!err)
		err = read_u32(leader, start + 4, &high);
	if (!err)
		err = read_u32(leader, exec_id, &exec);
	if (err)
		return err;
	ret_identity->tgid = (uint32_t)getpid();
	ret_identity->start_ns = (uint64_t)high << 32 | low;
	ret_identity->exec_id = exec;
	return 0;
}

void ember_nl_begin(struct ember_nl *nl, struct ember_identity *ret_self)
{
	int err = ember_nl_start(nl);

	if (err)
		fail("family ember: %s", strerror(-err));
	err = ret_self ? ember_nl_self(ret_self) : 0;
	if (err)
		fail("own identity: %s", strerror(-err));
}
