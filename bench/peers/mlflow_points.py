"""Metric points a client of MLflow's tracking server can log in batches of 1,000; the server keeps them in SQLite.

usage: mlflow_points.py FOLDER     prints seconds a point
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


def main():
    folder = sys.argv[1]
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    with open(os.path.join(folder, "mlflow.log"), "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///%s/mlflow.db" % folder,
             "--default-artifact-root", folder, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        end = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(url + "/health", timeout=1).read()
                break
            except OSError:
                if time.monotonic() > end or server.poll() is not None:
                    raise
                time.sleep(0.1)
        client = MlflowClient(url)
        run = client.create_run("0").info.run_id
        batches = [[Metric("train/metric_%d" % (i % 10), 1.0 / (1 + i), 1_700_000_000_000 + i, (number * BATCH + i) // 10)
                    for i in range(BATCH)] for number in range(BATCHES + 1)]
        client.log_batch(run, metrics=batches[-1])
        start = time.perf_counter()
        for batch in batches[:-1]:
            client.log_batch(run, metrics=batch)
        print((time.perf_counter() - start) / (BATCHES * BATCH))
    finally:
        os.killpg(server.pid, 15)
        server.wait()


main()
