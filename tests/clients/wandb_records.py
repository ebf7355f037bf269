#!/usr/bin/env python3
"""Prints as JSON what W&B finds in offline runs.

  wandb_records.py FILE.wandb...

For each: {"records": what `wandb leet inspect` reads, "summary": and says of the whole, "artifacts": those of the records, made
anew by wandb.Artifact from the files that they name}.
"""

import json
import subprocess
import sys

import wandb


def inspect(file, *options):
    done = subprocess.run([sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, file],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0 or not done.stdout:
        raise RuntimeError("wandb leet inspect %s: %s" % (file, done.stderr or done.stdout))
    return done.stdout


def remade(record):
    artifact = wandb.Artifact(name=record["name"], type=record["type"])
    for entry in record["manifest"]["contents"]:
        artifact.add_file(entry["local_path"], name=entry["path"])
    return {"digest": artifact.digest,
            "contents": [{"path": path, "digest": entry.digest, "size": entry.size}
                         for path, entry in artifact.manifest.entries.items()]}


def read(file):
    records = [json.loads(line) for line in inspect(file).splitlines()]
    return {"records": records, "summary": json.loads(inspect(file, "--summary")),
            "artifacts": [remade(record["artifact"]) for record in records if record["type"] == "artifact"]}


if __name__ == "__main__":
    json.dump([read(file) for file in sys.argv[1:]], sys.stdout)
