"""A node is drained under a running job, which goes on elsewhere as if nothing had been; a log policy sees its line."""

import unittest

from cluster import STEPS_PER_EPOCH, ClusterTest, slow_job


class DrainTest(ClusterTest):
    workers = 2

    EPOCHS = 12

    def node_of(self, job_id):
        return self.lctl_json("status", job_id)["ranks"][0]["node"]

    def node_states(self):
        return {node["name"]: node["state"] for node in self.lctl_json("nodes")}

    def test_job_of_a_drained_node_goes_on_elsewhere_from_its_checkpoint(self):
        job_id = self.submit(slow_job(self.EPOCHS, checkpoint_every="0"))
        self.wait_step(job_id, 2 * STEPS_PER_EPOCH + 30)
        node = self.node_of(job_id)
        drained = self.lctl_json("nodes", "drain", node, "--reason", "new disk", "--wait")
        self.assertEqual(drained["state"], "DRAINED")
        self.assertEqual(drained["drain_reason"], "new disk")
        self.server.kill()
        self.start_server()
        self.wait_for("the nodes", lambda: self.node_states().get(node) == "DRAINED")
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["restarts"], 0)

        details = self.lctl_json("status", job_id)
        first, second = details["attempts"]
        self.assertEqual(first["cause"], "preempted")
        self.assertEqual(first["reason"], "node %s is drained: new disk" % node)
        self.assertGreaterEqual(second["resumed_at_step"], 2 * STEPS_PER_EPOCH + 30)
        self.assertNotEqual(second["ranks"][0]["node"], node)
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(self.EPOCHS * STEPS_PER_EPOCH)))

        self.lctl("nodes", "undrain", node)
        self.assertEqual(self.node_states()[node], "READY")

    def test_line_of_the_output_labels_the_job(self):
        job_id = self.submit(slow_job(1), "--job.log_policies=[{pattern: '.', action: {label: said}}]")
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertTrue(job["tags"]["log_policy.said"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
