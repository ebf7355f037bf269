"""An elastic job loses a node and goes on without it, gets it back and grows; all ranks together always see the same samples."""

import os
import signal
import time
import unittest

from cluster import ClusterTest

EPOCHS, STEPS_PER_EPOCH = 40, 25
STEPS = EPOCHS * STEPS_PER_EPOCH

# No dropout and no batch norm: what a step computes depends on its global batch alone.
JOB = """
seed_everything: 7
trainer:
  max_epochs: %(epochs)d
  log_every_n_steps: 1
  enable_model_summary: false
  logger: {class_path: CSVLogger, init_args: {save_dir: .}}
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 32}}
      - Tanh
      - {Linear: {in_features: 32, out_features: 4}}
    loss: cross_entropy
    log: {train/loss: {sync_dist: true, on_epoch: true}}
data:
  class_path: SyntheticDataModule
  # 24 batches of 8, and one of 6.
  init_args: {num_train: 198, num_val: 16, batch_size: 4, shuffle: true, seconds_per_sample: %(pace)s}
optimizer: {class_path: SGD, init_args: {lr: 0.05}}
job:
  name: elastic
  elastic: {min_nodes: 1, max_nodes: 2}
  resources: {devices: 1, cpus_per_rank: 1}
  checkpoint_every: 1s
"""


class ElasticTest(ClusterTest):
    workers = 2
    slots = 1
    lost_after = 3

    def server_options(self):
        return ["--elastic-after-ms", "3000"]

    def nodes_of(self, job_id):
        return self.job(job_id)["nodes"]

    def kill_node(self, node):
        """Its daemon, its ranks and their keepers at once."""
        node.kill()
        folder = self.path(node.name, "runs")
        for run in os.listdir(folder):
            for rank in os.listdir(os.path.join(folder, run)):
                file = os.path.join(folder, run, rank, "process")
                if os.path.exists(file):
                    with open(file, encoding="utf-8") as text:
                        os.kill(int(text.read().split()[0]), signal.SIGKILL)

    def losses(self, job_id):
        return {point["step"]: point["value"] for point in self.points(job_id, "train/loss_step")}

    def test_job_shrinks_and_grows_and_every_batch_stays_what_it_was(self):
        undisturbed = self.submit(JOB % {"epochs": EPOCHS, "pace": 0})
        self.wait_state(undisturbed, "SUCCEEDED")
        self.assertEqual(self.nodes_of(undisturbed), 2)

        job_id = self.submit(JOB % {"epochs": EPOCHS, "pace": 0.005})
        self.wait_step(job_id, 2 * STEPS_PER_EPOCH + 7)
        self.assertEqual(self.nodes_of(job_id), 2)
        self.assertIn("2 of 1–2 nodes", self.lctl("status", job_id))
        victim = self.nodes[1]
        self.kill_node(victim)
        lost = time.monotonic()
        self.wait_for("it goes on with one node", lambda: (
            self.job(job_id)["state"] == "RUNNING" and self.job(job_id)["attempt"] == 2))
        self.assertLess(time.monotonic() - lost, self.lost_after + 15)
        self.assertEqual(self.nodes_of(job_id), 1)
        step = self.job(job_id)["step"]
        self.wait_step(job_id, step + 20)

        victim.start()
        self.wait_for("it runs on two nodes again", lambda: (
            self.job(job_id)["state"] == "RUNNING" and self.nodes_of(job_id) == 2))
        self.wait_state(job_id, "SUCCEEDED")

        details = self.lctl_json("status", job_id)
        attempts = details["attempts"]
        self.assertEqual([attempt["nodes"] for attempt in attempts], [2, 1, 2], attempts)
        self.assertEqual([attempt["outcome"] for attempt in attempts], ["lost", "preempted", "succeeded"])
        self.assertEqual(attempts[1]["reason"], "grows from 1 to 2 nodes")
        self.assertEqual(details["restarts"], 0)
        self.assertGreater(attempts[2]["resumed_at_step"], attempts[1]["resumed_at_step"])

        expected, got = self.losses(undisturbed), self.losses(job_id)
        self.assertEqual(sorted(got), list(range(STEPS)))
        self.assertEqual(sorted(expected), list(range(STEPS)))
        for number, loss in expected.items():
            self.assertAlmostEqual(got[number], loss, delta=1e-5, msg="step %d" % number)
        for key in ("train/loss_epoch", "val/loss"):
            both = [self.points(one, key) for one in (undisturbed, job_id)]
            self.assertEqual([point["step"] for point in both[0]], [point["step"] for point in both[1]], key)
            self.assertEqual(len(both[0]), EPOCHS, key)
            for first, second in zip(*both):
                self.assertAlmostEqual(first["value"], second["value"], delta=1e-5, msg="%s %s" % (key, first))

    def test_job_starts_on_the_node_that_is_there(self):
        self.nodes[1].kill()
        self.wait_for("the node is lost", lambda: any(
            node["state"] == "LOST" for node in self.lctl_json("nodes")))
        job_id = self.submit(JOB % {"epochs": 1, "pace": 0})
        job = self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(job["nodes"], 1)
        self.assertEqual(job["elastic"], {"min_nodes": 1, "max_nodes": 2, "node_counts": [2, 1]})
        self.assertEqual(self.steps(job_id, "train/loss_step"), list(range(STEPS_PER_EPOCH)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
