"""From `lctl submit` to the first training step done, the daemons being warm."""

import json
import os
import subprocess
import time

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Variant
from bench.harness.cluster import Cluster, program

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOB = os.path.join(ROOT, "examples", "digits.yaml")
DATA = os.path.join(ROOT, "examples", "data", "digits.csv.gz")
FINAL = ("SUCCEEDED", "FAILED", "STOPPED")

# The first step is logged when it is done; nothing after it matters.
ONE_STEP = ["--trainer.max_steps=1", "--trainer.log_every_n_steps=1", "--trainer.limit_val_batches=0",
            "--trainer.num_sanity_val_steps=0", "--trainer.enable_checkpointing=false", "--trainer.callbacks=[]"]


class SubmitLatency(Benchmark):
    name = "submit_latency"
    question = "from `lctl submit` to the first training step done, daemons warm"

    def __init__(self):
        super().__init__()
        self.cluster = None

    def open(self):
        self.cluster = Cluster(workers=2)
        self.variants = [
            Variant("lctl, one rank", lambda: self.submit(1), at_most=0.5),
            Variant("lctl, two ranks", lambda: self.submit(2), at_most=0.8, versus="lctl, one rank"),
            Variant("lctl run, to its end", self.run_without_daemons, versus="lctl, one rank"),
        ]
        if peers.python() is None:
            self.left_out.append(peers.LEFT_OUT)
            return
        self.variants += [
            Variant("Lightning script", self.lightning, versus="lctl, one rank"),
            Variant("python: import torch", self.import_torch, versus="lctl, one rank"),
        ]

    def close(self):
        if self.cluster is not None:
            self.cluster.close()

    def submit(self, nodes):
        started = time.time()
        job = json.loads(self.cluster.lctl("submit", JOB, "--json", "--job.resources.nodes=%d" % nodes, *ONE_STEP))["id"]
        self.cluster.wait_for("job %s ends" % job, lambda: self.cluster.lctl_json("status", job)["state"] in FINAL)
        points = self.cluster.lctl_json("metrics", job, "train/loss")
        if not points:
            raise RuntimeError("no step was logged: " + self.cluster.lctl("status", job))
        return points[0]["time"] - started

    def run_without_daemons(self):
        """One whole process, its end included: nobody is there to see its first step."""
        started = time.time()
        subprocess.run([program("client/lctl"), "run", JOB, "--job.resources.nodes=1", *ONE_STEP], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.cluster.folder)
        return time.time() - started

    def lightning(self):
        script = os.path.join(ROOT, "bench", "peers", "lightning_first_step.py")
        started = time.time()
        result = subprocess.run([peers.python(), script, DATA], check=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, cwd=self.cluster.folder)
        return float(result.stdout.split()[-1]) - started

    def import_torch(self):
        started = time.time()
        subprocess.run([peers.python(), "-c", "import torch"], check=True, stdout=subprocess.DEVNULL)
        return time.time() - started
