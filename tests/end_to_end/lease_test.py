"""A node that is cut off ends its ranks by itself, and the job goes on elsewhere; a server that does not run ends nobody."""

import glob
import os
import time
import unittest

from tests.chaos.link import Link
from tests.end_to_end.cluster import STEPS_PER_EPOCH, ClusterTest, slow_job

LEASE = 4  # seconds


class LeaseTest(ClusterTest):
    workers = 2
    lost_after = 3
    EPOCHS = 20

    def setUp(self):
        self.links = []
        super().setUp()
        self.addCleanup(lambda: [link.close() for link in self.links])

    def server_options(self):
        return ["--lease-ms", str(LEASE * 1000)]

    def server_of_node(self, number):
        if not self.cut_off:
            return self.address
        self.links.append(Link(self.address))
        return self.links[-1].address

    @property
    def cut_off(self):
        return self._testMethodName == "test_cut_off_node_ends_its_ranks"

    def rank(self, job_id):
        return self.lctl_json("status", job_id)["ranks"][0]

    def exit_file(self, node, job_id, attempt):
        return self.path(node, "runs", "%s.%d" % (job_id, attempt), "rank-0", "exit")

    def alive(self, pid):
        try:
            with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def digest(self, job_id):
        return self.rank(job_id)["parameters_sha256"]

    def test_cut_off_node_ends_its_ranks(self):
        undisturbed = self.submit(slow_job(self.EPOCHS))
        self.wait_state(undisturbed, "SUCCEEDED")
        job_id = self.submit(slow_job(self.EPOCHS))
        self.wait_step(job_id, STEPS_PER_EPOCH)
        first = self.rank(job_id)
        number = int(first["node"].rsplit("-", 1)[1])
        # The first node's own folder is looked at: nobody can tell its rank anything from here on. It is held back,
        # so that it is still there when the lease runs out.
        os.kill(first["pid"], 19)  # SIGSTOP
        self.links[number - 1].hold()
        self.wait_for("the job goes on elsewhere", lambda: self.job(job_id)["attempt"] == 2)
        os.kill(first["pid"], 18)  # SIGCONT
        exit_file = self.exit_file(first["node"], job_id, 1)
        self.wait_for("the cut-off rank has ended", lambda: os.path.exists(exit_file))
        with open(exit_file, encoding="utf-8") as text:
            self.assertEqual(text.read(), "exit 75 lease %d\n" % (LEASE * 1000))
        self.assertFalse(self.alive(first["pid"]))
        stage = os.path.join(os.path.dirname(exit_file), "stage")
        self.assertTrue(glob.glob(stage + "/*.ckpt"), "no checkpoint in %s" % stage)
        self.wait_state(job_id, "SUCCEEDED")

        self.links[number - 1].mend()
        self.wait_for("the node has forgotten the first attempt", lambda: not os.path.exists(exit_file))
        details = self.lctl_json("status", job_id)
        self.assertEqual([attempt["outcome"] for attempt in details["attempts"]], ["lost", "succeeded"])
        self.assertEqual(self.job(job_id)["restarts"], 0)
        self.assertEqual(self.digest(job_id), self.digest(undisturbed))
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(self.EPOCHS * STEPS_PER_EPOCH)))

    def test_ranks_train_on_without_a_server(self):
        job_id = self.submit(slow_job(self.EPOCHS))
        self.wait_step(job_id, STEPS_PER_EPOCH)
        pid = self.rank(job_id)["pid"]
        os.kill(pid, 19)  # so that it is not done before the lease would have run out
        self.server.kill()
        time.sleep(2.5 * LEASE)
        os.kill(pid, 18)
        self.assertTrue(self.alive(pid), "the rank has ended")
        self.start_server()
        self.wait_state(job_id, "SUCCEEDED")
        details = self.lctl_json("status", job_id)
        self.assertEqual(len(details["attempts"]), 1)
        self.assertEqual(self.steps(job_id, "train/loss"), list(range(self.EPOCHS * STEPS_PER_EPOCH)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
