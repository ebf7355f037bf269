"""Every format through lctl-trainer: the same bits for any number of workers, and after a stop in mid-epoch."""

import csv
import glob
import json
import os
import subprocess
import tempfile
import unittest

from tests.data_loading import samples

TRAINER = os.path.join(os.getcwd(), "worker/trainer/lctl-trainer")


def train(folder, job, run, *overrides):
    """The finished process of one run in folder/run."""
    os.makedirs(os.path.join(folder, run), exist_ok=True)
    with open(os.path.join(folder, "job.yaml"), "w", encoding="utf-8") as stream:
        json.dump(job, stream)
    environment = dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    return subprocess.run([TRAINER, "fit", "--config", os.path.join(folder, "job.yaml"), *overrides],
                          cwd=os.path.join(folder, run), env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=240, check=False)


def losses(folder, run):
    """{step: train/loss as text} of all metrics.csv below."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, run, "**", "metrics.csv"), recursive=True)):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row.get("train/loss"):
                    found[int(row["step"])] = row["train/loss"]
    return found


class FormatsTest(unittest.TestCase):
    def folder_with(self, which):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        which.make(folder.name)
        return folder.name

    def run_all_right(self, *arguments):
        done = train(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def test_bits_do_not_depend_on_the_workers(self):
        for which in samples.FORMATS:
            folder = self.folder_with(which)
            first = None
            for workers in (0, 1, 2, 4, "auto"):
                run = "workers-%s" % workers
                self.run_all_right(folder, which.job(num_workers=workers), run)
                got = losses(folder, run)
                first = first or got
                with self.subTest(format=which.name, workers=workers):
                    self.assertGreaterEqual(len(got), 8)
                    self.assertGreater(len(set(got.values())), 4)
                    self.assertEqual(got, first)

    def test_a_run_stopped_in_mid_epoch_goes_on_with_the_same_bits(self):
        for which in samples.FORMATS:
            folder = self.folder_with(which)
            job = which.job(num_workers=2)
            self.run_all_right(folder, job, "whole")
            whole = losses(folder, "whole")
            job["trainer"]["callbacks"] = [{"class_path": "ModelCheckpoint", "init_args": {
                "dirpath": os.path.join(folder, "kept"), "save_last": True, "every_n_train_steps": 1}}]
            self.run_all_right(folder, job, "parts", "--trainer.max_steps=3")
            self.run_all_right(folder, job, "parts", "--ckpt_path=%s" % os.path.join(folder, "kept", "last.ckpt"))
            with self.subTest(format=which.name):
                self.assertEqual(losses(folder, "parts"), whole)


if __name__ == "__main__":
    unittest.main()
