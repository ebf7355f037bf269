"""One sample is NaN: the job is rolled back to before its batch, leaves it out, and ends well."""

import math
import unittest

from cluster import ClusterTest, slow_job

EPOCHS = 3
STEPS = 200  # batches of an epoch
BAD_BATCH = 150  # of each epoch: the data is not shuffled
CHECKPOINTS = """
    - class_path: ModelCheckpoint
      init_args: {every_n_train_steps: 20, save_top_k: -1}
"""


def job(callback, **arguments):
    text = slow_job(EPOCHS, checkpoint_every="10m", **arguments)
    text = text.replace("shuffle: true", "shuffle: false, nan_index: %d" % (BAD_BATCH * 64 + 7))
    return text.replace("  logger:", "  callbacks:%s    - %s\n  logger:" % (CHECKPOINTS, callback))


class RollBackTest(ClusterTest):
    def check_rolled_back(self, job_id, roll_backs):
        job_row = self.job(job_id)
        self.assertEqual(job_row["restarts"], 0, "a roll-back does not count")
        attempts = self.lctl_json("status", job_id)["attempts"]
        self.assertEqual([row["outcome"] for row in attempts], ["rolled back"] * roll_backs + ["succeeded"])
        self.assertEqual({row["cause"] for row in attempts[:-1]}, {"rolled_back"})
        for number in range(roll_backs):
            # The newest checkpoint before batch 149 of that epoch: two batches fewer in each epoch before.
            done = number * (STEPS - 2)
            newest = (done + BAD_BATCH - 1) // 20 * 20
            # One that was still being written when training ended is not there.
            self.assertLessEqual(attempts[number + 1]["resumed_at_step"], newest)
            self.assertEqual(attempts[number + 1]["resumed_at_step"] % 20, 0)
        values = self.points(job_id, "train/loss")
        self.assertEqual([row["step"] for row in values], list(range(EPOCHS * (STEPS - 2))))
        self.assertFalse([row for row in values if not math.isfinite(row["value"])])

    def test_spike_detection(self):
        job_id = self.submit(job("{class_path: SpikeDetection, init_args: {action: roll_back, max_roll_backs: 3, atol: 100.0}}"))
        self.wait_state(job_id, "SUCCEEDED")
        self.check_rolled_back(job_id, EPOCHS)
        said = [row["reason"] for row in self.lctl_json("status", job_id)["transitions"] if row["to"] == "QUEUED"]
        self.assertIn("attempt 1 is rolled back to before step %d (1 of 3): SpikeDetection: the loss of batch %d "
                      "of epoch 0 is nan" % (BAD_BATCH, BAD_BATCH), said[1])

    def test_finite_guard_on_two_ranks(self):
        callback = "{class_path: FiniteGuard, init_args: {action: roll_back}}"
        text = job(callback, devices=2).replace("num_train: 12800", "num_train: 25600").replace(
            "nan_index: %d" % (BAD_BATCH * 64 + 7), "nan_index: %d" % (BAD_BATCH * 128 + 7))
        job_id = self.submit(text)
        self.wait_state(job_id, "SUCCEEDED")
        self.check_rolled_back(job_id, EPOCHS)
        digests = {rank["parameters_sha256"] for rank in self.lctl_json("status", job_id)["ranks"]}
        self.assertEqual(len(digests), 1)

    def test_roll_backs_are_bounded(self):
        job_id = self.submit(job("{class_path: SpikeDetection, init_args: {action: roll_back, max_roll_backs: 1, atol: 100.0}}"))
        row = self.wait_state(job_id, "FAILED")
        self.assertIn("all 1 roll-backs are used (max_roll_backs)", row["reason"])
        self.assertEqual(row["attempt"], 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
