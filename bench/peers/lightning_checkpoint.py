"""What bench/checkpoint measures of Lightning: how long its loop stands still for a save, which is all of the save.

usage: lightning_checkpoint.py FOLDER PARAMETERS    prints seconds
"""

import logging
import math
import os
import statistics
import sys
import time
import warnings

import lightning
import torch

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

BATCHES = 6
SAVED_AT = 3


class Wide(lightning.LightningModule):
    def __init__(self, parameters):
        super().__init__()
        self.width = int(math.sqrt(parameters / 4))
        self.layers = torch.nn.Sequential(*[torch.nn.Linear(self.width, self.width, bias=False) for _ in range(4)])

    def training_step(self, batch, batch_idx):
        return self.layers(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-4)


class TimedSave(lightning.Callback):
    def __init__(self, file):
        self.file, self.seconds = file, []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx < SAVED_AT:
            return
        start = time.monotonic()
        trainer.save_checkpoint(self.file, weights_only=False)
        self.seconds.append(time.monotonic() - start)


def main():
    folder, parameters = sys.argv[1], int(sys.argv[2])
    module = Wide(parameters)
    saver = TimedSave(os.path.join(folder, "lightning.ckpt"))
    trainer = lightning.Trainer(accelerator="cpu", logger=False, callbacks=[saver], max_epochs=1,
                                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    data = torch.utils.data.TensorDataset(torch.ones(BATCHES, module.width))
    trainer.fit(module, torch.utils.data.DataLoader(data))
    print(statistics.median(saver.seconds))


main()
