"""From `lctl submit` to the first training step done, the daemons being warm."""

import os
import time

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Measured, Variant
from bench.harness.cluster import Cluster, program
from bench.harness.process import output_of

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOB = os.path.join(ROOT, "examples", "digits.yaml")
DATA = os.path.join(ROOT, "examples", "data", "digits.csv.gz")
# What lies between the times that the client, the server (three) and the trainer write down.
PHASES = ("client starts, job stored", "scheduled, launch sent", "ranks' processes started", "ranks load, do the step")
FINAL = ("SUCCEEDED", "FAILED", "STOPPED")

# Nobody asks for the job's state before this many seconds: a client that starts takes the cores from the ranks.
LEFT_ALONE = 1.0

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
        if peers.python() is not None:
            peers.check(["torch", "lightning"])
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
        job = self.cluster.lctl_json("submit", JOB, "--job.resources.nodes=%d" % nodes, *ONE_STEP)["id"]
        time.sleep(LEFT_ALONE)
        self.cluster.wait_for("job %s ends" % job, lambda: self.cluster.lctl_json("status", job)["state"] in FINAL)
        status = self.cluster.lctl_json("status", job)
        points = self.cluster.lctl_json("metrics", job, "train/loss")
        if status["state"] != "SUCCEEDED" or not points:
            raise RuntimeError("job %s has %d logged steps: %s" % (job, len(points), self.cluster.lctl("status", job)))
        times = [started, status["submitted"], status["attempts"][0]["started"], status["started"], points[0]["time"]]
        return Measured(times[-1] - started, {name: end - start for name, start, end in zip(PHASES, times, times[1:])})

    def run_without_daemons(self):
        """One whole process, its end included: nobody is there to see its first step."""
        started = time.time()
        output_of([program("client/lctl"), "run", JOB, "--job.resources.nodes=1", *ONE_STEP], cwd=self.cluster.folder)
        return time.time() - started

    def lightning(self):
        script = os.path.join(ROOT, "bench", "peers", "lightning_first_step.py")
        started = time.time()
        return float(output_of([peers.python(), script, DATA], cwd=self.cluster.folder).split()[-1]) - started

    def import_torch(self):
        started = time.time()
        output_of([peers.python(), "-c", "import torch"])
        return time.time() - started
