#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""emberd leaves a process on an isolated CPU alone, whoever would move its pages, unless the policy says else.

Boot with isolcpus=1. Of two equal programs that begin on the slow node, the one on CPU 0 is promoted, and the one on
CPU 1 stays and is counted; with "isolated_cpus": "interrupt" it is promoted, too. Once with base pages, which the
module could refuse, and once with huge ones, which are for move_pages(2), and that asks nobody. One at a time: of
two programs on CPU 1 one waits, and moving its pages interrupts nobody.
"""

import pathlib
import sys

import emberd

FAST, SLOW = 0, 1
SIZE = 96 * emberd.MIB
ISOLATED_CPU = "1"


def policy(isolated_cpus):
    return {"global": {"numa_balancing": "off", "isolated_cpus": isolated_cpus},
            "rules": [{"match": {"comm": "hotset"}}]}


def share_on(node, program):
    return emberd.share_on(node, program.pid, emberd.HOTSET_ADDRESS, SIZE)


def expect_promoted(what, program):
    def look():
        share = share_on(FAST, program)
        return share > 0.4, f"{share:.2f}"

    emberd.expect_soon(what, look, 90)


def expect_all_counted(program):
    """In one plan that was made of it, so none of its pages was up for anything else."""
    def look():
        why_not = emberd.why_not()
        return why_not.get("isolated", 0) >= SIZE // emberd.PAGE_BYTES, why_not

    emberd.expect_soon(f"all pages of process {program.pid} are counted as isolated", look)


def hotset(pages, cpu):
    return emberd.hotset_under(emberd.MPOL_PREFERRED, SLOW, "--size", SIZE, "--hot", SIZE // 2, "--pages", pages,
                               "--layout", "blocks", cpus=cpu)


def check(pages):
    """Both programs with this kind of pages."""
    with hotset(pages, ISOLATED_CPU) as isolated, hotset(pages, "0") as free:
        before = [share_on(SLOW, p) for p in (isolated, free)]
        emberd.expect(f"{pages} pages: both begin on the slow node: {before}", before == [1, 1])
        emberd.start(**policy("leave"))
        expect_promoted(f"{pages} pages: the program on CPU 0 has its hot half in fast memory now", free)
        expect_all_counted(isolated)
        share = share_on(SLOW, isolated)
        emberd.expect(f"{pages} pages: all of the program on CPU {ISOLATED_CPU} is where it was: {share:.3f}", share == 1)
        emberd.set_policy(**policy("interrupt"))
        emberd.reload()
        expect_promoted(f"{pages} pages: the one on CPU {ISOLATED_CPU} comes, too, when the policy says so", isolated)
        emberd.stop()


def main():
    isolated = pathlib.Path("/sys/devices/system/cpu/isolated").read_text(encoding="ascii").strip()
    emberd.expect(f"isolated CPUs: {isolated}", isolated == ISOLATED_CPU)
    with emberd.service():
        check("base")
        check("huge")
    return emberd.exit_status()


sys.exit(main())
