"""A coordinator and workers on this machine, as `lctl up` makes them, for the time of a benchmark."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from bench.harness.process import output_of

DEADLINE = 60  # seconds for anything that a benchmark waits for


def program(name):
    """A built program: below LCTL_BIN (bench/run sets it), or among a test's runfiles."""
    root = os.environ.get("LCTL_BIN") or os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
    return os.path.join(root, name)


class Cluster:
    def __init__(self, workers):
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        self.log = open(os.path.join(self.folder, "up.log"), "wb")
        environment = dict(os.environ)
        environment.pop("LCTL_SERVER", None)
        self.process = subprocess.Popen(
            [program("client/lctl"), "up", "--workers", str(workers), "--data-dir", self.folder, "--address",
             "127.0.0.1:0"], stdout=self.log, stderr=subprocess.STDOUT, env=environment)
        self.environment = environment
        try:
            self._wait_until_ready(workers)
        except BaseException:  # nobody else could end it: the caller never gets this object
            self.close()
            raise

    def _wait_until_ready(self, workers):
        address_file = os.path.join(self.folder, "address")
        self.wait_for("the cluster is up", lambda: os.path.exists(address_file) and os.path.getsize(address_file) > 0)
        with open(address_file, encoding="utf-8") as stream:
            self.environment["LCTL_SERVER"] = stream.read().strip()
        self.wait_for("all workers are ready", lambda: sum(
            node["state"].upper() == "READY" for node in self.lctl_json("nodes")) == workers)

    def wait_for(self, what, condition):
        """The first true value of condition()."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        with open(self.log.name, encoding="utf-8", errors="replace") as stream:
            raise RuntimeError("waited in vain until %s; the cluster's output:\n%s" % (what, stream.read()[-5000:]))

    def lctl(self, *arguments):
        return output_of([program("client/lctl"), *arguments], env=self.environment)

    def lctl_json(self, *arguments):
        return json.loads(self.lctl(*arguments, "--json"))

    def close(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
