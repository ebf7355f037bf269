"""lctl-trainer with each profiler: reports with the actions and calls that real Lightning has, traces that parse."""

import collections
import glob
import gzip
import json
import os
import pstats
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.getcwd()
HERE = os.path.join(ROOT, "worker/trainer/profilers")

# Lightning calls prepare_data only where it is replaced; here it is always called.
BEYOND_LIGHTNING = {
    "[LightningModule]Classifier.prepare_data": 1,
    "[LightningDataModule]SyntheticDataModule.prepare_data": 1,
}


def recorded(stage):
    with open(os.path.join(HERE, "testdata", "lightning_%s_actions.txt" % stage)) as file:
        pairs = [line.rstrip("\n").split(" ", 1) for line in file]
    return {name: int(calls) for calls, name in pairs}


def actions_of(report):
    rows = re.findall(r"^\|  (.*?) *\t\|  \S+ *\t\|  (\d+) *\t\|  \S+ *\t\|  \S+ *\t\|$", report, re.MULTILINE)
    return {name: int(calls) for name, calls in rows}


class TrainerProfilesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        shutil.copy(os.path.join(HERE, "testdata", "job.yaml"), self.folder)

    def train(self, *overrides, command="fit"):
        environment = dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
        done = subprocess.run(
            [os.path.join(ROOT, "worker/trainer/lctl-trainer"), command, "--config", "job.yaml", *overrides],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stderr

    def read(self, *path):
        with open(os.path.join(self.folder, *path)) as file:
            return file.read()

    def find(self, pattern):
        return sorted(os.path.relpath(path, self.folder) for path in glob.glob(os.path.join(self.folder, pattern)))

    def names_in(self, trace):
        return collections.Counter(event["name"] for event in trace["traceEvents"])

    def test_actions_and_calls_of_a_fit_are_lightnings(self):
        self.train("--trainer.profiler=SimpleProfiler", "--trainer.profiler.dirpath=out",
                   "--trainer.profiler.filename=perf")
        report = self.read("out", "fit-perf.txt")
        self.assertTrue(report.startswith("FIT Profiler Report\n\n---"), report[:200])
        self.assertEqual(actions_of(report), {**recorded("fit"), **BEYOND_LIGHTNING})

    def test_actions_and_calls_of_a_prediction_are_lightnings(self):
        self.train("--trainer.profiler=SimpleProfiler", "--trainer.profiler.filename=perf", command="predict")
        path, = self.find("logs/lightning_logs/version_0/predict-perf.txt")
        self.assertEqual(actions_of(self.read(path)), {**recorded("predict"), **BEYOND_LIGHTNING})

    def test_without_a_file_name_the_report_goes_to_the_log(self):
        log = self.train("--trainer.profiler=simple")
        self.assertIn("\n|  run_training_batch ", log)
        self.assertEqual(self.find("logs/lightning_logs/version_0/*.txt"), [])

    def test_each_rank_writes_its_own_report(self):
        self.train("--trainer.profiler=SimpleProfiler", "--trainer.profiler.dirpath=out",
                   "--trainer.profiler.filename=perf", "--trainer.devices=2")
        self.assertEqual(self.find("out/*"), ["out/fit-perf-0.txt", "out/fit-perf-1.txt"])
        self.assertEqual(actions_of(self.read("out/fit-perf-1.txt"))["[Strategy]DDPStrategy.training_step"], 8)

    def test_advanced_profile_is_a_tree_of_actions_that_pstats_reads(self):
        self.train("--trainer.profiler=AdvancedProfiler", "--trainer.profiler.dirpath=out",
                   "--trainer.profiler.filename=perf", "--trainer.profiler.dump_stats=true")
        report = self.read("out", "fit-perf.txt")
        tables = dict(re.findall(r"^Profile stats for: (.*)\n((?:.*\n)*?)\n\n", report, re.MULTILINE))
        self.assertEqual(set(tables), set(recorded("fit")) | set(BEYOND_LIGHTNING))
        rows = re.findall(r"^ +(\d+) +([0-9.]+) +[0-9.]+ +([0-9.]+) +[0-9.]+ (.*)$", tables["run_training_batch"],
                          re.MULTILINE)
        calls = {name: int(count) for count, _, _, name in rows}
        self.assertEqual(calls["run_training_batch"], 16)
        self.assertEqual(calls["[Strategy]SingleDeviceStrategy.backward"], 16)
        self.assertNotIn("[Strategy]SingleDeviceStrategy.batch_to_device", calls)
        stats = pstats.Stats(os.path.join(self.folder, "out", "fit-perf-run_training_batch.prof")).stats
        self.assertEqual({key[2]: value[1] for key, value in stats.items()}, calls)

    def test_pytorch_traces_and_table(self):
        self.train("--trainer.profiler=PyTorchProfiler", "--trainer.profiler.dirpath=out",
                   "--trainer.profiler.filename=perf")
        training, validation = (self.find("out/fit-perf-*%s_step.*.pt.trace.json" % kind)
                                for kind in ("training", "validation"))
        self.assertEqual((len(training), len(validation)), (1, 1))
        trace = json.loads(self.read(training[0]))
        self.assertEqual(trace["Framework"], "pytorch-lightning")
        names = self.names_in(trace)
        # As in Lightning the sanity check has left its warmup; see testdata/job.yaml.
        for name in ("ProfilerStep#2", "ProfilerStep#3", "ProfilerStep#4", "aten::addmm", "Net: net",
                     "[pl][profile]run_training_batch", "[pl][profile][Strategy]SingleDeviceStrategy.training_step",
                     "[pl][profile][LightningModule]Classifier.optimizer_step", "torch.nn.Linear: net.0"):
            self.assertTrue(names[name] or names["[pl][module]" + name], "%s is not in %s" % (name, names))
        kinds = {event.get("cat") for event in trace["traceEvents"]}
        self.assertLessEqual({"cpu_op", "user_annotation", "fwdbwd"}, kinds)
        names = self.names_in(json.loads(self.read(validation[0])))
        self.assertEqual((names["ProfilerStep#3"], names["ProfilerStep#4"]), (1, 1))
        report = self.read("out", "fit-perf.txt")
        self.assertTrue(report.startswith("FIT Profiler Report\nProfile stats for: records\n---"), report[:200])
        self.assertIn("aten::addmm", report)
        self.assertIn("Self CPU time total: ", report)

    def test_pytorch_traces_for_tensorboard(self):
        self.train("--trainer.profiler=PyTorchProfiler",
                   "--trainer.profiler.schedule={wait: 1, warmup: 1, active: 2, repeat: 1}",
                   "--trainer.profiler.on_trace_ready={dir_name: tb, worker_name: w, use_gzip: true}",
                   "--trainer.profiler.record_shapes=true", "--trainer.profiler.profile_memory=true")
        traces = self.find("tb/*")
        self.assertEqual(len(traces), 2, traces)
        for path in traces:
            self.assertRegex(path, r"^tb/w\.\d+\.pt\.trace\.json\.gz$")
            with gzip.open(os.path.join(self.folder, path), "rt") as file:
                trace = json.load(file)
            self.assertEqual((trace["record_shapes"], trace["profile_memory"]), (1, 1))
            self.assertIn("cpu_instant_event", {event.get("cat") for event in trace["traceEvents"]})

    def test_a_profiler_changes_no_bits(self):
        for profiler in ("null", "simple", "advanced", "pytorch"):
            self.train("--trainer.profiler=" + profiler, "--trainer.logger.save_dir=logs-" + profiler)
        metrics = {profiler: self.read("logs-" + profiler, "lightning_logs", "version_0", "metrics.csv")
                   for profiler in ("null", "simple", "advanced", "pytorch")}
        self.assertEqual(len(set(metrics.values())), 1)


if __name__ == "__main__":
    unittest.main()
