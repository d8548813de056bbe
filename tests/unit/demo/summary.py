#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit tests of tests/demo/summary."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo/summary")
LOADER = importlib.machinery.SourceFileLoader("summary", PATH)
summary = importlib.util.module_from_spec(importlib.util.spec_from_loader("summary", LOADER))
LOADER.exec_module(summary)

STATUS = {
    "moves": [
        {"direction": "promote", "mover": "module", "applied_pages": 70, "tried_pages": 80},
        {"direction": "promote", "mover": "move_pages", "applied_pages": 7, "tried_pages": 7},
        {"direction": "demote", "mover": "move_pages", "applied_pages": 60, "tried_pages": 60},
    ],
    "cost": {"cpu_ns": 600_000_000, "move_ns": 400_000_000},
}


def scope_text(after=80, after_marker="#after"):
    """Ten seconds at 40 % before, ten that climb by 4 % each, ten at `after` %; 100 misses each."""
    lines, time = ["1.0 0 999 0 1", "#load", "2.0 0 999 0 1", "#before", "3.0 0 999 0 1"], 3
    climb = [40] * 10, range(40, 80, 4), [after] * 10
    for shares, marker in zip(climb, ("#ember", after_marker, "#end")):
        for share in list(shares)[:-1]:
            time += 1
            lines.append(f"{time}.0 0 {share} 0 {100 - share}")
        time += 1
        lines += [marker, f"{time}.0 0 {shares[-1]} 0 {100 - shares[-1]}"]
    return "\n".join(lines + [f"{time + 1}.0 0 0 0 999", ""])


# Four fast pages: with 250 misses of each of four and 50 of each of four more, the best is 1000/1200.
PAGES = "# phase\n" + "".join(f"{page:x} {misses} 0 0\n" for page, misses in [(i, 250) for i in range(4)] + [(8 + i, 50) for i in range(4)])

GUEST = f"""\
demo phase load
load     1.000 s          100 ops        100 ops/s   p50    100 us   p99.9     1000 us
demo redis_fast_bytes 12288
demo redis_slow_bytes 20480
demo free_fast_bytes 4096
demo phase before
read     1.000 s          100 ops       3000 ops/s   p50    100 us   p99.9     5000 us
read     2.000 s          100 ops       3200 ops/s   p50    100 us   p99.9     7000 us
read     3.000 s          100 ops       3100 ops/s   p50    100 us   p99.9     6000 us
demo phase ember
read     4.000 s          100 ops        100 ops/s   p50    100 us   p99.9    90000 us
demo phase after
read     5.000 s          100 ops       2900 ops/s   p50    100 us   p99.9     8000 us
demo phase end
demo status {json.dumps(STATUS)}
verified 531 values
"""


class Tool(unittest.TestCase):
    def run_tool(self, scope=None, guest=GUEST, pages=PAGES):
        with tempfile.TemporaryDirectory() as directory:
            names = [os.path.join(directory, name) for name in ("scope", "pages", "guest")]
            empty = "# phase\n"
            contents = {names[0]: scope or scope_text(), names[2]: guest, names[1] + ".0": empty, names[1] + ".1": empty,
                        names[1] + ".2": pages, names[1] + ".3": empty, names[1] + ".4": empty}
            for name, text in contents.items():
                with open(name, "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([PATH, *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                                  timeout=60, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
        return done.returncode, done.stdout, done.stderr

    def row(self, name, **kwargs):
        found = [line for line in self.run_tool(**kwargs)[1].splitlines() if line.startswith("  " + name)]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_shares_of_each_phase(self):
        self.assertIn(" 40.0 % ", self.row("without ember"))
        self.assertIn(" 80.0 % ", self.row("with ember"))
        self.assertIn(" 83.3 % ", self.row("oracle"))

    def test_the_way_is_from_nothing_to_the_oracle(self):
        """(80 - 40) / (83.33 - 40); half of it, 61.7 %, is first passed by the mean of 5 s at 56 to 72 %."""
        self.assertIn(" 92.3 % ", self.row("way to the oracle gone"))
        self.assertIn("half of it after 9 s", self.row("way to the oracle gone"))

    def test_half_of_the_way_is_enough_and_less_is_not(self):
        self.assertEqual(self.run_tool(scope=scope_text(after=62))[0], 0)
        status, out, _ = self.run_tool(scope=scope_text(after=61))
        self.assertEqual(status, 1)
        self.assertIn("less than 50 %", out)

    def test_a_fall_is_a_negative_way(self):
        self.assertEqual(self.run_tool(scope=scope_text(after=20))[0], 1)
        self.assertIn("-46.2 %", self.row("way to the oracle gone", scope=scope_text(after=20)))

    def test_what_ember_did_and_cost(self):
        self.assertIn("77 up, 60 down", self.row("pages moved"))
        self.assertIn("1.0 s in 20 s: 5.0 %", self.row("CPU used by ember"))

    def test_reads_are_those_of_the_middle_second_of_their_phase(self):
        self.assertIn("3100 a second, p99.9 6 ms", self.row("reads without ember"))
        self.assertIn("2900 a second, p99.9 8 ms", self.row("reads with ember"))
        self.assertIn("531", self.row("values compared"))

    def test_capacity_is_what_redis_had_and_what_was_free(self):
        """Three pages and one; with one more, one of the pages with 50 misses fits, too."""
        more = GUEST.replace("free_fast_bytes 4096", "free_fast_bytes 8192")
        self.assertIn(" 87.5 % ", self.row("oracle", guest=more))

    def test_without_an_end_there_is_no_verdict(self):
        for marker in ("#before", "#ember", "#after", "#end"):
            status, out, err = self.run_tool(scope=scope_text().replace(marker + "\n", ""))
            self.assertEqual((status, out), (2, ""))
            self.assertIn(f"did not come to {marker}", err)

    def test_a_guest_that_tells_nothing_is_no_verdict(self):
        for name in ("redis_fast_bytes", "free_fast_bytes", "status"):
            status, _, err = self.run_tool(guest=GUEST.replace(f"demo {name} ", "demo other "))
            self.assertEqual(status, 2)
            self.assertIn(name, err)

    def test_no_way_to_go_is_no_verdict(self):
        """All pages fit: doing nothing would have been as good."""
        status, _, err = self.run_tool(pages="# phase\n" + "".join(f"{i:x} 1 0 0\n" for i in range(100)))
        self.assertEqual(status, 2)
        self.assertIn("not above doing nothing", err)


if __name__ == "__main__":
    unittest.main()
