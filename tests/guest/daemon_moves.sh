#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way through the service: hot pages that lie in slow memory are in fast memory a minute later.

The generator populates its area from the start, so that fast memory fills first; its hot set lies at the end,
in slow memory. Where pages lie is asked of the kernel (move_pages(2) without nodes), not of ember; that ember
moved them and nobody else is asked of its books.
"""

import ctypes
import json
import pathlib
import subprocess
import sys
import time

MIB = 1 << 20
ADDRESS, SIZE, HOT = 0x100000000000, 1400 * MIB, 200 * MIB
PAGE = 4096
WANTED_SHARE = 0.9
WITHIN_S = 90
BOOKS_S = 6  # the figures of emberctl status are up to 4 s old

libc = ctypes.CDLL(None, use_errno=True)


def share_on_node(pid, start, length, node):
    """Part of the present pages that lies on the node."""
    addresses = range(start, start + length, PAGE)
    pages = (ctypes.c_void_p * len(addresses))(*addresses)
    where = (ctypes.c_int * len(addresses))()
    if libc.syscall(279, pid, ctypes.c_ulong(len(addresses)), pages, None, where, 0) < 0:
        raise OSError(ctypes.get_errno(), "move_pages")
    present = [n for n in where if n >= 0]
    return sum(n == node for n in present) / max(len(present), 1)


def moves(direction):
    done = subprocess.run(["emberctl", "status", "--json"], capture_output=True, text=True, check=True)
    return sum(m["applied_pages"] for m in json.loads(done.stdout)["moves"] if m["direction"] == direction)


def main():
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    # No hint faults: attaching a program patches code of the page fault path, and an emulated CPU that runs through
    # it at that moment may trip over the half-written instruction ("Oops: int3"), which real ones do not.
    pathlib.Path("/proc/sys/kernel/numa_balancing").write_text("0")
    hot_at = SIZE - HOT
    generator = subprocess.Popen(
        ["/usr/lib/ember/tests/hotset", "--size", str(SIZE), "--hot", str(HOT), "--hot-offset", str(hot_at),
         "--layout", "contiguous", "--duration", "0", "--mark", "none"], stdout=subprocess.PIPE, text=True)
    try:
        assert generator.stdout.readline().startswith("READY")
        before = share_on_node(generator.pid, ADDRESS + hot_at, HOT, 0)
        print(f"before: {before:.3f} of the hot pages in fast memory")
        subprocess.run(["systemctl", "start", "emberd"], check=True)
        start, after = time.monotonic(), before
        while time.monotonic() - start < WITHIN_S and after < WANTED_SHARE:
            time.sleep(2)
            after = share_on_node(generator.pid, ADDRESS + hot_at, HOT, 0)
        time.sleep(BOOKS_S)
        promoted, demoted = moves("promote"), moves("demote")
        print(f"after {time.monotonic() - start:.0f} s: {after:.3f}; ember promoted {promoted} pages, demoted {demoted}")
    finally:
        generator.kill()
        generator.wait()
        subprocess.run(["systemctl", "stop", "emberd"], check=False)
    if before > 0.1:
        print("the hot set was in fast memory already: nothing is shown")
        return 1
    if after < WANTED_SHARE or promoted < HOT // PAGE * WANTED_SHARE or not demoted:
        print(f"expected: {WANTED_SHARE} of the hot pages in fast memory within {WITHIN_S} s, by ember, for demoted ones")
        return 1
    return 0


sys.exit(main())
