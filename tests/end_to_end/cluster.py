"""A real cluster on this machine for tests: the built daemons as processes, the built `lctl` as client.

Every process can be killed and started again by itself. Nothing outlives the test: daemons die with
it, and their output is printed when it fails.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

DEADLINE = 120  # seconds: bounds every wait; a test that needs it all has failed


def program(path):
    """A built program among the test's runfiles ("server/lctl-server")."""
    return os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"], path)


class Daemon:
    """One process that can be killed and started again with the same arguments."""

    def __init__(self, name, command, log_path, environment):
        self.name, self.command, self.log_path = name, command, log_path
        self.environment = environment
        self.process = None

    def start(self):
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT,
                                        env=self.environment, start_new_session=True)

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self):
        """SIGTERM, and its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=DEADLINE)
        self.log.close()
        return code


class ClientTest(unittest.TestCase):
    """What `lctl` and the waiting for a service need; who starts the service sets `address`."""

    address = None  # of the server, HOST:PORT

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lctl-e2e-", dir=os.environ.get("TEST_TMPDIR"))
        self.environment = dict(os.environ, OMP_NUM_THREADS="1", NO_COLOR="1")

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def wait_for(self, what, condition, timeout=DEADLINE):
        """The first true value of condition(); polls, bounded."""
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                self.fail("waited %d s in vain until %s" % (timeout, what))
            time.sleep(0.05)

    def lctl(self, *arguments, code=0):
        """Runs lctl; its stdout. Any other exit code than `code` fails the test."""
        command = [program("client/lctl"), "--server", self.address, *arguments]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment, timeout=DEADLINE)
        self.assertEqual(result.returncode, code,
                         "%s\n%s\n%s" % (" ".join(arguments), result.stdout, result.stderr))
        self.last_stderr = result.stderr
        return result.stdout

    def lctl_json(self, *arguments):
        return json.loads(self.lctl(*arguments, "--json"))

    def submit(self, job, *overrides):
        """Writes the job file and submits it; its id."""
        path = self.path("job.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(job)
        return self.lctl_json("submit", path, *overrides)["id"]

    def job(self, job_id):
        return next(job for job in self.lctl_json("list") if job["id"] == job_id)

    def wait_state(self, job_id, *states):
        """Waits until the job is in one of these states; fails at once when it ends in another."""
        final = {"SUCCEEDED", "FAILED", "STOPPED"}

        def reached():
            job = self.job(job_id)
            state = job["state"].upper()
            if state in states:
                return job
            self.assertNotIn(state, final - set(states), "%s: %s" % (state, job["reason"]))
            return None

        return self.wait_for("job %s is %s" % (job_id, " or ".join(states)), reached)

    def wait_step(self, job_id, step):
        """Fails at once when the job ends before that step."""
        def reached():
            job = self.job(job_id)
            if job["step"] < step:
                self.assertNotIn(job["state"], ("SUCCEEDED", "FAILED", "STOPPED"), job["reason"])
            return job["step"] >= step

        return self.wait_for("job %s is at step %d" % (job_id, step), reached)

    def points(self, job_id, key):
        return self.lctl_json("metrics", job_id, key)

    def steps(self, job_id, key):
        return [point["step"] for point in self.points(job_id, key)]


class ClusterTest(ClientTest):
    """Starts a server and `workers` nodes before each test."""

    workers = 1
    slots = 2
    lost_after = 5  # seconds of silence

    def setUp(self):
        super().setUp()
        self.port = None
        self.server = self.daemon("server", [
            program("server/lctl-server"), "--data-dir", self.path("server"), "--heartbeat-ms", "200",
            "--lost-after-ms", str(self.lost_after * 1000), "--die-with-parent", "--http", "",
            *self.server_options(), "--listen"])
        self.start_server()
        self.nodes = []
        for number in range(1, self.workers + 1):
            name = "worker-%d" % number
            node = self.daemon(name, [
                program("worker/agent/lctl-worker"), "--server", self.server_of_node(number), "--name", name,
                "--data-dir", self.path(name), "--cpu-slots", str(self.slots),
                "--trainer", program("worker/trainer/lctl-trainer")])
            node.start()
            self.nodes.append(node)
        self.wait_for("all nodes are ready", lambda: sum(
            node["state"].lower() == "ready" for node in self.lctl_json("nodes")) == self.workers)

    def tearDown(self):
        outcome = getattr(self, "_outcome", None)
        result = outcome.result if outcome is not None and hasattr(outcome, "result") else None
        failed = result is not None and any(test is self for test, _ in result.failures + result.errors)
        for daemon in [*self.nodes, self.server]:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.kill()
        # Ranks outlive their agent on purpose: end those of this test's folder.
        subprocess.run(["pkill", "-9", "-f", self.folder], check=False)
        if failed:
            for daemon in [self.server, *self.nodes]:
                with open(daemon.log_path, encoding="utf-8", errors="replace") as log:
                    print("---- %s\n%s" % (daemon.name, log.read()[-20000:]))

    def server_options(self):
        """Further options of lctl-server."""
        return []

    def server_of_node(self, number):
        """The address by which a node (from 1) reaches the server."""
        return self.address

    def daemon(self, name, command):
        os.makedirs(self.path(name), exist_ok=True)
        return Daemon(name, command, self.path(name + ".log"), self.environment)

    def start_server(self):
        """Starts it on a port that the kernel picks, then always on the same one."""
        base = self.server.command[:self.server.command.index("--listen") + 1]
        self.server.command = base + ["127.0.0.1:%d" % (self.port or 0)]
        already = os.path.getsize(self.server.log_path) if os.path.exists(self.server.log_path) else 0
        self.server.start()

        def listening():
            self.assertIsNone(self.server.process.poll(), "the server ended at once")
            with open(self.server.log_path, encoding="utf-8", errors="replace") as log:
                log.seek(already)
                return re.search(r"listening on \S+:(\d+)", log.read())

        self.port = int(self.wait_for("the server listens", listening)[1])
        self.address = "127.0.0.1:%d" % self.port


# About a millisecond and a half a step; every step is logged.
SLOW_JOB = """
seed_everything: 7
trainer:
  max_epochs: %(epochs)d
  log_every_n_steps: 1
  enable_model_summary: false
  logger: {class_path: CSVLogger, init_args: {save_dir: .}}
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 512}}
      - ReLU
      - {Linear: {in_features: 512, out_features: 512}}
      - ReLU
      - {Linear: {in_features: 512, out_features: 4}}
    loss: cross_entropy
    metrics: [accuracy]
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 12800, num_val: 128, batch_size: 64, val_batch_size: 128, shuffle: true}
optimizer:
  class_path: SGD
  init_args: {lr: 0.05, momentum: 0.9}
job:
  name: slow
  resources: {nodes: %(nodes)d, devices: %(devices)d}
  checkpoint_every: %(checkpoint_every)s
"""
STEPS_PER_EPOCH = 200  # of SLOW_JOB on one rank


def slow_job(epochs=20, nodes=1, devices=1, checkpoint_every="1s"):
    return SLOW_JOB % locals()
