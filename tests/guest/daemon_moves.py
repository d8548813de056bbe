#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way through the service: hot pages that lie in slow memory come to lie in fast memory.

The generator populates its area from the start, so that fast memory fills first; its hot set lies at the end,
in slow memory. Where pages lie is asked of the kernel, not of ember; that ember moved them and nobody else is
asked of its books. That they come there at all is tested, not how soon: the limits are long.
"""

import sys

import emberd
from emberd import MIB

SIZE, HOT = 1400 * MIB, 200 * MIB
HOT_AT = SIZE - HOT
WANTED_SHARE = 0.9
WITHIN_S = 150


def hot_in_fast(pid):
    share = emberd.share_on(0, pid, emberd.HOTSET_ADDRESS + HOT_AT, HOT)
    return share >= WANTED_SHARE, f"{share:.3f} of the hot pages in fast memory"


def expect_books(wanted_pages):
    def look():
        promoted, demoted = emberd.applied_pages("promote"), emberd.applied_pages("demote")
        return promoted >= wanted_pages and demoted > 0, f"{promoted} pages promoted, {demoted} demoted"

    emberd.expect_soon(f"by ember, want {wanted_pages:.0f} pages promoted for demoted ones", look, 30)


def main():
    options = ["--size", SIZE, "--hot", HOT, "--hot-offset", HOT_AT, "--layout", "contiguous"]
    with emberd.service(hint_faults=False), emberd.hotset(*options) as generator:
        before = emberd.share_on(0, generator.pid, emberd.HOTSET_ADDRESS + HOT_AT, HOT)
        # A part may have found room in fast memory (0.18 once): that one counts for nothing below.
        if emberd.expect(f"at first {before:.3f} of the hot pages in fast memory, at most 0.5", before <= 0.5):
            emberd.start()
            emberd.expect_soon(f"want {WANTED_SHARE}", lambda: hot_in_fast(generator.pid), WITHIN_S)
            expect_books((WANTED_SHARE - before) * HOT / emberd.PAGE_BYTES)
    return emberd.exit_status()


sys.exit(main())
