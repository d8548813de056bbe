#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A fast node without CPUs is kept for ember alone, as docs/restricted-node.md says it is done.

Without the recipe other programs get memory there when theirs is full, with it they do not; emberd brings hot
pages of a followed process there all the same, by the module, where move_pages(2) is refused; not those of one
that is bound elsewhere. emberctl check-node tells the one state from the other, and names what is put there by hand.
"""

import contextlib
import ctypes
import errno
import json
import pathlib
import re
import subprocess
import sys

import emberd
from emberd import MIB, PAGE_BYTES

SLOW, FAST = 0, 1  # the hbm-plug topology: node 0 has the CPUs
NODES = pathlib.Path("/sys/devices/system/node")
UNITS = ("system.slice", "user.slice", "machine.slice", "init.scope")
SIZE, HOT, BOUND = 120 * MIB, 64 * MIB, 40 * MIB
BY_HAND = 8 * MIB
RULES = {"global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "hotset"}}]}

# Touches so much memory, reads a file into the page cache twice, and waits.
FILLER = """
import mmap, sys
area = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[::4096] = bytes(len(area) // 4096)
for _ in range(2):
    with open(sys.argv[2], "rb") as file:
        while file.read(1 << 20):
            pass
print("settled", flush=True)
sys.stdin.read()
"""

# Leaves its cpuset for the root control group, and takes memory of the restricted node.
INTRUDER = """
import ctypes, mmap, sys
open("/sys/fs/cgroup/cgroup.procs", "w").write("0")
numa = ctypes.CDLL("libnuma.so.1", use_errno=True)
if numa.set_mempolicy(2, ctypes.byref(ctypes.c_ulong(1 << int(sys.argv[2]))), ctypes.c_ulong(64)):
    sys.exit(f"set_mempolicy: errno {ctypes.get_errno()}")
area = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[::4096] = bytes(len(area) // 4096)
print("settled", flush=True)
sys.stdin.read()
"""


def check():
    """What emberctl says of the node, and its exit status."""
    done = subprocess.run(["emberctl", "check-node", "--json", str(FAST)], capture_output=True, text=True,
                          check=False)
    return done.returncode, json.loads(done.stdout or '{"checks": [], "leaks": []}')


def failing(report):
    return sorted(c["check"] for c in report["checks"] if not c.get("holds", True))


def expect_check(what, status, fails, leaks=()):
    """Its exit status, the checks that fail, the leaks; returns the report."""
    got, report = check()
    seen = [leak["leak"] for leak in report["leaks"]]
    if not emberd.expect(f"check-node, {what}: want {status}, {sorted(fails)}, leaks {sorted(leaks)}; saw {got}, "
                         f"{failing(report)}, {sorted(seen)}",
                         (got, failing(report), sorted(seen)) == (status, sorted(fails), sorted(leaks))):
        print(json.dumps(report, indent=1))
    return report


def meminfo(node, name):
    found = re.search(rf"{name}: +(\d+) kB", (NODES / f"node{node}/meminfo").read_text(encoding="ascii"))
    return int(found.group(1)) * 1024


def used(node):
    return meminfo(node, "MemTotal") - meminfo(node, "MemFree")


def scanned():
    """Pages that reclaim has looked at."""
    return sum(int(line.split()[1]) for line in pathlib.Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
               if line.startswith(("pgscan_kswapd ", "pgscan_direct ")))


def fill():
    """Use up the slow node; bytes that come to be used on the fast one, those of them that check-node names as
    leaks, and pages that reclaim has looked at."""
    file = pathlib.Path("/var/tmp/ember-filler")
    with file.open("wb") as f:
        f.truncate(160 * MIB)
    before, looked_at = used(FAST), scanned()
    size = (meminfo(SLOW, "MemFree") - 48 * MIB) // PAGE_BYTES * PAGE_BYTES
    with emberd.child([sys.executable, "-c", FILLER, str(size), str(file)], "settled", stdin=subprocess.PIPE):
        leaked, looked_at = used(FAST) - before, scanned() - looked_at
        named = sum(leak["bytes"] for leak in check()[1]["leaks"])
    file.unlink()
    return leaked, named, looked_at


def blocks():
    return [block / "state" for block in sorted((NODES / f"node{FAST}").glob("memory[0-9]*"))]


def empty():
    """To go offline a block must be empty: the kernel moves out what was there before the cpusets were set."""
    states = blocks()
    for state in states:
        state.write_text("offline", encoding="ascii")
    for state in states:
        state.write_text("online_movable", encoding="ascii")


def block_in_another_zone():
    """The last step: the kernel finds something to put there at once, and the block cannot go offline again."""
    block = blocks()[-1]
    block.write_text("offline", encoding="ascii")
    block.write_text("online_kernel", encoding="ascii")
    status, report = check()
    emberd.expect(f"check-node, a memory block in ZONE_NORMAL: want 1 and movable, saw {status}, {failing(report)}",
                  status == 1 and "movable" in failing(report))


def before_the_recipe():
    expect_check("before anything is done", 1, ["cpusets"])
    leaked, named, looked_at = fill()
    emberd.expect(f"filling node {SLOW} without the recipe: {leaked / MIB:.1f} MiB come to node {FAST} "
                  f"({looked_at} pages scanned)", leaked > 16 * MIB)
    emberd.expect(f"check-node names leaks of {named / MIB:.1f} MiB meanwhile", named >= leaked / 2)


def follow_the_recipe():
    for unit in UNITS:
        subprocess.run(["systemctl", "set-property", unit, f"AllowedMemoryNodes={SLOW}"], check=True)
    empty()
    status, report = check()
    emberd.expect(f"check-node without emberd: want 3 and nothing wrong, saw {status}, {failing(report)}",
                  status == 3 and not failing(report) and not report["leaks"])
    emberd.start(**RULES)
    expect_check("before the policy says so", 1, ["policy"])
    emberd.set_policy(restricted_nodes=[FAST], **RULES)
    emberd.reload()
    emberd.status_now()
    expect_check("when all is done", 0, [])


def nothing_leaks():
    leaked, named, looked_at = fill()
    emberd.expect(f"filling node {SLOW} with the recipe: want 0 MiB on node {FAST} and reclaim at work, saw "
                  f"{leaked / MIB:.1f} MiB, named {named}, {looked_at} pages scanned",
                  leaked <= 0 < looked_at and not named)
    expect_check("after that", 0, [])


def bound_hotset():
    return emberd.hotset_under(emberd.MPOL_BIND, SLOW, "--size", BOUND, "--hot", BOUND // 2)


def move_by_hand(pid, address):
    """The error of move_pages(2) for one page to the restricted node."""
    page, node, status = ctypes.c_void_p(address), ctypes.c_int(FAST), ctypes.c_int(0)
    done = emberd.numa.numa_move_pages(pid, ctypes.c_ulong(1), ctypes.byref(page), ctypes.byref(node),
                                       ctypes.byref(status), 2)
    return ctypes.get_errno() if done < 0 else 0


def ember_places():
    options = ["--size", SIZE, "--hot", HOT, "--hot-offset", SIZE - HOT, "--layout", "contiguous"]
    with emberd.hotset(*options) as program, bound_hotset() as bound:
        first = emberd.HOTSET_ADDRESS + SIZE - HOT

        def placed():
            share = emberd.share_on(FAST, program.pid, first, HOT)
            return share >= 0.9, f"{share:.3f} of the hot pages on node {FAST}"

        emberd.expect_soon("emberd places the hot pages of a followed process", placed, 120)
        err = move_by_hand(program.pid, emberd.HOTSET_ADDRESS)
        emberd.expect(f"move_pages(2) is refused there: want EACCES, saw {errno.errorcode.get(err, err)}",
                      err == errno.EACCES)
        emberd.status_now()
        by_module = emberd.applied_pages("promote", "module")
        by_call = sum(m["tried_pages"] for m in emberd.status()["moves"]
                      if m["direction"] == "promote" and m["mover"] != "module")
        emberd.expect(f"by the module alone: {by_module} pages, {by_call} tried by move_pages(2)",
                      by_module >= 0.9 * HOT / PAGE_BYTES and by_call == 0)
        share = emberd.share_on(SLOW, bound.pid, emberd.HOTSET_ADDRESS, BOUND)
        emberd.expect(f"what is bound to node {SLOW} is there: {share:.3f}", share == 1)
        report = expect_check("with ember's pages on it", 0, [])
        emberd.expect(f"of followed processes: {report['followed_bytes'] / MIB:.1f} MiB",
                      report["followed_bytes"] >= 0.9 * HOT)
        intrude()


def intrude():
    with emberd.child([sys.executable, "-c", INTRUDER, str(BY_HAND), str(FAST)], "settled",
                      stdin=subprocess.PIPE) as intruder:
        report = expect_check("with a program put there by hand", 1, ["root-cgroup"], ["process"])
        leak = (report["leaks"] or [{}])[0]
        emberd.expect(f"named: {leak}", leak.get("pid") == intruder.pid and leak.get("bytes", 0) >= BY_HAND)
        subprocess.run(["emberctl", "check-node", str(FAST)], check=False)
    expect_check("when it has gone", 0, [])


@contextlib.contextmanager
def without_the_default_policy():
    """It follows every large program: what fills the memory here would be ember's own leak."""
    mask = emberd.POLICY.with_name("50-default.json")
    mask.symlink_to("/dev/null")
    try:
        yield
    finally:
        mask.unlink()


def main():
    with emberd.service(hint_faults=False), without_the_default_policy():
        before_the_recipe()
        follow_the_recipe()
        nothing_leaks()
        ember_places()
        block_in_another_zone()
    return emberd.exit_status()


sys.exit(main())
