#!/usr/bin/env python3
"""Searches for differences between lctl-trainer and real PyTorch Lightning with random job files.

usage: explore.py [--trainer PATH] [--dir DIR] [--seed N] [--count N] [--theme ddp|error] [--shallow] [--keep] [--messages] [--progress]
       explore.py --trainer PATH --files CASE.yaml...

Makes DIR/cases/NAME.yaml for each seed, runs it through real Lightning (kept in DIR/expected, so only the first time),
then through the trainer, and prints every case in which they differ. Beside what check.py compares it looks into the
checkpoints, the text of hparams.yaml and the scalars of event files. Needs lightning 2.6.6, torch 2.11.0, PyYAML.
Without --trainer it only records.
"""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
CONFORMANCE = HERE.parent / "conformance"
sys.path[:0] = [str(HERE), str(CONFORMANCE), str(CONFORMANCE / "reference")]

import check  # noqa: E402

if any(os.environ.get(k) != v for k, v in check.ENVIRONMENT.items()):
    os.environ.update(check.ENVIRONMENT)
    os.execv(sys.executable, [sys.executable, *sys.argv])

import explore_cases  # noqa: E402
import make_expected  # noqa: E402
import yaml  # noqa: E402

CKPT_KEYS_OF_OURS = {"lctl"}


# ---------------------------------------------------------------- looking deeper than check.py


def plain(value, workdir):
    """A checkpoint's content as JSON; tensors as their digests."""
    import torch
    from lctl_reference.callbacks import describe

    if isinstance(value, torch.Tensor):
        return {"tensor": describe("", value)}
    if isinstance(value, dict):
        return {str(k).replace(str(workdir), "<work>"): plain(v, workdir) for k, v in value.items() if k not in CKPT_KEYS_OF_OURS and k != "time_elapsed"}
    if isinstance(value, (list, tuple)):
        return [plain(v, workdir) for v in value]
    if isinstance(value, str):
        return value.replace(str(workdir), "<work>")
    if isinstance(value, (bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else {"float": repr(value)} if math.isfinite(value) else repr(value)
    return f"{type(value).__name__}: {value}"


def scalars(path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for event in EventFileLoader(str(path)).Load():
        for v in event.summary.value:
            name = v.metadata.plugin_data.plugin_name
            found.append([v.tag, event.step, name] + (list(v.tensor.float_val) if name == "scalars" else []))
    return found


def deep(workdir):
    """What check.py does not compare: checkpoints, hparams.yaml as text, scalars of event files."""
    import torch

    found = {}
    for path in sorted(p for p in workdir.rglob("*") if p.is_file()):
        name = path.relative_to(workdir).as_posix()
        if path.name.endswith(".ckpt"):
            found[name] = plain(torch.load(path, map_location="cpu", weights_only=False), workdir)
            found[name]["_keys"] = [k for k in found[name]]
        elif path.name == "hparams.yaml":
            found[name] = path.read_text()
        elif path.name.startswith("events.out"):
            found.setdefault(str(path.parent.relative_to(workdir)) + "/events", []).extend(scalars(path))
    return found


def diff_deep(where, want, got, mode):
    if isinstance(want, dict) and isinstance(got, dict):
        if set(want) == {"tensor"} == set(got):
            if want["tensor"]["shape"] == [] == got["tensor"]["shape"]:
                return check.diff_value(where, want["tensor"]["sum"], got["tensor"]["sum"], mode)
            return check.diff_tensor(where, want["tensor"], got["tensor"], mode)
        if set(want) == {"float"} == set(got):
            return check.diff_value(where, float(want["float"]), float(got["float"]), mode, 1e-12)
        problem = check.diff_set(where, want, got)
        for key in want:
            problem = problem or diff_deep(f"{where}.{key}", want[key], got[key], mode)
        return problem
    if isinstance(want, list) and isinstance(got, list):
        for i, (w, g) in enumerate(zip(want, got)):
            problem = diff_deep(f"{where}[{i}]", w, g, mode)
            if problem:
                return problem
        return None if len(want) == len(got) else f"{where}: {len(got)} entries instead of {len(want)}"
    if isinstance(want, float) and isinstance(got, float):
        return check.diff_value(where, want, got, mode, 1e-7)
    return None if want == got and type(want) is type(got) else f"{where}: expected {want!r}, got {got!r}"


# ---------------------------------------------------------------- running


def checkpoint_reference(argv, workdir):
    """Replaces `@2` by the checkpoint it stands for."""
    files = sorted(p.relative_to(workdir).as_posix() for p in workdir.rglob("*.ckpt"))
    return [(files[int(a[1:]) % len(files)] if files else "none.ckpt") if re.fullmatch(r"@\d", a) else a for a in argv]


def run_ranks(argv, workdir):
    """One command on two ranks: two forks of this process, as if a launcher had started them."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    other = os.fork()
    os.environ.update(shared, LOCAL_RANK="1" if other == 0 else "0")
    try:
        if other == 0:
            os.chdir(workdir)
            from lctl_reference.run import main

            for fd in (1, 2):
                os.dup2(os.open("/dev/null", os.O_WRONLY), fd)
            os._exit(main(argv))
        result = make_expected.run_forked(argv, workdir)
    finally:
        for key in [*shared, "LOCAL_RANK"]:
            os.environ.pop(key, None)
        if other == 0:
            os._exit(70)
    os.waitpid(other, 0)
    return result


def record(case, path, workdir):
    """What Lightning does with the case; the runs stop after the first that fails."""
    runner = run_ranks if case["own"] else make_expected.run_forked
    runs = []
    for argv in case["runs"]:
        argv = checkpoint_reference(argv, workdir)
        code, err = runner(argv, workdir)
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "")
        entry = {"argv": argv, "exit": int(code != 0), "stderr": last if code else None}
        entry.update(check.collect_outputs(workdir) if code == 0 else {})
        runs.append(entry)
        if code:
            break
    mode = {"mode": "exact", "rtol": 0.0, "atol": 0.0} if case["exact"] else {"mode": "tolerance", "rtol": 1e-5, "atol": 1e-6}
    expected = {"case": path.stem, **mode, "needs": case["needs"], "runs": runs}
    return {**expected, **(check.collect_files(workdir) if not runs[-1]["exit"] else {}), "deep": deep(workdir)}


def compare(expected, command, workdir, options):
    """Runs the trainer; returns the first difference."""
    runs = []
    for i, want in enumerate(expected["runs"]):
        code, err = check.run_command(command, want["argv"], workdir, options.timeout)
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "nothing on stderr")
        if code is None:
            return f"run {i + 1}: still running after {options.timeout} s"
        if want["exit"]:
            if code == 0:
                return f"run {i + 1} succeeded, but should fail: {want['stderr']}"
            if code < 0 or code > 127 or "terminate called" in err:
                return f"run {i + 1} died ({code}): {last}"
            if options.messages:
                print(f"{expected['case']}:\n   lightning {want['stderr'][:300]}\n   lctl      {last[:300]}", flush=True)
            return None
        if code:
            return f"run {i + 1}: exit code {code}: {last[:400]}"
        runs.append(check.collect_outputs(workdir))
    problem = check.compare_case(expected, runs, check.collect_files(workdir))
    return problem or (None if options.shallow else diff_deep("deep", expected["deep"], deep(workdir), check.Mode(expected)))


def prepare(name, path, case):
    workdir = pathlib.Path(tempfile.mkdtemp(prefix=f"lctl-{name}-")).resolve()
    shutil.copy(path, workdir / "case.yaml")
    for needed in case["needs"]:
        shutil.copy(check.find_file(needed, [CONFORMANCE / "files", CONFORMANCE.parent / "data"]), workdir / needed)
    return workdir


def explore(seed, options, root):
    """Returns (was it compared, difference or None)."""
    if isinstance(seed, str):
        return examine(pathlib.Path(seed), case_of_file(pathlib.Path(seed)), options, root)
    name = f"{options.theme or 'case'}-{seed:05d}"
    path = root / "cases" / f"{name}.yaml"
    case = explore_cases.make_case(seed, options.theme)
    meta = [f"#: about: seed {seed}", f"#: category: {options.theme or 'random'}", "#: mode: " + ("exact" if case["exact"] else "tolerance 1e-5 1e-6")]
    text = "\n".join(meta + ["#: run: " + " ".join(r) for r in case["runs"]]) + "\n" + yaml.safe_dump(case["config"], sort_keys=False)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return examine(path, case, options, root)


def case_of_file(path):
    """A case that is already a file, with the comment lines of make_expected.py."""
    meta = make_expected.directives(path)
    return {"runs": meta["run"], "needs": meta["needs"], "exact": meta["mode"] == "exact", "own": "devices: 2" in path.read_text()}


def examine(path, case, options, root):
    name, kept = path.stem, root / "expected" / f"{path.stem}.json"
    if kept.exists() and kept.stat().st_mtime < path.stat().st_mtime:
        kept.unlink()
    if not kept.exists():
        workdir = prepare(name, path, case)
        signal.alarm(60 if not case["own"] else 200)
        try:
            kept.write_text(json.dumps(record(case, path, workdir)))
        finally:
            signal.alarm(0)
            shutil.rmtree(workdir, ignore_errors=True)
    if not options.trainer:
        return None
    expected = json.loads(kept.read_text())
    workdir = prepare(name, path, case)
    try:
        problem = compare(expected, check.trainer_command(options.trainer), workdir, options)
    finally:
        if not options.keep:
            shutil.rmtree(workdir, ignore_errors=True)
    return f"{problem} [{workdir}]" if problem and options.keep else problem


def too_long(*_):
    raise TimeoutError("Lightning needs too long")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainer")
    parser.add_argument("--dir", default=".lctl/explore")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", default="", help="these seeds, separated by commas")
    parser.add_argument("--files", nargs="*", help="these case files instead")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--theme", choices=["ddp", "error"])
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--progress", action="store_true", help="a line for each case")
    parser.add_argument("--shallow", action="store_true", help="only what check.py compares")
    parser.add_argument("--keep", action="store_true", help="keep the trainer's working folders")
    parser.add_argument("--messages", action="store_true", help="print both messages where both fail")
    options = parser.parse_args()
    root = pathlib.Path(options.dir).resolve()
    for folder in ("cases", "expected"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    import logging

    import lctl_reference.config  # noqa: F401  (imports Lightning once, before the forks)

    for name in ("lightning.pytorch", "lightning.fabric", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.ERROR)
    signal.signal(signal.SIGALRM, too_long)
    differ, began = 0, time.monotonic()
    seeds = options.files or [int(s) for s in options.seeds.split(",") if s] or range(options.seed, options.seed + options.count)
    for seed in seeds:
        try:
            problem = explore(seed, options, root)
        except (Exception, SystemExit) as error:
            problem = f"cannot run: {type(error).__name__}: {error}"
        if options.progress:
            print(seed, "differs" if problem else "same", flush=True)
        if problem:
            differ += 1
            print(f"DIFF {seed}: {problem}", flush=True)
    print(f"{len(seeds)} cases, {differ} differ, {time.monotonic() - began:.0f} s")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
