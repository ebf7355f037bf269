"""A training that torchrun starts again: the digits network's shape on two ranks with gloo, a checkpoint every half second.

usage: torchrun … torchrun_recovery.py torch|lightning FOLDER

Writes FOLDER/pid.N (of rank 1) and FOLDER/step.N (Unix seconds when the first step was done, by rank 0), where N counts
the starts from 0.
"""

import ctypes
import os
import signal
import sys
import time
import warnings

import torch

PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # torchrun's ranks would outlive it, and take the cores
warnings.filterwarnings("ignore")
kind, folder = sys.argv[1:]
rank = int(os.environ["RANK"])
start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
CHECKPOINT = os.path.join(folder, "newest.ckpt")
EVERY = 0.5
x = torch.randn(1438, 64)
y = torch.randint(0, 10, (1438,))


def put(name, text):
    path = os.path.join(folder, "%s.%s" % (name, start))
    with open(path + ".part", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.rename(path + ".part", path)


def network():
    return torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(256, 10))


def save(write):
    write(CHECKPOINT + ".part")
    os.rename(CHECKPOINT + ".part", CHECKPOINT)


def train_with_torch():
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
    torch.distributed.init_process_group("gloo")
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    step = 0
    if os.path.exists(CHECKPOINT):
        state = torch.load(CHECKPOINT)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    wrapped = DistributedDataParallel(model)
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    first, saved = True, time.monotonic()
    for epoch in range(1_000_000):
        sampler.set_epoch(epoch)
        for inputs, targets in DataLoader(data, batch_size=32, sampler=sampler):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(wrapped(inputs), targets).backward()
            optimizer.step()
            step += 1
            if first and rank == 0:
                put("step", repr(time.time()))
            first = False
            if rank == 0 and time.monotonic() - saved >= EVERY:
                save(lambda path: torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                                              "step": step}, path))
                saved = time.monotonic()


def train_with_lightning():
    import datetime

    import lightning
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint
    from torch.utils.data import DataLoader, TensorDataset

    class Digits(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network()

        def training_step(self, batch, _):
            inputs, targets = batch
            return torch.nn.functional.cross_entropy(self.network(inputs), targets)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    class FirstStep(Callback):
        done = False

        def on_train_batch_end(self, trainer, *_):
            if not self.done and trainer.is_global_zero:
                put("step", repr(time.time()))
            self.done = True

    checkpoint = ModelCheckpoint(folder, "newest", train_time_interval=datetime.timedelta(seconds=EVERY),
                                 enable_version_counter=False)
    trainer = lightning.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=-1, logger=False,
                                callbacks=[checkpoint, FirstStep()], enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(Digits(), DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True),
                ckpt_path=CHECKPOINT if os.path.exists(CHECKPOINT) else None)


if rank == 1:
    put("pid", str(os.getpid()))
train_with_torch() if kind == "torch" else train_with_lightning()
