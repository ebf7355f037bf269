"""Metric points a client of MLflow's tracking server can log in batches of 1,000; the server keeps them in SQLite.

usage: mlflow_points.py FOLDER [URL]     prints seconds a point; with URL, of the server that runs there
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

BATCHES = 20
BATCH = 1000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MlflowServer:
    """MLflow's own, over SQLite."""

    def __init__(self, folder):
        port = free_port()
        self.url = "http://127.0.0.1:%d" % port
        with open(os.path.join(folder, "mlflow.log"), "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///%s/mlflow.db" % folder,
                 "--default-artifact-root", folder, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(self.url + "/health", timeout=1).read()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.1)

    def stop(self):
        os.killpg(self.process.pid, 15)
        self.process.wait()


def seconds_a_point(url):
    client = MlflowClient(url)
    run = client.create_run("0").info.run_id
    batches = [[Metric("train/metric_%d" % (i % 10), 1.0 / (1 + i), 1_700_000_000_000 + i, (number * BATCH + i) // 10)
                for i in range(BATCH)] for number in range(BATCHES + 1)]
    client.log_batch(run, metrics=batches[-1])
    start = time.perf_counter()
    for batch in batches[:-1]:
        client.log_batch(run, metrics=batch)
    return (time.perf_counter() - start) / (BATCHES * BATCH)


def main():
    if len(sys.argv) > 2:
        print(seconds_a_point(sys.argv[2]))
        return
    server = MlflowServer(sys.argv[1])
    try:
        print(seconds_a_point(server.url))
    finally:
        server.stop()


main()
