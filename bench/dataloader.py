"""Samples a second of the loaders: beside what the same cores can do alone, and beside torch's Python DataLoader."""

import functools
import os
import shutil
import tempfile

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Variant
from bench.harness.cluster import program
from bench.harness.process import output_of

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORKLOADS = ["rows", "jpeg64", "png64", "jpeg224", "png224", "shards"]
AT_MOST = 1 / 0.9  # 90% of the limit


class DataLoader(Benchmark):
    name = "dataloader"
    question = "microseconds for a sample: rows in memory, 2,000 images each, tar shards; all cores"
    unit = "µs"
    workloads = WORKLOADS
    images = 2000  # of each kind

    def __init__(self):
        super().__init__()
        self.folder = None
        self.cores = len(os.sched_getaffinity(0))
        self.best_workers = {}  # of torch, by workload

    def open(self):
        if peers.python() is not None:
            peers.check(["torch", "numpy", "PIL"])
        else:
            self.left_out.append(peers.LEFT_OUT)
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        output_of([program("bench/loading"), "make", self.folder, str(self.images)])
        for workload in self.workloads:
            limit, ours = workload + ", limit", workload + ", lctl"
            self.variants.append(Variant(limit, functools.partial(self.ours, "limit", workload, self.cores)))
            # The training thread, which has nothing else to do here, helps its workers.
            workers = max(1, self.cores - 1)
            self.variants.append(Variant(ours, functools.partial(self.ours, "loader", workload, workers), versus=limit,
                                         ratio_at_most=AT_MOST))
            if peers.python() is not None:
                self.variants.append(Variant(workload + ", torch", functools.partial(self.torch, workload), versus=ours,
                                             ratio_at_least=1))

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        for workload, workers in self.best_workers.items():
            self.notes.append("%s, torch: best with num_workers=%d" % (workload, workers))

    def ours(self, what, workload, threads):
        return float(output_of([program("bench/loading"), what, workload, self.folder, str(threads)]))

    def torch(self, workload):
        """With the number of workers that was best in the first round, of 0, half of the cores, all, and twice."""
        candidates = [self.best_workers[workload]] if workload in self.best_workers else sorted(
            {0, max(1, self.cores // 2), self.cores, 2 * self.cores})
        script = os.path.join(ROOT, "bench", "peers", "torch_loading.py")
        figures = {each: float(output_of([peers.python(), script, workload, self.folder, str(each)]))
                   for each in candidates}
        best = min(figures, key=figures.get)
        self.best_workers[workload] = best
        return figures[best]
