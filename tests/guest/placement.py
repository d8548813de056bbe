#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the pages of a generator come to lie in a machine with more than two memories.

placement.py near   2s-hbm: hot pages come to the HBM of the socket that uses them, and follow when the
                    process is sent to the other socket, from one HBM into the other.
placement.py order  3t: the hot pages come to lie in HBM, and CXL holds none of the hot or warm ones.

The kernel is asked where each page lies, not ember. The generator's layout is contiguous, so that it is known
which pages are hot. That the pages come there at all is tested, not how soon: the limits are long.
"""

import pathlib
import subprocess
import sys

import emberd
from emberd import HOTSET_ADDRESS, MIB

WANT = 0.95
LIMIT_S = 100


def cpus_of_node(node):
    return pathlib.Path(f"/sys/devices/system/node/node{node}/cpulist").read_text(encoding="ascii").strip()


def expect_on_node(what, node, pid, size):
    def look():
        share = emberd.share_on(node, pid, HOTSET_ADDRESS, size)
        return share >= WANT, f"{100 * share:.1f} % of the hot pages on node {node}"

    return emberd.expect_soon(what, look, LIMIT_S)


def near():
    hot = 48 * MIB
    with emberd.hotset("--layout", "contiguous", "--size", 192 * MIB, "--hot", hot, cpus=cpus_of_node(1)) as process:
        # It must not have begun there: the kernel fills the socket's own DDR first.
        before = emberd.where_pages_are(process.pid, HOTSET_ADDRESS, hot)
        if not emberd.expect(f"before ember was started most pages lie on node 1: {dict(before)}",
                             before[1] * emberd.PAGE_BYTES >= hot / 2):
            return
        emberd.start()
        if not expect_on_node("to the near HBM", 3, process.pid, hot):
            return
        subprocess.run(["taskset", "-a", "-p", "-c", cpus_of_node(0), str(process.pid)], check=True,
                       stdout=subprocess.DEVNULL)
        expect_on_node("after the process to the other HBM", 2, process.pid, hot)


def order():
    size, hot, warm = 512 * MIB, 48 * MIB, 96 * MIB
    offset = size - hot - warm  # what is touched last lies last in the order in which the kernel fills nodes
    first = HOTSET_ADDRESS + offset

    def look():
        in_hbm = emberd.share_on(1, process.pid, first, hot)
        in_cxl = emberd.where_pages_are(process.pid, first, hot + warm)[2]
        of_cxl = emberd.where_pages_are(process.pid, HOTSET_ADDRESS, size)[2]
        done = in_hbm >= WANT and of_cxl > 0 and in_cxl <= (1 - WANT) * of_cxl
        return done, f"{100 * in_hbm:.1f} % of the hot pages in HBM, {in_cxl} of {of_cxl} pages in CXL hot or warm"

    with emberd.hotset("--layout", "contiguous", "--size", size, "--hot", hot, "--hot-offset", offset, "--hot-share",
                       "0.8", "--warm", warm, "--warm-share", "0.17", "--threads", 2) as process:
        done, seen = look()
        if not emberd.expect(f"before ember was started they lie wrong: {seen}", not done):
            return
        emberd.start()
        emberd.expect_soon("in order", look, LIMIT_S)


def main():
    with emberd.service(hint_faults=False):
        {"near": near, "order": order}[sys.argv[1]]()
    return emberd.exit_status()


sys.exit(main())
