"""Random models, data modules, optimizers and schedulers for explore_cases.py."""

import random


class Draw(random.Random):
    def chance(self, p):
        return self.random() < p

    def some(self, p, **values):
        """Each keyword with probability p: one of its values."""
        return {k: self.choice(v) for k, v in values.items() if self.chance(p)}

    def entry(self, name, args=None):
        return {"class_path": name, "init_args": args} if args or self.chance(0.5) else {"class_path": name}


# ---------------------------------------------------------------- model and data


def activation(d):
    alpha = {"alpha": d.choice([0.5, 1.0, 1.3])}
    name, args = d.choice(
        [("ReLU", {}), ("ReLU", {"inplace": True}), ("Tanh", {}), ("Sigmoid", {}), ("GELU", {}), ("SiLU", {}), ("ELU", alpha),
         ("CELU", alpha), ("GELU", {"approximate": "tanh"}), ("LeakyReLU", {"negative_slope": 0.2}), ("Softplus", {"beta": 2.0}),
         ("Mish", {}), ("Hardtanh", {"min_val": -0.5, "max_val": 2.0}), ("PReLU", {}), ("PReLU", {"init": 0.1}), ("SELU", {}),
         ("Hardswish", {}), ("Softsign", {}), ("Softshrink", {"lambd": 0.1}), ("RReLU", {}), ("ReLU6", {}), ("LogSigmoid", {}),
         ("Threshold", {"threshold": 0.1, "value": -0.2}), ("Identity", {}), ("Hardsigmoid", {}), ("Tanhshrink", {})])  # fmt: skip
    return {name: args} if args else name


def norm_or_drop(d, width):
    return d.choice(
        [{"Dropout": {"p": 0.3}}, {"LayerNorm": {"normalized_shape": width}}, {"LayerNorm": {"normalized_shape": [width], "bias": False}},
         {"BatchNorm1d": {"num_features": width}}, {"BatchNorm1d": {"num_features": width, "momentum": None, "eps": 1e-3}},
         {"BatchNorm1d": {"num_features": width, "affine": False}}, {"RMSNorm": {"normalized_shape": [width]}},
         {"BatchNorm1d": {"num_features": width, "track_running_stats": False}}, {"AlphaDropout": {"p": 0.2}},
         {"GroupNorm": {"num_groups": 2, "num_channels": width}}])  # fmt: skip


def dense(d, width, out, rare):
    layers, hidden = [], d.choice([4, 6, 12])
    layers.append({"Linear": {"in_features": width, "out_features": hidden, **d.some(rare, bias=[True, False])}})
    if d.chance(rare):
        layers.append(norm_or_drop(d, hidden))
    layers.append(activation(d) if d.chance(0.5 + rare) else "ReLU")
    if d.chance(rare):
        layers.append({"Dropout": {"p": d.choice([0.1, 0.5])}})
    return [*layers, {"Linear": {"in_features": hidden, "out_features": out}}]


def spatial(d, out):
    """Layers over a sample of shape [2, 4, 4], as data.reshape gives it."""
    conv = {"in_channels": 2, "out_channels": 4, "kernel_size": d.choice([3, [3, 3], 1]), **d.some(0.4, stride=[1, [1, 1]], bias=[False],
            groups=[2], padding=[0, 1, "same", [1, 0]], dilation=[1])}  # fmt: skip
    if conv.get("padding") and d.chance(0.3):
        conv["padding_mode"] = d.choice(["reflect", "circular", "replicate"])
    pool = [{"MaxPool2d": {"kernel_size": 2, "ceil_mode": True}}, {"AvgPool2d": {"kernel_size": 2}}, {"AdaptiveAvgPool2d": {"output_size": 2}},
            {"AdaptiveAvgPool2d": {"output_size": [2, 1]}}, {"AdaptiveMaxPool2d": {"output_size": 1}}, "Identity",
            {"AvgPool2d": {"kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": False}}]  # fmt: skip
    norm = [{"BatchNorm2d": {"num_features": 4}}, {"InstanceNorm2d": {"num_features": 4, "affine": True}}, {"Dropout2d": {"p": 0.2}}, "ReLU"]
    ends = [[{"AdaptiveAvgPool2d": {"output_size": 1}}, "Flatten", {"Linear": {"in_features": 4, "out_features": out}}]]
    return [{"Conv2d": conv}, d.choice(norm), d.choice(pool), *d.choice(ends)]


def recurrent(d, out):
    """Layers over a sample of shape [4, 8]: four steps of eight features."""
    args = {"input_size": 8, "hidden_size": 6, "batch_first": True, **d.some(0.3, num_layers=[2], bidirectional=[True], bias=[False])}
    kind = d.choice(["LSTM", "GRU", "RNN", "TransformerEncoderLayer"])
    if kind == "TransformerEncoderLayer":
        args = {"d_model": 8, "nhead": 2, "dim_feedforward": 12, "batch_first": True, **d.some(0.3, norm_first=[True], dropout=[0.0],
                activation=["gelu"])}  # fmt: skip
    elif kind == "RNN" and d.chance(0.4):
        args["nonlinearity"] = "relu"
    elif kind == "LSTM" and d.chance(0.3):
        args["proj_size"] = 3
    width = 8 if kind[0] == "T" else args.get("proj_size", 6) * (2 if args.get("bidirectional") else 1)
    return [{kind: args}, {"Select": {"dim": 1, "index": d.choice([-1, 0])}}, {"Linear": {"in_features": width, "out_features": out}}]


def model_and_data(d, c, rare):
    kind = d.choices(["classification", "regression", "binary", "tokens", "csv"], [8, 4, 2, 1, 2])[0]
    train = d.choice([64, 64, 60, 40, 50, 33])
    args = {"num_train": train, "num_val": d.choice([32, 32, 20, 24]), "batch_size": d.choice([8, 16, 16, 10])}
    args.update(d.some(0.3 + rare, shuffle=[True], drop_last=[True], val_batch_size=[4, 8, 32], num_test=[16, 20, 30]))
    if d.chance(0.02):
        args["num_workers"] = 1
    out, width, shape = {"classification": 4, "tokens": 4}.get(kind, 1), 8, d.random()
    model = {"class_path": "Classifier" if kind in ("classification", "tokens", "csv") else "Regressor", "init_args": {}}
    if kind == "csv":
        args = {"path": "digits.csv.gz", "label": d.choice(["target", -1]), "scale": 16.0, "rows": d.choice([120, 150]), "batch_size": 16,
                **d.some(0.4, val_fraction=[0.3, 0.25], test_fraction=[0.2], split_seed=[1], shuffle=[False], drop_last=[True])}  # fmt: skip
        layers = dense(d, 64, 10, rare)
    elif kind == "tokens":
        args["kind"], args["vocab_size"] = kind, d.choice([16, 9])
        table = {"num_embeddings": args["vocab_size"], "embedding_dim": 3, **d.some(0.2, padding_idx=[0], max_norm=[1.0], scale_grad_by_freq=[True])}
        layers = [{"Embedding": table}, "Flatten", *dense(d, 24, 4, rare)]
    else:
        if kind != "classification" or d.chance(0.2):
            args["kind"] = kind
        layers = dense(d, width, out, rare)
        if shape < rare / 3:
            args["num_features"], args["reshape"], layers = 32, [2, 4, 4], spatial(d, out)
        elif shape < rare / 1.5:
            args["num_features"], args["reshape"], layers = 32, [4, 8], recurrent(d, out)
    losses = {"regression": [None, "mse_loss", "l1_loss", "smooth_l1_loss"], "binary": ["binary_cross_entropy_with_logits"]}
    loss = d.choice(losses.get(kind, [None, "cross_entropy", "nll_loss"] if d.chance(rare) else [None, "cross_entropy"]))
    if loss == "nll_loss":
        layers.append({"LogSoftmax": {"dim": -1}})
    if loss:
        model["init_args"]["loss"] = loss
    metrics = ["mae", "mse"] if kind in ("regression",) else ["accuracy"]
    model["init_args"] = {"layers": layers, **model["init_args"]}
    if d.chance(0.7):
        model["init_args"]["metrics"] = d.sample(metrics, d.randint(1, len(metrics)))
    if d.chance(rare):
        model["init_args"]["log"] = log_flags(d, model["init_args"])
    c["model"], c["data"] = model, {"class_path": "CsvDataModule" if kind == "csv" else "SyntheticDataModule", "init_args": args}
    return ["digits.csv.gz"] if kind == "csv" else []


def metric_names(model_args, prefixes=("train", "val")):
    return [f"{p}/{m}" for p in prefixes for m in ["loss", *model_args.get("metrics", [])]]


def log_flags(d, model_args):
    names = metric_names(model_args, ("train", "val", "val", "test"))
    return {n: d.some(0.5, on_step=[True, False], on_epoch=[True, True, False], prog_bar=[True], logger=[True, False], sync_dist=[True, False],
            reduce_fx=["mean", "max", "min", "sum"]) for n in d.sample(names, min(len(names), d.randint(1, 3)))}  # fmt: skip


# ---------------------------------------------------------------- optimizer and scheduler


def optimizer(d, c, rare):
    """Returns whether results are the same to the last bit."""
    name = d.choice(["SGD", "SGD", "Adam", "AdamW"] if not d.chance(rare) else
                    ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "NAdam", "RAdam", "Adadelta", "Adamax", "ASGD", "Rprop", "LBFGS", "Adafactor"])
    own = {
        "SGD": dict(momentum=[0.9, 0.5], weight_decay=[0.01], dampening=[0.1], maximize=[False, True]),
        "Adam": dict(betas=[[0.8, 0.99]], eps=[1e-6], weight_decay=[0.01], amsgrad=[True], maximize=[True], decoupled_weight_decay=[True]),
        "AdamW": dict(betas=[[0.8, 0.99]], eps=[1e-6], weight_decay=[0.0, 0.1], amsgrad=[True], maximize=[True]),
        "Adagrad": dict(lr_decay=[0.01], weight_decay=[0.01], initial_accumulator_value=[0.1], eps=[1e-8], maximize=[True]),
        "RMSprop": dict(alpha=[0.9], eps=[1e-6], weight_decay=[0.01], momentum=[0.9], centered=[True], maximize=[True]),
        "NAdam": dict(betas=[[0.8, 0.99]], weight_decay=[0.01], momentum_decay=[0.01], decoupled_weight_decay=[True], maximize=[True]),
        "RAdam": dict(betas=[[0.8, 0.99]], weight_decay=[0.01], decoupled_weight_decay=[True], maximize=[True]),
        "Adadelta": dict(rho=[0.8], eps=[1e-5], weight_decay=[0.01], maximize=[True]),
        "Adamax": dict(betas=[[0.8, 0.99]], eps=[1e-6], weight_decay=[0.01], maximize=[True]),
        "ASGD": dict(lambd=[0.001], alpha=[0.5], t0=[3.0], weight_decay=[0.01], maximize=[True]),
        "Rprop": dict(etas=[[0.4, 1.3]], step_sizes=[[1e-5, 1.0]], maximize=[True]),
        "LBFGS": dict(max_iter=[3, 4], history_size=[5], line_search_fn=["strong_wolfe"], tolerance_grad=[1e-5], max_eval=[6]),
        "Adafactor": dict(beta2_decay=[-0.7], d=[1.5], weight_decay=[0.01], maximize=[True], eps=[[None, 1e-3], [1e-8, 1e-3]]),
    }[name]  # fmt: skip
    args = {"lr": d.choice({"SGD": [0.1, 0.05], "LBFGS": [0.5, 1], "Adadelta": [1.0, 0.5]}.get(name, [0.01, 0.003]))}
    args.update(d.some(0.25 + rare / 3, **own))
    if name == "SGD" and args.get("momentum") and not args.get("dampening") and d.chance(0.3):
        args["nesterov"] = True
    exact = name in ("SGD", "Adam", "AdamW", "Adagrad") and d.chance(0.75)
    if exact:
        args["fused"] = True
    elif name != "LBFGS":
        args.update(d.some(rare / 2, foreach=[False, True, None]))
    c["optimizer"] = {"class_path": d.choice(["torch.optim.", "torch.optim.", ""]) + name, "init_args": args}
    return exact


def one_scheduler(d, steps, inner=False):
    kinds = {
        "StepLR": lambda: {"step_size": d.choice([1, 2, 3]), **d.some(0.6, gamma=[0.5, 0.9])},
        "MultiStepLR": lambda: {"milestones": d.choice([[1, 2], [2, 5, 7], [1, 1, 3]]), **d.some(0.6, gamma=[0.5])},
        "ConstantLR": lambda: d.some(0.6, factor=[0.5, 0.25], total_iters=[2, 3]),
        "LinearLR": lambda: d.some(0.6, start_factor=[0.1, 0.5], end_factor=[0.8, 0.2], total_iters=[2, 4]),
        "ExponentialLR": lambda: {"gamma": d.choice([0.9, 0.5])},
        "PolynomialLR": lambda: d.some(0.6, total_iters=[3, 6], power=[2.0, 0.5]),
        "CosineAnnealingLR": lambda: {"T_max": d.choice([3, 5, 10]), **d.some(0.4, eta_min=[0.001])},
        "CosineAnnealingWarmRestarts": lambda: {"T_0": d.choice([2, 3]), **d.some(0.5, T_mult=[1, 2], eta_min=[0.001])},
        "CyclicLR": lambda: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": d.choice([2, 3]), "cycle_momentum": d.chance(0.3),
                             **d.some(0.4, mode=["triangular2", "exp_range"], gamma=[0.9], step_size_down=[1, 4], scale_mode=["iterations"])},
        "OneCycleLR": lambda: {"max_lr": 0.1, "total_steps": steps, **d.some(0.4, pct_start=[0.5, 0.1], anneal_strategy=["linear"],
                               div_factor=[10.0], final_div_factor=[100.0], three_phase=[True], cycle_momentum=[False], base_momentum=[0.8])},
        "ReduceLROnPlateau": lambda: d.some(0.5, mode=["min", "max"], factor=[0.5], patience=[0, 1], threshold=[0.01, 0.1],
                                            threshold_mode=["abs"], cooldown=[1], min_lr=[0.001], eps=[0.01]),
    }  # fmt: skip
    name = d.choice([k for k in kinds if not inner or k not in ("OneCycleLR", "ReduceLROnPlateau")])
    if not inner and d.chance(0.15):
        parts = [one_scheduler(d, steps, True) for _ in range(d.randint(2, 3))]
        return {"class_path": "SequentialLR", "init_args": {"schedulers": parts, "milestones": sorted(d.sample(range(1, 9), len(parts) - 1))}}
    return {"class_path": d.choice(["torch.optim.lr_scheduler.", ""]) + name, "init_args": kinds[name]()}


def scheduler(d, c):
    node = one_scheduler(d, 40)
    node.update(d.some(0.4, interval=["step", "epoch", "step"], frequency=[1, 2, 3], name=["my-rate", "lr/x"], strict=[True, False]))
    if "Plateau" in node["class_path"] or d.chance(0.05):
        node["monitor"] = d.choice(metric_names(c["model"]["init_args"]))
        if d.chance(0.5):
            node["interval"] = "epoch"
    c["lr_scheduler"] = node
