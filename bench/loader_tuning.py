"""num_workers: auto beside fixed numbers, over a loader made slow on purpose."""

import functools
import os
import shutil
import tempfile

from bench.harness.benchmark import Benchmark, Variant
from bench.harness.cluster import program
from bench.step_overhead import logged_steps, run_alone, write_job

EPOCHS = 3  # the tuner searches in the first one, which does not count
FIXED = [1, 2, 4, 8, 16]
BEST = 16  # a sample takes 1 ms to get, a batch of 16 as many workers


class LoaderTuning(Benchmark):
    name = "loader_tuning"
    question = "microseconds for a step of training on a slow source (1 ms a sample): workers found, and fixed"
    unit = "µs"
    steps = 1000  # of an epoch

    def __init__(self):
        super().__init__()
        self.folder = None
        self.found = []

    def open(self):
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        for workers in FIXED:
            self.variants.append(Variant("%d workers" % workers, functools.partial(self.trainer, workers)))
        self.variants.append(Variant("auto", functools.partial(self.trainer, "auto"), versus="%d workers" % BEST,
                                     ratio_at_most=1.1))

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.found:
            self.notes.append("auto: " + "; ".join(self.found[-1]))

    def trainer(self, workers):
        job = write_job(self.folder, {
            "seed_everything": 0,
            "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": EPOCHS, "limit_val_batches": 0,
                        "enable_checkpointing": False, "logger": False, "enable_progress_bar": False},
            "model": {"class_path": "Classifier",
                      "init_args": {"layers": [{"Linear": {"in_features": 8, "out_features": 4}}]}},
            "data": {"class_path": "SyntheticDataModule",
                     "init_args": {"num_train": 16 * self.steps, "num_val": 1, "batch_size": 16,
                                   "seconds_per_sample": 0.001, "num_workers": workers}},
            "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.01}},
        })
        spool = os.path.join(self.folder, "events.log")
        output, _ = run_alone(self.folder, [program("worker/trainer/lctl-trainer"), "fit", "--config", job],
                              {"LCTL_SPOOL": spool})
        if workers == "auto":
            self.found.append([line.strip() for line in output.splitlines() if line.startswith("Loader workers")])
        times = logged_steps(spool)
        last = max(times)
        first = last - (EPOCHS - 1) * self.steps
        return (times[last] - times[first]) / (last - first) * 1e6
