# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests share that run emberd as the service: start it, ask it, ask the kernel where pages lie, run loads.

emberd brings its status up to date at most every 4 s, and a loaded machine takes its time for everything: a test
waits for what must come (expect_soon), and asks status_now() where something must not have happened.
"""

import collections
import contextlib
import ctypes
import json
import pathlib
import subprocess
import sys
import time

MIB = 1 << 20
PAGE_BYTES = 4096
MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND = 0, 1, 2
MPOL_MF_MOVE = 2
HOTSET_ADDRESS = 0x100000000000
TESTS = pathlib.Path(__file__).resolve().parent
POLICY = pathlib.Path("/etc/ember/policy.d/90-test.json")

numa = ctypes.CDLL("libnuma.so.1", use_errno=True)
sys.stdout.reconfigure(line_buffering=True)
failures = 0

# --- What is expected ----------------------------------------------------------------------------


def expect(what, holds):
    """Say whether it holds; exit_status() tells in the end."""
    global failures
    print(f"{'ok' if holds else 'not ok'}: {what}")
    failures += not holds
    return bool(holds)


def wait_for(look, seconds=60):
    """The first true answer of look(), or its last one; it is asked once more when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline
        seen = look()
        if seen or late:
            return seen
        time.sleep(0.5)


def expect_soon(what, look, seconds=60):
    """look() says whether it is so, and what it saw."""
    start, last = time.monotonic(), [None]

    def holds():
        done, last[0] = look()
        return done

    done = wait_for(holds, seconds)
    return expect(f"{what}, after {time.monotonic() - start:.0f} s: {last[0]}", done)


def exit_status():
    return 1 if failures else 0


# --- The service ---------------------------------------------------------------------------------


@contextlib.contextmanager
def service(hint_faults=True):
    """Around all that uses the service: what an installation does, and in the end neither it nor a policy is left.

    Loads belong inside: they end first. hint_faults=False keeps a load from taking any while it does nothing but
    touch its memory: attaching a program patches code of the page fault path, and an emulated CPU that runs through
    it at that moment may trip over the half-written instruction ("Oops: int3"), which real ones do not.
    """
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    if not hint_faults:
        pathlib.Path("/proc/sys/kernel/numa_balancing").write_text("0", encoding="ascii")
    try:
        yield
    finally:
        if failures:
            subprocess.run(["emberctl", "status"], check=False)
        drop_policy()
        stop()


def start(**policy):
    """With these keys of a policy, if there are any."""
    if policy:
        set_policy(**policy)
    if subprocess.run(["systemctl", "start", "emberd"], check=False).returncode:
        sys.exit(f"not ok: the service does not start:\n{journal()}")


def stop():
    subprocess.run(["systemctl", "stop", "emberd"], check=True)


def reload():
    subprocess.run(["systemctl", "reload", "emberd"], check=True)


def set_policy(**keys):
    POLICY.parent.mkdir(parents=True, exist_ok=True)
    POLICY.write_text(json.dumps({"version": 1, **keys}), encoding="utf-8")
    POLICY.chmod(0o644)


def drop_policy():
    POLICY.unlink(missing_ok=True)


def journal():
    done = subprocess.run(["journalctl", "-u", "emberd", "-o", "cat"], capture_output=True, text=True, check=False)
    return done.stdout


# --- What emberd says ----------------------------------------------------------------------------


def status():
    """What it said last, up to some seconds ago; empty while it does not answer."""
    done = subprocess.run(["emberctl", "status", "--json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def status_now(seconds=60):
    """What it says of a moment after this call."""
    asked_ns = time.monotonic_ns()

    def look():
        said = status()
        return said if said.get("time_ns", 0) > asked_ns else None

    said = wait_for(look, seconds)
    if not said:
        sys.exit(f"not ok: emberd has not brought its status up to date for {seconds} s")
    return said


def followed(pid, said=None):
    """The process in the status, or an empty one."""
    processes = (status() if said is None else said).get("processes", [])
    return next((p for p in processes if p["pid"] == pid), {})


def areas(pid, start, end):
    """What the status tells of the process's areas that reach into [start, end)."""
    return [a for a in followed(pid).get("areas", []) if a["start"] < end and a["end"] > start]


def why_not():
    """Pages of the last plan that stay, by word."""
    return {w["word"]: w["pages"] for w in status().get("plan", {}).get("why_not", [])}


def applied_pages(direction=None, mover=None):
    """Pages that were moved, by emberd's books."""
    return sum(m["applied_pages"] for m in status().get("moves", [])
               if direction in (None, m["direction"]) and mover in (None, m["mover"]))


# --- What the kernel says ------------------------------------------------------------------------


def where_pages_are(pid, start, size):
    """Number of pages of [start, + size) on each node; absent ones are under a negative error number."""
    nr = size // PAGE_BYTES
    pages = (ctypes.c_void_p * nr)(*range(start, start + size, PAGE_BYTES))
    nodes = (ctypes.c_int * nr)()
    if numa.numa_move_pages(pid, ctypes.c_ulong(nr), pages, None, nodes, 0) < 0:
        raise OSError(ctypes.get_errno(), "numa_move_pages")
    return collections.Counter(nodes)


def share_on(node, pid, start, size):
    return where_pages_are(pid, start, size)[node] / (size // PAGE_BYTES)


# --- Loads ---------------------------------------------------------------------------------------


def set_memory_policy(mode, nodes=0):
    """Of this process and of what it starts from now on. @nodes: a mask."""
    mask = ctypes.c_ulong(nodes)
    if numa.set_mempolicy(mode, ctypes.byref(mask) if nodes else None, ctypes.c_ulong(64 if nodes else 0)):
        sys.exit(f"not ok: set_mempolicy: errno {ctypes.get_errno()}")


@contextlib.contextmanager
def memory_policy(mode, node):
    """What is started meanwhile inherits it, as from numactl."""
    set_memory_policy(mode, 1 << node)
    try:
        yield
    finally:
        set_memory_policy(MPOL_DEFAULT)


@contextlib.contextmanager
def child(command, first_line, **popen):
    """A program that has said its first line; killed in the end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **popen)
    try:
        said = process.stdout.readline()
        if not said.startswith(first_line):
            sys.exit(f"not ok: {command[0]}: expected \"{first_line}\", saw \"{said.strip()}\"")
        yield process
    finally:
        process.kill()
        process.wait()


def hotset(*options, cpus=None):
    """The generator, which has populated its area."""
    bound = ["taskset", "-c", cpus] if cpus else []
    return child([*bound, str(TESTS / "hotset"), "--mark", "none", *map(str, options)], "READY")


@contextlib.contextmanager
def under(mode, node, program):
    """What child() or hotset() starts inherits the policy; ours is dropped again before it is used."""
    with contextlib.ExitStack() as stack:
        with memory_policy(mode, node):
            running = stack.enter_context(program)
        yield running


def hotset_under(mode, node, *options, cpus=None):
    return under(mode, node, hotset(*options, cpus=cpus))


def grower():
    """Each grow() of it touches a new area."""
    return child([str(TESTS / "grower")], "settled", stdin=subprocess.PIPE)


def grow(process):
    """Address of the area, and CLOCK_MONOTONIC in ns just before its first touch; all of it has been touched."""
    process.stdin.write("\n")
    process.stdin.flush()
    address, touched_ns = process.stdout.readline().split()
    return int(address), int(touched_ns)


# --- keeper, which knows what its memory must hold ------------------------------------------------


def tell(keeper, command):
    keeper.stdin.write(command + "\n")
    keeper.stdin.flush()
    return keeper.stdout.readline().strip()


def expect_answer(keeper, command, answer):
    said = tell(keeper, command)
    expect(f"{command}: {said}", said == answer)


def expect_sound(keeper):
    said = tell(keeper, "check")
    expect(f"contents: {said}", said == "0 wrong")
