"""Random but plausible job files for explore.py. make_case(seed) is a pure function of its seed.

A case is {"config": the job file, "runs": command lines, "needs": files, "exact": bool, "own": bool}. In a command line
`@2` stands for one of the checkpoints that the runs before it left behind.
"""

import copy

from explore_models import Draw, metric_names, model_and_data, optimizer, scheduler


# ---------------------------------------------------------------- trainer and callbacks


def checkpoint(d, c, where="ck"):
    names = metric_names(c["model"]["init_args"])
    args = d.some(0.25, save_last=[True, "link", False], save_weights_only=[True], every_n_epochs=[1, 2, 3, 0], every_n_train_steps=[1, 2, 3, 5],
                  save_on_train_epoch_end=[True, False], auto_insert_metric_name=[False], enable_version_counter=[False], verbose=[True],
                  save_on_exception=[True])  # fmt: skip
    if d.chance(0.7):
        args["dirpath"] = where
    if d.chance(0.55):
        args["monitor"] = d.choice(names + ["epoch", "step"][: d.randint(0, 2)])
        args.update(d.some(0.5, mode=["min", "max"], save_top_k=[1, 2, 3, -1, 0]))
    else:
        args.update(d.some(0.4, save_top_k=[1, -1, 0]))
    metric = args.get("monitor", names[-1])
    templates = ["best", "{epoch}", "{step}", "{epoch:02d}-{step:04d}", "m-{" + metric + ":.3f}", "{epoch}-{" + metric + "}", "{nope:.1f}-{epoch}",
                 "e={epoch}", "sub/{epoch}-x", "{val/loss:.2f}-{train/loss:.1e}", "{epoch:>3}", "{" + metric + ":8.4f}", "{step}{epoch}"]  # fmt: skip
    args.update(d.some(0.5, filename=templates))
    if len([k for k in ("every_n_epochs", "every_n_train_steps") if args.get(k)]) == 2 and d.chance(0.9):
        del args["every_n_epochs"]
    return d.entry("ModelCheckpoint", args)


def early_stopping(d, c):
    args = {"monitor": d.choice(metric_names(c["model"]["init_args"])), **d.some(0.35, min_delta=[0.0, 0.02, 0.1], patience=[0, 1, 2],
            mode=["min", "max"], strict=[False], check_finite=[False], stopping_threshold=[1.0, 0.4], divergence_threshold=[1.2, 0.5],
            check_on_train_epoch_end=[True, False], verbose=[True], log_rank_zero_only=[True])}  # fmt: skip
    return d.entry("EarlyStopping", args)


def averaging(d):
    start = d.some(0.6, swa_epoch_start=[1, 2, 0.5, 0.0, 1.0], annealing_epochs=[0, 1, 2, 5], annealing_strategy=["linear", "cos"])
    return d.choice([
        d.entry("StochasticWeightAveraging", {"swa_lrs": d.choice([0.05, 0.02, [0.03]]), **start}),
        d.entry("EMAWeightAveraging", d.some(0.4, decay=[0.9, 0.5], update_every_n_steps=[2, 3], update_starting_at_step=[2, 5],
                update_starting_at_epoch=[1], use_buffers=[False])),
        d.entry("WeightAveraging", d.some(0.3, use_buffers=[False]))])  # fmt: skip


def one_logger(d):
    args = {"save_dir": d.choice([".", "logs", "out/logs"]), **d.some(0.35, name=["exp", "a/b", ""], version=[0, 7, "v1", "run x"],
            prefix=["p", "pre/x"])}  # fmt: skip
    if d.chance(0.65):
        return d.entry("CSVLogger", {**args, **d.some(0.2, flush_logs_every_n_steps=[1, 3])})
    return d.entry("TensorBoardLogger", {**args, **d.some(0.2, sub_dir=["s"], default_hp_metric=[False], log_graph=[False])})


def trainer(d, c, rare):
    t, has = c["trainer"], d.chance
    t["max_epochs"] = d.choice([1, 2, 2, 3, 4])
    if has(0.25):
        t["max_steps"] = d.choice([1, 3, 4, 5, 8, 9, 13, 0, -1])
        if has(0.3):
            t["max_epochs"] = d.choice([None, -1]) if t["max_steps"] > 0 else 2
    if has(0.4):
        t["log_every_n_steps"] = d.choice([2, 3, 5, 0, 50])
    t.update(d.some(0.12, limit_train_batches=[1, 2, 3, 0.5, 0.75, 0, 1.0, 100], limit_val_batches=[1, 0, 0.5, 0.0, 1.0, 2], min_epochs=[1, 2, 3],
                    min_steps=[3, 6, 11], overfit_batches=[1, 2, 2, 0.5], num_sanity_val_steps=[0, 1, -1, 3], gradient_clip_val=[0.1, 0.5, 1, 0.0],
                    reload_dataloaders_every_n_epochs=[1, 2], inference_mode=[False], deterministic=[True, "warn", False], enable_autolog_hparams=[False],
                    limit_test_batches=[1, 0.5], limit_predict_batches=[1, 0.5], use_distributed_sampler=[False], benchmark=[False],
                    default_root_dir=["root", "./r/s"], detect_anomaly=[True]))  # fmt: skip
    if has(0.35):
        t.update(d.some(0.7, val_check_interval=[1, 2, 3, 0.25, 0.5, 0.3, 0.7, 1.0, 4], check_val_every_n_epoch=[1, 2, 3, None]))
    if has(0.04):
        t["fast_dev_run"] = d.choice([True, 1, 2, 3, 7])
    if has(0.25):
        t["accumulate_grad_batches"] = d.choice([2, 3, 4, 7])
    if has(0.15):
        t["gradient_clip_val"], t["gradient_clip_algorithm"] = d.choice([0.05, 0.5, 1]), d.choice(["norm", "value"])
    if has(0.05):
        t["enable_checkpointing"] = False
    if has(0.35):
        t["logger"] = d.choice([False, True, [one_logger(d), one_logger(d)], one_logger(d), one_logger(d), [one_logger(d)], None])
    if has(rare / 4):
        t["precision"] = d.choice(["bf16-mixed", "64-true", "bf16-true", 64, "32", "16-mixed", "16-true", "bf16"])


def callbacks(d, c, rare):
    t, found = c["trainer"], []
    if t.get("enable_checkpointing", True) and d.chance(0.55):
        found += [checkpoint(d, c)] + ([checkpoint(d, c, "ck2")] if d.chance(0.2) else [])
    if d.chance(0.25):
        found.append(early_stopping(d, c))
        t["max_epochs"] = t["max_epochs"] if t["max_epochs"] in (None, -1) else t["max_epochs"] + d.randint(0, 4)
    if d.chance(0.25):
        found.append(d.entry("LearningRateMonitor", d.some(0.4, logging_interval=["step", "epoch"], log_momentum=[True], log_weight_decay=[True])))
    if d.chance(rare / 2):
        found.append(averaging(d))
    if d.chance(0.06):
        t.pop("accumulate_grad_batches", None)
        found.append(d.entry("GradientAccumulationScheduler", {"scheduling": d.choice([{0: 2}, {1: 3}, {0: 1, 2: 4}, {0: 4, 1: 2, 2: 1}])}))
    if d.chance(0.05):
        found.append(d.entry("Timer", {"duration": "00:01:00:00", **d.some(0.5, interval=["step", "epoch"], verbose=[False])}))
    if d.chance(0.05):
        found.append(d.entry("OnExceptionCheckpoint", {"dirpath": "exc", **d.some(0.5, filename=["boom"])}))
    d.shuffle(found)
    if d.chance(0.5):
        found.insert(d.randint(0, len(found)), d.entry("HookTrace", {"path": "trace.txt"}))
    t["callbacks"] = [*found, {"class_path": "RunSummary", "init_args": {"path": "result.json"}}]


# ---------------------------------------------------------------- commands


def tune(d, c):
    for key in ("max_steps", "limit_train_batches", "fast_dev_run", "overfit_batches"):
        if d.chance(0.7):
            c["trainer"].pop(key, None)
    section = {}
    if d.chance(0.5):
        section["scale_batch_size"] = d.some(0.4, mode=["power", "binsearch"], steps_per_trial=[1, 2, 4], init_val=[2, 3, 8], max_trials=[2, 3, 5],
                                             margin=[0.0, 0.1], max_val=[20, 64])  # fmt: skip
        if d.chance(0.6) and c["data"]["class_path"] == "SyntheticDataModule":
            c["data"]["init_args"]["memory_limit"] = d.choice([5, 10, 30, 40])
        section["scale_batch_size"].setdefault("max_trials", 4)
    if d.chance(0.6) or not section:
        section["lr_find"] = {"num_training": d.choice([8, 15, 25]), **d.some(0.4, min_lr=[1e-5, 1e-4], max_lr=[0.5, 0.1, 10.0],
                              mode=["linear", "exponential"], early_stop_threshold=[None, 2.0, 4.0], skip_begin=[0, 3], skip_end=[0, 2])}  # fmt: skip
        if d.chance(0.7):
            c["trainer"]["max_epochs"] = 10
    c["tune"] = section
    return [["tune"]]


def keep_checkpoints(d, c):
    """So that there is something to go on from, as a rule."""
    t = c["trainer"]
    for key in ("enable_checkpointing", "fast_dev_run"):
        t.pop(key, None)
    t["max_steps"] = t.get("max_steps") or -1
    savers = [e.get("init_args", {}) for e in t["callbacks"] if e["class_path"] == "ModelCheckpoint"]
    for args in savers:
        if d.chance(0.85):
            args.pop("save_weights_only", None)
    if not savers and d.chance(0.3):
        t["callbacks"].insert(0, checkpoint(d, c))
    if d.chance(0.5):
        args = {"dirpath": "keep", "save_top_k": -1, **d.choice([{"every_n_train_steps": d.choice([1, 2, 3])}, {"save_on_train_epoch_end": d.chance(0.5)}])}
        t["callbacks"].append(d.entry("ModelCheckpoint", args))


def commands(d, c):
    kind = d.choices(["fit", "resume", "after", "alone", "tune"], [55, 22, 10, 8, 5])[0]
    ref = d.choices([f"@{d.randint(0, 9)}", "last", "best"], [8, 1, 0.3])[0]
    other = d.choice(["validate", "test", "predict"])
    if kind == "fit":
        return [["fit"]]
    if kind == "alone":
        return [[other]]
    if kind == "tune":
        return tune(d, c)
    keep_checkpoints(d, c)
    if kind == "after":
        return [["fit"], [other, "--ckpt_path", ref]]
    c["job"] = {"resume": "lightning"}
    more = {"max_epochs": d.choice([2, 3, 4, 5, 6]), **d.some(0.12, max_steps=[-1, 12, 20], accumulate_grad_batches=[1, 2], limit_train_batches=[2, 1.0],
            val_check_interval=[1.0, 2], check_val_every_n_epoch=[1, 2], log_every_n_steps=[1, 2], num_sanity_val_steps=[0, 2])}  # fmt: skip
    first = ["fit"] + ([f"--trainer.max_steps={d.choice([2, 3, 5, 6])}"] if d.chance(0.3) else [])
    return [first, ["fit", "--ckpt_path", ref, *(f"--trainer.{k}={v}" for k, v in more.items())]]


def mend(c):
    """Takes out the commonest combinations that are errors."""
    t = c["trainer"]
    if t.get("check_val_every_n_epoch", 1) is None and isinstance(t.get("val_check_interval"), float):
        t["val_check_interval"] = 3
    elif t.get("check_val_every_n_epoch", 1) is not None and t.get("val_check_interval") in (3, 4):
        t["val_check_interval"] = 2
    if t.get("logger", True) is False:
        t["callbacks"] = [e for e in t["callbacks"] if e["class_path"] != "LearningRateMonitor"]
    for flags in (c["model"].get("init_args", {}).get("log") or {}).values():
        if isinstance(flags, dict) and flags.get("on_epoch") is False:
            flags["on_step"] = True


def rarely_right(d, c):
    """One wrong or borderline value somewhere."""
    paths = []

    def walk(node, path):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            paths.append((node, key, value))
            walk(value, [*path, key])

    walk({k: v for k, v in c.items() if k != "job"}, [])
    node, key, value = d.choice(paths)
    if isinstance(key, str) and d.chance(0.2):
        node[key + d.choice(["s", "_", "x"])] = node.pop(key)
    elif isinstance(value, str):
        node[key] = d.choice([value + "x", 3, True, None, ["a"], {"a": 1}])
    else:
        node[key] = d.choice([-1, 0, -2, 1.5, 0.0, "three", True, None, [], {}, [1, 2], 1e-3, -0.5, 7])


def make_case(seed, theme=None):
    d = Draw(seed)
    rare = d.choice([0.0, 0.15, 0.5])
    c = {"seed_everything": d.choice([7, 7, 1, 42]), "trainer": {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False,
         "log_every_n_steps": 1, "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "."}}}}  # fmt: skip
    needs = model_and_data(d, c, rare)
    exact = optimizer(d, c, rare) and rare == 0.0
    if d.chance(0.35):
        scheduler(d, c)
    trainer(d, c, rare)
    callbacks(d, c, rare)
    ddp = theme == "ddp"
    runs = commands(d, c)
    if ddp:
        c["trainer"].update(devices=2, strategy="ddp")
    if d.chance(0.04):
        c["data"]["init_args"].update({"nan_index": d.choice([3, 20, 70])} if not needs else {})
    if runs[0][0] in ("validate", "test", "predict") and d.chance(0.7):
        c["data"]["init_args"].setdefault("test_fraction" if needs else "num_test", 0.2 if needs else 20)
    if d.chance(0.9):
        mend(c)
    if theme == "error" or (theme is None and d.chance(0.05)):
        rarely_right(d, c)
    runs = [[r[0], "--config", "case.yaml", *r[1:]] for r in runs]
    return {"config": copy.deepcopy(c), "runs": runs, "needs": needs, "exact": exact and not ddp, "own": ddp}
