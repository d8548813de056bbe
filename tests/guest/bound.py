#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""emberd keeps to memory policies: of two equal programs it promotes the one that only prefers the slow node."""

import contextlib
import ctypes
import sys

import emberd

MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND = 0, 1, 2
FAST, SLOW = 0, 1
SIZE = 96 * emberd.MIB


def set_policy(mode, nodes=0):
    mask = ctypes.c_ulong(nodes)
    if emberd.numa.set_mempolicy(mode, ctypes.byref(mask) if nodes else None, ctypes.c_ulong(64 if nodes else 0)):
        sys.exit(f"not ok: set_mempolicy: errno {ctypes.get_errno()}")


@contextlib.contextmanager
def hotset_under(mode):
    """As numactl starts it: the policy is inherited, and ours is dropped again."""
    set_policy(mode, 1 << SLOW)
    with emberd.hotset("--size", SIZE, "--hot", SIZE // 2) as program:
        set_policy(MPOL_DEFAULT)
        yield program


def main():
    with emberd.service(), hotset_under(MPOL_BIND) as bound, hotset_under(MPOL_PREFERRED) as preferring:
        before = [emberd.share_on(SLOW, p.pid, emberd.HOTSET_ADDRESS, SIZE) for p in (bound, preferring)]
        emberd.expect(f"both begin on the slow node: {before}", before == [1, 1])
        emberd.start(**{"global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "hotset"}}]})

        def promoted():
            share = emberd.share_on(FAST, preferring.pid, emberd.HOTSET_ADDRESS, SIZE)
            return share > 0.4, f"{share:.2f}"

        def counted():
            why_not = {w["word"]: w["pages"] for w in emberd.status().get("plan", {}).get("why_not", [])}
            return why_not.get("not-allowed", 0) > 0, why_not

        emberd.expect_soon("the program that prefers the slow node has its hot half in fast memory now", promoted)
        emberd.expect_soon("what is bound is told of", counted)
        share = emberd.share_on(SLOW, bound.pid, emberd.HOTSET_ADDRESS, SIZE)
        emberd.expect(f"all of the program that is bound to the slow node is there: {share:.3f}", share == 1)
    return emberd.exit_status()


sys.exit(main())
