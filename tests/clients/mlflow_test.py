"""The real mlflow client logs into a running lctl-server and reads from it; lctl shows what it has logged."""

import json
import os
import sys
import unittest
import urllib.error
import urllib.request

import clients
from daemons import DEADLINE, ServerTest

HERE = os.path.dirname(os.path.abspath(__file__))


class Mlflow(ServerTest):
    def test_real_client_works_and_lctl_shows_its_runs(self):
        work = os.path.join(self.folder.name, "work")
        os.mkdir(work)
        code, said = clients.run(clients.python(), os.path.join(HERE, "mlflow_check.py"), self.http, work,
                                 timeout=1200, env=clients.mlflow_environment(work))
        print(said)
        self.assertEqual(code, 0, said)
        self.assertIn("\nOK", said)

        jobs = self.lctl("list", "--where", "experiment = 'fluent' and name = 'first'")
        self.assertEqual([job["name"] for job in jobs], ["first"])
        self.assertEqual(jobs[0]["state"], "SUCCEEDED")
        self.assertEqual(jobs[0]["tags"]["team"], "vision")
        self.assertEqual(len(self.lctl("list", "--where", "params.lr = 0.1 and metrics.loss < 0.5")), 1)
        points = self.lctl("metrics", "first", "loss")
        self.assertIn('"step": 4', json.dumps(points))
        # Nothing here is lctl's to stop.
        code, said = clients.run(os.path.abspath("client/lctl"), "--server", self.address, "stop", "first")
        self.assertNotEqual(code, 0)
        self.assertIn("its own script", said)

    def test_submitted_job_is_a_run_to_read_and_tag(self):
        code, said = clients.run(os.path.abspath("client/lctl"), "--server", self.address, "submit", "--json",
                                 os.path.abspath("examples/digits.yaml"), "--trainer.max_epochs=3")
        self.assertEqual(code, 0, said)
        job = json.loads(said)["id"]
        code, said = clients.run(clients.python(), os.path.join(HERE, "mlflow_job_check.py"), self.http, job,
                                 env=clients.mlflow_environment(self.folder.name))
        self.assertEqual(code, 0, said)
        found = json.loads(said.splitlines()[-1])
        shown = self.lctl("list", "--where", "id = '%s'" % job)[0]
        self.assertEqual(found["status"], "SCHEDULED")  # there is no node
        self.assertEqual(found["experiment"], shown["experiment"])
        self.assertEqual(found["params"]["trainer.max_epochs"], "3")
        self.assertEqual((found["found"], found["files"]), ([job], 0))
        for message in found["refused"]:
            self.assertIn("submitted to lctl", message)
        self.assertEqual((shown["tags"]["reviewed"], shown["note"]), ("yes", "seen from MLflow"))

    def test_pages_of_other_hosts_are_refused(self):
        request = urllib.request.Request(self.http + "/api/2.0/mlflow/experiments/create", b'{"name": "x"}',
                                         {"Content-Type": "text/plain"})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=DEADLINE)
        with caught.exception as error:
            self.assertEqual(error.code, 400)
            self.assertIn("application/json", error.read().decode())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
