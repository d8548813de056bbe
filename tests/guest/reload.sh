#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""systemctl reload applies what the running programs and the ranks of memory depend on, too.

Fault sampling: off at the start, on after a reload, and the process that was followed before is followed still.
Tiers: the two memories change places after a reload; one tier only is refused and changes nothing.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

POLICY = pathlib.Path("/etc/ember/policy.d/90-test.json")
GROWER = "/usr/lib/ember/tests/grower"
failed = False


def status():
    done = subprocess.run(["emberctl", "status", "--json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def policy(**keys):
    POLICY.parent.mkdir(parents=True, exist_ok=True)
    POLICY.write_text(json.dumps({"version": 1, **keys}))
    os.chmod(POLICY, 0o644)


def reload():
    subprocess.run(["systemctl", "reload", "emberd"], check=True)


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.5)
    return None


def expect(what, holds):
    global failed
    print(f"{'ok' if holds else 'not ok'}: {what}")
    failed |= not holds


def follows(pid):
    return next((p for p in status().get("processes", []) if p["pid"] == pid), None)


def fast_nodes():
    return status()["tiers"][0]["nodes"]


def grow(grower):
    grower.stdin.write("\n")
    grower.stdin.flush()
    return int(grower.stdout.readline().split()[0])


def found_by_fault(grower):
    """A regular scan may be there first, now and then."""
    address = grow(grower)
    area = wait_for(lambda: next((a for a in (follows(grower.pid) or {"areas": []})["areas"]
                                  if a["start"] <= address < a["end"]), None), 20)
    return area and area["by_fault"]


def check_sampling(grower):
    expect("followed without fault sampling", wait_for(lambda: (follows(grower.pid) or {}).get("scans", 0) > 3))
    before = status()["cost"]["faults_sampled"]
    grow(grower)
    time.sleep(2)
    expect("no fault is sampled while off", status()["cost"]["faults_sampled"] == before)
    policy(**{"global": {"fault_sampling": 64}})
    reload()
    time.sleep(4)
    expect("still followed after the reload", follows(grower.pid))
    expect("a new area is found by fault samples", any(found_by_fault(grower) for _ in range(6)))
    expect("sampled faults are counted", status()["cost"]["faults_sampled"] > before)


def check_tiers():
    first = fast_nodes()
    policy(tiers=[{"nodes": [1], "rank": 0}])
    reload()
    expect("tiers change places", first == [0] and wait_for(lambda: fast_nodes() == [1]))
    policy(tiers=[{"nodes": [0, 1], "rank": 0}])
    reload()
    time.sleep(5)
    expect("one tier is refused, the service goes on", fast_nodes() == [1])
    journal = subprocess.run(["journalctl", "-u", "emberd", "-o", "cat"], capture_output=True, text=True, check=False)
    expect("and said so", "one tier only" in journal.stdout)
    POLICY.unlink()
    reload()
    expect("the machine's own order comes back", wait_for(lambda: fast_nodes() == [0]))


def main():
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    policy(**{"global": {"fault_sampling": "off"}})
    subprocess.run(["systemctl", "start", "emberd"], check=True)
    with subprocess.Popen([GROWER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as grower:
        assert grower.stdout.readline() == "settled\n"
        try:
            check_sampling(grower)
            check_tiers()
        finally:
            grower.kill()
            subprocess.run(["systemctl", "stop", "emberd"], check=False)
            POLICY.unlink(missing_ok=True)
    return 1 if failed else 0


sys.exit(main())
