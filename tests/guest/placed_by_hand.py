#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What somebody places by hand ember leaves there for the time that the policy says, and only that.

Three programs touch a part of their memory all the time, and all of it lies on the slow node. One has its hot pages
placed there by another process with move_pages(2), one does it itself, half with mbind(2), whose policy it takes back
then, half with move_pages(2), and both halves over and over by turns; the third nobody places, but one who may not has
tried: it alone is promoted. Of who hands the kernel a list that cannot be read, and of who places more ranges than ember
keeps, all memory is left alone. When the time is over all follow; with a time of zero placements are not noticed at all.
That they stay is looked at when the third has been promoted and three more plans were made, so no clock decides.
"""

import ctypes
import errno
import os
import select
import subprocess
import sys

import emberd

SYS_MBIND, SYS_MOVE_PAGES = 237, 279
FAST, SLOW = 0, 1
ADDRESS, SIZE, HOT = emberd.HOTSET_ADDRESS, 80 * emberd.MIB, 16 * emberd.MIB
RULES = [{"match": {"min_rss": "64MiB"}}]
NR_LISTS, LIST_RANGES = 32, 200  # more than MAX_PER_USER of hands.bpf.c, and no list more than MAX_RANGES
REGION, NOWHERE = 2 * emberd.MIB, 0x200000000000
READ_WRITE, PRIVATE_ANONYMOUS_FIXED, NOHUGEPAGE = 3, 0x32, 15

REFUSED = 3

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


def must(what, failed):
    if failed:
        sys.exit(f"not ok: {what}: {os.strerror(ctypes.get_errno())}")


def move_pages(pid, start, end):
    """To the slow node. False if that is refused."""
    nr = (end - start) // emberd.PAGE_BYTES
    pages = (ctypes.c_void_p * nr)(*range(start, end, emberd.PAGE_BYTES))
    nodes, status = (ctypes.c_int * nr)(*[SLOW] * nr), (ctypes.c_int * nr)()
    return emberd.numa.numa_move_pages(pid, ctypes.c_ulong(nr), pages, nodes, status, emberd.MPOL_MF_MOVE) >= 0


# --- The load: this program again ----------------------------------------------------------------


def mbind(mode, nodes, flags):
    """The first half of the hot pages."""
    mask = ctypes.byref(ctypes.c_ulong(nodes)) if nodes else None
    must("mbind", libc.syscall(ctypes.c_long(SYS_MBIND), ctypes.c_void_p(ADDRESS), ctypes.c_ulong(HOT // 2),
                               ctypes.c_ulong(mode), mask, ctypes.c_ulong(64 if nodes else 0), ctypes.c_ulong(flags)))


def place_here():
    mbind(emberd.MPOL_BIND, 1 << SLOW, emberd.MPOL_MF_MOVE)
    mbind(emberd.MPOL_DEFAULT, 0, 0)
    must("move_pages", not move_pages(0, ADDRESS + HOT // 2, ADDRESS + HOT))


def move_list(addresses):
    """To the slow node; pages that are not there are no error of the call."""
    nr = len(addresses)
    pages, status = (ctypes.c_void_p * nr)(*addresses), (ctypes.c_int * nr)()
    nodes = (ctypes.c_int * nr)(*[SLOW] * nr)
    must("move_pages", emberd.numa.numa_move_pages(0, ctypes.c_ulong(nr), pages, nodes, status,
                                                   emberd.MPOL_MF_MOVE) < 0)


def place_by_turns():
    """Two ranges of what is placed already, so often that an event for each time would not find room."""
    for _ in range(NR_LISTS):
        move_list([ADDRESS, ADDRESS + HOT // 2] * (LIST_RANGES // 2))


def place_apart():
    """More ranges than one user has room for, where there are no pages."""
    for at in range(NR_LISTS):
        move_list([NOWHERE + (at * LIST_RANGES + i) * 2 * REGION for i in range(LIST_RANGES)])


def place_unreadable():
    """A list that is not mapped: the kernel gives up, and so must the program that reads the list."""
    done = libc.syscall(ctypes.c_long(SYS_MOVE_PAGES), ctypes.c_long(0), ctypes.c_ulong(1 << 20),
                        ctypes.c_void_p(emberd.PAGE_BYTES), ctypes.c_void_p(emberd.PAGE_BYTES),
                        ctypes.c_void_p(emberd.PAGE_BYTES), ctypes.c_long(emberd.MPOL_MF_MOVE))
    if done != -1 or ctypes.get_errno() != errno.EFAULT:
        sys.exit(f"not ok: move_pages with an unmapped list: {done}, errno {ctypes.get_errno()}")


ORDERS = {"here": place_here, "by turns": place_by_turns, "apart": place_apart, "unreadable": place_unreadable}


def load():
    """Touches the first HOT bytes of its area for ever; a line on stdin is one of ORDERS."""
    area = libc.mmap(ctypes.c_void_p(ADDRESS), ctypes.c_size_t(SIZE), READ_WRITE, PRIVATE_ANONYMOUS_FIXED, -1,
                     ctypes.c_long(0))
    must("mmap", area != ADDRESS)
    must("madvise", libc.madvise(ctypes.c_void_p(ADDRESS), ctypes.c_size_t(SIZE), NOHUGEPAGE))
    ctypes.memset(ADDRESS, 1, SIZE)
    print("READY", flush=True)
    while True:
        ctypes.memset(ADDRESS, 2, HOT)
        if select.select([sys.stdin], [], [], 0)[0]:
            order = sys.stdin.readline().strip()
            if not order:
                return
            ORDERS[order]()
            print("placed", flush=True)


def on_slow():
    """A load that inherits a preference for the slow node; that binds nothing."""
    load_again = emberd.child([sys.executable, __file__, "load"], "READY", stdin=subprocess.PIPE)
    return emberd.under(emberd.MPOL_PREFERRED, SLOW, load_again)


def place(program):
    must("move_pages", not move_pages(program.pid, ADDRESS, ADDRESS + HOT))


def place_without_permission(program):
    """As nobody."""
    done = subprocess.run([sys.executable, __file__, "place", str(program.pid)], user=65534, check=False)
    emberd.expect("nobody may not place the program's pages", done.returncode == REFUSED)


def place_itself(program, order="here"):
    program.stdin.write(f"{order}\n")
    program.stdin.flush()
    said = program.stdout.readline().strip()
    emberd.expect(f"the program has placed its pages, {order}: {said}", said == "placed")


# --- What is expected ----------------------------------------------------------------------------


def set_policy(hold):
    """With a CPU budget that does not stretch the period: plans are waited for."""
    keys = {"numa_balancing": "off", "cpu_budget": "50%", "placed_by_hand": hold}
    emberd.set_policy(**{"global": keys, "rules": RULES})


def hot_share(node, program):
    return emberd.share_on(node, program.pid, ADDRESS, HOT)


def expect_promoted(what, *programs):
    def look():
        shares = [hot_share(FAST, program) for program in programs]
        return min(shares) > 0.9, [f"{share:.2f}" for share in shares]

    emberd.expect_soon(what, look)


def expect_told(what, are_all):
    def look():
        pages = emberd.why_not().get("placed-by-hand", 0)
        return are_all(pages), f"{pages} pages"

    emberd.expect_soon(f"the status tells of {what}", look)


def expect_plans(nr):
    """So many more have been made, however long that takes."""
    before = emberd.status_now()["plan"]["plans"]

    def look():
        plans = emberd.status().get("plan", {}).get("plans", 0)
        return plans >= before + nr, f"{plans - before}"

    emberd.expect_soon(f"{nr} more plans have been made", look)


def expect_noticed(moved, itself, untouched):
    set_policy("60min")
    emberd.start()
    emberd.expect_soon("all three are followed",
                       lambda: (all(emberd.followed(p.pid) for p in (moved, itself, untouched)), ""))
    place(moved)
    place_itself(itself)
    place_itself(itself, "by turns")
    place_without_permission(untouched)
    shares = [hot_share(SLOW, program) for program in (moved, itself)]
    emberd.expect(f"both are on the slow node: {shares}", min(shares) > 0.95)
    expect_promoted("what nobody placed is promoted", untouched)
    expect_told("what two programs placed, and of no more", lambda pages: pages == 2 * HOT // emberd.PAGE_BYTES)
    expect_plans(3)
    shares = [hot_share(SLOW, program) for program in (moved, itself)]
    emberd.expect(f"what was placed has stayed: {shares}", min(shares) > 0.95)


def expect_all_told(itself, untouched):
    """Of a program whose ranges are not known, all memory is left alone."""
    place_itself(itself, "unreadable")
    expect_told("all of who gave a list that cannot be read", lambda pages: pages >= (HOT + SIZE) // emberd.PAGE_BYTES)
    place_itself(untouched, "apart")
    expect_told("all of who placed more than there is room for",
                lambda pages: pages >= (HOT + 2 * SIZE) // emberd.PAGE_BYTES)


def main():
    with emberd.service(), on_slow() as moved, on_slow() as itself, on_slow() as untouched:
        expect_noticed(moved, itself, untouched)
        expect_all_told(itself, untouched)
        set_policy("1s")
        emberd.reload()
        expect_promoted("when the time is over, both are promoted", moved, itself)
        set_policy("0s")
        emberd.reload()
        place(moved)
        place_itself(itself)
        expect_promoted("with a time of zero, both come back at once", moved, itself)
    return emberd.exit_status()


if sys.argv[1:] == ["load"]:
    sys.exit(load())
if sys.argv[1:2] == ["place"]:
    sys.exit(0 if move_pages(int(sys.argv[2]), ADDRESS, ADDRESS + HOT) else REFUSED)
sys.exit(main())
