#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""emberd, as the service with its capabilities, promotes memory that several processes map."""

import subprocess
import sys

import emberd

POLICY = {"rules": [{"match": {"comm": "shared_memory"}}]}
WANTED_PAGES = 1900  # of the 2048 hot ones that shared_memory.c has


def books():
    moved = emberd.applied_pages("promote", "move_pages_all")
    return moved >= WANTED_PAGES, moved


def left():
    why_not = {w["word"]: w["pages"] for w in emberd.status().get("plan", {}).get("why_not", [])}
    return why_not.get("shared-left", 0) >= WANTED_PAGES, why_not


def left_where_it_is():
    """The policy forbids it, on the service that has just done it."""
    emberd.set_policy(**POLICY, **{"global": {"numa_balancing": "off", "shared_memory": "leave"}})
    emberd.reload()
    before = emberd.applied_pages(mover="move_pages_all")
    program = subprocess.Popen([emberd.TESTS / "shared_memory", "--seconds", "600"], stdout=subprocess.DEVNULL)
    emberd.expect_soon("what is shared is left, and the plan says so", left, 60)
    program.terminate()
    program.wait()
    after = emberd.applied_pages(mover="move_pages_all")
    emberd.expect(f"none of it moved: {before} before, {after} after", before == after)


def main():
    with emberd.service():
        emberd.start(**POLICY, **{"global": {"numa_balancing": "off"}})
        done = subprocess.run([emberd.TESTS / "shared_memory", "--seconds", "120"], check=False)
        emberd.expect("shared_memory", done.returncode == 0)
        emberd.expect_soon(f"the books: want {WANTED_PAGES} shared pages promoted", books, 30)
        left_where_it_is()
    return emberd.exit_status()


sys.exit(main())
