#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit tests of tests/demo/draw."""

import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo/draw")
LOADER = importlib.machinery.SourceFileLoader("draw", PATH)
draw = importlib.util.module_from_spec(importlib.util.spec_from_loader("draw", LOADER))
LOADER.exec_module(draw)

SCOPE = """\
1.000 0 0 0 0
1.700 0 9000 0 1000
#load
2.000 0 1000 0 1000
3.000 0 1000 0 1000
#before
3.200 0 1000 0 1000
4.200 5 4000 5 6000
5.200 5 500 5 500
#ember
5.300 0 9900 0 100
6.300 0 7500 0 2500
#after
7.300 0 9000 0 1000
8.300 0 999 0 0
#end
8.350 0 0 0 1000
9.350 0 0 0 1000
"""


class Stream(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, tty, encoding="utf-8"):
        super().__init__()
        self.tty, self.its_encoding = tty, encoding

    def isatty(self):
        return self.tty

    @property
    def encoding(self):
        return self.its_encoding


def seen(tty=False, environ=None, encoding="utf-8", guest="", keys=None, scope=SCOPE):
    out = Stream(tty, encoding)
    picture = draw.Picture(out, draw.Style(out, environ or {"TERM": "xterm"}), keys)
    for line in guest.splitlines():
        picture.guest(line)
    for line in scope.splitlines():
        picture.scope(line)
    return out.getvalue()


class Bars(unittest.TestCase):
    def style(self, encoding):
        return draw.Style(Stream(False, encoding), {})

    def test_all_bars_are_equally_long(self):
        for encoding in ("utf-8", "ascii"):
            style = self.style(encoding)
            for i in range(1001):
                self.assertEqual(len(style.bar(i / 1000)), style.cells)

    def test_a_bar_is_as_long_as_its_share(self):
        style = self.style("utf-8")
        self.assertEqual(style.bar(0), "·" * style.cells)
        self.assertEqual(style.bar(1), "█" * style.cells)
        self.assertEqual(style.bar(0.5).count("█"), style.cells // 2)
        self.assertEqual(style.bar(1.0 / 16 / style.cells * 8)[0], "▌")

    def test_a_terminal_without_unicode_gets_ascii(self):
        seen(encoding="ascii").encode("ascii")
        self.assertIn("#", seen(encoding="ascii"))


class Seconds(unittest.TestCase):
    def rows(self, **kwargs):
        return [line.split() for line in seen(**kwargs).splitlines() if "%" in line]

    def test_a_bar_for_each_whole_second_from_before_to_end(self):
        """Neither before #before, nor what a marker cut short, nor after #end."""
        shares = [next(word for word in row if word.endswith("%")) for row in self.rows()]
        self.assertEqual(shares, ["40.0%", "50.0%", "75.0%", "90.0%"])

    def test_seconds_count_from_before_and_again_from_ember(self):
        self.assertEqual([row[0] for row in self.rows()], ["1", "2", "1", "2"])

    def test_a_second_with_hardly_a_miss_has_no_share(self):
        self.assertIn(" - ", [line + " " for line in seen().splitlines() if line.startswith("    3 s")][0])

    def test_headings_come_in_order_and_once(self):
        text = seen()
        places = [text.index(heading) for heading in draw.HEADINGS.values()]
        self.assertEqual(places, sorted(places))
        for heading in draw.HEADINGS.values():
            self.assertEqual(text.count(heading), 1)

    def test_reads_of_the_client_stand_beside(self):
        self.assertIn("3120 reads/s", seen(guest="read   3.000 s    12345 ops   3120 ops/s   p50  1 us   p99.9  2 us\n"))

    def test_lines_of_others_do_no_harm(self):
        self.assertEqual(seen(guest="hello\nread nothing\ndemo x 1\n", scope="1 2\n\nx y\n" + SCOPE), seen())


class Colours(unittest.TestCase):
    def test_only_on_a_terminal(self):
        self.assertNotIn("\033", seen(tty=False))
        self.assertIn("\033[3", seen(tty=True))

    def test_not_with_no_color_and_not_on_a_dumb_terminal(self):
        self.assertNotIn("\033[3", seen(tty=True, environ={"TERM": "xterm", "NO_COLOR": "1"}))
        self.assertNotIn("\033", seen(tty=True, environ={"TERM": "dumb"}))

    def test_an_empty_no_color_is_none(self):
        self.assertIn("\033[3", seen(tty=True, environ={"TERM": "xterm", "NO_COLOR": ""}))


class Progress(unittest.TestCase):
    GUEST = "".join(f"load {i}.000 s {i * 10} ops 10 ops/s p50 1 us\n" for i in range(1, 11))

    def test_a_line_for_each_quarter_without_a_terminal(self):
        shown = [line.split()[-1] for line in seen(guest=self.GUEST, keys=100, scope="").splitlines()]
        self.assertEqual(shown, ["30.0%", "50.0%", "80.0%", "100.0%"])

    def test_one_line_that_is_wiped_away_on_a_terminal(self):
        text = seen(tty=True, guest=self.GUEST, keys=100)
        self.assertEqual(text.count("\r\033[K"), 11)
        self.assertLess(text.index("100.0%"), text.index(draw.HEADINGS["#before"]))


class Following(unittest.TestCase):
    def test_growing_files_are_seen_to_the_end(self):
        """A writer that appends half lines and ends at once after its last."""
        with tempfile.TemporaryDirectory() as directory:
            scope, guest = os.path.join(directory, "scope"), os.path.join(directory, "guest")
            half = len(SCOPE) // 2
            writer = subprocess.Popen(
                [sys.executable, "-c", "import sys, time\n"
                 "for part in sys.argv[2:]:\n    open(sys.argv[1], 'a').write(part); time.sleep(0.3)\n",
                 scope, SCOPE[:half], SCOPE[half:]])
            out = subprocess.run([PATH, "--pid", str(writer.pid), "--guest", guest, scope], stdout=subprocess.PIPE,
                                 encoding="utf-8", timeout=60, check=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"}).stdout
            writer.wait()
        self.assertEqual(out, seen())

    def test_without_a_process_the_files_are_drawn_as_they_are(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "scope")
            with open(path, "w", encoding="ascii") as file:
                file.write(SCOPE)
            out = subprocess.run([PATH, path], stdout=subprocess.PIPE, encoding="utf-8", timeout=60,
                                 check=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"}).stdout
        self.assertEqual(out, seen())


if __name__ == "__main__":
    unittest.main()
