"""A rank of two is killed: until the next training step is done, from the newest checkpoint."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Measured, Variant
from bench.harness.cluster import DEADLINE, Cluster

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOB = os.path.join(ROOT, "examples", "digits.yaml")
TRAINED = 2.0     # seconds before the fault: a checkpoint lies behind the run
STARTS = 20       # of torchrun, at most: with gloo some fail, as a rank reads the address of one that is gone
LEFT_ALONE = 1.5  # after it: a client that starts takes the cores from the ranks

# Two ranks, each on a node of its own, a checkpoint for restarts each half second, each step logged when it is done.
ENDLESS = ["--job.resources.nodes=2", "--job.resources.devices=1", "--job.checkpoint_every=500ms",
           "--trainer.max_epochs=100000", "--trainer.log_every_n_steps=1", "--trainer.limit_val_batches=0",
           "--trainer.num_sanity_val_steps=0", "--trainer.enable_checkpointing=false", "--trainer.callbacks=[]",
           "--trainer.logger=false"]


class Recovery(Benchmark):
    name = "recovery"
    question = "from the SIGKILL of one of two ranks to the next training step done"

    def __init__(self):
        super().__init__()
        self.cluster = None
        self.folder = None
        self.resumed = []  # (step of the last one before the fault, step that the new attempt began with)
        self.failed_starts = {}  # of torchrun, by what it runs: starts that failed before one trained

    def open(self):
        if peers.python() is not None:
            peers.check(["torch", "lightning"])
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        self.cluster = Cluster(workers=2)
        self.variants = [Variant("lctl", self.lctl, at_most=0.8)]
        if peers.python() is None:
            self.left_out.append(peers.LEFT_OUT)
            return
        for name, kind in (("torchrun, PyTorch DDP", "torch"), ("torchrun, Lightning ddp", "lightning")):
            self.variants.append(Variant(name, lambda kind=kind: self.torchrun(kind), versus="lctl", ratio_at_least=1))

    def close(self):
        if self.cluster is not None:
            self.cluster.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.resumed:
            self.notes.append("steps done again: %s" % ", ".join(str(last + 1 - first) for last, first in self.resumed))
        for kind, counts in self.failed_starts.items():
            self.notes.append("torchrun, %s: starts after the fault that failed before one trained: %s" %
                              (kind, ", ".join(counts)))

    def lctl(self):
        cluster = self.cluster
        job = cluster.lctl_json("submit", JOB, *ENDLESS)["id"]
        try:
            cluster.wait_for("job %s trains" % job, lambda: cluster.lctl_json("status", job)["step"] > 0)
            time.sleep(TRAINED)
            ranks = cluster.lctl_json("status", job)["ranks"]
            killed = time.time()
            os.kill(ranks[1]["pid"], signal.SIGKILL)
            time.sleep(LEFT_ALONE)
            points = cluster.wait_for("job %s trains again" % job, lambda: self.points_behind(job))
            status = cluster.lctl_json("status", job)
        finally:
            cluster.lctl("stop", job, "--now", "--wait")
        attempt = status["attempts"][1]
        before = [point for point in points if point["attempt"] == 1]
        after = [point for point in points if point["attempt"] == 2]
        if attempt["resumed_at_step"] == 0:
            raise RuntimeError("job %s began anew: no checkpoint was there" % job)
        self.resumed.append((max(point["step"] for point in before), after[0]["step"]))
        times = [killed, attempt["started"], after[0]["time"]]
        return Measured(times[-1] - killed, {"noticed, placed again": times[1] - times[0],
                                             "ranks load, do the step": times[2] - times[1]})

    def points_behind(self, job):
        """All points, once there are some of the second attempt."""
        points = self.cluster.lctl_json("metrics", job, "train/loss", "--all-attempts")
        return points if points and points[-1]["attempt"] == 2 else None

    def torchrun(self, kind):
        """The script writes down the pid of rank 1, and the time of the first step of each start."""
        folder = tempfile.mkdtemp(dir=self.folder)
        script = os.path.join(ROOT, "bench", "peers", "torchrun_recovery.py")
        log = os.path.join(folder, "log")
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [peers.python(), "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
                 "--max-restarts=%d" % STARTS, script, kind, folder],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, start_new_session=True)
        try:
            if self.first_step(folder, [0], process) is None:
                with open(log, encoding="utf-8", errors="replace") as stream:
                    raise RuntimeError("torchrun did not train:\n%s" % stream.read()[-3000:])
            time.sleep(TRAINED)
            with open(os.path.join(folder, "pid.0"), encoding="utf-8") as stream:
                rank = int(stream.read())
            killed = time.time()
            os.kill(rank, signal.SIGKILL)
            again = self.first_step(folder, range(1, STARTS + 1), process)
            failed = "all in %d s" % DEADLINE if again is None else str(again[0] - 1)
            self.failed_starts.setdefault(kind, []).append(failed)
            return DEADLINE if again is None else again[1] - killed
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    @staticmethod
    def first_step(folder, starts, process):
        """(the first of these starts that has done a step, when); None if there is none in time. Files appear whole."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and process.poll() is None:
            for start in starts:
                path = os.path.join(folder, "step.%d" % start)
                if os.path.exists(path):
                    with open(path, encoding="utf-8") as stream:
                        return start, float(stream.read())
            time.sleep(0.02)
        return None
