"""Faults of many kinds, at random moments, while jobs train: all of them end, with the bits of a run that nobody disturbed,
and with every point once.

LCTL_TEST_SEED chooses other moments, LCTL_CHAOS_FAULTS another number of faults (200 take some 12 minutes). As root every
node has a network of its own, whose cable can be pulled.
"""

import collections
import os
import random
import time
import unittest

from tests.chaos import faults, namespaces
from tests.chaos.link import Link
from tests.chaos.machine import Machine
from tests.end_to_end.cluster import ClusterTest

FAULTS = int(os.environ.get("LCTL_CHAOS_FAULTS", "32"))
SEED = int(os.environ.get("LCTL_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
EPOCHS, STEPS_PER_EPOCH = 6, 50
STEPS = EPOCHS * STEPS_PER_EPOCH
FINAL = ("SUCCEEDED", "FAILED", "STOPPED")
ENOUGH = 1000  # restarts: faults are no fault of the job

JOB = """
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
      - {Linear: {in_features: 8, out_features: 64}}
      - {BatchNorm1d: {num_features: 64}}
      - ReLU
      - {Dropout: {p: 0.1}}
      - {Linear: {in_features: 64, out_features: 4}}
    metrics: [accuracy]
data:
  class_path: SyntheticDataModule
  init_args: {num_train: %(samples)d, num_val: 16, batch_size: 4, shuffle: true, seconds_per_sample: %(pace)s}
optimizer: {class_path: AdamW, init_args: {lr: 0.01}}
job:
  name: chaos-%(nodes)dx%(devices)d
  resources: {nodes: %(nodes)d, devices: %(devices)d, cpus_per_rank: 1}
  max_restarts: %(restarts)d
  crash_loop: retry  # what happens here twice at the same place is chance
  checkpoint_every: 500ms
"""
SHAPES = [(1, 1), (1, 2), (2, 1)]  # nodes, devices on each


def job_file(shape, pace):
    nodes, devices = shape
    return JOB % {"epochs": EPOCHS, "samples": STEPS_PER_EPOCH * 4 * nodes * devices, "nodes": nodes, "devices": devices,
                  "pace": pace, "restarts": ENOUGH}


class ChaosTest(ClusterTest):
    workers = 3
    slots = 2
    lost_after = 3

    @classmethod
    def setUpClass(cls):
        namespaces.enter()

    def setUp(self):
        self.links, self.networks, self.machines = [], [], {}
        if namespaces.available():
            namespaces.Switch()
            self.networks = [namespaces.Network(number) for number in range(1, self.workers + 1)]
        super().setUp()
        self.addCleanup(lambda: [link.close() for link in self.links])

    def server_of_node(self, number):
        self.links.append(Link(self.address, namespaces.HOST if self.networks else "127.0.0.1"))
        return self.links[-1].address

    def daemon(self, name, command):
        """On a machine of its own: disk, clock, and for a node its network."""
        daemon = super().daemon(name, command)
        self.machines[name] = Machine(self.path(name + ".machine"))
        daemon.environment = self.machines[name].environment(daemon.environment)
        if self.networks and name != "server":
            network = self.networks[len(self.nodes)]
            daemon.command = [*network.inside, *command, "--address", network.address]
        return daemon

    def running_ranks(self):
        return [dict(rank, job=job["id"]) for job in self.lctl_json("list") for rank in job["ranks"]
                if rank["state"] == "RUNNING" and rank["pid"]]

    def digests(self, job_id):
        return {rank["parameters_sha256"] for rank in self.lctl_json("status", job_id)["ranks"]}

    def undisturbed(self, shape):
        job_id = self.submit(job_file(shape, 0))
        self.wait_state(job_id, "SUCCEEDED")
        digests = self.digests(job_id)
        self.assertEqual(len(digests), 1, digests)
        return digests

    def check(self, job_id, shape, expected):
        job = self.lctl_json("status", job_id)
        self.assertEqual(job["state"], "SUCCEEDED", job["reason"])
        self.assertEqual(self.digests(job_id), expected, "%s: other bits than those of the undisturbed run" % (shape,))
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(STEPS)), job_id)
        self.assertEqual(self.steps(job_id, "val/loss"),
                         list(range(STEPS_PER_EPOCH - 1, STEPS, STEPS_PER_EPOCH)), job_id)
        return len(job["attempts"])

    def test_all_jobs_end_with_the_same_bits_and_every_point(self):
        print("LCTL_TEST_SEED=%d, %d faults" % (SEED, FAULTS), flush=True)
        chance = random.Random(SEED)
        expected = {shape: self.undisturbed(shape) for shape in SHAPES}
        # Each kind once before any comes again.
        kinds, done, counts, attempts = [], 0, collections.Counter(), []
        jobs = {self.submit(job_file(shape, 0.005)): shape for shape in SHAPES}
        began = time.monotonic()
        while done < FAULTS or jobs:
            if done < FAULTS:
                kinds = kinds or chance.sample(faults.ALL, len(faults.ALL))
                kind = kinds.pop()
                said = kind(self, chance)
                if said:
                    done += 1
                    counts[kind.__name__] += 1
                    print("%6.1f s  %s" % (time.monotonic() - began, said), flush=True)
                time.sleep(chance.uniform(0, 1))
            else:
                time.sleep(0.5)
            states = {job["id"]: job["state"] for job in self.lctl_json("list")}
            for job_id, shape in list(jobs.items()):
                if states[job_id] not in FINAL:
                    continue
                attempts.append(self.check(job_id, shape, expected[shape]))
                del jobs[job_id]
                if done < FAULTS:
                    jobs[self.submit(job_file(shape, 0.005))] = shape
            self.assertLess(time.monotonic() - began, 120 + 10 * FAULTS, "jobs do not come to an end: %s" % states)
        damaged = counts["corrupt_chunk"] > 0  # the deep check would say so
        self.assertIn("ok", self.lctl("admin", "check", *([] if damaged else ["--deep"])).lower())
        print("%d faults of %d kinds, %d jobs of %d attempts in %.0f s: %s" % (
            done, len(counts), len(attempts), sum(attempts), time.monotonic() - began,
            ", ".join("%s %d" % each for each in sorted(counts.items()))))


if __name__ == "__main__":
    unittest.main()
