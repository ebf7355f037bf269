"""One round with a small model: each variant gives a figure."""

import unittest

from bench import checkpoint
from bench.harness import main


class CheckpointTest(unittest.TestCase):
    def test_every_variant_gives_a_plausible_figure(self):
        benchmark = checkpoint.Checkpoint()
        benchmark.megabytes = 10  # layers of more than a MiB
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        for variant, row in rows.items():
            self.assertGreater(row["median"], 1e-6, variant)
            self.assertLess(row["median"], 60, variant)
        self.assertLess(rows["lctl, standing still"]["median"], rows["lctl, whole"]["median"])
        self.assertIn("had changed", benchmark.notes[0])
        self.assertEqual(rows["lctl, whole"]["versus"], "raw write and fsync")


if __name__ == "__main__":
    unittest.main()
