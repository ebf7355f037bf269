"""One round of each with few points: figures that can be, and all points of all jobs committed."""

import unittest

from bench import ingest
from bench.harness import main


class IngestTest(unittest.TestCase):
    def test_every_variant_gives_a_plausible_figure(self):
        benchmark = ingest.Ingest()
        benchmark.points = 64 * 100
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        for variant in [ingest.LIMIT] + ["lctl, %d jobs" % jobs for jobs in ingest.JOBS]:
            self.assertGreater(rows[variant]["median"], 0.01, variant)
            self.assertLess(rows[variant]["median"], 1e5, variant)
        self.assertEqual(rows["lctl, 8 jobs"]["versus"], ingest.LIMIT)

    def test_reads_and_acknowledgements_give_a_plausible_figure(self):
        benchmark = ingest.MetricReads()
        benchmark.points = 50_000
        benchmark.calls = 5
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        for row in rows.values():
            self.assertGreater(row["median"], 1e-4, row["variant"])
            self.assertLess(row["median"], 30, row["variant"])
        self.assertIn("99th percentile", benchmark.notes[0])


if __name__ == "__main__":
    unittest.main()
