"""A byte of the newest checkpoint rots in the store: the job goes on from the one before it, and ends as if nothing had been."""

import os
import signal
import sqlite3
import unittest

from cluster import STEPS_PER_EPOCH, ClusterTest, slow_job

EPOCHS = 8


class CorruptCheckpointTest(ClusterTest):
    def rank_pid(self, job_id):
        return self.lctl_json("status", job_id)["ranks"][0]["pid"]

    def checkpoints(self, job_id):
        return self.lctl_json("checkpoints", "list", job_id)

    def freeze_with_two_checkpoints(self, job_id):
        """Stops the rank's process and waits until all that it wrote is in the store; its pid."""
        self.wait_for("two checkpoints", lambda: len(self.checkpoints(job_id)) >= 2)
        pid = self.rank_pid(job_id)
        os.kill(pid, signal.SIGSTOP)

        def staged():
            return [name for folder, _, names in os.walk(self.path("worker-1", "runs")) for name in names
                    if os.path.basename(folder) == "stage" and name.endswith(".ckpt")]

        self.wait_for("all checkpoints are in the store", lambda: not staged())
        return pid

    def chunk_only_of(self, checkpoint_id):
        """The file of a chunk that no other checkpoint has."""
        database = sqlite3.connect("file:%s?mode=ro" % self.path("server", "lctl.db"), uri=True)
        rows = database.execute(
            "SELECT m.sha256 FROM manifest_chunks m JOIN checkpoints c ON c.number = m.checkpoint WHERE c.id = ?"
            " AND NOT EXISTS (SELECT 1 FROM manifest_chunks o WHERE o.sha256 = m.sha256"
            " AND o.checkpoint <> m.checkpoint)", (checkpoint_id,)).fetchall()
        database.close()
        self.assertTrue(rows, "the newest checkpoint shares all its chunks")
        name = rows[0][0].hex()
        return self.path("server", "blobs", name[:2], name[2:])

    @staticmethod
    def flip(path):
        with open(path, "r+b") as chunk:
            byte = chunk.read(1)
            chunk.seek(0)
            chunk.write(bytes([byte[0] ^ 1]))

    def test_damaged_in_the_store(self):
        undisturbed = self.submit(slow_job(EPOCHS))
        expected = self.wait_state(undisturbed, "SUCCEEDED") and self.lctl_json("status", undisturbed)

        job_id = self.submit(slow_job(EPOCHS, checkpoint_every="300ms"))
        pid = self.freeze_with_two_checkpoints(job_id)
        before, newest = self.checkpoints(job_id)[-2:]
        damaged = self.chunk_only_of(newest["id"])
        self.flip(damaged)
        os.kill(pid, signal.SIGKILL)

        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["attempt"], 3, job["reason"])
        self.assertEqual(job["restarts"], 1, "the launch that met the damage does not count")
        details = self.lctl_json("status", job_id)
        _, second, third = details["attempts"]
        self.assertEqual(second["resumed_from_checkpoint"], newest["id"])
        self.assertEqual(second["outcome"], "lost")
        self.assertIn("damaged in the store", second["reason"])
        self.assertIn(os.path.basename(damaged), second["reason"])
        self.assertEqual(third["resumed_from_checkpoint"], before["id"])
        self.assertEqual(third["resumed_at_step"], before["step"])
        said = next(row for row in details["transitions"] if row["to"] == "QUEUED" and row["attempt"] == 2)
        self.assertIn("the next attempt goes on from checkpoint %s" % before["id"], said["reason"])
        self.assertTrue(os.path.exists(damaged + ".damaged"), "put aside")

        self.assertEqual(details["ranks"][0]["parameters_sha256"], expected["ranks"][0]["parameters_sha256"])
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(EPOCHS * STEPS_PER_EPOCH)))
        self.assertEqual(self.points(job_id, "val/loss")[-1]["value"],
                         self.points(undisturbed, "val/loss")[-1]["value"])

    def test_deep_check_finds_it_first(self):
        job_id = self.submit(slow_job(EPOCHS, checkpoint_every="300ms"))
        pid = self.freeze_with_two_checkpoints(job_id)
        before, newest = self.checkpoints(job_id)[-2:]
        self.flip(self.chunk_only_of(newest["id"]))
        self.lctl("admin", "check", "--deep", code=1)
        self.assertIn(newest["id"], self.last_stderr)
        rows = {row["id"]: row["damage"] for row in self.checkpoints(job_id)}
        self.assertIn("does not match its SHA-256", rows[newest["id"]])
        self.assertEqual(rows[before["id"]], "")
        self.assertIn("is damaged, and nothing goes on from it", self.lctl("checkpoints", "list", job_id))
        os.kill(pid, signal.SIGKILL)
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["attempt"], 2)
        attempts = self.lctl_json("status", job_id)["attempts"]
        self.assertEqual(attempts[1]["resumed_from_checkpoint"], before["id"])
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(EPOCHS * STEPS_PER_EPOCH)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
