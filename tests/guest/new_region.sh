#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A new 200 MiB area is scanned soon after its first touches by fault samples, and not without them.

The time to the first scan is measured by the daemon itself (status: areas). With fault sampling every
one of the areas must be seen within 200 ms at a period of 1 s; without it most are not, since the regular scans
come at their own time (one may come within 200 ms by chance, so the median counts).
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

TRIES = 5
AREA_BYTES = 200 << 20
LIMIT_MS = 200
POLICY = pathlib.Path("/etc/ember/policy.d/90-test.json")
GROWER = "/usr/lib/ember/tests/grower"


def status():
    done = subprocess.run(["emberctl", "status", "--json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def start_daemon(sampling, period):
    POLICY.write_text(json.dumps({"version": 1, "global": {"period": period, "fault_sampling": sampling}}))
    os.chmod(POLICY, 0o644)
    subprocess.run(["systemctl", "start", "emberd"], check=True)


def followed(pid):
    return next((p for p in status().get("processes", []) if p["pid"] == pid), None)


def wait_for(what, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.5)
    return None


def first_scan_ms(pid, address, touched_ns, seconds):
    """When the daemon first saw the area, in ms after its first touch."""

    def look():
        seen = [a for a in followed(pid)["areas"] if a["start"] < address + AREA_BYTES and a["end"] > address]
        return min(seen, key=lambda a: a["first_scan_ns"]) if seen else None

    area = wait_for(look, seconds)
    if not area:
        return float("inf"), False
    return (area["first_scan_ns"] - touched_ns) / 1e6, area["by_fault"]


def measure(sampling, period):
    start_daemon(sampling, period)
    grower = subprocess.Popen([GROWER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert grower.stdout.readline() == "settled\n"
        if not wait_for(lambda: (followed(grower.pid) or {}).get("scans", 0) > 3, 60):
            print(f"fault_sampling {sampling}: the process was not followed within 60 s")
            return None
        times = []
        for _ in range(TRIES):
            grower.stdin.write("\n")
            grower.stdin.flush()
            address, touched_ns = map(int, grower.stdout.readline().split())
            times.append(first_scan_ms(grower.pid, address, touched_ns, 40))
        return times
    finally:
        grower.kill()
        grower.wait()
        subprocess.run(["systemctl", "stop", "emberd"], check=False)
        POLICY.unlink()


def main():
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    failed = False
    with_faults = measure(64, "1s")
    print("fault_sampling 64, period 1s: first scan after", with_faults)
    if not with_faults or any(ms > LIMIT_MS for ms, _ in with_faults) or sum(by for _, by in with_faults) * 2 < TRIES:
        print(f"expected: each within {LIMIT_MS} ms, most of them found by fault samples")
        failed = True
    without = measure("off", "1s")
    print("fault_sampling off, period 1s: first scan after", without)
    if not without or statistics.median(ms for ms, _ in without) <= LIMIT_MS or any(by for _, by in without):
        print(f"expected: median above {LIMIT_MS} ms, none found by fault samples")
        failed = True
    return 1 if failed else 0


sys.exit(main())
