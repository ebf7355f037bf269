"""A job is stopped in the middle of an epoch and goes on later, as if nothing had been."""

import unittest

from cluster import STEPS_PER_EPOCH, ClusterTest, slow_job


class StopResumeTest(ClusterTest):
    workers = 1

    EPOCHS = 12

    def test_stopped_job_goes_on_where_it_stopped_with_the_same_numbers(self):
        undisturbed = self.submit(slow_job(self.EPOCHS, checkpoint_every="0"))
        self.wait_state(undisturbed, "SUCCEEDED")

        job_id = self.submit(slow_job(self.EPOCHS, checkpoint_every="0"))
        self.wait_step(job_id, 2 * STEPS_PER_EPOCH + 30)
        self.lctl("stop", job_id)
        stopped = self.wait_state(job_id, "STOPPED")
        self.assertGreaterEqual(stopped["step"], 2 * STEPS_PER_EPOCH + 30)
        self.assertLess(stopped["step"], self.EPOCHS * STEPS_PER_EPOCH)
        self.lctl("resume", job_id)
        self.wait_state(job_id, "SUCCEEDED")

        details = self.lctl_json("status", job_id)
        self.assertEqual(len(details["attempts"]), 2)
        self.assertEqual(details["attempts"][1]["resumed_at_step"], stopped["step"])

        # One continuous curve, and the same one to the last bit.
        for key in ("train/loss", "train/accuracy", "val/loss"):
            once = [(point["step"], point["epoch"], point["value"]) for point in self.points(undisturbed, key)]
            cut = [(point["step"], point["epoch"], point["value"]) for point in self.points(job_id, key)]
            self.assertEqual(cut, once, key)
        self.assertEqual(details["ranks"][0]["parameters_sha256"],
                         self.lctl_json("status", undisturbed)["ranks"][0]["parameters_sha256"])

    def test_queued_job_stops_at_once(self):
        first = self.submit(slow_job(self.EPOCHS, devices=2))
        self.wait_state(first, "RUNNING")
        second = self.submit(slow_job(1))
        waiting = self.job(second)
        self.assertEqual(waiting["state"].upper(), "QUEUED")
        self.assertIn("needs 1 cpu slot", waiting["reason"])
        self.lctl("stop", second)
        self.wait_state(second, "STOPPED")
        self.lctl("stop", first)
        self.wait_state(first, "STOPPED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
