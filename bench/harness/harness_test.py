"""The harness: rounds are pairs, figures are medians, tables fit a terminal."""

import os
import sys
import tempfile
import unittest
from unittest import mock

from bench.harness import cluster, figures, main, peers, process, rounds, table
from bench.harness.benchmark import Benchmark, Measured, Variant


def counting(name, log, values, **kwargs):
    numbers = iter(values)

    def measure():
        log.append(name)
        return next(numbers)

    return Variant(name, measure, **kwargs)


class RoundsTest(unittest.TestCase):
    def test_order_turns_about_and_the_warm_up_is_not_counted(self):
        log = []
        variants = [counting("a", log, [9, 1, 2]), counting("b", log, [8, 3, 4])]
        self.assertEqual(rounds.run_rounds(variants, 2), {"a": [1, 2], "b": [3, 4]})
        self.assertEqual(log, ["b", "a", "a", "b", "b", "a"])

    def test_a_round_that_fails_ends_the_benchmark_and_closes_it(self):
        closed = []

        class Failing(Benchmark):
            name = "failing"

            def open(self):
                self.variants = [Variant("a", lambda: 1 / 0)]

            def close(self):
                closed.append(True)

        with self.assertRaises(ZeroDivisionError):
            main.run(Failing(), 1, show_progress=False)
        self.assertEqual(closed, [True])


class FiguresTest(unittest.TestCase):
    def test_ratio_is_the_median_of_the_rounds_ratios_not_of_the_medians(self):
        ratio = figures.paired_ratio([1, 10, 100], [1, 5, 400])
        self.assertEqual((ratio["median"], ratio["min"], ratio["max"]), (1, 0.25, 2))

    def test_unequal_rounds_are_no_pairs(self):
        with self.assertRaises(ValueError):
            figures.paired_ratio([1, 2], [1])

    def test_target_is_held_against_the_median(self):
        variants = [Variant("a", None, at_most=2), Variant("b", None, at_most=1, versus="a")]
        rows = figures.results(variants, {"a": [1, 2, 30], "b": [2, 2, 2]})
        self.assertEqual([row["met"] for row in rows], [True, False])
        self.assertEqual(rows[1]["ratio"]["median"], 1)

    def test_target_of_a_ratio_is_held_against_the_paired_one(self):
        variants = [Variant("a", None), Variant("b", None, versus="a", ratio_at_most=1.5),
                    Variant("c", None, versus="b", ratio_at_least=4)]
        rows = figures.results(variants, {"a": [1.0, 2.0], "b": [1.2, 2.4], "c": [3.6, 7.2]})
        self.assertEqual([row.get("ratio_met") for row in rows], [None, True, False])
        lines = "\n".join(table.lines(Benchmark(), rows))
        self.assertIn("1.20x a (<= 1.50 met)", lines)
        self.assertIn("3.00x b (>= 4.00 MISSED)", lines)

    def test_phases_are_summed_up_only_if_every_figure_has_them(self):
        measured = [Measured(3, {"first": 1, "then": 2}), Measured(5, {"first": 2, "then": 3})]
        rows = figures.results([Variant("a", None), Variant("b", None)], {"a": measured, "b": [measured[0], 4]})
        medians = {name: part["median"] for name, part in rows[0]["phases"].items()}
        self.assertEqual(medians, {"first": 1.5, "then": 2.5})
        self.assertEqual(rows[0]["median"], 4)
        self.assertNotIn("phases", rows[1])


class TableTest(unittest.TestCase):
    def test_numbers_keep_three_digits(self):
        self.assertEqual([table.number(value) for value in (0, 0.01234, 0.1234, 1.234, 12.34, 1234.5)],
                         ["0", "0.0123", "0.123", "1.23", "12.3", "1234"])

    def test_table_fits_80_columns_and_says_what_was_missed_and_left_out(self):
        benchmark = Benchmark()
        benchmark.name, benchmark.question, benchmark.left_out = "b", "how long?", ["peers"]
        variants = [Variant("lctl, two ranks", None, at_most=0.8),
                    Variant("Lightning script", None, versus="lctl, two ranks")]
        rows = figures.results(variants, {"lctl, two ranks": [0.9], "Lightning script": [3.1]})
        lines = table.lines(benchmark, rows)
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("<= 0.800 MISSED", "\n".join(lines))
        self.assertIn("3.44x lctl, two ranks", "\n".join(lines))
        self.assertEqual(lines[-1], "left out: peers")

    def test_missed_targets_and_long_names_fit_80_columns_and_lose_nothing(self):
        names = ["lctl, one rank", "lctl run, to its end", "python: import torch"]
        variants = [Variant(name, None, at_most=0.05, versus=names[0]) for name in names]
        rows = figures.results(variants, {name: [0.0812, 0.0934] for name in names})
        lines = table.lines(Benchmark(), rows)
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertEqual(sum("1.00x lctl, one rank" in line for line in lines), 3)
        self.assertEqual(sum("<= 0.0500 MISSED" in line for line in lines), 3)

    def test_phases_follow_the_table_with_a_column_for_each_variant_that_has_them(self):
        variants = [Variant("a", None), Variant("b", None), Variant("c", None)]
        rows = figures.results(variants, {"a": [Measured(3, {"load": 1, "go": 2})], "b": [7],
                                          "c": [Measured(4, {"load": 4})]})
        self.assertEqual([line.split() for line in table.lines(Benchmark(), rows)[-3:]],
                         [["of", "it", "(medians)", "a", "c"], ["load", "1.00", "4.00"], ["go", "2.00"]])


class ProcessTest(unittest.TestCase):
    def test_a_program_that_fails_says_why(self):
        command = [sys.executable, "-c", "import sys; sys.exit('the disk is full')"]
        with self.assertRaisesRegex(RuntimeError, "ended with 1: the disk is full"):
            process.output_of(command)

    def test_a_program_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(RuntimeError, "/no/such/program cannot be started: .*No such file"):
            process.output_of(["/no/such/program"])

    def test_a_program_on_a_terminal_sees_one_and_its_memory_is_told(self):
        look = "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"
        output, usage = process.on_terminal([sys.executable, "-c", look])
        self.assertEqual(output.split(), ["True", "True"])
        self.assertGreater(usage.ru_maxrss, 1024)
        with self.assertRaisesRegex(RuntimeError, "ended with 3: it is full"):
            process.on_terminal([sys.executable, "-c", "print('it is full'); raise SystemExit(3)"])
        with self.assertRaisesRegex(RuntimeError, "/no/such/program cannot be started"):
            process.on_terminal(["/no/such/program"])

    def test_a_peers_python_without_the_peer_is_refused(self):
        with mock.patch.dict(os.environ, {"LCTL_PEER_PYTHON": sys.executable}):
            peers.check(["json"])
            with self.assertRaisesRegex(RuntimeError, "has no no_such_peer: "):
                peers.check(["json", "no_such_peer"])


class ClusterTest(unittest.TestCase):
    def test_a_cluster_that_does_not_start_says_why_and_leaves_nothing_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "client"))
            fake = os.path.join(folder, "client", "lctl")
            with open(fake, "w", encoding="utf-8") as stream:
                stream.write("#!/bin/sh\necho no port is free\nexit 1\n")
            os.chmod(fake, 0o755)
            made = os.path.join(folder, "made")
            with mock.patch.dict(os.environ, {"LCTL_BIN": folder}), \
                    mock.patch("tempfile.mkdtemp", side_effect=lambda prefix: os.mkdir(made) or made):
                with self.assertRaisesRegex(RuntimeError, "no port is free"):
                    cluster.Cluster(workers=1)
            self.assertFalse(os.path.exists(made))


class CommandLineTest(unittest.TestCase):
    def test_a_json_file_that_cannot_be_written_is_refused_before_anything_is_measured(self):
        with self.assertRaises(SystemExit) as ended:
            main.main(["--json", "/no/such/folder/figures.json"])
        self.assertEqual(ended.exception.code, 2)

    def test_unknown_benchmark_is_refused(self):
        with self.assertRaises(SystemExit) as ended:
            main.main(["no_such_thing"])
        self.assertEqual(ended.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
