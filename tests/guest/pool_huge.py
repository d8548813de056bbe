#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A program whose memory is huge pages, as Debian gives them, comes to a pool in pieces.

Where the policy forbids it nothing comes. Where it does not (the default) the huge pages that are hot are split and
moved, page by page, with their contents; those that are cold stay whole. One that a pipe holds is refused by name,
and comes when the pipe is gone. The same with folios of 64 KiB (mTHP). Splits are also counted by the kernel.
"""

import contextlib
import json
import pathlib
import struct
import subprocess
import sys

import emberd
from emberd import MIB, PAGE_BYTES, expect, expect_answer, expect_soon, expect_sound

ADDRESS = 0x300000000000  # as in keeper.c
SIZE, HOT = 128 * MIB, 48 * MIB
POOL, POOL_BYTES = 0x80000000, 128 * MIB
HUGE_PAGES = 512
KPF_THP = 22  # include/uapi/linux/kernel-page-flags.h
LIMIT_S = 60
HELD_LIMIT_S = 180  # refused for the third time it is left alone for 60 s, for the fifth 120 s
THP = pathlib.Path("/sys/kernel/mm/transparent_hugepage")
RULES = [{"match": {"comm": "keeper"}}]


def kernel_count(name):
    lines = pathlib.Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + " "))


def folios_of_64k(name):
    return int((THP / "hugepages-64kB/stats" / name).read_text(encoding="ascii"))


def frames(pid, start, size):
    """Page frame numbers of [start, + size), 0 where there is no page."""
    nr = size // PAGE_BYTES
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        pagemap.seek(start // PAGE_BYTES * 8)
        entries = struct.unpack(f"{nr}Q", pagemap.read(nr * 8))
    return [e & (1 << 55) - 1 if e >> 63 else 0 for e in entries]


def huge_bytes(pid, start, size):
    """What of [start, + size) lies in huge pages of 2 MiB, by the kernel's flags of its page frames."""
    nr, pfns = 0, frames(pid, start, size)
    with open("/proc/kpageflags", "rb", buffering=0) as flags:
        for first in range(0, len(pfns), HUGE_PAGES):
            part = pfns[first:first + HUGE_PAGES]
            flags.seek(part[0] * 8)
            flag = flags.read(8)  # nothing for frames of a pool behind the end of ordinary memory
            is_huge = len(flag) == 8 and struct.unpack("Q", flag)[0] >> KPF_THP & 1
            nr += bool(is_huge and part == list(range(part[0], part[0] + HUGE_PAGES)))
    return nr * 2 * MIB


def share_in_pool(pid, start, size):
    """Of the pages of [start, + size), by the kernel."""
    first, last = POOL // PAGE_BYTES, (POOL + POOL_BYTES) // PAGE_BYTES
    return sum(1 for pfn in frames(pid, start, size) if first <= pfn < last) / (size // PAGE_BYTES)


def hot_share(keeper):
    return share_in_pool(keeper.pid, ADDRESS + SIZE - HOT, HOT)


def refused(word):
    return sum(r["pages"] for m in emberd.status().get("moves", []) for r in m["refused"] if r["word"] == word)


def left_alone(word):
    """Pages that the last plan leaves where they are for this reason."""
    return sum(r["pages"] for r in emberd.status_now()["plan"]["why_not"] if r["word"] == word)


@contextlib.contextmanager
def pool():
    done = subprocess.run(["emberctl", "pool", "add", hex(POOL), f"{POOL_BYTES // MIB}M", "--json"],
                          capture_output=True, text=True, check=True)
    number = str(json.loads(done.stdout)["pool"])
    yield
    done = subprocess.run(["emberctl", "pool", "remove", number], capture_output=True, text=True, check=False)
    expect(f"the pool is removed: {done.stdout!r} {done.stderr!r}", done.returncode == 0)


def keeper_of_huge_pages():
    return emberd.child([str(emberd.TESTS / "keeper"), str(SIZE // MIB), str(HOT // MIB), "huge"], "READY",
                        stdin=subprocess.PIPE)


def follow(split):
    emberd.set_policy(**{"global": {"split_huge_pages": split}, "rules": RULES})


def nothing_comes_whole(keeper):
    """The plan knows what is hot, and why it stays."""
    expect_soon("the plan leaves them alone as module-only",
                lambda: (lambda nr: (nr * PAGE_BYTES >= HOT, nr))(left_alone("module-only")), LIMIT_S)
    share, seen = hot_share(keeper), emberd.status_now()
    expect(f"without splits: {share:.3f} of the hot memory in the pool; {seen['split_pages']} pages split",
           share <= 0.02 and seen["split_pages"] == 0)


def expect_hot_comes(keeper, held):
    """All but what is held."""
    def come():
        share = hot_share(keeper)
        return share >= 0.95 - held / HOT, f"{share:.3f} of the hot memory in the pool"

    expect_soon("with splits", come, LIMIT_S)


def held_page_is_named(keeper):
    def named():
        seen = refused("unsplit")
        return seen >= HUGE_PAGES, f"{seen} pages refused as unsplit"

    expect_soon("the huge page in the pipe is refused by name", named)
    expect_answer(keeper, "unpin", "unpinned")
    expect_soon("then it comes, too", lambda: (lambda share: (share >= 0.99, f"{share:.3f}"))(
        share_in_pool(keeper.pid, ADDRESS + SIZE - HOT, 2 * MIB)), HELD_LIMIT_S)


def books_agree(split_before):
    seen, by_kernel = emberd.status_now(), kernel_count("thp_split_page") - split_before
    by_ember = seen["split_pages"] / HUGE_PAGES
    expect(f"huge pages split: {by_ember:.1f} by ember's books, {by_kernel} by the kernel's",
           0.9 * HOT / (2 * MIB) <= by_ember <= by_kernel)
    promoted = {m["mover"]: m["applied_pages"] for m in seen["moves"] if m["direction"] == "promote"}
    expect(f"all by the module: {promoted}", sum(promoted.values()) == promoted["module"])
    text = subprocess.run(["emberctl", "status"], capture_output=True, text=True, check=True).stdout
    said = [line for line in text.splitlines() if line.startswith("huge pages: ")]
    expect(f"status says so: {said}", len(said) == 1)


def huge_pages_of_2m():
    before = kernel_count("thp_split_page")
    with keeper_of_huge_pages() as keeper:
        whole = huge_bytes(keeper.pid, ADDRESS, SIZE)
        expect(f"the program has huge pages: {whole // MIB} of {SIZE // MIB} MiB", whole >= 0.95 * SIZE)
        expect_answer(keeper, "pin", "pinned")  # a pipe holds one
        follow(split=False)
        emberd.start()
        nothing_comes_whole(keeper)
        follow(split=True)
        emberd.reload()
        expect_hot_comes(keeper, 2 * MIB)
        held_page_is_named(keeper)
        whole = huge_bytes(keeper.pid, ADDRESS, SIZE - HOT)
        expect(f"what is cold stays whole: {whole // MIB} of {(SIZE - HOT) // MIB} MiB", whole >= 0.5 * (SIZE - HOT))
        waits = {name: f"{emberd.status()['cost'][name] / 1e6:.1f} ms" for name in ("longest_lock_ns",
                                                                                   "longest_unmapped_ns")}
        print(f"waits: {waits}")
        books_agree(before)
        expect_sound(keeper)  # touches all of it


@contextlib.contextmanager
def folios_of_64k_only():
    files = {THP / "hugepages-2048kB/enabled": "never", THP / "hugepages-64kB/enabled": "always"}
    for file, word in files.items():
        file.write_text(word, encoding="ascii")
    try:
        yield
    finally:
        (THP / "hugepages-2048kB/enabled").write_text("inherit", encoding="ascii")
        (THP / "hugepages-64kB/enabled").write_text("never", encoding="ascii")


def huge_pages_of_64k():
    allocated, split = folios_of_64k("anon_fault_alloc"), folios_of_64k("split")
    with folios_of_64k_only(), keeper_of_huge_pages() as keeper:
        allocated = (folios_of_64k("anon_fault_alloc") - allocated) * 16
        expect(f"the program has folios of 64 KiB: {allocated} of {SIZE // PAGE_BYTES} pages",
               allocated * PAGE_BYTES >= 0.95 * SIZE)
        expect_hot_comes(keeper, 0)
        expect_sound(keeper)
        split = folios_of_64k("split") - split
        expect(f"folios split by the kernel's books: {split}", split * 16 * PAGE_BYTES >= 0.9 * HOT)


def main():
    subprocess.run(["modprobe", "ember"], check=True)
    enabled = (THP / "enabled").read_text(encoding="ascii")
    expect(f"huge pages are on: {enabled.strip()}", "[always]" in enabled)
    with emberd.service(hint_faults=False), pool():
        huge_pages_of_2m()
        huge_pages_of_64k()
    return emberd.exit_status()


sys.exit(main())
