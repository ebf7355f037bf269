"""A job file of bench/step_overhead as a Lightning script: all defaults, fused optimizer, TensorDataset in memory.

usage: lightning_steps.py JOB.yaml TIMES.json     writes {step: seconds} of each logged step
"""

import json
import sys
import time
import warnings

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger

warnings.filterwarnings("ignore")


def synthetic(options):
    """SyntheticDataModule's formulas; some rows at a time, so that it is the data that memory is measured with."""
    samples = options["num_train"]
    parts = [synthetic_rows(options, first, min(first + 1000, samples)) for first in range(0, samples, 1000)]
    return [torch.cat(tensors) for tensors in zip(*parts)]


def synthetic_rows(options, first, end):
    features, classes = options["num_features"], options["num_classes"]
    i = torch.arange(first, end)[:, None]
    j = torch.arange(features)[None, :]
    u = ((i + 1) * (i + 7) * 31 + (i + 3) * (j + 1) * 7919 + (j + 5) * (j + 5) * 17) % 2003
    if options["kind"] == "tokens":
        x = u % options["vocab_size"]
        return x, (x[:, 0] + x[:, 1]) % classes
    sums = torch.zeros(end - first, classes, dtype=torch.long).index_add_(1, torch.arange(features) % classes, u)
    x = (u.double() / 1001 - 1).float()
    return x.reshape(end - first, *options.get("reshape", [features])), sums.argmax(1)


class Select(torch.nn.Module):
    def __init__(self, dim, index):
        super().__init__()
        self.dim, self.index = dim, index

    def forward(self, x):
        return x.select(self.dim, self.index)


def build(layer):
    name, arguments = (layer, {}) if isinstance(layer, str) else next(iter(layer.items()))
    return (Select if name == "Select" else getattr(torch.nn, name))(**arguments)


class Classifier(lightning.LightningModule):
    def __init__(self, layers, optimizer):
        super().__init__()
        self.net = torch.nn.Sequential(*map(build, layers))
        self.optimizer = optimizer

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = torch.nn.functional.cross_entropy(self.net(x), y)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return getattr(torch.optim, self.optimizer["class_path"])(self.parameters(), **self.optimizer["init_args"])


class Times(lightning.Callback):
    """When each step was done that is logged: the same steps as in lctl's spool."""

    def __init__(self, every):
        self.every, self.times = every, {}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step % self.every == 0:
            self.times[trainer.global_step - 1] = time.time()


def main():
    with open(sys.argv[1], encoding="utf-8") as stream:
        job = json.load(stream)
    lightning.seed_everything(job["seed_everything"], workers=True)
    options = dict(job["trainer"])
    data = job["data"]["init_args"]
    model = Classifier(job["model"]["init_args"]["layers"], job["optimizer"])
    logger = CSVLogger(**options.pop("logger")["init_args"])
    times = Times(50)
    trainer = lightning.Trainer(logger=logger, callbacks=[times], **options)
    dataset = torch.utils.data.TensorDataset(*synthetic(data))
    trainer.fit(model, torch.utils.data.DataLoader(dataset, batch_size=data["batch_size"]))
    with open(sys.argv[2], "w", encoding="utf-8") as stream:
        json.dump(times.times, stream)


main()
