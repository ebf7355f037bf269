"""Two real ranks whose parameters come apart: both fail, at the next check, in words that say where."""

import os
import subprocess
import unittest


class ReplicaCheckRunTest(unittest.TestCase):
    def test_ranks_that_differ_fail_at_the_next_check(self):
        program = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"],
                               "worker/trainer/callbacks/diverging_ranks")
        result = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=120, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("ReplicaCheck: at step 10 rank 1 differs from the others first in 'second.bias'", result.stdout)


if __name__ == "__main__":
    unittest.main()
