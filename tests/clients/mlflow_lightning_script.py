"""A Lightning script as people write them: it knows MLflow and nothing of lctl.

usage: MLFLOW_TRACKING_URI=… mlflow_lightning_script.py
"""

import os

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from torch.utils.data import DataLoader, TensorDataset


class Net(L.LightningModule):
    def __init__(self, hidden: int = 8, lr: float = 0.05):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))

    def training_step(self, batch, batch_index):
        loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_index):
        self.log("val_loss", torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


def main():
    L.seed_everything(1)
    inputs = torch.randn(64, 4)
    data = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=8)
    logger = MLFlowLogger(experiment_name="lightning-logs", run_name="lightning-run", log_model=True,
                          tracking_uri=os.environ["MLFLOW_TRACKING_URI"], tags={"team": "vision"})
    trainer = L.Trainer(max_epochs=3, accelerator="cpu", logger=logger, log_every_n_steps=2,
                        callbacks=[ModelCheckpoint(monitor="val_loss", save_top_k=2)], enable_progress_bar=False,
                        enable_model_summary=False)
    trainer.fit(Net(), data, data)
    print("run", logger.run_id, flush=True)


if __name__ == "__main__":
    main()
