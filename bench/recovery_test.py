"""One round: the job goes on from a checkpoint, and the figure is the time of its next step."""

import unittest

from bench import recovery
from bench.harness import main


class RecoveryTest(unittest.TestCase):
    def test_a_killed_rank_is_followed_by_a_step(self):
        benchmark = recovery.Recovery()
        row, = [row for row in main.run(benchmark, 1, show_progress=False) if row["variant"] == "lctl"]
        self.assertGreater(row["median"], 0.01)
        self.assertEqual(list(row["phases"]), ["noticed, placed again", "ranks load, do the step"])
        self.assertGreaterEqual(len(benchmark.resumed), 1)  # a round that only warms up counts, too
        for last, first in benchmark.resumed:
            self.assertGreater(first, 0)
            self.assertLessEqual(first, last + 1)


if __name__ == "__main__":
    unittest.main()
