#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""systemctl reload applies what the running programs and the ranks of memory depend on, too.

Fault sampling: off at the start, on after a reload, and the process that was followed before is followed still.
Tiers: the two memories change places after a reload; one tier only is refused and changes nothing.
"""

import sys

import emberd
from emberd import expect, expect_soon, wait_for

NR_TRIES = 6  # a regular scan may be at a new area first, now and then


def scans(pid, said=None):
    return emberd.followed(pid, said).get("scans", 0)


def faults_sampled(said):
    return said["cost"]["faults_sampled"]


def fast_nodes(said):
    return said["tiers"][0]["nodes"] if said.get("tiers") else None


def expect_fast_nodes(what, nodes):
    def look():
        seen = fast_nodes(emberd.status())
        return seen == nodes, seen

    expect_soon(what, look)


def found_by_fault(grower):
    address, _ = emberd.grow(grower)
    found = wait_for(lambda: emberd.areas(grower.pid, address, address + 1), 20)
    return bool(found) and found[0]["by_fault"]


def check_sampling(grower):
    expect("followed without fault sampling", wait_for(lambda: scans(grower.pid) > 3))
    before = emberd.status_now()
    emberd.grow(grower)
    now = emberd.status_now()
    expect("no fault is sampled while off", faults_sampled(now) == faults_sampled(before))
    emberd.set_policy(**{"global": {"fault_sampling": 64}})
    emberd.reload()
    expect("still followed after the reload, not anew", scans(grower.pid, emberd.status_now()) >= scans(grower.pid, now))
    expect("a new area is found by fault samples", any(found_by_fault(grower) for _ in range(NR_TRIES)))
    expect("sampled faults are counted", faults_sampled(emberd.status_now()) > faults_sampled(now))


def check_tiers():
    expect_fast_nodes("at first node 0 is fast", [0])
    emberd.set_policy(tiers=[{"nodes": [1], "rank": 0}])
    emberd.reload()
    expect_fast_nodes("tiers change places", [1])
    emberd.set_policy(tiers=[{"nodes": [0, 1], "rank": 0}])
    emberd.reload()
    expect("one tier is refused, and the journal says so", wait_for(lambda: "one tier only" in emberd.journal()))
    expect("nothing has changed, the service goes on", fast_nodes(emberd.status_now()) == [1])
    emberd.drop_policy()
    emberd.reload()
    expect_fast_nodes("the machine's own order comes back", [0])


def main():
    with emberd.service():
        emberd.start(**{"global": {"fault_sampling": "off"}})
        with emberd.grower() as grower:
            check_sampling(grower)
            check_tiers()
    return emberd.exit_status()


sys.exit(main())
