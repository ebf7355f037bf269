"""Three machines under systemd: installed by deploy/install, a job trains on two of them, each service is restarted, killed
or hangs, a node is rebooted and one loses its power, all in the middle of the job. It ends with every point once.
"""

import os
import tempfile
import time
import unittest

from tests.end_to_end.cluster import ClientTest, program
from tests.machines import debian_root, isolation
from tests.machines.machines import Rack, run, write

SERVER, WORKER = "lctl-server", "lctl-worker"
EPOCHS, STEPS_PER_EPOCH = 16, 100
STEPS = EPOCHS * STEPS_PER_EPOCH
# A step takes 20 ms: the making of its four samples.
JOB = """
seed_everything: 7
trainer: {max_epochs: %d, log_every_n_steps: 1, enable_model_summary: false}
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 64}}
      - ReLU
      - {Dropout: {p: 0.1}}
      - {Linear: {in_features: 64, out_features: 4}}
    metrics: [accuracy]
data:
  class_path: SyntheticDataModule
  init_args: {num_train: %d, num_val: 16, batch_size: 4, shuffle: true, seconds_per_sample: 0.005}
optimizer: {class_path: AdamW, init_args: {lr: 0.01}}
job:
  name: machines
  resources: {nodes: 2, devices: 1, cpus_per_rank: 1}
  checkpoint_every: 2s
""" % (EPOCHS, STEPS_PER_EPOCH * 2 * 4)


def install(root, *parts):
    """What the person who runs this on real machines types, and what it says."""
    return run(os.path.abspath("deploy/install"), "--from", program(""), "--root", root, *parts)


def write_settings(machine, part, **settings):
    write(os.path.join(machine.root, "etc/lctl/%s.env" % part),
          "".join("%s=%s\n" % setting for setting in settings.items()))


class RestartTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        isolation.ensure(before=cls.make_root)  # there is no network inside
        cls.started = time.monotonic()
        cls.machines = []
        cls.addClassCleanup(cls.take_down)
        base = cls.make_root()
        rack = Rack(tempfile.mkdtemp(prefix="lctl-machines-", dir=os.environ.get("TEST_TMPDIR")))
        server_layer = rack.layer("server-layer", [base], lambda root: install(root, "server", "client"))
        node_layer = rack.layer("node-layer", [base], lambda root: install(root, "worker"))

        cls.server = rack.machine("server", 1, [server_layer, base])
        cls.nodes = [rack.machine("node-%d" % number, 10 + number, [node_layer, base]) for number in (1, 2)]
        cls.machines = [cls.server, *cls.nodes]
        cls.address = cls.server.address + ":7070"
        write_settings(cls.server, "server", LCTL_SERVER_OPTIONS="--listen 0.0.0.0:7070 --insecure-listen")
        for node in cls.nodes:
            write_settings(node, "worker", LCTL_SERVER=cls.address, LCTL_WORKER_OPTIONS="--cpu-slots 1")
            # A hang is noticed in 3 s, so that the test need not wait for half a minute.
            write(os.path.join(node.root, "etc/systemd/system/lctl-worker.service.d/test.conf"),
                  "[Service]\nWatchdogSec=3\n")
        for machine in cls.machines:
            machine.boot()
        cls.say("three machines are up")
        cls.server.run("systemctl", "enable", "--now", SERVER)
        for node in cls.nodes:
            node.run("systemctl", "enable", "--now", WORKER)

    @staticmethod
    def make_root():
        return debian_root.prepare("deploy/runtime_packages.txt")

    @classmethod
    def take_down(cls):
        for machine in cls.machines:
            machine.power_off()

    @classmethod
    def say(cls, text):
        print("%5.1f s  %s" % (time.monotonic() - cls.started, text), flush=True)

    def print_logs(self):
        for machine, unit in [(self.server, SERVER), *[(node, WORKER) for node in self.nodes]]:
            print("---- %s\n%s" % (machine.name, machine.journal(unit)[-8000:]))

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.print_logs()

    # --- what is looked at
    def nodes_by_name(self):
        return {node["name"]: node for node in self.lctl_json("nodes")}

    def ranks(self):
        """(node, pid, start time) of each rank: who survives has the same."""
        found = []
        for rank in self.lctl_json("status", self.job_id)["ranks"]:
            node = next(node for node in self.nodes if node.name == rank["node"])
            stat = node.run("cat", "/proc/%d/stat" % rank["pid"])
            found.append((node.name, rank["pid"], stat.rsplit(")", 1)[1].split()[19]))
        return sorted(found)

    def wait_progress(self, more=5):
        step = self.job(self.job_id)["step"]
        self.wait_step(self.job_id, step + more)

    def check_training_goes_on(self, machine, unit, pid_before, ranks):
        """Behind a fault of a daemon: another process of it, the same ranks, progress."""
        def is_new():
            now = machine.show(unit, "ActiveState", "MainPID")
            return now["ActiveState"] == "active" and now["MainPID"] not in ("0", pid_before)

        self.wait_for("%s has a new process" % unit, is_new)
        self.assertEqual(self.ranks(), ranks)
        self.wait_progress()

    # --- the story
    def disturb(self, what, machine, unit, *command):
        ranks = self.ranks()
        pid = machine.show(unit, "MainPID")["MainPID"]
        machine.run("systemctl", *command, unit)
        self.check_training_goes_on(machine, unit, pid, ranks)
        self.say("step %4d: %s" % (self.job(self.job_id)["step"], what))

    def mistype_an_option(self, node):
        ranks = self.ranks()
        settings = os.path.join(node.root, "etc/lctl/worker.env")
        with open(settings, encoding="utf-8") as stream:
            right = stream.read()
        write(settings, right.replace("--cpu-slots", "--cpu-slot"))
        node.run("systemctl", "restart", WORKER, code=1)
        # It stays so: no try after try with the same mistake.
        self.assertEqual(node.show(WORKER, "ActiveState", "NRestarts"), {"ActiveState": "failed", "NRestarts": "0"})
        self.assertIn("--cpu-slot", node.journal(WORKER))
        write(settings, right)
        node.run("systemctl", "restart", WORKER)
        self.check_training_goes_on(node, WORKER, "0", ranks)
        self.say("step %4d: the node daemon's options were wrong for a moment" % self.job(self.job_id)["step"])

    def lose_node(self, what, node, change):
        """change() takes the node away and brings it back; the job goes on with its next attempt."""
        before, attempt = self.nodes_by_name()[node.name], self.job(self.job_id)["attempt"]
        self.wait_for("a checkpoint of this attempt", lambda: any(
            checkpoint["attempt"] == attempt for checkpoint in self.lctl_json("checkpoints", "list", self.job_id)))
        step = self.job(self.job_id)["step"]
        self.assertLess(step, STEPS * 9 // 10, "the job is too short for this machine")
        change()
        self.wait_for("the node is back", lambda: self.nodes_by_name()[node.name]["state"] == "READY")
        self.assertEqual(self.nodes_by_name()[node.name]["id"], before["id"])
        self.wait_for("the next attempt runs", lambda: self.job(self.job_id)["attempt"] == attempt + 1)
        self.wait_state(self.job_id, "RUNNING")
        self.wait_progress()
        now = self.lctl_json("status", self.job_id)
        self.assertEqual(now["restarts"], 0, "a node that goes away must not count as a failure of the job")
        last = now["attempts"][-2]
        self.say("step %4d: %s at step %d: %s" % (now["step"], what, step, last["reason"]))
        return last["reason"]

    def node_of_rank(self, number):
        ranks = self.lctl_json("status", self.job_id)["ranks"]
        name = next(rank["node"] for rank in ranks if rank["rank"] == number)
        return next(node for node in self.nodes if node.name == name)

    def test_job_survives_restarts_and_a_reboot(self):
        self.wait_for("both nodes are ready", lambda: [node["state"] for node in self.lctl_json("nodes")] == ["READY"] * 2)
        for node in self.nodes:
            self.assertEqual(node.run("stat", "--format=%U %a", "/var/lib/lctl-worker").split(), ["lctl", "750"])
        self.job_id = self.submit(JOB)
        self.wait_state(self.job_id, "RUNNING")
        self.wait_step(self.job_id, 20)
        self.say("step %4d: the job trains on two nodes" % self.job(self.job_id)["step"])

        first, second = self.nodes
        self.disturb("the server was restarted", self.server, SERVER, "restart")
        self.disturb("the server was killed", self.server, SERVER, "kill", "--kill-whom=main", "--signal=KILL")
        self.disturb("node-1's daemon was restarted", first, WORKER, "restart")
        self.disturb("node-2's daemon was restarted", second, WORKER, "restart")
        self.disturb("node-1's daemon was killed", first, WORKER, "kill", "--kill-whom=main", "--signal=KILL")
        self.disturb("node-2's daemon hung", second, WORKER, "kill", "--kill-whom=main", "--signal=STOP")
        self.mistype_an_option(first)
        self.assertIn("all is as it was", install(second.root, "worker"))  # an upgrade to the same version
        self.assertEqual(self.job(self.job_id)["attempt"], 1)
        node = self.node_of_rank(0)
        self.lose_node(node.name + " was rebooted", node, node.reboot)
        node = self.node_of_rank(1)
        reason = self.lose_node(node.name + " lost its power", node, lambda: (node.power_off(), node.boot()))
        self.assertRegex(reason, "reboot")

        self.wait_state(self.job_id, "SUCCEEDED")
        self.say("the job has succeeded")
        details = self.lctl_json("status", self.job_id)
        self.assertEqual(len(details["attempts"]), 3)
        for attempt in details["attempts"][1:]:
            self.assertGreater(attempt["resumed_at_step"], 0)
        for key in ("train/loss", "train/accuracy"):
            self.assertEqual(self.steps(self.job_id, key), list(range(STEPS)), key)
        self.assertEqual(self.steps(self.job_id, "val/loss"),
                         [STEPS_PER_EPOCH * (epoch + 1) - 1 for epoch in range(EPOCHS)])
        digests = {rank["parameters_sha256"] for rank in details["ranks"]}
        self.assertEqual([len(digest) for digest in digests], [64], "the ranks' parameters differ: %s" % digests)


if __name__ == "__main__":
    unittest.main(verbosity=2)
