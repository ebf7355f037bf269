"""Reads a run of mlflow_lightning_script.py with the mlflow client and with Lightning, and prints it as JSON.

usage: mlflow_lightning_check.py TRACKING_URI RUN
"""

import json
import sys
import tempfile

import torch
from mlflow.tracking import MlflowClient

client = MlflowClient(sys.argv[1])
run = client.get_run(sys.argv[2])
files = {}
for folder in client.list_artifacts(run.info.run_id):
    files[folder.path] = sorted(entry.path for entry in client.list_artifacts(run.info.run_id, folder.path))
checkpoint = next(path for paths in files.values() for path in paths if path.endswith(".ckpt"))
with tempfile.TemporaryDirectory() as folder:
    state = torch.load(client.download_artifacts(run.info.run_id, checkpoint, folder), weights_only=True)
print(json.dumps({
    "name": run.info.run_name,
    "status": run.info.status,
    "params": run.data.params,
    "tags": run.data.tags,
    "metrics": run.data.metrics,
    "steps": [point.step for point in client.get_metric_history(run.info.run_id, "train_loss_step")],
    "files": files,
    "weights": sorted(state["state_dict"]),
}))
