"""What a user meets at the command line, with the real daemons behind it."""

import os
import signal
import subprocess
import time
import unittest

from cluster import DEADLINE, ClusterTest, program, slow_job


class CommandLineTest(ClusterTest):
    workers = 2
    slots = 1

    def test_bad_job_file_is_refused_with_line_and_key_and_nothing_is_created(self):
        job = slow_job(1).replace("max_epochs", "max_epoch")
        path = self.path("bad.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(job)
        self.lctl("submit", path, code=2)
        line = job.splitlines().index("  max_epoch: 1") + 1
        self.assertIn("bad.yaml:%d" % line, self.last_stderr)
        self.assertIn("trainer.max_epoch", self.last_stderr)
        self.assertIn("max_epochs", self.last_stderr)
        self.assertEqual(self.lctl_json("list"), [])

    def test_digits_train_on_two_nodes(self):
        examples = program("examples")
        output = self.lctl("submit", "--follow", os.path.join(examples, "digits.yaml"))
        job = self.lctl_json("list")[0]
        self.assertEqual(job["state"].upper(), "SUCCEEDED", output)
        self.assertEqual(job["name"], "digits-mlp")
        accuracy = self.points("@last", "val/acc")
        self.assertGreaterEqual(accuracy[-1]["value"], 0.95)
        nodes = {rank["node"] for rank in self.lctl_json("status", job["id"])["ranks"]}
        self.assertEqual(nodes, {"worker-1", "worker-2"})
        self.assertTrue(self.lctl_json("checkpoints", "list", "@last"))

    def test_failing_job_says_why(self):
        job = slow_job(1).replace("in_features: 512, out_features: 4", "in_features: 500, out_features: 4")
        job_id = self.submit(job, "--job.max_restarts=0")
        failed = self.wait_state(job_id, "FAILED")
        self.assertIn("shapes cannot be multiplied", failed["reason"])
        self.lctl("submit", "--follow", self.path("job.yaml"), "--job.max_restarts=0", code=1)

    def test_logs_hold_what_the_ranks_printed(self):
        job_id = self.submit(slow_job(1))
        self.wait_state(job_id, "SUCCEEDED")
        self.assertIn("Seed set to 7", self.lctl("logs", job_id))

    def test_overrides_change_the_job(self):
        job_id = self.submit(slow_job(5), "--trainer.max_epochs=1", "--data.init_args.num_train=640")
        self.wait_state(job_id, "SUCCEEDED")
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(10)))

    def test_job_file_of_two_nodes_runs_on_this_machine_without_daemons(self):
        path = self.path("two.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(slow_job(1, nodes=2))
        result = subprocess.run([program("client/lctl"), "run", path, "--data.init_args.num_train=1280"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE,
                                env=self.environment, cwd=self.folder)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("the 2 ranks of 2 machines run on this one", result.stdout)
        self.assertIn("10/10", result.stdout)  # 1,280 samples in batches of 64 on each of two ranks
        self.assertEqual(self.lctl_json("list"), [])

    def test_unreachable_server_has_its_own_exit_code_and_says_what_to_do(self):
        self.server.kill()
        self.lctl("list", code=3)
        self.assertIn("LCTL_SERVER", self.last_stderr)
        self.start_server()


class UpTest(unittest.TestCase):
    """`lctl up` without any daemon around."""

    def test_up_trains_and_leaves_nothing_behind(self):
        folder = os.path.join(os.environ["TEST_TMPDIR"], "up")
        os.makedirs(folder, exist_ok=True)
        lctl = program("client/lctl")
        up = subprocess.Popen([lctl, "up", "--workers", "2", "--data-dir", folder, "--address", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            address = os.path.join(folder, "address")
            end = time.monotonic() + DEADLINE
            while not (os.path.exists(address) and os.path.getsize(address)):
                self.assertIsNone(up.poll(), "lctl up ended early")
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            with open(address, encoding="utf-8") as text:
                environment = dict(os.environ, LCTL_SERVER=text.read().strip())
            job = os.path.join(folder, "job.yaml")
            with open(job, "w", encoding="utf-8") as out:
                out.write(slow_job(1, nodes=2))
            subprocess.run([lctl, "submit", "--follow", job], env=environment, check=True, timeout=DEADLINE)
        finally:
            up.send_signal(signal.SIGINT)
            output, _ = up.communicate(timeout=DEADLINE)
        left = subprocess.run(["pgrep", "-af", folder], stdout=subprocess.PIPE, text=True, check=False).stdout
        self.assertEqual(left, "", output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
