"""Checkpoints of a model with a frozen backbone: what does not change is stored and sent once."""

import os
import unittest

from cluster import ClusterTest

MIB = 1 << 20
JOB = """
seed_everything: 7
trainer:
  accelerator: cpu
  max_epochs: 3
  enable_model_summary: false
  enable_progress_bar: false
  logger: false
  callbacks:
    - {class_path: BackboneFinetuning, init_args: {unfreeze_backbone_at_epoch: 100}}
    - {class_path: ModelCheckpoint, init_args: {dirpath: saved, save_top_k: -1, save_last: true}}
model:
  class_path: Classifier
  init_args:
    backbone:
      - {Linear: {in_features: 8, out_features: 512}}
      - {Linear: {in_features: 512, out_features: 4096}}
      - {BatchNorm1d: {num_features: 4096}}
      - ReLU
    layers:
      - {Linear: {in_features: 4096, out_features: 4}}
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 64, num_val: 16, batch_size: 16, shuffle: true}
optimizer: {class_path: Adam, init_args: {lr: 0.01}}
job:
  name: frozen
  checkpoint_every: 0s
"""
BACKBONE = 4096 * 512 * 4  # bytes of its largest weight


class FrozenBackboneTest(ClusterTest):
    def test_second_checkpoint_stores_only_what_changed(self):
        job = self.submit(JOB)
        self.wait_state(job, "SUCCEEDED")
        rows = self.lctl_json("checkpoints", "list", job)
        epochs = [row for row in rows if not row["last"]]
        self.assertEqual(len(epochs), 3)
        for row in rows:
            self.assertGreater(row["size"], BACKBONE)
        self.assertGreater(epochs[0]["stored_bytes"], BACKBONE)
        for row in epochs[1:]:
            # The head, its two states of Adam, batch normalisation, the pickle and the directory.
            self.assertLess(row["stored_bytes"], MIB)
            self.assertGreater(row["stored_bytes"], 4096 * 4 * 4)
        for row in rows:
            path = self.path("downloaded.ckpt")
            self.lctl("checkpoints", "download", job, "--checkpoint", row["id"], "--output", path, "--force")
            self.assertEqual(os.path.getsize(path), row["size"])
        self.check_difference(job, epochs)

    def check_difference(self, job, epochs):
        first, last = epochs[0]["id"], epochs[2]["id"]
        self.assertIn("Nothing differs", self.lctl("checkpoints", "diff", job, first, first))
        difference = self.lctl_json("checkpoints", "diff", job, first, last)
        self.assertEqual([difference["first"]["id"], difference["second"]["id"]], [first, last])
        changed = {each["path"]: each for each in difference["differences"]}
        weights = [path for path in changed if path.startswith("state_dict.") and path.endswith("weight")]
        self.assertEqual(changed["epoch"]["first"], "0")
        self.assertEqual(changed["epoch"]["second"], "2")
        self.assertGreaterEqual(difference["equal"]["elements"], BACKBONE // 4)
        head = next(changed[path] for path in weights if "[4, 4096]" in changed[path]["first"])
        self.assertGreater(head["tensor"]["largest"], 0)
        self.assertIn("state_dict", self.lctl("checkpoints", "diff", job))
        self.lctl("checkpoints", "diff", job, "nonsense", code=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
