"""`lctl drill` breaks things in a real cluster: the job recovers, nothing is lost, nothing counts."""

import json
import subprocess
import unittest

from cluster import DEADLINE, ClusterTest, program, slow_job

EPOCHS = 200  # longer than any drill: the job is stopped at its end


class DrillTest(ClusterTest):
    workers = 2
    slots = 1
    lost_after = 3

    def start(self, checkpoints=2):
        job_id = self.submit(slow_job(EPOCHS, checkpoint_every="300ms"))
        self.wait_for("%d checkpoints" % checkpoints,
                      lambda: len(self.lctl_json("checkpoints", "list", job_id)) >= checkpoints)
        return job_id

    def drill(self, job_id, *arguments):
        command = [program("client/lctl"), "--server", self.address, "drill", job_id, *arguments, "--json"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment, timeout=DEADLINE)
        self.assertEqual(result.returncode, 0, "%s\n%s" % (result.stdout, result.stderr))
        report = json.loads(result.stdout)
        self.assertTrue(report["nothing_lost"])
        self.assertEqual((report["points_lost"], report["checkpoints_lost"]), (0, 0))
        self.assertGreater(report["caught_up_s"], 0)
        return report

    def check_untouched(self, job_id):
        """Nothing counted, and the curve has every step once."""
        self.assertEqual(self.job(job_id)["restarts"], 0)
        self.lctl("stop", job_id, "--now", "--wait")
        steps = self.steps(job_id, "train/loss")
        self.assertEqual(steps, list(range(len(steps))))

    def test_kill_rank_then_preempt(self):
        job_id = self.start()
        killed = self.drill(job_id, "kill-rank")
        self.assertEqual(killed["attempt"], 2)
        self.assertTrue(killed["resumed_from_checkpoint"])
        self.assertIn("drill: rank 0 was killed", killed["decisions"][0]["reason"])
        self.assertLess(killed["noticed_s"], killed["training_again_s"])
        self.assertLessEqual(killed["training_again_s"], killed["caught_up_s"])

        asked = self.drill(job_id, "preempt")
        self.assertEqual(asked["attempt"], 3)
        self.assertEqual(asked["steps_repeated"], 0, "it wrote a checkpoint before it made room")
        self.check_untouched(job_id)

    def test_partition(self):
        job_id = self.start()
        report = self.drill(job_id, "partition")
        self.assertEqual(report["duration_s"], self.lost_after + 3)
        self.assertGreater(report["noticed_s"], self.lost_after - 1)
        self.assertIn("has not answered", report["decisions"][0]["reason"])
        self.assertIn("drill: ", report["decisions"][0]["reason"])
        ranks = self.lctl_json("status", job_id)["ranks"]
        self.assertNotEqual(ranks[0]["node"], report["node"], "it went on elsewhere")
        self.wait_for("the node is back", lambda: all(
            node["state"].lower() == "ready" for node in self.lctl_json("nodes")))
        self.check_untouched(job_id)

    def test_corrupt_checkpoint(self):
        job_id = self.start()
        report = self.drill(job_id, "corrupt-checkpoint")
        self.assertEqual(report["attempt"], 3)
        attempts = self.lctl_json("status", job_id)["attempts"]
        self.assertIn("drill: ", attempts[1]["reason"])
        self.assertIn("the store's copy is sound", attempts[1]["reason"])
        self.assertNotEqual(attempts[1]["resumed_from_checkpoint"], attempts[2]["resumed_from_checkpoint"])
        self.assertLess(attempts[2]["resumed_at_step"], attempts[1]["resumed_at_step"])
        self.assertFalse([row for row in self.lctl_json("checkpoints", "list", job_id) if row["damage"]])
        self.check_untouched(job_id)

    def test_hang(self):
        job_id = self.start(checkpoints=1)
        report = self.drill(job_id, "hang", "--for", "2")
        self.assertGreater(report["caught_up_s"], 2)
        self.check_untouched(job_id)

    def test_refused(self):
        job_id = self.submit(slow_job(EPOCHS, checkpoint_every="10m"))
        self.wait_state(job_id, "RUNNING")
        self.lctl("drill", job_id, "kill-rank", code=1)
        self.assertIn("it has no checkpoint yet", self.last_stderr)
        self.lctl("stop", job_id, "--now", "--wait")
        self.lctl("drill", job_id, "kill-rank", code=1)
        self.assertIn("needs a job that runs", self.last_stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
