"""A Lightning script as people write it: digits, a small network. Prints the wall time at the end of its first step.

usage: lightning_first_step.py digits.csv.gz
"""

import gzip
import logging
import sys
import time
import warnings

import lightning
import torch

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Digits(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))

    def training_step(self, batch, batch_idx):
        inputs, labels = batch
        return torch.nn.functional.cross_entropy(self.net(inputs), labels)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.015)


class FirstStep(lightning.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        print(time.time(), flush=True)


def main():
    with gzip.open(sys.argv[1], "rt") as stream:
        header = next(stream).strip().split(",")
        target = header.index("target")
        rows = [[float(cell) for cell in line.split(",")] for line in stream]
    inputs = torch.tensor([row[:target] + row[target + 1:] for row in rows]) / 16.0
    labels = torch.tensor([int(row[target]) for row in rows])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, labels), batch_size=32, shuffle=True)
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                                enable_progress_bar=False, enable_model_summary=False, callbacks=[FirstStep()])
    trainer.fit(Digits(), loader)


main()
