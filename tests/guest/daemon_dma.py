#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who copies what emberd has moved: the policy's copy_engine.

The engine is kmod/tests/ember_test_dma.c. "dma" without a channel: CPUs copy, and the journal says so once. With
channels, in the same life of emberd: the engine copies. Without the key, and with an engine that takes a nap before
each page: CPUs copy but for a trial now and then, since the engine is measured to be slower.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

import emberd
from emberd import MIB, expect, expect_soon

SLOW = 1
SIZE, HOT = 64 * MIB, 32 * MIB
WANTED_PAGES = int(0.8 * HOT / emberd.PAGE_BYTES)
CHANNELS = pathlib.Path("/sys/module/ember/parameters/dma_channels")
ENGINE = emberd.TESTS / "modules" / os.uname().release / "ember_test_dma.ko"
# One page a descriptor, and a nap before each: no emulated CPU is slower.
SLOW_ENGINE = {"max_bytes": 4096, "delay_us": 20}
NO_CHANNEL = "the module holds no channel"


def policy(**keys):
    return {"global": {"numa_balancing": "off", **keys}, "rules": [{"match": {"comm": "hotset"}}]}


def copied():
    """By CPUs, by the engine."""
    copies = emberd.status_now()["copies"]
    return copies["cpu_pages"], copies["dma_pages"]


def promote():
    """A program whose hot half lies in slow memory: pages of it that CPUs and the engine copied."""
    before = copied()
    last = []
    with contextlib.ExitStack() as stack:
        with emberd.memory_policy(emberd.MPOL_PREFERRED, SLOW):
            stack.enter_context(emberd.hotset("--size", SIZE, "--hot", HOT))

        def moved():
            last[:] = [now - then for now, then in zip(copied(), before)]
            return sum(last) >= WANTED_PAGES, f"{last[0]} by CPUs, {last[1]} by the engine"

        expect_soon(f"want {WANTED_PAGES} pages copied by the module", moved)
    return last


def warnings():
    return emberd.journal().count(NO_CHANNEL)


def without_channel():
    emberd.start(**policy(copy_engine="dma"))
    by_cpu, by_dma = promote()
    copies = emberd.status_now()["copies"]
    expect(f"no channel: copied by CPUs: {by_cpu} of {by_cpu + by_dma}", by_cpu and not by_dma)
    expect("the status says that DMA is wanted, and that there is no channel",
           copies["dma_wanted"] and copies["channels"] == 0)
    expect(f"the journal says so once: {warnings()}", warnings() == 1)


def with_channels():
    CHANNELS.write_text("2", encoding="ascii")
    by_cpu, by_dma = promote()
    copies = emberd.status_now()["copies"]
    expect(f"two channels: copied by the engine: {by_dma} of {by_cpu + by_dma}", by_dma > by_cpu)
    expect("the status says that DMA is wanted, and of two channels", copies["dma_wanted"] and copies["channels"] == 2)
    expect("the times per page of both are told", all(any(key in t for t in copies["times"])
                                                      for key in ("cpu_ns", "dma_ns")))
    expect(f"the journal tells of the channels, and not again that there are none: {warnings()}",
           "holds 2 channels" in emberd.journal() and warnings() == 1)


def slow_down():
    """What was measured of the faster one is forgotten with its channels."""
    CHANNELS.write_text("0", encoding="ascii")
    for name, value in SLOW_ENGINE.items():
        pathlib.Path("/sys/module/ember_test_dma/parameters", name).write_text(str(value), encoding="ascii")
    CHANNELS.write_text("2", encoding="ascii")


def as_measured():
    slow_down()
    emberd.set_policy(**policy())
    emberd.reload()
    by_cpu, by_dma = promote()
    copies = emberd.status_now()["copies"]
    expect(f"without the key: copied by CPUs: {by_cpu} of {by_cpu + by_dma}", by_cpu > by_dma)
    expect("the status says that DMA is not wanted, and of two channels",
           not copies["dma_wanted"] and copies["channels"] == 2)


def main():
    subprocess.run(["insmod", str(ENGINE)], check=True)
    try:
        with emberd.service():
            without_channel()
            with_channels()
            as_measured()
    finally:
        CHANNELS.write_text("0", encoding="ascii")
        subprocess.run(["rmmod", "ember_test_dma"], check=True)
    return emberd.exit_status()


sys.exit(main())
