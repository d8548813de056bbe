#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pools come and go while the service runs and a program uses its memory.

The machine was booted with all of its fast memory set apart (memmap=512M$0x80000000). The program's hot pages are
more than the first pool holds; the second one comes while the daemon runs, takes the others, and is taken away
again, and so is the first. Where the pages lie is asked of the kernel (pagemap), who moved them of ember's books,
and the program knows what its pages must hold.
"""

import json
import pathlib
import struct
import subprocess
import sys

import emberd
from emberd import MIB, PAGE_BYTES, expect, expect_answer, expect_soon, expect_sound

ADDRESS = 0x300000000000  # as in keeper.c
SIZE, HOT = 320 * MIB, 176 * MIB
FIRST, FIRST_BYTES = 0x80000000, 128 * MIB
SECOND, SECOND_BYTES = 0x88000000, 128 * MIB
ALL_BYTES = 510 * MIB  # in the last 140 KiB of the 512 MiB the firmware keeps its ACPI tables
LIMIT_S = 120


def pool(*words):
    """emberctl pool, and what it said."""
    return subprocess.run(["emberctl", "pool", *map(str, words)], capture_output=True, text=True, check=False)


def expect_refused(what, text, *words, status=1):
    done = pool(*words)
    expect(f"{what}: status {done.returncode}, {done.stderr!r}", done.returncode == status and text in done.stderr)


def add(start, size):
    done = pool("add", hex(start), f"{size // MIB}M", "--json")
    if done.returncode:
        sys.exit(f"not ok: no pool at {start:#x}: {done.stderr}")
    said = json.loads(done.stdout)
    expect(f"a pool is added: {said}",
           (said["state"], said["start"], said["size_bytes"], said["used_bytes"]) == ("ready", start, size, 0))
    return said["pool"]


def pools():
    return {p["pool"]: p for p in json.loads(pool("list", "--json").stdout)["pools"]}


def pages_in(pid, start, size, last_bytes=SIZE):
    """Pages of the program, of its last bytes, that lie in this physical range, by the kernel."""
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        pagemap.seek((ADDRESS + SIZE - last_bytes) // PAGE_BYTES * 8)
        entries = struct.unpack(f"{last_bytes // PAGE_BYTES}Q", pagemap.read(last_bytes // PAGE_BYTES * 8))
    first, last = start // PAGE_BYTES, (start + size) // PAGE_BYTES
    return sum(1 for e in entries if e >> 63 and first <= e & (1 << 55) - 1 < last)


def mib(pages):
    return pages * PAGE_BYTES / MIB


def expect_daemon_goes_on(nr_pools):
    """It has looked at its memories since, and knows what is there."""
    def look():
        seen = [n["node"] for n in emberd.status_now()["nodes"] if "pool_of" in n]
        return len(seen) == nr_pools, seen

    expect_soon(f"the daemon goes on with {nr_pools} pools", look)


def hot_in_pools(keeper):
    there = pages_in(keeper.pid, FIRST, 512 * MIB, HOT)
    return mib(there) * MIB >= 0.9 * HOT, f"{mib(there):.0f} MiB of {HOT // MIB}"


def removed(number):
    done = pool("remove", number)
    return expect(f"pool {number} is removed: {done.stdout!r} {done.stderr!r}", done.returncode == 0)


def refusals(number):
    expect_refused("twice", "overlaps a pool", "add", hex(FIRST), "2M")
    expect_refused("ordinary memory", "memmap=0x200000$0x40000000", "add", "0x40000000", "2M")
    expect_refused("registers", "-0xfeffffff: nothing", "add", "0xfee00000", "2M")
    expect_refused("the firmware's tables, which memmap= has made look alike", "-0x9fffffff: Reserved", "add",
                   hex(FIRST), "512M")
    expect_refused("a pool that is not there", "no pool 3", "remove", "3")
    expect_refused("a wrong node", "no such node", "add", hex(SECOND), "2M", "--node=9")
    nobody = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "emberctl", "pool"], capture_output=True,
                            text=True, check=False)
    expect(f"anybody may look: {nobody.stdout!r}", nobody.returncode == 0 and f"\n{number:4} " in nobody.stdout)
    nobody = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "emberctl", "pool", "remove", str(number)],
                            capture_output=True, text=True, check=False)
    expect(f"but not remove: {nobody.stderr!r}", nobody.returncode == 1 and "only root" in nobody.stderr)
    expect(f"and nothing has changed: {pools()}", list(pools()) == [number])


def comes_while_the_daemon_runs(keeper, first):
    def full():
        there = pages_in(keeper.pid, FIRST, FIRST_BYTES, HOT)
        return mib(there) * MIB >= 0.9 * FIRST_BYTES, f"{mib(there):.0f} MiB"

    expect_soon("the first pool is full of hot pages", full, LIMIT_S)
    expect(f"not all of them fit: {hot_in_pools(keeper)[1]}", not hot_in_pools(keeper)[0])
    second = add(SECOND, SECOND_BYTES)
    expect_soon("the others come to the second pool", lambda: hot_in_pools(keeper), LIMIT_S)
    nodes = {n["node"]: n for n in emberd.status_now()["nodes"]}
    expect(f"both are the fastest tier: {nodes}", all(nodes[n]["tier"] == 0 and "pool_of" in nodes[n]
                                                     for n in (first, second)) and nodes[0]["tier"] == 1)
    text = subprocess.run(["emberctl", "status"], capture_output=True, text=True, check=True).stdout
    expect(f"status shows a pool {second}", f"\n  pool {second} " in text)
    promoted = emberd.applied_pages("promote"), emberd.applied_pages("promote", "module")
    expect(f"all by the module: {promoted}", promoted[0] == promoted[1] and mib(promoted[0]) * MIB >= 0.9 * HOT)
    expect_sound(keeper)
    return second


def goes_while_the_program_runs(keeper, number, start, size, nr_left):
    if removed(number):
        expect(f"nothing lies there any more: {pages_in(keeper.pid, start, size)} pages",
               not pages_in(keeper.pid, start, size))
        expect(f"nor is it listed: {list(pools())}", number not in pools())
    expect_sound(keeper)
    expect_daemon_goes_on(nr_left)


def first_hot_in(keeper, start, size):
    nr = pages_in(keeper.pid, start, size, HOT) - pages_in(keeper.pid, start, size, HOT - PAGE_BYTES)
    return nr == 1, nr


def stays_while_something_is_held(keeper):
    number = add(FIRST, ALL_BYTES)
    expect_soon("hot pages come to the new pool", lambda: hot_in_pools(keeper), LIMIT_S)
    expect_soon("so does the one that will be held", lambda: first_hot_in(keeper, FIRST, ALL_BYTES), LIMIT_S)
    expect_answer(keeper, "pin", "pinned")
    done = pool("remove", number)
    expect(f"the pool stays: status {done.returncode}, {done.stderr!r}",
           done.returncode == 1 and f"pool {number} stays, 4.0 KiB" in done.stderr and "pinned" in done.stderr and
           f"process {keeper.pid} (keeper)" in done.stderr)
    listed = pool().stdout
    expect(f"the list tells it too: {listed!r}", "could not be removed" in listed and "pinned" in listed)
    expect_answer(keeper, "unpin", "unpinned")
    goes_while_the_program_runs(keeper, number, FIRST, ALL_BYTES, 0)


def main():
    subprocess.run(["modprobe", "ember"], check=True)
    expect(f"at first there are none: {pool().stdout!r}", pool().stdout == "no pools\n")
    expect(f"the firmware calls it System RAM: {firmware_type(FIRST)!r}", firmware_type(FIRST) == "System RAM")
    first = add(FIRST, FIRST_BYTES)
    refusals(first)
    with emberd.service(hint_faults=False), emberd.child(
            [str(emberd.TESTS / "keeper"), str(SIZE // MIB), str(HOT // MIB)], "READY", stdin=subprocess.PIPE) as keeper:
        expect(f"nothing comes there by itself: {pages_in(keeper.pid, FIRST, FIRST_BYTES)}",
               not pages_in(keeper.pid, FIRST, FIRST_BYTES))
        emberd.start()
        second = comes_while_the_daemon_runs(keeper, first)
        goes_while_the_program_runs(keeper, second, SECOND, SECOND_BYTES, 1)
        goes_while_the_program_runs(keeper, first, FIRST, FIRST_BYTES, 0)
        stays_while_something_is_held(keeper)
    return emberd.exit_status()


def firmware_type(start):
    """What the firmware called the range before the kernel's command line changed the map."""
    for entry in pathlib.Path("/sys/firmware/memmap").iterdir():
        at, end = (int((entry / name).read_text(encoding="ascii"), 16) for name in ("start", "end"))
        if at <= start <= end:
            return (entry / "type").read_text(encoding="ascii").strip()
    return ""


sys.exit(main())
