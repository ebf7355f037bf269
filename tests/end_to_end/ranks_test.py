"""Two data-parallel ranks compute what one would."""

import unittest

from checkpoint_file import load_tensors
from cluster import ClusterTest

# Plain SGD over whole batches, sequential order: two ranks with half the batch each see the same
# global batch as one rank does.
JOB = """
seed_everything: 3
trainer:
  max_epochs: 3
  log_every_n_steps: 1
  enable_model_summary: false
  use_distributed_sampler: true
  overfit_batches: %(overfit)s
  logger: {class_path: CSVLogger, init_args: {save_dir: .}}
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 32}}
      - Tanh
      - {Linear: {in_features: 32, out_features: 4}}
    loss: cross_entropy
    metrics: [accuracy]
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 256, num_val: 64, batch_size: %(batch)d, shuffle: false}
optimizer:
  class_path: SGD
  init_args: {lr: 0.1, momentum: 0.9}
job:
  name: ranks
  resources: {nodes: %(nodes)d, devices: %(devices)d}
"""


class RanksTest(ClusterTest):
    workers = 2
    slots = 2

    def train(self, nodes, devices):
        world = nodes * devices
        # overfit_batches over the whole epoch makes the distributed sampler keep the order.
        job_id = self.submit(JOB % {
            "overfit": 256 // 32, "batch": 32 // world, "nodes": nodes, "devices": devices})
        self.wait_state(job_id, "SUCCEEDED")
        digests = [rank["parameters_sha256"] for rank in self.lctl_json("status", job_id)["ranks"]]
        self.assertEqual(len(digests), world)
        self.assertEqual(len(digests[0]), 64)
        self.assertEqual(set(digests), {digests[0]}, "the ranks' parameters differ")
        newest = self.lctl_json("checkpoints", "list", job_id)[-1]
        path = self.path("%d-%d.ckpt" % (nodes, devices))
        self.lctl("checkpoints", "download", job_id, "--checkpoint", newest["id"], "--output", path)
        return load_tensors(path)

    def test_two_ranks_end_with_equal_bits_and_match_one_rank(self):
        alone = self.train(1, 1)
        for nodes, devices in ((1, 2), (2, 1)):
            together = self.train(nodes, devices)
            self.assertEqual(sorted(together), sorted(alone))
            for name, values in alone.items():
                difference = max(abs(a - b) for a, b in zip(values, together[name]))
                self.assertLess(difference, 1e-5, "%s on %d x %d" % (name, nodes, devices))


if __name__ == "__main__":
    unittest.main(verbosity=2)
