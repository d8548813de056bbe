#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit tests of tests/tierscope/oracle."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import tempfile
import unittest

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tierscope/oracle")
LOADER = importlib.machinery.SourceFileLoader("oracle", PATH)
oracle = importlib.util.module_from_spec(importlib.util.spec_from_loader("oracle", LOADER))
LOADER.exec_module(oracle)


def lines(text):
    return text.splitlines(keepends=True)


class Phases(unittest.TestCase):
    def test_first_line_after_a_marker_closes_the_time_before(self):
        phases = oracle.read_phases(lines("1.0 0 1 0 1\n#ready\n1.5 0 2 0 2\n2.5 0 3 0 3\n#shift\n2.6 0 4 0 4\n"))
        self.assertEqual([p.marker for p in phases], [None, "#ready", "#shift"])
        self.assertEqual([[s.fast for s in p.seconds] for p in phases], [[1, 2], [3, 4], []])
        self.assertEqual(phases[1].start, 1.5)
        self.assertEqual(phases[1].seconds[0].start, 1.5)

    def test_two_markers_at_once_are_two_phases(self):
        phases = oracle.read_phases(lines("#a\n#b\n1.0 0 1 0 1\n2.0 0 2 0 2\n"))
        self.assertEqual([(p.index, p.marker, len(p.seconds)) for p in phases], [(0, None, 1), (1, "#a", 0), (2, "#b", 1)])

    def test_a_line_being_written_is_left_out(self):
        self.assertEqual(len(oracle.read_phases(lines("1.0 0 1 0 1\n2.0 0 1"))[0].seconds), 1)

    def test_another_file_is_refused(self):
        with self.assertRaises(oracle.Problem):
            oracle.read_phases(lines("hello world\n"))

    def test_the_nth_of_equal_markers(self):
        phases = oracle.read_phases(lines("#s\n1.0 0 1 0 1\n2.0 0 2 0 2\n#s\n3.0 0 3 0 3\n4.0 0 4 0 4\n"))
        self.assertEqual([p.index for p in oracle.choose_phases(phases, "#s", 2, False)], [2])
        self.assertEqual([p.index for p in oracle.choose_phases(phases, "#s", 1, True)], [1, 2])
        with self.assertRaises(oracle.Problem):
            oracle.choose_phases(phases, "#s", 3, False)

    def test_the_end_of_the_program_is_left_out(self):
        seconds = [oracle.Second(i, i + 1, n, 0) for i, n in enumerate([100, 90, 0, 110, 20, 0])]
        self.assertEqual(len(oracle.drop_end(seconds)), 4)
        self.assertEqual(len(oracle.drop_end(seconds[:2])), 2)
        self.assertEqual(oracle.drop_end([]), [])


class Oracle(unittest.TestCase):
    PAGES = {1: (5, 5), 2: (0, 30), 3: (20, 0), 4: (0, 0), 9: (20, 20)}  # 10, 30, 20, 0, 40

    def test_the_pages_with_most_misses(self):
        for nr_fast, share in [(0, 0.0), (1, 0.4), (2, 0.7), (3, 0.9), (4, 1.0), (99, 1.0)]:
            self.assertAlmostEqual(oracle.oracle_share(self.PAGES, nr_fast), share)

    def test_by_halves_one_half_chooses_for_the_other(self):
        # By the first: 3 and 9 are equal (20), so one of them gives (0 + 20) / 2 of 55.
        # By the second: page 2 (30), which had 0 of 45 in the first.
        self.assertAlmostEqual(oracle.oracle_share_by_halves(self.PAGES, 1), (10 / 55 + 0) / 2)

    def test_equal_pages_have_no_best(self):
        pages = {i: (3, 3) for i in range(100)}
        self.assertAlmostEqual(oracle.oracle_share(pages, 40), 0.4)
        self.assertAlmostEqual(oracle.oracle_share_by_halves(pages, 40), 0.4)

    def test_no_misses_no_oracle(self):
        self.assertIsNone(oracle.oracle_share({1: (0, 0)}, 1))
        self.assertIsNone(oracle.oracle_share_by_halves({1: (4, 0)}, 1))


class Settled(unittest.TestCase):
    def test_good_from_the_third_second_on(self):
        self.assertEqual(oracle.settled_after([False, False] + [True] * 30), 2)

    def test_one_bad_in_twenty_is_allowed_two_are_not(self):
        one = [True] * 10 + [False] + [True] * 19 + [False] + [True] * 5
        self.assertEqual(oracle.settled_after(one), 0)
        two = [True] * 10 + [False] + [True] * 18 + [False] + [True] * 5
        self.assertEqual(oracle.settled_after(two), 11)

    def test_bad_to_the_end_is_never(self):
        self.assertIsNone(oracle.settled_after([True] * 30 + [False, False]))
        self.assertIsNone(oracle.settled_after([False] * 3))
        self.assertIsNone(oracle.settled_after([]))


class Command(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.file = os.path.join(self.directory.name, "scope")
        with open(self.file, "w", encoding="ascii") as file:
            file.write("1.0 9 500 9 500\n#ready\n1.1 9 500 9 500\n")
            for second, fast in enumerate([100, 500, 900, 950, 900]):
                file.write(f"{second + 2.1:.3f} 9 {fast} 9 {1000 - fast}\n")
        self.pages = os.path.join(self.directory.name, "pages")
        for phase, text in enumerate(["# phase 0\n1 9 9 0\n7 1 0 1\n", "# phase 1\n1 480 420 0\n2 50 50 1\n"]):
            with open(f"{self.pages}.{phase}", "w", encoding="ascii") as file:
                file.write(text)

    def run_tool(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = oracle.main([self.file, "--from", "#ready", *words])
        return status, out.getvalue(), err.getvalue()

    def test_share_and_oracle(self):
        status, out, _ = self.run_tool("--pages", self.pages, "--fast", "4096", "--json")
        result = json.loads(out)
        self.assertEqual(status, 0)
        self.assertAlmostEqual(result["share"], 3350 / 5000)
        self.assertAlmostEqual(result["oracle"], 0.9)
        self.assertEqual(result["pages"], 3)

    def test_skip_leaves_the_climb_out_of_the_share(self):
        _, out, _ = self.run_tool("--skip", "2", "--json")
        self.assertAlmostEqual(json.loads(out)["share"], 2750 / 3000)

    def test_threshold_in_time_and_too_late(self):
        words = ("--pages", self.pages, "--fast", "4096", "--want", "0.97", "--json", "--within")
        status, out, _ = self.run_tool(*words, "3")
        self.assertEqual((status, json.loads(out)["reached_after_seconds"]), (0, 3.0))
        self.assertEqual(self.run_tool(*words, "2.5")[0], 1)

    def test_never_is_a_failure(self):
        status, out, _ = self.run_tool("--want", "0.99", "--within", "15")
        self.assertEqual(status, 1)
        self.assertIn("never", out)

    def test_what_is_not_there_is_said(self):
        self.assertEqual(self.run_tool("--nth", "2")[0], 2)
        status, _, err = self.run_tool("--pages", self.pages + "x", "--fast", "1G")
        self.assertEqual(status, 2)
        self.assertIn("No such file", err)


if __name__ == "__main__":
    unittest.main()
