#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A new 200 MiB area is scanned soon after its first touches by fault samples, and not without them.

The time to the first scan is measured by the daemon itself (status: areas). With fault sampling every
one of the areas must be seen within 200 ms at a period of 1 s; without it most are not, since the regular scans
come at their own time (one may come within 200 ms by chance, so the median counts).
"""

import statistics
import sys

import emberd

TRIES = 5
AREA_BYTES = 200 * emberd.MIB
LIMIT_MS = 200


def first_scan_ms(pid, address, touched_ns):
    """When the daemon first saw the area, in ms after its first touch; and whether by fault samples."""
    seen = emberd.wait_for(lambda: emberd.areas(pid, address, address + AREA_BYTES), 40)
    if not seen:
        return float("inf"), False
    first = min(seen, key=lambda area: area["first_scan_ns"])
    return (first["first_scan_ns"] - touched_ns) / 1e6, first["by_fault"]


def measure(sampling):
    with emberd.service(), emberd.grower() as grower:
        emberd.start(**{"global": {"period": "1s", "fault_sampling": sampling}})
        if not emberd.wait_for(lambda: emberd.followed(grower.pid).get("scans", 0) > 3):
            print(f"fault_sampling {sampling}: the process was not followed within 60 s")
            return None
        times = [first_scan_ms(grower.pid, *emberd.grow(grower)) for _ in range(TRIES)]
    print(f"fault_sampling {sampling}, period 1s: first scan after {times}")
    return times


def main():
    with_faults = measure(64)
    emberd.expect(f"fault_sampling 64: each within {LIMIT_MS} ms, most of them found by fault samples",
                  with_faults and all(ms <= LIMIT_MS for ms, _ in with_faults)
                  and sum(by for _, by in with_faults) * 2 >= TRIES)
    without = measure("off")
    emberd.expect(f"fault_sampling off: median above {LIMIT_MS} ms, none found by fault samples",
                  without and statistics.median(ms for ms, _ in without) > LIMIT_MS
                  and not any(by for _, by in without))
    return emberd.exit_status()


sys.exit(main())
