"""The C++ examples do what they say: each runs as a user would run it."""

import glob
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.getcwd()


class ProgramsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_program(self, name, *arguments, code=0):
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        done = subprocess.run(
            [os.path.join(ROOT, "examples/cpp", name), *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def number(self, text, before):
        match = re.search(re.escape(before) + r"\s*(-?[0-9.]+(?:e-?\d+)?)", text)
        self.assertIsNotNone(match, "no '%s' in:\n%s" % (before, text))
        return float(match.group(1))

    def digits(self, *arguments):
        return self.run_program("digits", os.path.join(ROOT, "examples/data/digits.csv.gz"), *arguments)

    def test_digits_trains_tests_and_loads_its_best_checkpoint(self):
        output = self.digits().stdout
        self.assertIn("hidden_dim: 128", output)
        accuracy = float(re.search(r"test/acc\s+([0-9.]+)", output).group(1))
        self.assertGreater(accuracy, 0.95)
        best = re.search(r"best checkpoint: (\S+)", output).group(1)
        self.assertTrue(os.path.exists(os.path.join(self.folder, best)), best)
        self.assertTrue(glob.glob(self.folder + "/logs/tb/version_0/events.out.tfevents.*"))
        with open(self.folder + "/logs/csv/version_0/metrics.csv", encoding="utf-8") as metrics:
            header = metrics.readline()
        for name in ("train/loss", "train/acc", "val/loss", "val/acc", "lr-AdamW"):
            self.assertIn(name, header)
        with open(self.folder + "/logs/csv/version_0/hparams.yaml", encoding="utf-8") as hparams:
            self.assertIn("hidden_dim: 128", hparams.read())

    def test_datasets_of_ones_own_are_learned_and_give_the_same_numbers_again(self):
        first, second = (self.run_program("datasets").stdout for _ in range(2))
        self.assertGreater(self.number(first, "val/acc:"), 0.97)
        self.assertEqual(self.number(first, "val/acc:"), self.number(second, "val/acc:"))

    def test_digits_trains_on_two_ranks_that_it_starts_itself(self):
        done = self.digits("--devices=2")
        accuracy = float(re.search(r"test/acc\s+([0-9.]+)", done.stdout).group(1))
        self.assertGreater(accuracy, 0.95)
        self.assertEqual(done.stdout.count("best checkpoint:"), 1, "only rank 0 speaks")

    def test_gan_with_two_optimizers_learns_the_circle(self):
        output = self.run_program("gan").stdout
        self.assertEqual(self.number(output, "counts both optimizers:"), 2 * 32 * 15)
        radius = self.number(output, "(1 is perfect):")
        self.assertTrue(0.8 < radius < 1.2, radius)

    def test_finetune_improves_with_each_stage(self):
        output = self.run_program("finetune").stdout
        self.assertGreater(self.number(output, "pretrained: val/acc"), 0.85)
        head = self.number(output, "head only: val/acc")
        everything = self.number(output, "everything: val/acc")
        self.assertGreater(head, 0.6)
        self.assertGreaterEqual(everything, head)

    def test_fast_dev_run_writes_nothing(self):
        output = self.run_program("debugging", "fast_dev_run").stdout
        self.assertIn("fast_dev_run: 5 steps", output)
        self.assertEqual(os.listdir(self.folder), [])

    def test_overfit_reaches_a_small_loss(self):
        output = self.run_program("debugging", "overfit").stdout
        self.assertLess(self.number(output, "overfit: train/loss"), 0.02)

    def test_limits_and_a_lambda_callback(self):
        output = self.run_program("debugging", "limit").stdout
        self.assertIn("limit: epoch 0 after step 4", output)
        self.assertIn("limit: epoch 1 after step 8", output)

    def test_nan_is_found_at_its_batch_and_ends_with_one_clear_line(self):
        done = self.run_program("debugging", "nan", code=1)
        self.assertIn("NaN detected at batch 4", done.stdout)
        self.assertIn("debugging: error: NaN loss at batch 4", done.stderr)

    def test_ranks_meet_at_a_barrier(self):
        output = self.run_program("debugging", "ranks").stdout
        self.assertIn("ranks: rank 0 of 2", output)
        self.assertIn("ranks: rank 1 of 2", output)
        self.assertEqual(output.count("ranks: all are here"), 1)

    def test_a_wrong_word_is_one_line_that_says_what_there_is(self):
        done = self.run_program("debugging", "nonsense", code=1)
        self.assertIn("debugging: error: unknown example 'nonsense'; there are fast_dev_run,", done.stderr)


if __name__ == "__main__":
    unittest.main()
