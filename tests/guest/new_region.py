#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A new 200 MiB area is scanned soon after its first touches by fault samples, and not without them.

The time to the first scan is measured by the daemon itself (status: areas). At a period of 1 s the median is
within 200 ms with fault sampling, and several times that without it: there the touches begin right after a
regular scan, which might otherwise come within 200 ms by chance. Every single time is printed; one of them says
as much about the machine that emulates the guest as about ember, so none fails the test unless asked to:

    new_region.py [TRIES [each]]
"""

import statistics
import sys
import time

import emberd

TRIES = int(sys.argv[1]) if len(sys.argv) > 1 else 5
EACH = sys.argv[2:] == ["each"]
AREA_BYTES = 200 * emberd.MIB
LIMIT_MS = 200
RATIO = 3


def await_plan():
    """Until a plan was made, at the end of a period's scans."""
    before = emberd.status()["plan"]["plans"]
    while emberd.status()["plan"]["plans"] == before:
        time.sleep(0.05)


def first_scan_ms(pid, address, touched_ns):
    """When the daemon first saw the area, in ms after its first touch; and whether by fault samples."""
    seen = emberd.wait_for(lambda: emberd.areas(pid, address, address + AREA_BYTES), 40)
    if not seen:
        return float("inf"), False
    first = min(seen, key=lambda area: area["first_scan_ns"])
    return (first["first_scan_ns"] - touched_ns) / 1e6, first["by_fault"]


def measure(sampling):
    times = []
    with emberd.service(), emberd.grower() as grower:
        emberd.start(**{"global": {"period": "1s", "fault_sampling": sampling}})
        if not emberd.wait_for(lambda: emberd.followed(grower.pid).get("scans", 0) > 3):
            print(f"fault_sampling {sampling}: the process was not followed within 60 s")
            return []
        for _ in range(TRIES):
            if sampling == "off":
                await_plan()
            times.append(first_scan_ms(grower.pid, *emberd.grow(grower)))
    print(f"fault_sampling {sampling}, period 1s: first scan after", " ".join(f"{ms:.0f}" for ms, _ in times),
          "ms, found by fault samples:", sum(by for _, by in times), "of", len(times))
    return times


def median_ms(times):
    return statistics.median(ms for ms, _ in times)


def main():
    with_faults, without = measure(64), measure("off")
    emberd.expect("the process was followed", with_faults and without)
    if not (with_faults and without):
        return emberd.exit_status()
    judged = max(ms for ms, _ in with_faults) if EACH else median_ms(with_faults)
    emberd.expect(f"fault_sampling 64: {'each' if EACH else 'median'} within {LIMIT_MS} ms", judged <= LIMIT_MS)
    emberd.expect("fault_sampling 64: most found by fault samples", sum(by for _, by in with_faults) * 2 >= TRIES)
    emberd.expect(f"fault_sampling off: median above {LIMIT_MS} ms and {RATIO} times that with it",
                  median_ms(without) >= max(RATIO * median_ms(with_faults), LIMIT_MS))
    emberd.expect("fault_sampling off: none found by fault samples", not any(by for _, by in without))
    return emberd.exit_status()


sys.exit(main())
