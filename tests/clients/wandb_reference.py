#!/usr/bin/env python3
"""Plays lctl-trainer with real Lightning and a WandbLogger that has the job file's `watch`.

  wandb_reference.py fit --config case.yaml [...]

Run with WANDB_MODE=offline: Lightning takes log_model only without offline.
"""

import os
import sys

sys.dont_write_bytecode = True
CONFORMANCE = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "conformance")
sys.path[:0] = [os.path.join(CONFORMANCE, "reference"), CONFORMANCE]

from check import ENVIRONMENT  # noqa: E402

if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
    os.environ.update(ENVIRONMENT)
    os.execv(sys.executable, [sys.executable, *sys.argv])

from lctl_reference import config  # noqa: E402


class WandbLogger(config.pl_loggers.WandbLogger):
    def __init__(self, save_dir: str = ".", project: str = None, name: str = None, id: str = None, tags: list = None,
                 notes: str = None, group: str = None, job_type: str = None, log_model=False, watch: dict = None):
        super().__init__(save_dir=save_dir, project=project, name=name, id=id, tags=tags, notes=notes, group=group,
                         job_type=job_type, log_model=log_model)
        self.watched = watch


def build(*arguments):
    trainer, model, datamodule = build_as_written(*arguments)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and logger.watched is not None:
            logger.watch(model, **logger.watched)
    return trainer, model, datamodule


config.pl_loggers.WandbLogger = WandbLogger
build_as_written, config.build = config.build, build

if __name__ == "__main__":
    from lctl_reference.run import main

    sys.exit(main(sys.argv[1:]))
