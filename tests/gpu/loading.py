#!/usr/bin/env python3
"""What loading costs on a GPU: pinned batches on a stream of their own, beside plain copies; workers, beside none.

usage: loading.py --trainer PATH [--rounds N]

Each variant trains the same job on large batches, whose copy takes about as long as the computation. All must end with
the same losses, to the bit. Prints the median of the rounds in microseconds a step.
"""

import argparse
import csv
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

STEPS, BATCH, FEATURES = 8, 4096, 3 * 64 * 64  # an epoch: 1.6 GB
SHORT, LONG = 2, 12  # epochs
VARIANTS = {
    "in the training thread, not pinned": {"num_workers": 0, "pin_memory": False},
    "in the training thread, pinned": {"num_workers": 0, "pin_memory": True},
    "4 workers, not pinned": {"num_workers": 4, "pin_memory": False},
    "4 workers, pinned": {"num_workers": 4, "pin_memory": True},
    "auto, pinned": {"num_workers": "auto", "pin_memory": True},
}


def job(loading, epochs):
    return {
        "seed_everything": 0,
        "trainer": {"accelerator": "gpu", "devices": 1, "max_epochs": epochs, "limit_val_batches": 0, "log_every_n_steps": 4,
                    "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
                    "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "."}}},
        "model": {"class_path": "Classifier", "init_args": {"layers": [
            {"Linear": {"in_features": FEATURES, "out_features": 2048}}, "ReLU",
            {"Linear": {"in_features": 2048, "out_features": 2048}}, "ReLU",
            {"Linear": {"in_features": 2048, "out_features": 10}}]}},
        # 200 MB a batch.
        "data": {"class_path": "SyntheticDataModule",
                 "init_args": {"num_classes": 10, "batch_size": BATCH, "num_train": BATCH * 8,
                               "num_features": FEATURES, "num_val": 1, **loading}},
        "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.01}},
    }


def run(trainer, loading, epochs):
    """(Seconds, losses, what it said.)"""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "job.yaml"), "w", encoding="utf-8") as stream:
            json.dump(job(loading, epochs), stream)
        start = time.monotonic()
        done = subprocess.run([trainer, "fit", "--config", "job.yaml"], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        seconds = time.monotonic() - start
        if done.returncode != 0:
            sys.exit(done.stdout)
        path, = glob.glob(os.path.join(folder, "**", "metrics.csv"), recursive=True)
        with open(path, encoding="utf-8", newline="") as stream:
            losses = [row["train/loss"] for row in csv.DictReader(stream)]
        return seconds, losses, done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    trainer = os.path.abspath(options.trainer)
    times = {name: [] for name in VARIANTS}
    first = None
    failed = 0
    for _ in range(options.rounds):
        for name, loading in VARIANTS.items():
            short, _, _ = run(trainer, loading, SHORT)
            long, losses, said = run(trainer, loading, LONG)
            times[name].append((long - short) / (STEPS * (LONG - SHORT)) * 1e6)
            first = first or losses
            if losses != first:
                print("%s: other losses: %s, not %s" % (name, losses[-3:], first[-3:]))
                failed += 1
            warned = "does not pin its batches" in said
            if warned == loading["pin_memory"]:
                print("%s: the warning about pinning is wrong" % name)
                failed += 1
    for name, figures in times.items():
        print("%-36s %7.0f [%.0f .. %.0f] µs" % (name, statistics.median(figures), min(figures), max(figures)))
    print("%d passed, %d failed" % (options.rounds * len(VARIANTS) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
