"""An unmodified Lightning script with MLFlowLogger logs into a running lctl-server: metrics, hyper-parameters and
checkpoints are read back by mlflow's client, by torch and by lctl.
"""

import json
import math
import os
import sys
import unittest

import clients
from daemons import ServerTest

HERE = os.path.dirname(os.path.abspath(__file__))


class MlflowLightning(ServerTest):
    def client_run(self, script, *arguments):
        environment = clients.mlflow_environment(self.folder.name, MLFLOW_TRACKING_URI=self.http)
        code, said = clients.run(clients.python(), os.path.join(HERE, script), *arguments, cwd=self.folder.name,
                                 env=environment, timeout=900)
        self.assertEqual(code, 0, said)
        return said.strip().splitlines()[-1]

    def test_script_logs_and_everyone_reads(self):
        word, run = self.client_run("mlflow_lightning_script.py").split()
        self.assertEqual(word, "run")

        found = json.loads(self.client_run("mlflow_lightning_check.py", self.http, run))
        self.assertEqual(found["name"], "lightning-run")
        self.assertEqual(found["status"], "FINISHED")
        self.assertEqual(found["params"], {"hidden": "8", "lr": "0.05"})
        self.assertEqual(found["tags"]["team"], "vision")
        # 8 batches an epoch, every second logged.
        self.assertEqual(found["steps"], list(range(1, 24, 2)))
        self.assertEqual(len(found["files"]), 2)  # the two best checkpoints
        for folder, paths in found["files"].items():
            self.assertEqual([os.path.basename(path) for path in paths],
                             ["aliases.txt", folder + ".ckpt", "metadata.yaml"])
        self.assertEqual(found["weights"], ["net.0.bias", "net.0.weight", "net.2.bias", "net.2.weight"])

        job = self.lctl("list", "--where", "val_loss < 100 and params.hidden = 8")[0]
        self.assertEqual((job["id"], job["experiment"], job["state"]), (run, "lightning-logs", "SUCCEEDED"))
        curve = self.lctl("metrics", run, "val_loss")
        self.assertTrue(math.isfinite(found["metrics"]["val_loss"]))
        self.assertIn(repr(found["metrics"]["val_loss"])[:8], json.dumps(curve))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
