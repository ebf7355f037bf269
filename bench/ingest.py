"""Metric points from a node to committed rows, beside bulk insert into SQLite and MLflow's server; long curves read."""

import functools
import os
import shutil
import tempfile

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Variant
from bench.harness.cluster import program
from bench.harness.process import output_of
from bench.harness.server import Server

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = [1, 8, 64]
KEYS = 10  # metrics of a call
LIMIT = "SQLite, bulk insert"


def load(*words):
    return output_of([program("bench/ingest_load"), *map(str, words)])


class Ingest(Benchmark):
    name = "ingest"
    question = "microseconds for a metric point, from the node's spool to a committed row; %d metrics a call" % KEYS
    unit = "µs"
    points = 1_000_000  # of a variant, over all of its jobs

    def open(self):
        self.variants.append(Variant(LIMIT, self.limit))
        for jobs in JOBS:
            self.variants.append(Variant("lctl, %d jobs" % jobs, functools.partial(self.ours, jobs), versus=LIMIT,
                                         ratio_at_most=2))
        if peers.python() is None or not self.has_mlflow():
            self.left_out.append("MLflow (set LCTL_PEER_PYTHON to a Python that has mlflow)")
            return
        self.variants.append(Variant("MLflow, log_batch of 1,000", self.mlflow, versus="lctl, 1 jobs",
                                     ratio_at_least=57))
        # The same client, of which the time is then mostly its own: it makes JSON of each point.
        self.variants.append(Variant("lctl, MLflow's client", self.mlflow_into_ours,
                                     versus="MLflow, log_batch of 1,000"))

    @staticmethod
    def has_mlflow():
        return output_of([peers.python(), "-c", "import importlib.util as u; print(u.find_spec('mlflow') is not None)"
                          ]).strip() == "True"

    def limit(self):
        with tempfile.TemporaryDirectory(prefix="lctl-bench-") as folder:
            file = os.path.join(folder, "limit.db")
            return float(output_of([program("bench/sqlite_insert"), file, str(self.points)])) / self.points * 1e6

    def ours(self, jobs):
        with tempfile.TemporaryDirectory(prefix="lctl-bench-") as folder:
            load("make", folder, jobs, self.points // jobs, KEYS)
            server = Server(folder)
            try:
                return float(load("agent", folder, server.address, jobs)) / self.points * 1e6
            finally:
                server.close()

    @staticmethod
    def mlflow_client(folder, *url):
        script = os.path.join(ROOT, "bench", "peers", "mlflow_points.py")
        return float(output_of([peers.python(), script, folder, *url]).split()[-1]) * 1e6

    def mlflow(self):
        with tempfile.TemporaryDirectory(prefix="lctl-bench-") as folder:
            return self.mlflow_client(folder)

    def mlflow_into_ours(self):
        with tempfile.TemporaryDirectory(prefix="lctl-bench-") as folder:
            server = Server(folder, http="127.0.0.1:0")
            try:
                return self.mlflow_client(folder, "http://" + server.says(r"http on (\S+)"))
            finally:
                server.close()


class MetricReads(Benchmark):
    name = "metric_reads"
    question = "seconds to draw a curve of many points in 1,000, and until a logged point is acknowledged"
    points = 10_000_000
    calls = 300

    def __init__(self):
        super().__init__()
        self.folder = None
        self.percentiles = []

    def open(self):
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        load("fill", self.folder, self.points)
        self.variants = [
            Variant("{:,} points, drawn in 1,000".format(self.points), self.read, at_most=0.05),
            Variant("logged to acknowledged, median", self.latency, at_most=1),
        ]

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.percentiles:
            self.notes.append("logged to acknowledged, 99th percentile: %.3f s (the worst of the rounds)" %
                              max(self.percentiles))

    def read(self):
        return float(load("read", self.folder, 1000))

    def latency(self):
        with tempfile.TemporaryDirectory(prefix="lctl-bench-") as folder:
            load("make", folder, 1, 0, KEYS)
            server = Server(folder)
            try:
                median, percentile = map(float, load("latency", folder, server.address, self.calls).split())
            finally:
                server.close()
            self.percentiles.append(percentile)
            return median
