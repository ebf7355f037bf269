"""One round: the data is made, each workload gives a figure for the limit and for the loader."""

import unittest

from bench import dataloader
from bench.harness import main


class DataLoaderTest(unittest.TestCase):
    def test_every_workload_gives_a_plausible_figure(self):
        rows = {row["variant"]: row for row in main.run(dataloader.DataLoader(), 1, show_progress=False)}
        for workload in dataloader.WORKLOADS:
            for variant in (", limit", ", lctl"):
                median = rows[workload + variant]["median"]
                self.assertGreater(median, 0.01, workload)
                self.assertLess(median, 1e6, workload)
            self.assertEqual(rows[workload + ", lctl"]["versus"], workload + ", limit")


if __name__ == "__main__":
    unittest.main()
