#!/usr/bin/env python3
"""Time of a training step on a GPU: lctl-trainer beside real Lightning, in turns.

usage: step_time.py --trainer PATH [--python PYTHON] [--rounds N]

Each measurement is the difference between a long and a short run of the same job, over the steps between them, so that
starting does not count. Prints the median of the rounds in microseconds, and how many times as long Lightning takes.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent)]

import compare_on_gpu as gpu  # noqa: E402

STEPS = 250  # of an epoch
SHORT, LONG = 2, 10  # epochs


def linear(inputs, outputs):
    return {"Linear": {"in_features": inputs, "out_features": outputs}}


def convolution(inputs, outputs):
    return {"Conv2d": {"in_channels": inputs, "out_channels": outputs, "kernel_size": 3, "padding": 1}}


POOL = {"MaxPool2d": {"kernel_size": 2}}
MODELS = {
    "MNIST MLP": ([linear(784, 512), "ReLU", linear(512, 256), "ReLU", linear(256, 10)], {"num_features": 784}),
    "CNN": ([convolution(1, 16), "ReLU", POOL, convolution(16, 32), "ReLU", POOL, "Flatten", linear(1568, 10)],
            {"num_features": 784, "reshape": [1, 28, 28]}),
}


def job(layers, data, precision, epochs):
    return {
        "seed_everything": 0,
        "trainer": {"accelerator": "gpu", "devices": 1, "precision": precision, "max_epochs": epochs, "limit_val_batches": 0,
                    "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
                    "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "."}}},
        "model": {"class_path": "Classifier", "init_args": {"layers": layers}},
        "data": {"class_path": "SyntheticDataModule",
                 "init_args": {"num_classes": 10, "batch_size": 64, "num_train": 64 * STEPS, "num_val": 1, **data}},
        "optimizer": {"class_path": "AdamW", "init_args": {"lr": 0.001, "fused": True}},
    }


def seconds(command, what):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "job.yaml").write_text(json.dumps(what))
        started = time.monotonic()
        done = subprocess.run([*command, "fit", "--config", "job.yaml"], cwd=folder, env=dict(gpu.environment(), OMP_NUM_THREADS="4"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit("step_time: %s: %s" % (command[0], done.stderr[-500:]))
        return time.monotonic() - started


def step_time(command, layers, data, precision):
    short = seconds(command, job(layers, data, precision, SHORT))
    return (seconds(command, job(layers, data, precision, LONG)) - short) / ((LONG - SHORT) * STEPS) * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ours = [os.path.abspath(word) if os.path.exists(word) else word for word in shlex.split(options.trainer)]
    theirs = [options.python, "-B", "-c", gpu.REFERENCE % str(gpu.TESTS / "conformance" / "reference")]
    for name, (layers, data) in MODELS.items():
        for precision in ("32-true", "bf16-mixed", "16-mixed"):
            rounds = [(step_time(ours, layers, data, precision), step_time(theirs, layers, data, precision))
                      for _ in range(options.rounds)]
            mine, lightnings = (statistics.median(values) for values in zip(*rounds))
            print("%-10s %-10s lctl-trainer %6.0f us  Lightning %6.0f us  %.1fx" %
                  (name, precision, mine, lightnings, lightnings / mine), flush=True)


if __name__ == "__main__":
    main()
