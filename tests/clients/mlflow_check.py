"""The real mlflow client against a running lctl-server; run by the clients' Python. All of it passes against MLflow's
own server too.

usage: mlflow_check.py TRACKING_URI FOLDER
"""

import hashlib
import math
import os
import sys
import unittest

import mlflow
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

URI, FOLDER = sys.argv[1], sys.argv[2]
LARGE = 120 << 20


class Sum(mlflow.pyfunc.PythonModel):
    """Adds a number that is kept as an artifact."""

    def load_context(self, context):
        with open(context.artifacts["offset"], encoding="utf-8") as stream:
            self.offset = float(stream.read())

    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        return [value + self.offset for value in model_input]


def digest(path):
    result = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            result.update(piece)
    return result.hexdigest()


class MlflowClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        mlflow.set_tracking_uri(URI)
        cls.client = MlflowClient()

    def code(self, call, *arguments, **named):
        with self.assertRaises(MlflowException) as caught:
            call(*arguments, **named)
        return caught.exception.error_code

    def path(self, *parts):
        return os.path.join(FOLDER, *parts)

    # --- experiments ---

    def test_experiments_live(self):
        client = self.client
        created = client.create_experiment("exp-life", tags={"team": "vision"})
        found = client.get_experiment(created)
        self.assertEqual(found.name, "exp-life")
        self.assertEqual(found.tags, {"team": "vision"})
        self.assertEqual(client.get_experiment_by_name("exp-life").experiment_id, created)
        self.assertIsNone(client.get_experiment_by_name("no such"))
        self.assertEqual(client.get_experiment("0").name, "Default")
        client.set_experiment_tag(created, "mlflow.note.content", "about")
        client.delete_experiment_tag(created, "team")
        client.rename_experiment(created, "exp-renamed")
        self.assertEqual(client.get_experiment(created).tags, {"mlflow.note.content": "about"})
        client.delete_experiment(created)
        self.assertEqual(client.get_experiment(created).lifecycle_stage, "deleted")
        names = [e.name for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)]
        self.assertIn("exp-renamed", names)
        client.restore_experiment(created)
        self.assertEqual(client.get_experiment(created).name, "exp-renamed")
        self.assertEqual(self.code(client.create_experiment, "exp-renamed"), "RESOURCE_ALREADY_EXISTS")
        self.assertEqual(self.code(client.get_experiment, "4711"), "RESOURCE_DOES_NOT_EXIST")

    def test_experiments_are_searched(self):
        for name in ("find-a", "find-b", "find-c", "other"):
            self.client.create_experiment(name, tags={"kind": name[-1]})
        found = mlflow.search_experiments(filter_string="name LIKE 'find-%'", order_by=["name ASC"])
        self.assertEqual([e.name for e in found], ["find-a", "find-b", "find-c"])
        found = mlflow.search_experiments(filter_string="tags.kind = 'b'")
        self.assertEqual([e.name for e in found], ["find-b"])
        page = self.client.search_experiments(filter_string="name LIKE 'find-%'", max_results=2)
        self.assertEqual(len(page), 2)
        rest = self.client.search_experiments(filter_string="name LIKE 'find-%'", max_results=2, page_token=page.token)
        self.assertEqual(len(rest), 1)

    # --- runs ---

    def test_fluent_run(self):
        mlflow.set_experiment("fluent")
        with mlflow.start_run(run_name="first", tags={"team": "vision"}, description="what it is") as active:
            mlflow.log_param("lr", 0.1)
            mlflow.log_params({"layers": 3, "name": "a b"})
            for step in range(5):
                mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
            mlflow.log_metrics({"val/acc": 0.5, "nan": math.nan}, step=4)
            mlflow.set_tag("late", "yes")
        run = mlflow.get_run(active.info.run_id)
        self.assertEqual(run.info.status, "FINISHED")
        self.assertEqual(run.info.run_name, "first")
        self.assertGreaterEqual(run.info.end_time, run.info.start_time)
        self.assertEqual(run.data.params, {"lr": "0.1", "layers": "3", "name": "a b"})
        self.assertAlmostEqual(run.data.metrics["loss"], 0.2)
        self.assertTrue(math.isnan(run.data.metrics["nan"]))
        self.assertEqual(run.data.tags["team"], "vision")
        self.assertEqual(run.data.tags["late"], "yes")
        self.assertEqual(run.data.tags["mlflow.note.content"], "what it is")
        history = self.client.get_metric_history(run.info.run_id, "loss")
        self.assertEqual([point.step for point in history], [0, 1, 2, 3, 4])

    def test_failed_run(self):
        with self.assertRaises(ZeroDivisionError):
            with mlflow.start_run(run_name="broken") as active:
                raise ZeroDivisionError()
        self.assertEqual(mlflow.get_run(active.info.run_id).info.status, "FAILED")

    def test_nested_runs(self):
        mlflow.set_experiment("nested")
        with mlflow.start_run(run_name="parent") as parent:
            for index in range(3):
                with mlflow.start_run(run_name="child-%d" % index, nested=True):
                    mlflow.log_metric("index", index)
        experiment = mlflow.get_experiment_by_name("nested").experiment_id
        children = self.client.search_runs([experiment], "tags.mlflow.parentRunId = '%s'" % parent.info.run_id,
                                           order_by=["metrics.index ASC"])
        self.assertEqual([run.info.run_name for run in children], ["child-0", "child-1", "child-2"])

    def test_batches_and_retries(self):
        run = self.client.create_run("0", run_name="batch").info.run_id
        metrics = [Metric("m", float(i), 1000 + i, i) for i in range(1000)]
        params = [Param("p%d" % i, str(i)) for i in range(100)]
        tags = [RunTag("t%d" % i, str(i)) for i in range(50)]
        for _ in range(2):  # a repeated request adds nothing
            self.client.log_batch(run, metrics, params, tags)
        found = self.client.get_run(run)
        self.assertEqual(len(found.data.params), 100)
        self.assertEqual(found.data.metrics, {"m": 999.0})
        history = self.client.get_metric_history(run, "m")
        self.assertEqual(len(history), 1000)
        self.assertEqual((history[7].value, history[7].timestamp, history[7].step), (7.0, 1007, 7))
        self.client.log_param(run, "p1", "1")
        self.assertEqual(self.code(self.client.log_param, run, "p1", "2"), "INVALID_PARAMETER_VALUE")

    def test_deleted_runs(self):
        run = self.client.create_run("0", run_name="deleted").info.run_id
        self.client.delete_run(run)
        self.assertEqual(self.client.get_run(run).info.lifecycle_stage, "deleted")
        self.assertNotIn(run, [r.info.run_id for r in self.client.search_runs(["0"])])
        deleted = self.client.search_runs(["0"], run_view_type=ViewType.DELETED_ONLY)
        self.assertIn(run, [r.info.run_id for r in deleted])
        self.client.restore_run(run)
        self.client.set_terminated(run, "KILLED")
        self.assertEqual(self.client.get_run(run).info.status, "KILLED")
        self.assertEqual(self.code(self.client.get_run, "0123456789abcdef"), "RESOURCE_DOES_NOT_EXIST")

    def test_runs_are_searched(self):
        experiment = self.client.create_experiment("searched")
        ids = []
        for index in range(6):
            run = self.client.create_run(experiment, run_name="run-%d" % index, tags={"parity": str(index % 2)})
            ids.append(run.info.run_id)
            self.client.log_metric(run.info.run_id, "val/loss", index / 10)
            self.client.log_param(run.info.run_id, "optimizer", "adam" if index < 3 else "sgd")
            if index == 5:
                self.client.set_terminated(run.info.run_id)

        def names(filter_string, **named):
            return [r.info.run_name for r in self.client.search_runs([experiment], filter_string, **named)]

        self.assertEqual(names(""), ["run-%d" % i for i in (5, 4, 3, 2, 1, 0)])
        self.assertEqual(names("metrics.`val/loss` >= 0.4", order_by=["metrics.`val/loss` ASC"]), ["run-4", "run-5"])
        self.assertEqual(names("params.optimizer = 'adam' and tags.parity = '1'"), ["run-1"])
        self.assertEqual(names("params.optimizer LIKE 's%'", order_by=["attributes.run_name"]),
                         ["run-3", "run-4", "run-5"])
        self.assertEqual(names("attributes.status = 'FINISHED'"), ["run-5"])
        self.assertEqual(names("attributes.run_id IN ('%s', '%s')" % (ids[0], ids[2]), order_by=["run_name DESC"]),
                         ["run-2", "run-0"])
        page = self.client.search_runs([experiment], max_results=4, order_by=["metrics.`val/loss` DESC"])
        rest = self.client.search_runs([experiment], max_results=4, order_by=["metrics.`val/loss` DESC"],
                                       page_token=page.token)
        self.assertEqual([r.info.run_name for r in page + rest], ["run-%d" % i for i in (5, 4, 3, 2, 1, 0)])
        self.assertEqual(self.code(self.client.search_runs, [experiment], "metrics.x >"), "INVALID_PARAMETER_VALUE")
        frame = mlflow.search_runs([experiment], order_by=["metrics.`val/loss` ASC"])
        self.assertEqual(list(frame["tags.parity"]), ["0", "1"] * 3)

    def test_datasets(self):
        import pandas

        with mlflow.start_run(run_name="with data") as active:
            data = mlflow.data.from_pandas(pandas.DataFrame({"x": [1, 2]}), name="two rows")
            mlflow.log_input(data, context="training")
        inputs = mlflow.get_run(active.info.run_id).inputs.dataset_inputs
        self.assertEqual(inputs[0].dataset.name, "two rows")
        self.assertEqual(inputs[0].tags[0].value, "training")

    # --- artifacts ---

    def test_artifacts(self):
        os.makedirs(self.path("out", "plots"))
        for name in ("a.txt", os.path.join("plots", "b ü.txt"), "empty"):
            with open(self.path("out", name), "w", encoding="utf-8") as stream:
                stream.write("" if name == "empty" else name)
        with mlflow.start_run(run_name="files") as active:
            mlflow.log_artifacts(self.path("out"), "results")
            mlflow.log_artifact(self.path("out", "a.txt"))
            mlflow.log_text("hello", "notes/hello.txt")
            mlflow.log_dict({"a": 1}, "config.json")
        run = active.info.run_id
        listed = self.client.list_artifacts(run)
        self.assertEqual([(f.path, f.is_dir, f.file_size) for f in listed],
                         [("a.txt", False, 5), ("config.json", False, listed[1].file_size), ("notes", True, None),
                          ("results", True, None)])
        listed = [f.path for f in self.client.list_artifacts(run, "results")]
        self.assertEqual(listed, ["results/a.txt", "results/empty", "results/plots"])
        local = mlflow.artifacts.download_artifacts(run_id=run, artifact_path="results", dst_path=self.path("in"))
        with open(os.path.join(local, "plots", "b ü.txt"), encoding="utf-8") as stream:
            self.assertEqual(stream.read(), "plots/b ü.txt")
        self.assertEqual(os.path.getsize(os.path.join(local, "empty")), 0)
        self.assertEqual(mlflow.artifacts.load_text("runs:/%s/notes/hello.txt" % run), "hello")
        get_artifact_repository(active.info.artifact_uri).delete_artifacts("results/plots")
        self.assertEqual(len(self.client.list_artifacts(run, "results")), 2)

    def test_large_artifact(self):
        with open(self.path("large.bin"), "wb") as stream:
            block = os.urandom(1 << 20)
            for index in range(LARGE >> 20):
                stream.write(index.to_bytes(8, "little") + block[8:])
        with mlflow.start_run(run_name="large") as active:
            mlflow.log_artifact(self.path("large.bin"))
        self.assertEqual(self.client.list_artifacts(active.info.run_id)[0].file_size, LARGE)
        local = mlflow.artifacts.download_artifacts(run_id=active.info.run_id, artifact_path="large.bin",
                                                    dst_path=self.path("down"))
        self.assertEqual(digest(local), digest(self.path("large.bin")))

    # --- models ---

    def test_model_is_logged_registered_and_loaded(self):
        with open(self.path("offset.txt"), "w", encoding="utf-8") as stream:
            stream.write("0.5")
        mlflow.set_experiment("models")
        with mlflow.start_run(run_name="makes a model") as active:
            logged = mlflow.pyfunc.log_model(name="sum", python_model=Sum(), artifacts={"offset": self.path("offset.txt")},
                                             registered_model_name="sum-net", pip_requirements=["mlflow"],
                                             params={"kind": "sum"})
        self.assertEqual(int(logged.registered_model_version), 1)
        self.assertEqual(mlflow.pyfunc.load_model("models:/sum-net/1").predict([1.0, 2.0]), [1.5, 2.5])
        self.assertEqual(mlflow.pyfunc.load_model(logged.model_uri).predict([3.0]), [3.5])
        model = mlflow.get_logged_model(logged.model_id)
        self.assertEqual(str(model.status), "READY")
        self.assertEqual(model.source_run_id, active.info.run_id)
        found = mlflow.search_logged_models(experiment_ids=[active.info.experiment_id],
                                            filter_string="params.kind = 'sum'", output_format="list")
        self.assertEqual([m.model_id for m in found], [logged.model_id])
        outputs = mlflow.get_run(active.info.run_id).outputs.model_outputs
        self.assertEqual([o.model_id for o in outputs], [logged.model_id])

        client = self.client
        client.set_registered_model_alias("sum-net", "champion", "1")
        self.assertEqual(mlflow.pyfunc.load_model("models:/sum-net@champion").predict([0.0]), [0.5])
        client.set_model_version_tag("sum-net", "1", "checked", "yes")
        client.update_model_version("sum-net", "1", description="adds")
        version = client.get_model_version_by_alias("sum-net", "champion")
        self.assertEqual((version.description, version.tags, version.run_id),
                         ("adds", {"checked": "yes"}, active.info.run_id))
        self.assertEqual([v.version for v in client.search_model_versions("name = 'sum-net'")], ["1"])
        client.set_registered_model_tag("sum-net", "team", "vision")
        self.assertEqual([m.name for m in client.search_registered_models("tags.team = 'vision'")], ["sum-net"])
        client.delete_registered_model_alias("sum-net", "champion")
        self.assertEqual(self.code(client.get_model_version_by_alias, "sum-net", "champion"),
                         "INVALID_PARAMETER_VALUE")
        client.delete_model_version("sum-net", "1")
        self.assertEqual(self.code(client.get_model_version, "sum-net", "1"), "RESOURCE_DOES_NOT_EXIST")
        client.delete_registered_model("sum-net")
        self.assertEqual(self.code(client.get_registered_model, "sum-net"), "RESOURCE_DOES_NOT_EXIST")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
