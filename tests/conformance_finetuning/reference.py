#!/usr/bin/env python3
"""The reference classes of ../conformance with a `backbone` and an `example_input_shape`.

usage: reference.py record [arguments of ../conformance/reference/make_expected.py]     renews expected/
       reference.py fit|validate|... --config case.yaml [...]                          plays lctl-trainer

Needs lightning 2.6.6, torch 2.11.0, tensorboard and PyYAML. files/unfrozen.ckpt was made by the first command of
cases/backbone-resume-after.yaml.
"""

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
CONFORMANCE = HERE.parent / "conformance"
sys.path[:0] = [str(CONFORMANCE / "reference"), str(CONFORMANCE)]

from check import ENVIRONMENT  # noqa: E402

if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
    os.environ.update(ENVIRONMENT)
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch  # noqa: E402
from lctl_reference import models  # noqa: E402


class Learning:
    """What an optimizer is given of a module with a backbone: the parameters that need a gradient."""

    def __init__(self, module):
        self.module = module

    def parameters(self):
        return filter(lambda parameter: parameter.requires_grad, self.module.parameters())


def build_net(argument, entries):
    where = "model.init_args." + argument
    return models.Net(*[models.build_layer(entry, "%s[%d]" % (where, i)) for i, entry in enumerate(entries)])


class WithBackbone(models.DeclarativeModule):
    def __init__(self, layers: list, loss: str = None, metrics: list = None, log: dict = None, backbone: list = None,
                 example_input_shape: list = None):
        super(models.DeclarativeModule, self).__init__()  # not its parent's, which would build `net` first
        optional = {"backbone": backbone, "example_input_shape": example_input_shape}
        self.save_hyperparameters(ignore=[name for name, value in optional.items() if value is None])
        self.loss_name, self.metric_names, self.log_flags = loss or self.default_loss, metrics or [], log or {}
        if backbone is not None:
            self.backbone = build_net("backbone", backbone)
        self.net = build_net("layers", layers)
        if example_input_shape is not None:
            first = (backbone or layers)[0]
            embeds = isinstance(first, dict) and "Embedding" in first
            self.example_input_array = torch.zeros(example_input_shape, dtype=torch.int64 if embeds else torch.float32)
        self.optimizer_factory = None

    def forward(self, x):
        return self.net(self.backbone(x) if hasattr(self, "backbone") else x)

    def configure_optimizers(self):
        return self.optimizer_factory(Learning(self) if hasattr(self, "backbone") else self)


class Classifier(WithBackbone):
    default_loss = "cross_entropy"


class Regressor(WithBackbone):
    default_loss = "mse_loss"


models.MODELS.update(Classifier=Classifier, Regressor=Regressor)

if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        import make_expected

        sys.argv[1:2] = ["--cases", str(HERE)]
        sys.exit(make_expected.main())
    from lctl_reference.run import main

    sys.exit(main(sys.argv[1:]))
