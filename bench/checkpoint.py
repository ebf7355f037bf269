"""A checkpoint of 500 MB: how long training stands still for it, and when it is whole on the disk."""

import functools
import os
import shutil
import tempfile

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Variant
from bench.harness.cluster import program
from bench.harness.process import output_of
from bench.harness.server import Server
from bench.ingest import load

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BYTES_OF_A_PARAMETER = 3 * 4  # with the two states of Adam, in float32
BYTES_OF_ONE_WITH_A_FROZEN_BACKBONE = 4 + 2 * 4 / 4  # a fourth of them has the states


class Checkpoint(Benchmark):
    name = "checkpoint"
    question = "seconds for a checkpoint of a model with Adam's states: the loop stands still, the file is whole"
    unit = "s"
    megabytes = 500

    def __init__(self):
        super().__init__()
        self.folder = None
        # Of the newest run, those that no variant has taken yet.
        self.figures = {}
        self.upload_seconds = {}

    @property
    def parameters(self):
        return self.megabytes * 1_000_000 // BYTES_OF_A_PARAMETER

    def open(self):
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        size = self.megabytes * 1_000_000
        self.variants = [
            Variant("copy in memory", functools.partial(self.saving, "copy", size)),
            Variant("raw write and fsync", functools.partial(self.saving, "raw", self.folder, size)),
            Variant("lctl, standing still", functools.partial(self.figure, "blocked"),
                    at_most=0.05 * self.megabytes / 500),
            Variant("lctl, whole", functools.partial(self.figure, "whole"), versus="raw write and fsync",
                    ratio_at_most=1.3),
            Variant("lctl, async_checkpoint: false", self.synchronous),
            Variant("lctl, whole to stored", functools.partial(self.stored, "first")),
            Variant("lctl, the next of a frozen backbone to stored", functools.partial(self.stored, "second"),
                    versus="lctl, whole to stored"),
        ]
        if peers.python() is None:
            self.left_out.append(peers.LEFT_OUT)
            return
        peers.check(["torch", "lightning"])
        self.variants.append(Variant("Lightning, standing still", self.lightning, versus="lctl, standing still",
                                     ratio_at_least=1))

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def saving(self, *words):
        return float(output_of([program("bench/saving"), *map(str, words)]))

    def train(self, *more):
        words = output_of([program("bench/saving"), "train", self.folder, str(self.parameters), *more]).split()
        return float(words[-3]), float(words[-2])

    def figure(self, which):
        """One run gives both, whichever is asked for first."""
        if which not in self.figures:
            self.figures = dict(zip(("blocked", "whole"), self.train()))
        return self.figures.pop(which)

    def stored(self, which):
        """Two checkpoints of a model of which three fourths are frozen, from the node's disk into the store."""
        if which not in self.upload_seconds:
            self.upload_seconds = self.upload()
        return self.upload_seconds.pop(which)

    def upload(self):
        parameters = int(self.megabytes * 1_000_000 // BYTES_OF_ONE_WITH_A_FROZEN_BACKBONE)
        trained = int(self.saving("frozen", self.folder, parameters))
        with tempfile.TemporaryDirectory(prefix="lctl-bench-", dir=self.folder) as folder:
            load("make", folder, 1, 0, 1)
            server = Server(folder)
            try:
                seconds = {}
                for which in ("first", "second"):
                    words = load("upload", folder, server.address, os.path.join(self.folder, which + ".ckpt")).split()
                    seconds[which], stored = float(words[0]), int(words[1])
            finally:
                server.close()
        whole = os.path.getsize(os.path.join(self.folder, "second.ckpt"))
        self.notes[:] = ["the next of a frozen backbone: %.1f of %.1f MB were stored; %.1f MB had changed" %
                         (stored / 1e6, whole / 1e6, trained / 1e6)]
        if stored > 1.05 * trained + 100_000:
            raise RuntimeError("more was stored than had changed: " + self.notes[0])
        return seconds

    def synchronous(self):
        return self.train("sync")[0]

    def lightning(self):
        script = os.path.join(ROOT, "bench", "peers", "lightning_checkpoint.py")
        return float(output_of([peers.python(), script, self.folder, str(self.parameters)]).split()[-1])
