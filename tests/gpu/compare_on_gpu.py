#!/usr/bin/env python3
"""Runs the conformance cases on a GPU, with lctl-trainer and with real Lightning, and compares the two.

usage: compare_on_gpu.py --trainer PATH [--python PYTHON] [--filter REGEX] [--jobs N] [--rtol R] [--keep]

For a machine with an NVIDIA GPU; PYTHON needs lightning 2.6.6 and torch 2.11.0 with CUDA. Every case of one process is
run twice with `--trainer.accelerator=gpu --trainer.devices=1` in folders of their own; nothing is recorded. Counts, names,
steps, files and hooks must be equal, numbers within R; cases whose every number is equal to the bit are counted apart.
Last line: `N passed, N failed`.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(TESTS / "conformance"), str(TESTS / "conformance" / "reference")]

import check  # noqa: E402
import make_expected  # noqa: E402

ON_GPU = ["--trainer.accelerator=gpu", "--trainer.devices=1"]
REFERENCE = "import sys; sys.path.insert(0, %r); from lctl_reference.run import main; sys.exit(main(sys.argv[1:]))"


def environment():
    """As for the recorded cases, but with the GPUs (make_expected hides them from this process)."""
    settings = {**os.environ, **check.ENVIRONMENT}
    del settings["CUDA_VISIBLE_DEVICES"]
    return settings


def suitable(path):
    """The directives of a case that makes sense on one GPU, else None."""
    meta = make_expected.directives(path)
    text = path.read_text()
    if "error" in meta or meta.get("process") == "own" or re.search(r"devices:|accelerator: (?!cpu)", text):
        return None
    return meta


class Case:
    def __init__(self, path, meta):
        self.path, self.meta = path, meta

    def run(self, command, timeout):
        """(entries as make_expected records them, files, problem) of all commands of the case."""
        folder = Path(tempfile.mkdtemp(prefix="lctl-gpu-")).resolve()
        try:
            shutil.copy(self.path, folder / "case.yaml")
            places = [self.path.parent.parent / "files", TESTS / "conformance" / "files", TESTS / "data",
                      TESTS.parent / "examples" / "data"]
            for name in self.meta["needs"]:
                shutil.copy(check.find_file(name, places), folder / name)
            runs = []
            for argv in self.meta["run"]:
                done = subprocess.run([*command, *argv, *ON_GPU], cwd=folder, env=environment(), timeout=timeout,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
                if done.returncode != 0:
                    last = done.stderr.strip().splitlines()[-1:] or ["nothing on stderr"]
                    return None, None, "%s: exit code %d: %s" % (argv[0], done.returncode, last[0])
                runs.append({"argv": argv, "exit": 0, "stderr": None, **check.collect_outputs(folder)})
            return runs, check.collect_files(folder), None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def compare(case, options):
    """(name, problem or None, equal to the bit)"""
    name = case.path.stem
    try:
        want, want_files, problem = case.run(options.reference, options.timeout)
        if problem:
            return name, "real Lightning: " + problem, False
        got, got_files, problem = case.run(options.command, options.timeout)
        if problem:
            return name, problem, False
        expected = {"mode": "tolerance", "rtol": options.rtol, "atol": options.rtol, "runs": want, **want_files}
        problem = check.compare_case(expected, got, got_files)
        exact = check.compare_case({**expected, "mode": "exact", "rtol": 0.0, "atol": 0.0}, got, got_files) is None
        return name, problem, exact
    except Exception as error:  # of one case, not of the comparison
        return name, "%s: %s" % (type(error).__name__, error), False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainer", required=True, help="lctl-trainer, beside its liblctl_cuda.so")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--filter", default="")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--rtol", type=float, default=1e-4)
    parser.add_argument("--timeout", type=float, default=180)
    options = parser.parse_args()
    options.command = [os.path.abspath(word) if os.path.exists(word) else word for word in shlex.split(options.trainer)]
    options.reference = [options.python, "-B", "-c", REFERENCE % str(TESTS / "conformance" / "reference")]
    cases = []
    for folder in ("gpu", "conformance", "conformance_more"):
        for path in sorted((TESTS / folder / "cases").glob("*.yaml")):
            meta = suitable(path)
            if meta and re.search(options.filter, path.stem):
                cases.append(Case(path, meta))
    failed = equal = 0
    with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for name, problem, exact in pool.map(lambda case: compare(case, options), cases):
            equal += exact
            if problem:
                failed += 1
                print("FAIL %s: %s" % (name, problem), flush=True)
    print(json.dumps({"cases": len(cases), "equal to the bit": equal}))
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
