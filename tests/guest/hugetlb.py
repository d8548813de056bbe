#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hugetlb pages stay where they are, and the plan says so by a reason of its own.

A program keeps touching hugetlb pages that lie in slow memory, and base pages that lie there, too: emberd brings the
base pages up and leaves the others, whose number it tells.
"""

import pathlib
import subprocess
import sys

import emberd
from emberd import MIB, expect, expect_soon

FAST, SLOW = 0, 1
NR_HUGE = 4
HUGE, BASE = NR_HUGE * 2 * MIB, 32 * MIB
POOL = pathlib.Path(f"/sys/devices/system/node/node{SLOW}/hugepages/hugepages-2048kB/nr_hugepages")

# The addresses of both areas, then touches for ever.
PROGRAM = f"""
import ctypes, itertools, mmap, pathlib
HUGETLB, NOHUGEPAGE = 0x40000, 15
private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
areas = [mmap.mmap(-1, {HUGE}, flags=private | HUGETLB), mmap.mmap(-1, {BASE}, flags=private)]
areas[1].madvise(NOHUGEPAGE)
def touch():
    for area in areas:
        for at in range(0, len(area), 4096):
            area[at] = 1
touch()
pathlib.Path("/proc/self/comm").write_text("has_hugetlb")
print(*(ctypes.addressof(ctypes.c_char.from_buffer(area)) for area in areas), flush=True)
while True:
    touch()
"""


def told():
    why_not = emberd.why_not()
    return why_not.get("hugetlb", 0) == HUGE // emberd.PAGE_BYTES, why_not


def main():
    POOL.write_text(str(NR_HUGE), encoding="ascii")
    with emberd.service():
        with emberd.memory_policy(emberd.MPOL_PREFERRED, SLOW):
            program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
        try:
            huge, base = map(int, program.stdout.readline().split())

            def base_is_fast():
                share = emberd.share_on(FAST, program.pid, base, BASE)
                return share > 0.9, f"{share:.2f}"

            expect("all hugetlb pages begin in slow memory", emberd.share_on(SLOW, program.pid, huge, HUGE) == 1)
            expect("all base pages, too", emberd.share_on(SLOW, program.pid, base, BASE) == 1)
            emberd.start(**{"global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "has_hugetlb"}}]})
            expect_soon("the base pages come to fast memory", base_is_fast)
            expect_soon(f"{HUGE // emberd.PAGE_BYTES} pages of hugetlb are told as left", told)
            expect("all hugetlb pages are where they were", emberd.share_on(SLOW, program.pid, huge, HUGE) == 1)
        finally:
            program.kill()
            program.wait()
            POOL.write_text("0", encoding="ascii")
    return emberd.exit_status()


sys.exit(main())
