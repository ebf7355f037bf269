"""The graph of a job file's model stands where Lightning writes it, and TensorBoard reads it.

usage: graph_test.py TRAINER CASE.yaml REFERENCE.py
"""

import json
import os
import shutil
import sys
import tempfile
import unittest

import clients

TRAINER, CASE, REFERENCE = (os.path.abspath(path) for path in sys.argv[1:4])
CHECK = os.path.abspath("tests/clients/graph_check.py")


def fit_arguments():
    """Those of the case's first line `#: run: …`."""
    with open(CASE, encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("#: run: "):
                return line[len("#: run: "):].split()
    raise ValueError("%s has no line '#: run:'" % CASE)


class Graph(unittest.TestCase):
    def found(self, *command):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        shutil.copy(CASE, os.path.join(folder.name, "case.yaml"))
        code, said = clients.run(*command, *fit_arguments(), cwd=folder.name)
        self.assertEqual(code, 0, said)
        code, read = clients.run(clients.python(), CHECK, folder.name)
        self.assertEqual(code, 0, read)
        return json.loads(read[read.index("{"):]), said

    def test_events_are_in_lightnings_order_and_the_graph_is_whole(self):
        ours, said = self.found(TRAINER)
        theirs, _ = self.found(clients.python(), REFERENCE)
        self.assertEqual(ours["events"], theirs["events"])
        self.assertIn("graph_def", ours["events"])
        self.assertTrue(any("Linear[0]" in name for name in ours["names"]), ours["names"])
        for _, inputs in ours["nodes"]:
            self.assertLessEqual(set(inputs), set(ours["names"]))
        self.assertIn("[2, 12]", said)  # the summary's sizes
