"""One round: each workload gives a figure for the limit and for the loader; the tuner tells what it found."""

import unittest

from bench import dataloader, loader_tuning
from bench.harness import main


class DataLoaderTest(unittest.TestCase):
    def test_every_workload_gives_a_plausible_figure(self):
        benchmark = dataloader.DataLoader()
        benchmark.images = 200
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        for workload in dataloader.WORKLOADS:
            for variant in (", limit", ", lctl"):
                median = rows[workload + variant]["median"]
                self.assertGreater(median, 0.01, workload)
                self.assertLess(median, 1e6, workload)
            self.assertEqual(rows[workload + ", lctl"]["versus"], workload + ", limit")

    def test_the_tuner_gives_a_figure_and_tells_its_way(self):
        benchmark = loader_tuning.LoaderTuning()
        benchmark.steps = 100
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        # A batch takes 16 ms, and 8 when the training thread helps its only worker; nothing makes that faster.
        self.assertGreater(rows["1 workers"]["median"], 7_500)
        self.assertGreater(rows["auto"]["median"], 900)
        self.assertEqual(rows["auto"]["versus"], "16 workers")
        self.assertIn("training waits for data", benchmark.notes[0])


if __name__ == "__main__":
    unittest.main()
