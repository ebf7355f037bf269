"""TensorBoard's own reader finds every tag and value that our writer wrote.

usage: tensorboard_test.py SAMPLE_PROGRAM EXPECTED.json
"""

import json
import os
import sys
import tempfile
import unittest

import clients

SAMPLE, EXPECTED = sys.argv[1:3]
CHECK = "tests/clients/tensorboard_check.py"


class TensorBoard(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        code, said = clients.run(os.path.abspath(SAMPLE), self.folder.name)
        self.assertEqual(code, 0, said)

    def test_every_tag_and_value_is_read_as_from_torchs_writer(self):
        code, said = clients.run(clients.python(), CHECK, self.folder.name, EXPECTED)
        self.assertEqual(code, 0, said)

    def test_a_wrong_value_is_noticed(self):
        with open(EXPECTED, encoding="utf-8") as stream:
            expected = json.load(stream)
        scalars = next(run["scalars"] for run in expected.values() if run.get("scalars"))
        next(iter(scalars.values()))[0][1] = 12345.0
        changed = os.path.join(self.folder.name, "changed.json")
        with open(changed, "w", encoding="utf-8") as stream:
            json.dump(expected, stream)
        code, said = clients.run(clients.python(), CHECK, self.folder.name, changed)
        self.assertNotEqual(code, 0, said)
