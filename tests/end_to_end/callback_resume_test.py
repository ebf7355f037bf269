"""A run cut after any step and resumed ends with the bits of the run that was never cut, also with callbacks that have a
state of their own or a phase that began earlier."""

import json
import os
import subprocess
import tempfile
import unittest

from cluster import DEADLINE, program

JOB = """
seed_everything: 7
trainer:
  accelerator: cpu
  max_epochs: 4
  accumulate_grad_batches: %(accumulate)d
  logger: false
  enable_progress_bar: false
  enable_model_summary: false
  callbacks:
    - %(callback)s
    - {class_path: ModelCheckpoint, init_args: {dirpath: saved, every_n_train_steps: 1, save_top_k: -1}}
    - class_path: RunSummary
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 12}}
      - {BatchNorm1d: {num_features: 12}}
      - ReLU
      - {Dropout: {p: 0.2}}
      - {Linear: {in_features: 12, out_features: 4}}
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 64, num_val: 32, batch_size: 16, shuffle: true}
optimizer:
  class_path: torch.optim.AdamW
  init_args: {lr: 0.01}
"""


class CallbackResume(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def fit(self, name, *words):
        folder = os.path.join(self.folder.name, name)
        os.makedirs(folder)
        done = subprocess.run([program("worker/trainer/lctl-trainer"), "fit", "--config", self.job, *words], cwd=folder, timeout=DEADLINE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as stream:
            result = json.load(stream)
        return folder, {key: result[key] for key in ("state", "global_step", "current_epoch", "learning_rates")}

    def check(self, callback, accumulate=1):
        self.job = os.path.join(self.folder.name, "job.yaml")
        with open(self.job, "w", encoding="utf-8") as stream:
            stream.write(JOB % {"callback": callback, "accumulate": accumulate})
        whole, want = self.fit("whole")
        saved = sorted(os.listdir(os.path.join(whole, "saved")), key=lambda name: int(name.split("step=")[1].split(".")[0]))
        self.assertGreaterEqual(len(saved), 8)
        for name in saved:
            with self.subTest(checkpoint=name):
                _, got = self.fit(name, "--ckpt_path", os.path.join(whole, "saved", name))
                self.assertEqual(got, want)

    def test_stochastic_weight_averaging_and_its_statistics_epoch(self):
        self.check("{class_path: StochasticWeightAveraging, init_args: {swa_lrs: 0.005, swa_epoch_start: 2, annealing_epochs: 2}}")

    def test_exponential_averaging(self):
        self.check("{class_path: EMAWeightAveraging, init_args: {decay: 0.8, update_every_n_steps: 2}}")

    def test_equal_averaging_of_parameters_alone(self):
        self.check("{class_path: WeightAveraging, init_args: {use_buffers: false}}", accumulate=2)

    def test_accumulation_that_changes(self):
        self.check("{class_path: GradientAccumulationScheduler, init_args: {scheduling: {2: 2}}}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
