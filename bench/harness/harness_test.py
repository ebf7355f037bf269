"""The harness: rounds are pairs, figures are medians, tables fit a terminal."""

import unittest

from bench.harness import figures, main, rounds, table
from bench.harness.benchmark import Benchmark, Variant


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


class CommandLineTest(unittest.TestCase):
    def test_unknown_benchmark_is_refused(self):
        with self.assertRaises(SystemExit) as ended:
            main.main(["no_such_thing"])
        self.assertEqual(ended.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
