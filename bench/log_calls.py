"""What self.log costs the training loop: the call, and all that comes of it, the spool included."""

import functools
import os
import shutil
import tempfile

from bench.harness.benchmark import Benchmark, Variant
from bench.harness.cluster import program
from bench.harness.process import output_of
from bench.step_overhead import ONE_THREAD

VALUES = 10


class LogCalls(Benchmark):
    name = "log_calls"
    question = "nanoseconds of one log() in a training step of ten of them, into the spool"
    unit = "ns"
    steps = 40_000

    def __init__(self):
        super().__init__()
        self.folder = None

    def open(self):
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        for kind in ("tensors", "numbers"):
            self.variants.append(Variant(kind + ", the call", functools.partial(self.call, kind), at_most=1000))
            for every, target in ((50, 1000), (1, None)):
                self.variants.append(Variant("%s, all in all, log_every_n_steps: %d" % (kind, every),
                                             functools.partial(self.all_in_all, kind, every), at_most=target))

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, kind, values, every):
        """(Nanoseconds of a call, of a step)."""
        spool = os.path.join(self.folder, "events.log")
        if os.path.exists(spool):
            os.remove(spool)
        words = output_of([program("bench/logging"), kind, str(values), str(self.steps), str(every)], cwd=self.folder,
                          env={**os.environ, **ONE_THREAD, "LCTL_SPOOL": spool}).split()
        return float(words[-2]), float(words[-1])

    def call(self, kind):
        return self.run(kind, VALUES, 50)[0]

    def all_in_all(self, kind, every):
        """A step with ten calls less one with none, by ten."""
        return (self.run(kind, VALUES, every)[1] - self.run(kind, 0, every)[1]) / VALUES
