"""What a training step costs: a bare LibTorch loop, lctl-trainer with everything on, and Lightning."""

import functools
import json
import os
import shutil
import struct
import tempfile

from bench.harness import peers
from bench.harness.benchmark import Benchmark, Measured, Variant
from bench.harness.cluster import program
from bench.harness.process import on_terminal

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SPOOL_HEADER = 8
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

# All that a job has unless it says otherwise, but for validation: checkpoints, summary, progress bar, CSV.
JOB = {
    "seed_everything": 0,
    "trainer": {"accelerator": "cpu", "devices": 1, "limit_val_batches": 0,
                "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "."}}},
}


class Model:
    """A job, and how many steps make a measurement.

    steps, epochs   of an epoch, and a measurement; the first epoch is not counted. Each epoch ends with a checkpoint
                    that is synced to disk, so its length matters: MNIST has 938 steps. A multiple of 50: these are
                    logged, and so have a time.
    overhead        target: so many times the bare loop's step at most
    ahead           target: Lightning takes so many times as long at least; None = no target
    """

    def __init__(self, name, layers, data, optimizer, steps, epochs, overhead, ahead=None):
        self.name, self.layers, self.data, self.optimizer = name, layers, data, optimizer
        self.steps, self.epochs, self.overhead, self.ahead = steps, epochs, overhead, ahead

    def job(self, **trainer):
        data = {"batch_size": 64, **self.data}
        data.update(kind=data.get("kind", "classification"), num_train=self.steps * data["batch_size"], num_val=1)
        lightning = {**JOB["trainer"], "max_epochs": self.epochs, **trainer}
        return dict(JOB, trainer=lightning,
                    model={"class_path": "Classifier", "init_args": {"layers": self.layers}},
                    data={"class_path": "SyntheticDataModule", "init_args": data},
                    optimizer={"class_path": self.optimizer[0],
                               "init_args": {"lr": self.optimizer[1], "fused": True}})


def linear(inputs, outputs):
    return {"Linear": {"in_features": inputs, "out_features": outputs}}


def convolution(inputs, outputs):
    return {"Conv2d": {"in_channels": inputs, "out_channels": outputs, "kernel_size": 3, "padding": 1}}


POOL = {"MaxPool2d": {"kernel_size": 2}}
ENCODER = {"TransformerEncoderLayer": {"d_model": 128, "nhead": 4, "dim_feedforward": 256, "dropout": 0.0,
                                       "batch_first": True}}

MODELS = [
    Model("tiny MLP", [linear(32, 64), "ReLU", linear(64, 2)],
          {"num_features": 32, "num_classes": 2, "batch_size": 32}, ("SGD", 0.01), 500, 21, 1.25, ahead=12),
    Model("MNIST MLP", [linear(784, 512), "ReLU", linear(512, 256), "ReLU", linear(256, 10)],
          {"num_features": 784, "num_classes": 10}, ("Adam", 0.001), 950, 2, 1.05),
    Model("CNN", [convolution(1, 16), "ReLU", POOL, convolution(16, 32), "ReLU", POOL, "Flatten", linear(1568, 10)],
          {"num_features": 784, "num_classes": 10, "reshape": [1, 28, 28]}, ("Adam", 0.001), 100, 3, 1.05),
    Model("transformer", [{"Embedding": {"num_embeddings": 64, "embedding_dim": 128}}, *[ENCODER] * 2,
                          {"Select": {"dim": 1, "index": 0}}, linear(128, 10)],
          {"kind": "tokens", "num_features": 32, "num_classes": 10, "vocab_size": 64, "batch_size": 16},
          ("AdamW", 0.001), 50, 3, 1.05),
]


# --- the spool: when each logged step was done, by the rank's own clock (docs/formats/spool.md, proto/lctl/v1/event.proto)

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def fields(message):
    """(number, value) of a protobuf message's fields; value is an int or bytes."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 == 0:
            value, at = varint(message, at)
        elif tag & 7 == 1:
            value, at = message[at:at + 8], at + 8
        elif tag & 7 == 2:
            size, at = varint(message, at)
            value, at = message[at:at + size], at + size
        else:
            raise RuntimeError("a field of wire type %d in the spool" % (tag & 7))
        yield tag >> 3, value


def logged_steps(spool):
    """{step: seconds} of the spool's MetricPoints."""
    with open(spool, "rb") as stream:
        data = stream.read()
    times = {}
    at = SPOOL_HEADER
    while at + 8 <= len(data):
        size, = struct.unpack_from("<I", data, at)
        event = dict(fields(data[at + 8:at + 8 + size]))
        at += 8 + size
        if 3 in event:
            times[dict(fields(event[3])).get(1, 0)] = event[1] / 1e6
    return times


def microseconds(times, model):
    """Of a step, over whole epochs: between the last logged step of the first epoch and that of the last."""
    last = max(times)
    first = last - (model.epochs - 1) * model.steps
    if first not in times:
        raise RuntimeError("step %d was not logged, only %s" % (first, sorted(times)))
    return (times[last] - times[first]) / (last - first) * 1e6


def last_loss(folder):
    """As the CSV logger wrote it."""
    for where, _, names in os.walk(folder):
        if "metrics.csv" in names:
            with open(os.path.join(where, "metrics.csv"), encoding="utf-8") as stream:
                rows = [line.strip().split(",") for line in stream]
            return float(rows[-1][rows[0].index("train/loss")])
    raise RuntimeError("no metrics.csv below " + folder)


def write_job(folder, job):
    """Into the emptied folder; its path."""
    for left in os.listdir(folder):
        path = os.path.join(folder, left)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    path = os.path.join(folder, "job.yaml")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(job, stream)  # which is YAML, too
    return path


def run_alone(folder, command, environment=None):
    """(Output, resource usage) of a program with one thread, on a terminal of its own."""
    return on_terminal(command, cwd=folder, env={**os.environ, **ONE_THREAD, **(environment or {})})


class StepOverhead(Benchmark):
    name = "step_overhead"
    question = "microseconds for a training step; one thread, everything on by default"
    unit = "µs"
    models = MODELS

    def __init__(self):
        super().__init__()
        self.folder = None
        self.memory = {}  # variant name → greatest resident set of its process, MiB
        self.loss = {}    # model name → loss of the bare loop's last step

    def open(self):
        if peers.python() is not None:
            peers.check(["torch", "lightning"])
        else:
            self.left_out.append(peers.LEFT_OUT)
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        for model in self.models:
            bare, ours = model.name + ", bare loop", model.name + ", lctl-trainer"
            self.variants.append(Variant(bare, functools.partial(self.bare, bare, model)))
            self.variants.append(Variant(ours, functools.partial(self.trainer, ours, model), versus=bare,
                                         ratio_at_most=model.overhead))
            if peers.python() is not None:
                name = model.name + ", Lightning"
                self.variants.append(Variant(name, functools.partial(self.lightning, name, model), versus=ours,
                                             ratio_at_least=model.ahead))

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        for name, mebibytes in self.memory.items():
            self.notes.append("%s: %.0f MiB resident at most" % (name, mebibytes))

    def run(self, name, command, environment=None):
        """The output of a program on a terminal of its own; its peak of memory is remembered."""
        output, usage = run_alone(self.folder, command, environment)
        self.memory[name] = max(self.memory.get(name, 0), usage.ru_maxrss / 1024)
        return output

    def bare(self, name, model):
        words = self.run(name, [program("bench/bare_loop"), model.name, str(model.steps), str(model.epochs)]).split()
        self.loss[model.name] = float(words[1])
        return float(words[0])

    def trainer(self, name, model):
        job = write_job(self.folder, model.job())
        spool = os.path.join(self.folder, "events.log")
        self.run(name, [program("worker/trainer/lctl-trainer"), "fit", "--config", job], {"LCTL_SPOOL": spool})
        loss = last_loss(self.folder)
        expected = self.loss.get(model.name, loss)
        if struct.pack("<f", loss) != struct.pack("<f", expected):
            raise RuntimeError("%s: the trainer's last loss is %.9g, the bare loop's %.9g: they did not do the same"
                               % (model.name, loss, expected))
        return microseconds(logged_steps(spool), model)

    def lightning(self, name, model):
        job = write_job(self.folder, model.job())
        script = os.path.join(ROOT, "bench", "peers", "lightning_steps.py")
        times = os.path.join(self.folder, "times.json")
        self.run(name, [peers.python(), script, job, times])
        with open(times, encoding="utf-8") as stream:
            return microseconds({int(step): time for step, time in json.load(stream).items()}, model)


class StepParts(Benchmark):
    """Parts are switched off one at a time. Without the spool nothing tells when a step was done, so a figure here is the
    difference of two runs, of two epochs and of many, by the steps between."""

    name = "step_parts"
    question = "where the time of a step goes: the tiny MLP, parts of the trainer switched off"
    unit = "µs"
    model = MODELS[0]

    def __init__(self):
        super().__init__()
        self.folder = None

    def open(self):
        self.folder = tempfile.mkdtemp(prefix="lctl-bench-")
        bare, everything = "bare loop", "all on"
        nothing = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False}
        for name, versus, spool, trainer in (
                (everything, bare, True, {}),
                ("without progress bar", everything, True, {"enable_progress_bar": False}),
                ("without CSV logger", everything, True, {"logger": False}),
                ("without spool", everything, False, {}),
                ("without checkpoints", everything, True, {"enable_checkpointing": False}),
                ("without all four", bare, False, nothing)):
            self.variants.append(Variant(name, functools.partial(self.per_step, self.trainer, spool, trainer),
                                         versus=versus))
        self.variants.insert(0, Variant(bare, self.bare_with_phases))

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def per_step(self, run, *arguments):
        """CPU time: what other programs do to the machine counts less than in wall time."""
        few, many = (run(epochs, *arguments) for epochs in (2, self.model.epochs))
        return (many - few) / ((self.model.epochs - 2) * self.model.steps) * 1e6

    def bare_with_phases(self):
        figure = self.per_step(self.bare)
        command = [program("bench/bare_loop"), self.model.name, str(self.model.steps), str(self.model.epochs), "phases"]
        phases = map(float, run_alone(self.folder, command)[0].split()[2:])
        return Measured(figure, dict(zip(("batch", "forward", "backward", "optimizer"), phases, strict=True)))

    def cpu_seconds(self, command, environment=None):
        _, usage = run_alone(self.folder, command, environment)
        return usage.ru_utime + usage.ru_stime

    def bare(self, epochs):
        return self.cpu_seconds([program("bench/bare_loop"), self.model.name, str(self.model.steps), str(epochs)])

    def trainer(self, epochs, spool, trainer):
        job = write_job(self.folder, self.model.job(**{**trainer, "max_epochs": epochs}))
        return self.cpu_seconds([program("worker/trainer/lctl-trainer"), "fit", "--config", job],
                                {"LCTL_SPOOL": os.path.join(self.folder, "events.log")} if spool else {})
