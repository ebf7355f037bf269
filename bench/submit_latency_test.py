"""One round of the benchmark through the real daemons: it measures a first step, not something else."""

import unittest

from bench.harness import main
from bench.submit_latency import PHASES, SubmitLatency


class SubmitLatencyTest(unittest.TestCase):
    def test_every_variant_gives_a_plausible_figure(self):
        rows = {row["variant"]: row for row in main.run(SubmitLatency(), 1, show_progress=False)}
        self.assertLessEqual({"lctl, one rank", "lctl, two ranks", "lctl run, to its end"}, set(rows))
        for row in rows.values():
            # LibTorch alone takes longer to load than the lower bound; the upper one only excludes nonsense.
            self.assertGreater(row["median"], 0.02, row)
            self.assertLess(row["median"], 60, row)
        for name in ("lctl, one rank", "lctl, two ranks"):
            phases = rows[name]["phases"]
            self.assertEqual(list(phases), list(PHASES))
            # These two are in order by cause; the later times are taken by processes that do not wait for each other.
            self.assertGreater(phases[PHASES[0]]["median"], 0, rows[name])
            self.assertGreaterEqual(phases[PHASES[1]]["median"], 0, rows[name])
        self.assertEqual(rows["lctl, two ranks"]["versus"], "lctl, one rank")


if __name__ == "__main__":
    unittest.main()
