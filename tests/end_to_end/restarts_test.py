"""Daemons are killed with SIGKILL in the middle of training; training and the record of it go on."""

import os
import unittest

from cluster import STEPS_PER_EPOCH, ClusterTest, slow_job


class RestartsTest(ClusterTest):
    workers = 1

    EPOCHS = 20

    def rank_pids(self, job_id):
        return [rank["pid"] for rank in self.lctl_json("status", job_id)["ranks"]]

    def check_every_step_once(self, job_id):
        expected = list(range(self.EPOCHS * STEPS_PER_EPOCH))
        self.assertEqual(self.steps(job_id, "train/loss"), expected)
        self.assertEqual(self.steps(job_id, "train/accuracy"), expected)
        ends = [STEPS_PER_EPOCH * (epoch + 1) - 1 for epoch in range(self.EPOCHS)]
        self.assertEqual(self.steps(job_id, "val/loss"), ends)

    def test_server_killed_in_mid_training(self):
        job_id = self.submit(slow_job(self.EPOCHS))
        self.wait_step(job_id, 300)
        pids = self.rank_pids(job_id)
        for _ in range(3):
            self.server.kill()
            self.assertTrue(all(os.path.exists("/proc/%d" % pid) for pid in pids))
            self.start_server()
            before = self.job(job_id)["step"]
            self.wait_for("progress after the restart", lambda: self.job(job_id)["step"] > before)
        self.assertEqual(self.rank_pids(job_id), pids)
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["attempt"], 1)
        self.check_every_step_once(job_id)

    def test_agent_killed_in_mid_training(self):
        job_id = self.submit(slow_job(self.EPOCHS))
        self.wait_step(job_id, 300)
        pids = self.rank_pids(job_id)
        for _ in range(3):
            self.nodes[0].kill()
            self.assertTrue(all(os.path.exists("/proc/%d" % pid) for pid in pids))
            self.nodes[0].start()
            before = self.job(job_id)["step"]
            self.wait_for("progress after the restart", lambda: self.job(job_id)["step"] > before)
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["attempt"], 1)
        self.assertEqual(self.rank_pids(job_id), pids)
        self.check_every_step_once(job_id)

    def test_rank_killed_starts_again_from_its_checkpoint(self):
        job_id = self.submit(slow_job(self.EPOCHS, checkpoint_every="500ms"))
        self.wait_for("a recovery checkpoint", lambda: self.lctl_json("checkpoints", "list", job_id))
        os.kill(self.rank_pids(job_id)[0], 9)
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["attempt"], 2)
        details = self.lctl_json("status", job_id)
        self.assertGreater(details["attempts"][1]["resumed_at_step"], 0)
        self.check_every_step_once(job_id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
