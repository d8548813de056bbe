#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine thread that does not move is said to be so, with its stage, and may recover: emberd is not restarted then.

A debugger's hands (ptrace) hold the one thread; the others run on.
"""

import ctypes
import pathlib
import subprocess
import sys
import time

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
failed = False


def check(good, what):
    global failed
    print(("ok: " if good else "not ok: ") + what, flush=True)
    failed |= not good


def main_pid():
    done = subprocess.run(["systemctl", "show", "-P", "MainPID", "emberd"], capture_output=True, text=True, check=True)
    return int(done.stdout)


def engine_thread(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return next(int(t.name) for t in tasks.iterdir() if (t / "comm").read_text().strip() == "ember-engine")


def journal():
    return subprocess.run(["journalctl", "-u", "emberd", "-o", "cat", "--no-pager"], capture_output=True, text=True,
                          check=True).stdout


def wait_for(what, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.2)
    return False


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def hold(tid):
    ptrace(PTRACE_SEIZE, tid)
    ptrace(PTRACE_INTERRUPT, tid)
    if libc.waitpid(tid, None, WALL) != tid:
        raise OSError(ctypes.get_errno(), "waitpid")


subprocess.run(["systemd-sysusers"], check=True)
subprocess.run(["systemctl", "start", "emberd"], check=True)
pid = main_pid()
tid = engine_thread(pid)

hold(tid)
start = time.monotonic()
check(wait_for(lambda: "the engine has not moved for" in journal(), 60), "a silent engine is noticed")
print(f"after {time.monotonic() - start:.1f} s: " + next((l for l in journal().splitlines() if "not moved" in l), ""))
check(subprocess.run(["emberctl", "status"], capture_output=True, check=False).returncode == 0,
      "emberctl status answers meanwhile")
ptrace(PTRACE_DETACH, tid)
check(wait_for(lambda: "the engine moves again" in journal(), 20), "so is one that moves again")
check("the engine was silent for" in journal(), "the engine itself says for how long it was silent")
time.sleep(45)  # longer than WatchdogSec=30s: the message that was held back is sent again
check(main_pid() == pid, "emberd is not restarted then")

subprocess.run(["systemctl", "stop", "emberd"], check=True)
sys.exit(failed)
