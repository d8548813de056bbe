#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""emberd keeps to memory policies: of two equal programs it promotes the one that only prefers the slow node."""

import sys

import emberd

FAST, SLOW = 0, 1
SIZE = 96 * emberd.MIB


def hotset_under(mode):
    return emberd.hotset_under(mode, SLOW, "--size", SIZE, "--hot", SIZE // 2)


def main():
    with (emberd.service(), hotset_under(emberd.MPOL_BIND) as bound,
          hotset_under(emberd.MPOL_PREFERRED) as preferring):
        before = [emberd.share_on(SLOW, p.pid, emberd.HOTSET_ADDRESS, SIZE) for p in (bound, preferring)]
        emberd.expect(f"both begin on the slow node: {before}", before == [1, 1])
        emberd.start(**{"global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "hotset"}}]})

        def promoted():
            share = emberd.share_on(FAST, preferring.pid, emberd.HOTSET_ADDRESS, SIZE)
            return share > 0.4, f"{share:.2f}"

        def counted():
            why_not = emberd.why_not()
            return why_not.get("not-allowed", 0) > 0, why_not

        emberd.expect_soon("the program that prefers the slow node has its hot half in fast memory now", promoted)
        emberd.expect_soon("what is bound is told of", counted)
        share = emberd.share_on(SLOW, bound.pid, emberd.HOTSET_ADDRESS, SIZE)
        emberd.expect(f"all of the program that is bound to the slow node is there: {share:.3f}", share == 1)
    return emberd.exit_status()


sys.exit(main())
