"""A rank of two hangs: the job finds out by itself, says who is at fault, and goes on to the same end."""

import os
import random
import signal
import struct
import unittest
import zlib

from cluster import ClusterTest

# A single long epoch: between epochs a rank may be silent for longer.
JOB = """
seed_everything: 7
trainer:
  max_epochs: 1
  enable_model_summary: false
  logger: {class_path: CSVLogger, init_args: {save_dir: .}}
model:
  class_path: Classifier
  init_args:
    layers:
      - Flatten
      - {Linear: {in_features: 192, out_features: 128}}
      - ReLU
      - {Linear: {in_features: 128, out_features: 128}}
      - ReLU
      - {Linear: {in_features: 128, out_features: 2}}
    loss: cross_entropy
data:
  class_path: ImageFolderDataModule
  init_args: {train: %(train)s, val_fraction: 0.0, batch_size: 2, shuffle: false, num_workers: 0}
optimizer:
  class_path: SGD
  init_args: {lr: 0.05, momentum: 0.9}
job:
  name: hangs
  resources: {nodes: 2, devices: 1}
  checkpoint_every: 300ms
  hang_after: 3s
"""
IMAGES = 2000  # of each class: 2,000 batches of two for either rank


def png(pixels, side=8):
    """A file of RGB pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[3 * side * y:3 * side * (y + 1)] for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


class HangTest(ClusterTest):
    workers = 2
    slots = 1

    def setUp(self):
        super().setUp()
        generator = random.Random(5)
        for name in ("a", "b"):
            os.makedirs(self.path("train", name))
            some = [png(generator.randbytes(192)) for _ in range(50)]
            for i in range(IMAGES):
                with open(self.image(name, i), "wb") as out:
                    out.write(some[i % len(some)])

    def image(self, name, number):
        return self.path("train", name, "%05d.png" % number)

    def start(self):
        job_id = self.submit(JOB % {"train": self.path("train")})
        self.wait_state(job_id, "RUNNING", "SUCCEEDED")
        return job_id

    def digest(self, job_id):
        self.wait_state(job_id, "SUCCEEDED")
        digests = {rank["parameters_sha256"] for rank in self.lctl_json("status", job_id)["ranks"]}
        self.assertEqual(len(digests), 1)
        return digests.pop()

    def first_attempt(self, job_id):
        """As it ended: by a hang, with a rank at fault."""
        attempt = self.lctl_json("status", job_id)["attempts"][0]
        self.assertEqual(attempt["cause"], "hung", attempt["reason"])
        self.assertEqual(attempt["outcome"], "failed")
        self.assertIn("rank %s (node worker-" % attempt["culprit"], attempt["reason"])
        return attempt

    def log(self, job_id, rank):
        return self.lctl("logs", job_id, "--rank", str(rank), "--attempt", "1")

    def expect_stacks(self, text):
        self.assertRegex(text, r"lctl-trainer: the stacks of \d+ threads, the main one last")
        self.assertRegex(text, r"thread lctl-trainer \(\d+, main\)")
        self.assertIn("lctl::TrainingEpochLoop::", text)

    def test_stopped_rank_and_rank_stuck_in_its_data(self):
        undisturbed = self.digest(self.start())

        with self.subTest("stopped"):
            job_id = self.start()
            self.wait_step(job_id, 200)
            self.lctl("stacks", job_id)  # by hand, of a job that works
            self.wait_for("the stacks", lambda: all(
                "the main one last" in self.log(job_id, rank) for rank in (0, 1)))
            self.wait_step(job_id, 300)
            pids = {rank["rank"]: rank["pid"] for rank in self.lctl_json("status", job_id)["ranks"]}
            os.kill(pids[1], signal.SIGSTOP)
            self.wait_for("the next attempt", lambda: self.job(job_id)["attempt"] == 2, timeout=45)
            attempt = self.first_attempt(job_id)
            self.assertEqual(attempt["culprit"], 1)
            self.assertIn("its process is stopped (SIGSTOP)", attempt["reason"])
            self.expect_stacks(self.log(job_id, 0))
            text = self.log(job_id, 1)
            self.assertIn("there are no stacks of rank 1: its process is stopped (SIGSTOP)", text)
            self.assertRegex(text, r"lctl-trainer %d T" % pids[1])
            self.assertEqual(self.digest(job_id), undisturbed)
            self.assertEqual(self.job(job_id)["restarts"], 1)

        with self.subTest("data"):
            # A pipe that nobody writes to, in place of a file in the middle of the epoch.
            image = self.image("a", IMAGES - 601)
            os.rename(image, self.path("file.png"))
            os.mkfifo(image)
            job_id = self.start()
            self.wait_for("the next attempt", lambda: self.job(job_id)["attempt"] == 2, timeout=45)
            os.rename(self.path("file.png"), image)
            attempt = self.first_attempt(job_id)
            culprit = attempt["culprit"]
            self.assertIn("(training, waiting for its next batch)", attempt["reason"])
            self.assertRegex(attempt["reason"], r"; rank %d waits in all_reduce #\d+, which it has not reached; "
                             % (1 - culprit))
            for rank in (0, 1):
                self.expect_stacks(self.log(job_id, rank))
            self.assertIn("lctl::ImageFileReader::read", self.log(job_id, culprit))
            self.assertIn("c10d::Reducer::", self.log(job_id, 1 - culprit))
            self.assertEqual(self.digest(job_id), undisturbed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
