#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""emberd, as the service with its capabilities, promotes memory that several processes map."""

import subprocess
import sys

import emberd

WANTED_PAGES = 1900  # of the 2048 hot ones that shared_memory.c has


def books():
    moved = emberd.applied_pages("promote", "move_pages_all")
    return moved >= WANTED_PAGES, moved


def main():
    with emberd.service():
        emberd.start(**{"global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "shared_memory"}}]})
        done = subprocess.run([emberd.TESTS / "shared_memory", "--seconds", "120"], check=False)
        emberd.expect("shared_memory", done.returncode == 0)
        emberd.expect_soon(f"the books: want {WANTED_PAGES} shared pages promoted", books, 30)
    return emberd.exit_status()


sys.exit(main())
