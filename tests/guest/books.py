#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Honest books of the service: what emberd says it moved, the kernel has counted, page by page.

A load in a memory cgroup begins in slow memory; emberd brings its hot half up. The pages in its books must be the growth
of pgmigrate_success, and what memory.numa_stat of the cgroup says has changed nodes. Nobody else migrates here: NUMA
balancing is off, and the policy names this load only.
"""

import os
import pathlib
import sys
import time

import emberd

FAST, SLOW = 0, 1
SIZE = 48 * emberd.MIB
MAX_GROWN_PAGES = 8  # a load that has begun touches a page of its stack or heap for the first time, on either node
SETTLE_S = 5  # memory.numa_stat is brought up to date every 2 s
CGROUP = pathlib.Path("/sys/fs/cgroup/ember-books")


def enter():
    (CGROUP / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    emberd.set_memory_policy(emberd.MPOL_PREFERRED, 1 << SLOW)


def load():
    (CGROUP.parent / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
    CGROUP.mkdir(exist_ok=True)
    command = [str(emberd.TESTS / "hotset"), "--mark", "none", "--size", str(SIZE), "--hot", str(SIZE // 2)]
    return emberd.child(command, "READY", preexec_fn=enter)


def vmstat(name):
    lines = pathlib.Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.split()[0] == name))


def anon_pages(node):
    """Of the cgroup on the node; up to date within 2 s."""
    lines = (CGROUP / "memory.numa_stat").read_text(encoding="ascii").splitlines()
    fields = next(line.split()[1:] for line in lines if line.split()[0] == "anon")
    return int(next(f.split("=")[1] for f in fields if f.startswith(f"N{node}="))) // emberd.PAGE_BYTES


def books(said):
    """Pages promoted, demoted; asked, and refused by any reason."""
    moves = said.get("moves", [])
    applied = {d: sum(m["applied_pages"] for m in moves if m["direction"] == d) for d in ("promote", "demote")}
    tried = sum(m["tried_pages"] for m in moves)
    refused = sum(r["pages"] for m in moves for r in m["refused"])
    return applied["promote"], applied["demote"], tried, refused


def agree(before, anon_before):
    """Twice the same books with the kernel's between them: nothing was under way."""
    first = books(emberd.status_now())
    success, anon = vmstat("pgmigrate_success"), [anon_pages(n) for n in (FAST, SLOW)]
    promoted, demoted, tried, refused = last = books(emberd.status_now())
    gained = [anon[n] - anon_before[n] for n in (FAST, SLOW)]
    seen = (f"promoted {promoted}, demoted {demoted}, tried {tried}, refused {refused}; pgmigrate_success "
            f"{success - before:+}; memory.numa_stat {gained[FAST]:+} fast, {gained[SLOW]:+} slow")
    net, grown = promoted - demoted, sum(gained)
    return (first == last and promoted > SIZE // 4 // emberd.PAGE_BYTES and tried == promoted + demoted + refused
            and success - before == promoted + demoted
            and 0 <= gained[FAST] - net <= grown <= MAX_GROWN_PAGES), seen


def main():
    with emberd.service(hint_faults=False), load() as process:
        time.sleep(SETTLE_S)
        before, anon_before = vmstat("pgmigrate_success"), [anon_pages(n) for n in (FAST, SLOW)]
        emberd.expect(f"at first all of it is in slow memory: {anon_before[SLOW]} of {sum(anon_before)} pages",
                      anon_before[SLOW] > SIZE // emberd.PAGE_BYTES * 0.9)
        emberd.start(**{"global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "hotset"}}]})
        emberd.expect_soon("three books agree", lambda: agree(before, anon_before), 120)
        emberd.expect("the process is still there", process.poll() is None)
    CGROUP.rmdir()
    return emberd.exit_status()


sys.exit(main())
