"""W&B reads the runs of a job file's WandbLogger, and finds in them what Lightning's WandbLogger writes of the same job.

usage: wandb_test.py TRAINER CASE.yaml
"""

import csv
import glob
import json
import os
import shutil
import sys
import tempfile
import unittest

import clients

sys.path.insert(0, "tests/conformance")
import check  # noqa: E402

TRAINER, CASE = (os.path.abspath(path) for path in sys.argv[1:3])
REFERENCE = os.path.abspath("tests/clients/wandb_reference.py")
RECORDS = os.path.abspath("tests/clients/wandb_records.py")
MOMENTS = {"_timestamp", "_runtime", "_wandb.runtime"}  # differ from run to run
# What only a Python process has, or only the one that uploads.
NOT_OURS = {"telemetry", "output_raw", "stats"}
ANYWHERE = {"artifact"}  # ours come when the checkpoint is written, which may be some batches later


def items(record):
    """Of a history or summary record, without the moments."""
    values = record["history"]["item"] if record["type"] == "history" else record["summary"]["update"]
    return {name: value for name, value in values.items() if name not in MOMENTS}


def of_kind(run, kind):
    return [record for record in run["records"] if record["type"] == kind]


def kinds(run):
    """Their order. Where W&B splits one thing into several records, one is left."""
    found = []
    for record in run["records"]:
        kind = record["type"]
        if kind in NOT_OURS | ANYWHERE or kind == "files" and record["files"]["files"][0]["path"] == "requirements.txt":
            continue
        if kind == "summary" and not items(record) and record is not of_kind(run, "summary")[-1]:
            continue  # the runtime, which our summary of the row holds
        if kind == "environment" and found[-1:] == [kind]:
            continue
        found.append(kind)
    return found


def rows(run):
    return [items(record) for record in of_kind(run, "history")]


class Wandb(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        python = clients.python()
        cls.ours = cls.make("ours", "env", *("%s=%s" % item for item in check.ENVIRONMENT.items()), TRAINER)
        # Lightning refuses log_model for runs that it knows to be offline.
        cls.theirs = cls.make("theirs", "env", "WANDB_MODE=offline", "WANDB_SILENT=true",
                              "WANDB_DATA_DIR=" + cls.folder, "WANDB_CACHE_DIR=" + cls.folder,
                              "WANDB_CONFIG_DIR=" + cls.folder, python, REFERENCE)
        whole = cls.run_file("ours")
        with open(whole, "rb") as stream:
            content = stream.read()
        os.mkdir(os.path.join(cls.folder, "killed"))
        killed = os.path.join(cls.folder, "killed", os.path.basename(whole))
        with open(killed, "wb") as stream:
            stream.write(content[:len(content) * 2 // 3])
        code, read = clients.run("env", "WANDB_DATA_DIR=" + cls.folder, "WANDB_CACHE_DIR=" + cls.folder,
                                 "WANDB_CONFIG_DIR=" + cls.folder, "WANDB_SILENT=true", python, RECORDS, whole,
                                 cls.run_file("theirs"), killed)
        if code != 0:
            raise RuntimeError(read)
        cls.ours, cls.theirs, cls.killed = json.loads(read[read.index("[{"):])

    @classmethod
    def make(cls, name, *command):
        place = os.path.join(cls.folder, name)
        os.mkdir(place)
        shutil.copy(CASE, os.path.join(place, "case.yaml"))
        code, said = clients.run(*command, "fit", "--config", "case.yaml", cwd=place)
        if code != 0:
            raise RuntimeError(said)
        return said

    @classmethod
    def run_file(cls, name):
        file, = glob.glob(os.path.join(cls.folder, name, "logs", "wandb", "offline-run-*-case0001", "run-case0001.wandb"))
        return file

    def test_records_are_of_the_same_kinds_in_the_same_order(self):
        self.assertEqual(kinds(self.ours), kinds(self.theirs))

    def test_the_run_and_its_config_are_the_same(self):
        ours, theirs = ({key: of_kind(run, "run")[0]["run"].get(key)
                         for key in ("run_id", "project", "display_name", "tags", "notes", "run_group", "job_type", "host",
                                     "config", "resume")} for run in (self.ours, self.theirs))
        self.assertEqual(ours, theirs)
        self.assertEqual([record["config"] for record in of_kind(self.ours, "config")],
                         [record["config"] for record in of_kind(self.theirs, "config")])
        self.assertEqual([record["metric"] for record in of_kind(self.ours, "metric")],
                         [record["metric"] for record in of_kind(self.theirs, "metric")])

    def test_rows_have_the_same_values_and_histograms(self):
        ours, theirs = rows(self.ours), rows(self.theirs)
        self.assertEqual([sorted(row) for row in ours], [sorted(row) for row in theirs])
        for row, other in zip(ours, theirs):
            for name in row:
                self.assertEqual(row[name], other[name], name)

    def test_summaries_follow_the_rows(self):
        def followed(run):
            return [items(record) for record in of_kind(run, "summary") if items(record)]

        self.assertEqual(followed(self.ours)[1:], rows(self.ours))
        for key in ("state", "exit_code", "step", "config"):
            self.assertEqual(self.ours["summary"][key], self.theirs["summary"][key], key)
        ours, theirs = ({name: value for name, value in run["summary"]["summary"].items()
                         if name not in MOMENTS and name != "graph_0"} for run in (self.ours, self.theirs))
        self.assertEqual(ours, theirs)

    def test_rows_are_those_of_metrics_csv(self):
        path, = glob.glob(os.path.join(self.folder, "ours", "csv", "lightning_logs", "version_0", "metrics.csv"))
        with open(path, encoding="utf-8", newline="") as stream:
            logged = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(stream)]
        found = []
        for row in rows(self.ours):
            values = {name: float(value) for name, value in row.items()
                      if name != "_step" and not name.startswith(("gradients/", "parameters/"))}
            values["step"] = values.pop("trainer/global_step")
            found.append(values)
        self.assertEqual(found, logged)

    def test_histograms_count_every_value(self):
        sizes = {"net.0.weight": 128, "net.0.bias": 16, "net.1.weight": 16, "net.1.bias": 16, "net.4.weight": 64}
        seen = {}
        for row in rows(self.ours):
            for name, counts in row.items():
                kind, _, parameter = name.partition("/")
                if kind in ("gradients", "parameters") and name.endswith(".values"):
                    parameter = parameter[:-len(".values")]
                    self.assertEqual(sum(counts), sizes[parameter], name)
                    self.assertEqual(len(row[name[:-len("values")] + "bins"]), len(counts) + 1)
                    seen.setdefault(kind, set()).add(parameter)
        self.assertEqual(seen, {"gradients": set(sizes), "parameters": set(sizes)})

    def test_the_graph_is_the_same(self):
        graphs = []
        for name, run in (("ours", self.ours), ("theirs", self.theirs)):
            entry = run["summary"]["summary"]["graph_0"]
            path = os.path.join(os.path.dirname(self.run_file(name)), "files", entry["path"])
            self.assertEqual(os.path.getsize(path), entry["size"])
            with open(path, encoding="utf-8") as stream:
                graph = json.load(stream)
            for node in graph["nodes"]:
                node.pop("id")
            graphs.append(graph)
        for node, other in zip(*(graph["nodes"] for graph in graphs)):
            if "(" not in node["class_name"]:  # a module without arguments in its text
                other["class_name"] = other["class_name"].partition("(")[0]
        self.assertEqual(graphs[0], graphs[1])

    def test_artifacts_are_lightnings_with_the_digests_of_their_files(self):
        ours, theirs = ([record["artifact"] for record in of_kind(run, "artifact")] for run in (self.ours, self.theirs))
        self.assertEqual(len(ours), 4)  # two epochs: the best, and the last
        for artifact, other, remade in zip(ours, theirs, self.ours["artifacts"]):
            for key in ("name", "type", "run_id", "project", "finalize", "digest_algorithm"):
                self.assertEqual(artifact[key], other[key], key)
            self.assertEqual(sorted(artifact["aliases"]), sorted(other["aliases"]))
            self.assertEqual(json.loads(artifact["metadata"]), json.loads(other["metadata"]))
            self.assertEqual(artifact["digest"], remade["digest"])
            entry, = artifact["manifest"]["contents"]
            self.assertEqual({key: str(entry[key]) for key in ("path", "digest", "size")},
                             {key: str(value) for key, value in remade["contents"][0].items()})
        checkpoints = os.path.join(self.folder, "ours", "logs", "digits", "case0001", "checkpoints")
        self.assertIn("last.ckpt", os.listdir(checkpoints))

    def test_a_killed_run_is_read_to_its_last_whole_record(self):
        read = self.killed["records"]
        self.assertGreater(len(read), 10)
        self.assertEqual(read, self.ours["records"][:len(read)])
        self.assertNotIn("exit", kinds(self.killed))

    def test_a_restart_is_a_second_folder_of_the_same_run(self):
        place = os.path.join(self.folder, "again")
        os.mkdir(place)
        for _ in range(2):
            code, said = clients.run(TRAINER, "fit", "--config", CASE, "--trainer.max_epochs=1", cwd=place)
            self.assertEqual(code, 0, said)
        found = glob.glob(os.path.join(place, "logs", "wandb", "offline-run-*-case0001", "run-case0001.wandb"))
        self.assertEqual(len(found), 2)
        self.assertEqual(os.path.realpath(os.path.join(place, "logs", "wandb", "latest-run")),
                         os.path.realpath(os.path.dirname(max(found))))
