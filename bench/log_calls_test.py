"""One short round: every way to log gives a figure, and what was logged lies in the spool."""

import os
import tempfile
import unittest

from bench import log_calls, step_overhead
from bench.harness import main
from bench.harness.cluster import program
from bench.harness.process import output_of


class LogCallsTest(unittest.TestCase):
    def test_every_variant_gives_a_figure(self):
        benchmark = log_calls.LogCalls()
        benchmark.steps = 1000
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        self.assertEqual(len(rows), 6)
        self.assertGreater(rows["tensors, the call"]["median"], 1)
        self.assertGreater(rows["numbers, the call"]["median"], 1)

    def test_what_is_measured_reaches_the_spool(self):
        with tempfile.TemporaryDirectory() as folder:
            spool = os.path.join(folder, "events.log")
            output_of([program("bench/logging"), "tensors", "10", "100", "50"], cwd=folder,
                      env={**os.environ, "LCTL_SPOOL": spool})
            self.assertEqual(sorted(step_overhead.logged_steps(spool)), [49, 99])


if __name__ == "__main__":
    unittest.main()
