"""Real Lightning goes on from checkpoints that lctl-trainer wrote, to the results that it has from its own.

usage: reverse_check_test.py TRAINER FOLDER        FOLDER holds cases/ and expected/
"""

import json
import os
import re
import sys
import unittest
from pathlib import Path

import clients

TRAINER, FOLDER = sys.argv[1:3]
said = ""


def resumed_cases():
    """Those that reverse_check.py takes: several commands, the last one from a checkpoint and good."""
    for path in sorted(Path(FOLDER, "expected").glob("*.json")):
        runs = json.loads(path.read_text())["runs"]
        if len(runs) >= 2 and not runs[-1]["exit"] and "--ckpt_path" in runs[-1]["argv"]:
            yield path.stem


NAMES = list(resumed_cases())


def setUpModule():
    global said
    _, said = clients.run(clients.python(), "tests/conformance/reverse_check.py", "--trainer", os.path.abspath(TRAINER),
                          "--cases", FOLDER, timeout=800)


class ReverseCheck(unittest.TestCase):
    def test_every_case_was_tried(self):
        self.assertTrue(NAMES, "no case resumes from a checkpoint")
        closing = re.search(r"^(\d+) passed, (\d+) failed$", said, re.M)
        self.assertIsNotNone(closing, said)
        self.assertEqual(int(closing[1]) + int(closing[2]), len(NAMES), said)


def case_of(name):
    def test(self):
        problem = re.search(r"^FAIL %s: .*$" % re.escape(name), said, re.M)
        self.assertIsNone(problem, problem and problem[0])
        self.assertRegex(said, r"(?m)^\d+ passed, \d+ failed$")

    return test


for each in NAMES:
    setattr(ReverseCheck, "test_" + each.replace("-", "_"), case_of(each))
