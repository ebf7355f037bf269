#!/usr/bin/env python3
"""Writes with Lightning's TensorBoardLogger what worker/trainer/loggers/tensorboard_sample.cc writes with ours.

  tensorboard_reference.py DIR && tensorboard_check.py --print DIR > tensorboard_expected.json

renews the expected values. Needs lightning 2.6, torch and tensorboard.
"""

import sys

import torch
from lightning.pytorch.loggers import TensorBoardLogger


class Residual(torch.nn.Module):
    def forward(self, x):
        return x.relu().add(x)


def main(folder):
    logger = TensorBoardLogger(folder)
    logger.log_hyperparams({"lr": 1e-5, "epochs": 3, "nesterov": True, "optimizer": "sgd", "scheduler": None,
                            "betas": [0.9, 0.999], "layers": [{"units": 12}, {"units": 12}]})
    logger.save()
    for step in range(100):
        logger.log_metrics({"train/loss": 1.0 / (step + 1), "epoch": step // 40}, step)
        logger.save()
    writer = logger.experiment
    for step, value in ((0, float("inf")), (1, float("-inf")), (2, float("nan")), (1 << 40, 1e-40)):
        writer.add_scalar("limits", value, step)
    writer.add_scalars("loss/both", {"train": 0.5, "val": 0.25}, 7)
    writer.add_histogram("weights", (torch.arange(200) - 60) / 64, 1)
    writer.add_histogram("weights", torch.arange(50).reshape(5, 10), 2)
    writer.add_histogram("own_edges", torch.arange(40), 3, bins=[0, 8, 16, 32])
    writer.add_image("rgb", torch.arange(3 * 8 * 12).reshape(3, 8, 12) / 288, 1)
    writer.add_image("grey", torch.arange(64).reshape(8, 8) / 64, 1, dataformats="HW")
    writer.add_image("rgba", torch.arange(4 * 16, dtype=torch.uint8).reshape(4, 4, 4) * 3, 2, dataformats="HWC")
    writer.add_images("grid", torch.arange(10 * 9).reshape(10, 1, 3, 3) / 90, 3)
    writer.add_text("notes", "# A *note*\n\nwith an ä", 4)
    writer.add_graph(Residual(), torch.ones(1, 2))
    logger.finalize("success")


if __name__ == "__main__":
    main(sys.argv[1])
