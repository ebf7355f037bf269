"""kill -9 of server and node daemon at 50 random instants while ranks flood them: nothing is lost, nothing is double.

The ranks (flooding_trainer.cc) write what can be computed, so every point, line and checkpoint is looked for in the store at
the end. LCTL_TEST_SEED chooses other instants.
"""

import os
import random
import re
import sqlite3
import time
import unittest
import zipfile

from cluster import ClusterTest, program

KILLS = 50
KEYS = 20
JOB = """
trainer: {max_epochs: 1}
model:
  class_path: Classifier
  init_args: {layers: [{Linear: {in_features: 8, out_features: 4}}]}
data: {class_path: SyntheticDataModule}
optimizer: {class_path: SGD, init_args: {lr: 0.1}}
job:
  name: flood
  environment: {FLOOD_TRUTH: %s}
"""


class StoreKillTest(ClusterTest):
    workers = 2
    slots = 1

    def setUp(self):
        super().setUp()
        # No attempt may be given up while a daemon is away: that would be another test.
        for daemon, more in [(self.server, ("--lost-after-ms", "60000")),
                             *[(node, ("--trainer", program("tests/end_to_end/flooding_trainer")))
                               for node in self.nodes]]:
            self.assertEqual(daemon.stop(), 0)
            for name, value in zip(more[::2], more[1::2]):
                daemon.command[daemon.command.index(name) + 1] = value
        self.start_server()
        for node in self.nodes:
            node.start()

    def log_of(self, daemon):
        with open(daemon.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def flood(self, number):
        return self.submit(JOB % self.path("truth-%d" % number))

    def truth(self, number):
        with open(self.path("truth-%d" % number), encoding="ascii") as stream:
            return tuple(map(int, stream.read().split()))

    def check_points(self, job, steps):
        for key in range(KEYS):
            points = self.points(job, "m%d" % key)
            self.assertEqual([point["step"] for point in points], list(range(steps)), key)
            self.assertEqual([point["value"] for point in points], [step + key / 16 for step in range(steps)], key)

    def check_output(self, job, steps):
        lines = self.lctl("logs", job).splitlines()
        self.assertEqual([int(re.search(r"step (\d+)$", line)[1]) for line in lines], list(range(steps)))

    def check_checkpoints(self, job, count):
        rows = self.lctl_json("checkpoints", "list", job)
        names = [row["name"].rsplit("/", 1)[-1] for row in rows]
        self.assertEqual(names, ["c%d.ckpt" % number for number in range(count)] + ["stop.ckpt"])
        for row in rows:
            path = self.path(row["id"] + ".ckpt")
            self.lctl("checkpoints", "download", job, "--checkpoint", row["id"], "--output", path)  # checks its hash
            with zipfile.ZipFile(path) as archive:
                self.assertEqual(archive.read("archive/data.pkl"), str(row["step"]).encode())
            os.remove(path)

    def blobs(self):
        return {first + name for first in os.listdir(self.path("server", "blobs")) if len(first) == 2
                for name in os.listdir(self.path("server", "blobs", first))}

    def check_store(self):
        """With the server stopped: the database is whole, and the blobs are those that its manifests name."""
        with sqlite3.connect(self.path("server", "lctl.db")) as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(database.execute("PRAGMA foreign_key_check").fetchall(), [])
            named = {row[0].hex() for row in database.execute("SELECT DISTINCT sha256 FROM manifest_chunks")}
            frozen, = database.execute("""SELECT count(*) FROM (SELECT 1 FROM manifest_chunks
                                          GROUP BY sha256 HAVING count(DISTINCT checkpoint) > 5)""").fetchone()
        database.close()
        self.assertGreaterEqual(frozen, 2, "the tensor that never changes is stored once")
        return named

    def test_nothing_is_lost_and_nothing_is_double(self):
        seed = int(os.environ.get("LCTL_TEST_SEED") or random.SystemRandom().randrange(2**32))
        print("LCTL_TEST_SEED=%d" % seed, flush=True)
        chance = random.Random(seed)
        jobs = [self.flood(number) for number in range(2)]
        for job in jobs:
            self.wait_state(job, "RUNNING")
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 0.6))
            victims = chance.choice([[self.server], [self.server], *[[node] for node in self.nodes],
                                     [self.server, *self.nodes]])
            for victim in victims:
                victim.kill()
            time.sleep(chance.choice([0.0, 0.3]))
            for victim in victims:
                if victim is self.server:
                    self.start_server()
                else:
                    victim.start()
        for number, job in enumerate(jobs):
            self.lctl("stop", job)
            self.wait_state(job, "STOPPED")
            steps, checkpoints = self.truth(number)
            print("job %d: %d points, %d checkpoints" % (number, steps * KEYS, checkpoints), flush=True)
            self.assertGreater(steps, 5000)
            self.check_points(job, steps)
            self.check_output(job, steps)
            self.check_checkpoints(job, checkpoints)

        # As if an hour had passed, so that chunks of uploads that a kill cut off are garbage.
        past = time.time() - 7200
        for blob in self.blobs():
            os.utime(self.path("server", "blobs", blob[:2], blob[2:]), (past, past))
        self.lctl("admin", "gc")
        self.lctl("admin", "check", "--deep")  # fails unless all is well
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.blobs(), self.check_store())


if __name__ == "__main__":
    unittest.main(verbosity=2)
