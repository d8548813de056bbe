#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit tests of tests/tierscope/placement."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import tempfile
import unittest

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tierscope/placement")
LOADER = importlib.machinery.SourceFileLoader("placement", PATH)
placement = importlib.util.module_from_spec(importlib.util.spec_from_loader("placement", LOADER))
LOADER.exec_module(placement)

TIERS = ("--tier", "hbm=node1:4K", "--tier", "ddr=node0:8K", "--tier", "cxl=node2:1M")


class Best(unittest.TestCase):
    def test_tier_by_tier_from_the_hottest_down(self):
        pages = {i: placement.Page(misses, 0) for i, misses in enumerate([5, 40, 10, 25, 20, 0])}
        tiers = [placement.Tier(t) for t in ("a=n:4096", "b=n:8K", "c=n:1M")]
        self.assertEqual(placement.best_sums(pages, tiers), [0.4, 0.85, 1.0])

    def test_a_tier_without_room_adds_nothing(self):
        pages = {1: placement.Page(3, 0), 2: placement.Page(1, 0)}
        tiers = [placement.Tier(t) for t in ("near=n2:4K", "far=n3:0", "ddr=n0+n1:1G")]
        self.assertEqual(placement.best_sums(pages, tiers), [0.75, 0.75, 1.0])


class Classes(unittest.TestCase):
    def test_pages_belong_by_misses_and_lie_by_the_last_one(self):
        pages = {1: placement.Page(9, 1), 2: placement.Page(8, 0), 3: placement.Page(3, 2), 4: placement.Page(2, 1), 5: placement.Page(0, 2)}
        table = placement.where_classes_lie(pages, [("hot", 2), ("warm", 1)], [1, 0, 2])
        self.assertEqual(table, {"hot": [1, 1, 0], "warm": [0, 0, 1], "cold": [1, 0, 1]})

    def test_hottest_in_the_first_and_cold_in_the_last(self):
        good = {"classes": {"hot": [99, 1, 0], "warm": [5, 90, 0], "cold": [0, 10, 100]}}
        placement.judge_classes(good, 0.95)
        self.assertTrue(good["classes_ok"])
        for row, bad in (("hot", [90, 10, 0]), ("warm", [5, 85, 10])):
            worse = {"classes": dict(good["classes"], **{row: bad})}
            placement.judge_classes(worse, 0.95)
            self.assertFalse(worse["classes_ok"], row)

    def test_an_empty_last_tier_is_no_fault(self):
        result = {"classes": {"hot": [9, 0], "cold": [1, 0]}}
        placement.judge_classes(result, 0.95)
        self.assertTrue(result["classes_ok"])


class Command(unittest.TestCase):
    """One hot page (node 1 is HBM), two warm ones, three cold ones; two vCPUs."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.file = os.path.join(self.directory.name, "scope")
        self.pages = os.path.join(self.directory.name, "pages")
        self.write_seconds([(20, 50, 30), (60, 30, 10), (70, 29, 1), (70, 29, 1)])
        # page, misses in two banks, memory: in the first phase all of them in DDR
        self.write_pages(0, "# phase 0\n" + "".join(f"{i:x} 1 0 0\n" for i in range(6)))
        self.write_pages(1, "# phase 1\n0 300 400 1\n1 70 80 0\n2 70 70 0\n3 3 3 2\n4 2 2 2\n")

    def write_pages(self, phase, text):
        with open(f"{self.pages}.{phase}", "w", encoding="ascii") as file:
            file.write(text)

    def write_seconds(self, served):
        """Tuples of misses in HBM, DDR and CXL; vCPU 1 has ten in CXL more and nothing else."""
        with open(self.file, "w", encoding="ascii") as scope, open(f"{self.file}.mem", "w", encoding="ascii") as mem, \
             open(f"{self.file}.vcpu", "w", encoding="ascii") as vcpu:
            mem.write("seconds node0_hits node0_misses node1_hits node1_misses node2_hits node2_misses other\n")
            vcpu.write("seconds cpu0_node0 cpu0_node1 cpu0_node2 cpu1_node0 cpu1_node1 cpu1_node2\n")
            for i, (hbm, ddr, cxl) in enumerate([(0, 99, 0), *served]):
                scope.write(("#ready\n" if i == 0 else "") + f"{i + 1}.000 5 {hbm} 5 {ddr + cxl}\n")
                mem.write(f"{i + 1}.000 5 {ddr} 5 {hbm} 5 {cxl} 0\n")
                vcpu.write(f"{i + 1}.000 {ddr} {hbm} {cxl} 0 0 10\n")

    def run_tool(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = placement.main([self.file, "--from", "#ready", "--pages", self.pages, *TIERS, *words])
        return status, out.getvalue(), err.getvalue()

    def test_shares_best_and_classes(self):
        status, out, _ = self.run_tool("--class", "hot=4K", "--class", "warm=8K", "--within", "3", "--json")
        result = json.loads(out)
        self.assertEqual(status, 0)
        self.assertEqual([s[2] for s in result["seconds"]], [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.7, 0.29, 0.01], [0.7, 0.29, 0.01]])
        self.assertEqual(result["late"], [0.7, 0.29, 0.01])
        self.assertEqual([round(b, 3) for b in result["best"]], [0.7, 0.99, 1.0])
        self.assertEqual(result["pages"], 6)
        self.assertEqual(result["classes"], {"hot": [1, 0, 0], "warm": [0, 2, 0], "cold": [0, 1, 2]})
        self.assertEqual([b["reached_after_seconds"] for b in result["borders"]], [3.0, 3.0])

    def test_too_late_is_a_failure(self):
        self.assertEqual(self.run_tool("--within", "2.5")[0], 1)

    def test_each_border_has_its_own_threshold(self):
        self.write_seconds([(70, 20, 10)] * 4)
        status, out, _ = self.run_tool("--want", "0.9,0.95", "--json")
        self.assertEqual((status, [b["ok"] for b in json.loads(out)["borders"]]), (1, [True, False]))
        self.assertEqual(self.run_tool("--want", "0.9")[0], 0)

    def test_a_hot_page_in_the_wrong_tier_is_a_failure(self):
        self.assertEqual(self.run_tool("--class", "hot=8K")[0], 1)
        self.assertEqual(self.run_tool("--class", "hot=8K", "--want-class", "0.5")[0], 0)

    def test_one_vcpu(self):
        _, out, _ = self.run_tool("--vcpu", "1", "--json")
        self.assertEqual(json.loads(out)["late"], [0.0, 0.0, 1.0])
        self.assertEqual(self.run_tool("--vcpu", "2")[0], 2)

    def test_only_pages_in_the_range(self):
        _, out, _ = self.run_tool("--range", "0x1000-0x3000", "--json")
        self.assertEqual(json.loads(out)["pages"], 2)

    def test_an_unknown_memory_is_said(self):
        status, _, err = self.run_tool("--tier", "pmem=node7:1G")
        self.assertEqual(status, 2)
        self.assertIn("no memory node7", err)


if __name__ == "__main__":
    unittest.main()
