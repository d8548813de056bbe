#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the pages of a generator come to lie in a machine with more than two memories.

placement.sh near   2s-hbm: hot pages come to the HBM of the socket that uses them, and follow when the
                    process is sent to the other socket, from one HBM into the other.
placement.sh order  3t: the hot pages come to lie in HBM, and CXL holds none of the hot or warm ones.

The kernel is asked where each page lies (move_pages(2) without destinations), not ember. The generator's
layout is contiguous, so that it is known which pages are hot. That the pages come
there at all is tested, not how soon: the limits are long.
"""

import collections
import ctypes
import pathlib
import subprocess
import sys
import time

HOTSET = "/usr/lib/ember/tests/hotset"
ADDRESS = 0x100000000000
PAGE_BYTES, MIB = 4096, 1 << 20
WANT = 0.95
LIMIT_S = 100

numa = ctypes.CDLL("libnuma.so.1", use_errno=True)


def nodes_of(pid, offset, size):
    """Number of pages on each node, of those in [ADDRESS + offset, + size)."""
    nr = size // PAGE_BYTES
    pages = (ctypes.c_void_p * nr)(*range(ADDRESS + offset, ADDRESS + offset + size, PAGE_BYTES))
    status = (ctypes.c_int * nr)()
    if numa.numa_move_pages(pid, ctypes.c_ulong(nr), pages, None, status, 0) < 0:
        raise OSError(ctypes.get_errno(), "numa_move_pages")
    return collections.Counter(status)


def share_on(nodes, pid, offset, size):
    counts = nodes_of(pid, offset, size)
    return sum(counts[n] for n in nodes) / (size // PAGE_BYTES)


def wait_for(what, look):
    """Until look() says that it is so. It says how far it has come, which is printed on failure."""
    start = time.monotonic()
    while True:
        done, seen = look()
        took = time.monotonic() - start
        if done or took > LIMIT_S:
            print(f"{'ok  ' if done else 'FAIL'} {what} after {took:.0f} s: {seen}", flush=True)
            return done
        time.sleep(1)


def cpu_of_node(node):
    text = pathlib.Path(f"/sys/devices/system/node/node{node}/cpulist").read_text(encoding="ascii")
    return text.strip()


def generator(*words):
    process = subprocess.Popen([*words[:words.index("--")], HOTSET, "--mark", "none", "--layout", "contiguous", *words[words.index("--") + 1:]],
                               stdout=subprocess.PIPE, text=True)
    print(process.stdout.readline().strip(), flush=True)
    return process


def on_node(pid, node, size):
    share = share_on([node], pid, 0, size)
    return share >= WANT, f"{100 * share:.1f} % of the hot pages on node {node}"


def near():
    hot = 48 * MIB
    process = generator("taskset", "-c", cpu_of_node(1), "--", "--size", "192MiB", "--hot", str(hot))
    try:
        # It must not have begun there: the kernel fills the socket's own DDR first.
        if share_on([1], process.pid, 0, hot) < 0.5:
            print(f"FAIL the pages lie on {dict(nodes_of(process.pid, 0, hot))} before ember was started")
            return False
        subprocess.run(["systemctl", "start", "emberd"], check=True)
        if not wait_for("to the near HBM", lambda: on_node(process.pid, 3, hot)):
            return False
        subprocess.run(["taskset", "-a", "-p", "-c", cpu_of_node(0), str(process.pid)], check=True, stdout=subprocess.DEVNULL)
        return wait_for("after the process to the other HBM", lambda: on_node(process.pid, 2, hot))
    finally:
        process.kill()


def order():
    size, hot, warm = 512 * MIB, 48 * MIB, 96 * MIB
    first = size - hot - warm  # what is touched last lies last in the order in which the kernel fills nodes
    process = generator("--", "--size", str(size), "--hot", str(hot), "--hot-offset", str(first), "--hot-share", "0.8",
                        "--warm", str(warm), "--warm-share", "0.17", "--threads", "2")

    def look():
        in_hbm = share_on([1], process.pid, first, hot)
        in_cxl = nodes_of(process.pid, first, hot + warm)[2]
        of_cxl = nodes_of(process.pid, 0, size)[2]
        done = in_hbm >= WANT and in_cxl <= (1 - WANT) * of_cxl
        return done, f"{100 * in_hbm:.1f} % of the hot pages in HBM, {in_cxl} of {of_cxl} pages in CXL hot or warm"

    try:
        done, seen = look()
        print(f"before: {seen}", flush=True)
        if done:
            print("FAIL the pages lay right before ember was started")
            return False
        subprocess.run(["systemctl", "start", "emberd"], check=True)
        return wait_for("in order", look) and nodes_of(process.pid, 0, size)[2] > 0
    finally:
        process.kill()


def main():
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    pathlib.Path("/proc/sys/kernel/numa_balancing").write_text("0", encoding="ascii")
    ok = {"near": near, "order": order}[sys.argv[1]]()
    if not ok:
        subprocess.run(["emberctl", "status"], check=False)
    subprocess.run(["systemctl", "stop", "emberd"], check=False)
    return 0 if ok else 1


sys.exit(main())
