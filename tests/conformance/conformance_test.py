"""Every recorded case, as a test case of its own.

usage: conformance_test.py TRAINER FOLDER        FOLDER holds cases/ and expected/
"""

import argparse
import concurrent.futures
import os
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import check  # noqa: E402

TRAINER, FOLDER = sys.argv[1:3]
ROOT = Path(FOLDER).resolve()
OPTIONS = argparse.Namespace(
    command=check.trainer_command(os.path.abspath(TRAINER)),
    data_dirs=[Path(__file__).resolve().parent.parent / "data"],
    timeout=120.0,
    keep=False,
    relax=None,
)
NAMES = sorted(path.stem for path in (ROOT / "cases").glob("*.yaml"))
problems = {}


def setUpModule():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        problems.update(pool.map(lambda name: check.run_case(ROOT, name, OPTIONS), NAMES))


class Conformance(unittest.TestCase):
    def test_every_case_is_recorded_and_every_recording_has_a_case(self):
        self.assertEqual(NAMES, sorted(path.stem for path in (ROOT / "expected").glob("*.json")))
        self.assertTrue(NAMES)


def case_of(name):
    def test(self):
        self.assertIsNone(problems[name])

    return test


for each in NAMES:
    setattr(Conformance, "test_" + each.replace("-", "_"), case_of(each))
