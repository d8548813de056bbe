#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ember costs when there is next to nothing to do: busy time of the whole system, ember on and off in turns.

The load does the same work in both (a fixed rate of operations, far from saturation), so that whatever ember takes
shows: its threads, the module's workers, interrupts for TLB flushes, slower page walks. Busy is all time that
the CPUs were not idle. The steady state is what the daemon calls settled, after its first placement.
"""

import statistics
import sys
import time

import emberd

TURNS = 5
SECONDS = 40
SETTLE_S = 150
BOOT_S = 30  # services that are still starting would count as busy without ember
LIMIT = 0.05  # of one CPU
TICKS_PER_S = 100


def idle_s():
    with open("/proc/stat", encoding="ascii") as stat:
        fields = stat.readline().split()
    return (int(fields[4]) + int(fields[5])) / TICKS_PER_S


def vmstat(name):
    with open("/proc/vmstat", encoding="ascii") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(name + " "))


def nr_cpus():
    with open("/proc/stat", encoding="ascii") as stat:
        return sum(line.startswith("cpu") for line in stat) - 1


def busy_share():
    """CPUs that were busy in the next SECONDS."""
    start, idle = time.monotonic(), idle_s()
    time.sleep(SECONDS)
    return nr_cpus() - (idle_s() - idle) / (time.monotonic() - start)


def settle():
    """Wait until five looks four seconds apart find the daemon settled: then the period is stretched, too."""
    deadline, quiet = time.monotonic() + SETTLE_S, 0
    while quiet < 5:
        if time.monotonic() > deadline:
            return False
        time.sleep(4)
        quiet = quiet + 1 if emberd.status().get("plan", {}).get("settled") else 0
    return True


def turn():
    """CPUs that are busy without ember, and with it once it has settled; None if it does not."""
    off = busy_share()
    emberd.start()
    if not emberd.expect(f"settled within {SETTLE_S} s", settle()):
        return None
    on = busy_share()
    cost = emberd.status_now()["cost"]
    emberd.stop()
    print(f"off {off:.3f}, on {on:.3f} CPUs busy; period {cost['stretched_ns'] / 1e9:.1f} s, "
          f"daemon and module say {cost['cpu_share_bp'] / 100:.1f} % over a minute")
    return on - off


def main():
    costs = []
    options = ["--size", "1600MiB", "--hot", "400MiB", "--threads", 2, "--rate", 60000]
    with emberd.service(hint_faults=False), emberd.hotset(*options):
        time.sleep(BOOT_S)
        scanned = vmstat("pgscan_kswapd")
        while len(costs) < TURNS:
            cost = turn()
            if cost is None:
                return emberd.exit_status()
            costs.append(cost)
        scanned = vmstat("pgscan_kswapd") - scanned
    turns = ", ".join(f"{100 * cost:.1f}" for cost in costs)
    emberd.expect(f"ember costs {statistics.median(costs) * 100:.1f} % of one CPU, want at most {LIMIT * 100:.0f} % "
                  f"(turns: {turns})", statistics.median(costs) <= LIMIT)
    emberd.expect(f"pgscan_kswapd grew by {scanned}, want 0", scanned == 0)
    return emberd.exit_status()


sys.exit(main())
