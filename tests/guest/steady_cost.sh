#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ember costs when there is next to nothing to do: busy time of the whole system, ember on and off in turns.

The load does the same work in both (a fixed rate of operations, far from saturation), so that whatever ember takes
shows: its threads, the module's workers, interrupts for TLB flushes, slower page walks. Busy is all time that
the CPUs were not idle. The steady state is what the daemon calls settled, after its first placement.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

TURNS = 3
SECONDS = 30
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


def status():
    done = subprocess.run(["emberctl", "status", "--json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def settle():
    """Wait until five looks four seconds apart find the daemon settled: then the period is stretched, too."""
    deadline, quiet = time.monotonic() + SETTLE_S, 0
    while quiet < 5:
        if time.monotonic() > deadline:
            return False
        time.sleep(4)
        now = status()
        quiet = quiet + 1 if now and now["plan"]["settled"] else 0
    return True


def main():
    sys.stdout.reconfigure(line_buffering=True)
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    # No hint faults: attaching a program patches code of the page fault path, and an emulated CPU that runs through
    # it at that moment may trip over the half-written instruction ("Oops: int3"), which real ones do not.
    pathlib.Path("/proc/sys/kernel/numa_balancing").write_text("0")
    load = subprocess.Popen(
        ["/usr/lib/ember/tests/hotset", "--size", "1600MiB", "--hot", "400MiB", "--threads", "2", "--rate", "60000",
         "--duration", "0", "--mark", "none"], stdout=subprocess.PIPE, text=True)
    on, off = [], []
    try:
        assert load.stdout.readline().startswith("READY")
        time.sleep(BOOT_S)
        scanned = vmstat("pgscan_kswapd")
        for _ in range(TURNS):
            off.append(busy_share())
            subprocess.run(["systemctl", "start", "emberd"], check=True)
            if not settle():
                print(f"not settled within {SETTLE_S} s: {json.dumps(status().get('plan'))}")
                return 1
            on.append(busy_share())
            cost = status()["cost"]
            subprocess.run(["systemctl", "stop", "emberd"], check=True)
            print(f"off {off[-1]:.3f}, on {on[-1]:.3f} CPUs busy; period {cost['stretched_ns'] / 1e9:.1f} s, "
                  f"daemon and module say {cost['cpu_share_bp'] / 100:.1f} % over a minute")
        scanned = vmstat("pgscan_kswapd") - scanned
    finally:
        load.kill()
        load.wait()
        subprocess.run(["systemctl", "stop", "emberd"], check=False)
    costs = [a - b for a, b in zip(on, off)]
    print(f"ember costs {statistics.median(costs) * 100:.1f} % of one CPU (turns: "
          f"{', '.join(f'{c * 100:.1f}' for c in costs)}); pgscan_kswapd grew by {scanned}")
    if statistics.median(costs) > LIMIT or scanned:
        print(f"expected: at most {LIMIT * 100:.0f} % in the median, and no page scanned by kswapd")
        return 1
    return 0


sys.exit(main())
