"""kill -9 at 20 random points of a run; resumed each time, it ends with the bits of the run that nobody disturbed.

Trainers without daemons: two ranks with dropout, batch norm, shuffling, data workers, Adam, a learning rate that
changes with every step, and validation inside the epochs. Even cases resume from ModelCheckpoint's files, odd ones as
the node daemon does it, from safety checkpoints. LCTL_TEST_SEED chooses other points.
"""

import ctypes
import json
import os
import random
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from cluster import DEADLINE, program

CASES = 20
PR_SET_CHILD_SUBREAPER = 36

JOB = """
seed_everything: 7
trainer:
  accelerator: cpu
  devices: 2
  strategy: ddp
  max_epochs: 3
  val_check_interval: 0.5
  log_every_n_steps: 5
  enable_progress_bar: false
  enable_model_summary: false
  logger: {class_path: CSVLogger, init_args: {save_dir: .}}
  callbacks:
    - class_path: ModelCheckpoint
      init_args: {dirpath: saved, every_n_train_steps: 4, save_top_k: 1, save_last: true}
    - class_path: RunSummary
    - class_path: HookTrace
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 256}}
      - {BatchNorm1d: {num_features: 256}}
      - ReLU
      - {Dropout: {p: 0.2}}
      - {Linear: {in_features: 256, out_features: 256}}
      - ReLU
      - {Dropout: {p: 0.1}}
      - {Linear: {in_features: 256, out_features: 4}}
    metrics: [accuracy]
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 640, num_val: 96, batch_size: 16, shuffle: true, num_workers: 2}
optimizer:
  class_path: torch.optim.Adam
  init_args: {lr: 0.01}
lr_scheduler:
  class_path: OneCycleLR
  init_args: {max_lr: 0.02, total_steps: 64}
  interval: step
"""


class Ranks:
    """A trainer process that starts the other rank itself; both can be killed, one by one."""

    def __init__(self, folder, arguments=(), environment=None):
        self.folder = folder
        self.log = open(os.path.join(folder, "output"), "ab")
        variables = {name: value for name, value in os.environ.items() if not name.startswith("LCTL_")}
        variables.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", **(environment or {}))
        self.process = subprocess.Popen(
            [program("worker/trainer/lctl-trainer"), "fit", "--config", os.path.join(folder, "job.yaml"), *arguments],
            cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def running(self):
        return self.process.poll() is None

    def wait(self):
        code = self.process.wait(timeout=DEADLINE)
        self.log.close()
        return code

    def pids(self):
        """Of rank 0, then of the rank that it started."""
        first = self.process.pid
        with open("/proc/%d/task/%d/children" % (first, first), encoding="ascii") as children:
            return [first, *map(int, children.read().split())]

    def signal(self, number):
        for pid in self.pids():
            os.kill(pid, number)

    def kill(self, victims):
        """SIGKILL in the order of `victims`: (index among pids(), seconds to wait before it)."""
        pids = self.pids()
        handles = [os.pidfd_open(pid) for pid in pids]
        for index, delay in victims:
            time.sleep(delay)
            signal.pidfd_send_signal(handles[index], signal.SIGKILL)
        for pid, handle in zip(pids, handles):
            if not select.select([handle], [], [], DEADLINE)[0]:
                raise AssertionError("process %d outlived SIGKILL" % pid)
            os.close(handle)
        self.process.wait()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:  # orphans come to us
                pass
        except ChildProcessError:
            pass
        self.log.close()


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


class KillTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        cls.folder = tempfile.mkdtemp(prefix="lctl-kill-", dir=os.environ.get("TEST_TMPDIR"))

    def new_folder(self, name):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        with open(os.path.join(folder, "job.yaml"), "w", encoding="utf-8") as job:
            job.write(JOB)
        return folder

    def fail_with_output(self, folder, text):
        with open(os.path.join(folder, "output"), encoding="utf-8", errors="replace") as output:
            self.fail("%s\n---- %s\n%s" % (text, folder, output.read()[-5000:]))

    def run_to_its_end(self, folder, arguments=(), environment=None):
        if (code := Ranks(folder, arguments, environment).wait()) != 0:
            self.fail_with_output(folder, "the trainer ended with %d" % code)

    @staticmethod
    def result(folder):
        """What must be equal: every bit of every parameter and buffer, and all that was counted."""
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as stream:
            result = json.load(stream)
        return {
            "parameters": [(tensor["name"], tensor["sha256"]) for tensor in result["state"]],
            **{key: result[key] for key in ("global_step", "current_epoch", "callback_metrics", "learning_rates")},
        }

    @staticmethod
    def whole_checkpoints(folder):
        """Newest first. What has the name of a checkpoint is a whole one: that is the promise under test."""
        names = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
        return sorted((name for name in names if name.endswith(".ckpt")), key=os.path.getmtime, reverse=True)

    @staticmethod
    def torn_checkpoints(folder):
        return [name for name in os.listdir(folder) if ".ckpt.tmp-" in name] if os.path.isdir(folder) else []

    def wait_while_running(self, ranks, condition):
        """False if the run ended first."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if not ranks.running():
                return False
            if time.monotonic() > end:
                self.fail_with_output(ranks.folder, "waited in vain for the point to kill at")
            time.sleep(0.0001)
        return ranks.running()

    def wait_for_hook(self, ranks, byte):
        """Until rank 0 has entered the hook at that place of its trace."""
        trace = os.path.join(ranks.folder, "trace.txt")
        return self.wait_while_running(ranks, lambda: size_of(trace) >= byte)

    def freeze_inside_a_write(self, ranks, saved, after):
        """Stops all ranks while rank 0 is writing a checkpoint, not before the trace is that long."""
        def writing():
            if not self.torn_checkpoints(saved):
                return False
            ranks.signal(signal.SIGSTOP)
            if self.torn_checkpoints(saved):
                return True
            ranks.signal(signal.SIGCONT)  # it was quicker
            return False

        return self.wait_for_hook(ranks, after) and self.wait_while_running(ranks, writing)

    def kill_once(self, case, ranks, saved, chance, trace):
        """Kills at a random point; a sentence that says where, or None when the run was over before."""
        inside_write = case % 3 == 2
        begin = len(trace) // 10
        if inside_write:
            byte = chance.randrange(begin, len(trace) * 8 // 10)
            reached = self.freeze_inside_a_write(ranks, saved, byte)
        else:
            byte = chance.randrange(begin, len(trace))
            reached = self.wait_for_hook(ranks, byte)
        if not reached:
            return None
        order = chance.choice(["both", "0 first", "1 first"])
        delay = 0.0 if order == "both" else chance.uniform(0.0, 0.03)
        victims = [(1, 0.0), (0, delay)] if order == "1 first" else [(0, 0.0), (1, delay)]
        if inside_write and order != "both":
            victims = [(index, 0.0) for index, _ in victims]  # they are frozen
        ranks.kill(victims)
        hook = trace[:byte].rsplit(b"\n", 1)[-1] + trace[byte:].split(b"\n", 1)[0]
        return "%s %s, ranks: %s" % ("in the first write after" if inside_write else "at", hook.decode(), order)

    def kill_and_resume(self, case, chance, trace):
        """A sentence that says where it was killed, and the folder of the run that was resumed."""
        folder = self.new_folder("case-%d" % case)
        by_agent = case % 2 == 1
        saved = os.path.join(folder, "stage" if by_agent else "saved")
        environment = {}
        if by_agent:
            environment = {"LCTL_SPOOL": os.path.join(folder, "events.log"), "LCTL_STAGE": saved,
                           "LCTL_CHECKPOINT_EVERY_MS": "10"}
        ranks = Ranks(folder, (), environment)
        where = self.kill_once(case, ranks, saved, chance, trace)
        if where is None:
            self.assertEqual(ranks.wait(), 0)
            shutil.rmtree(folder)
            return None, folder
        torn = len(self.torn_checkpoints(saved))
        checkpoints = self.whole_checkpoints(saved)
        where += ", %d torn, resumed from %s" % (torn, os.path.basename(checkpoints[0]) if checkpoints else "nothing")
        self.torn += torn
        self.resumed += bool(checkpoints)
        if not by_agent:
            self.run_to_its_end(folder, ["--ckpt_path=last"] if case % 4 == 0 else
                                ["--ckpt_path=" + checkpoints[0]] if checkpoints else [])
            return where, folder
        again = self.new_folder("case-%d-again" % case)  # each attempt has a folder of its own
        self.run_to_its_end(again, (), {"LCTL_RESUME_CKPT": checkpoints[0]} if checkpoints else {})
        return where, again

    def test_run_killed_at_random_points_ends_with_the_bits_of_the_undisturbed_one(self):
        seed = int(os.environ.get("LCTL_TEST_SEED") or random.SystemRandom().randrange(2**32))
        print("LCTL_TEST_SEED=%d" % seed, flush=True)
        chance = random.Random(seed)
        undisturbed = self.new_folder("undisturbed")
        self.run_to_its_end(undisturbed)
        expected = self.result(undisturbed)
        with open(os.path.join(undisturbed, "trace.txt"), "rb") as stream:
            trace = stream.read()
        self.torn = self.resumed = 0
        case = killed = 0
        while killed < CASES:
            self.assertLess(case, 3 * CASES, "runs keep ending before they can be killed")
            where, folder = self.kill_and_resume(case, chance, trace)
            case += 1
            if where is None:
                continue
            killed += 1
            print("%2d: killed %s" % (killed, where), flush=True)
            with self.subTest(where=where, seed=seed):
                self.assertEqual(self.result(folder), expected)
        self.assertGreater(self.torn, 0, "no kill fell into the writing of a checkpoint")
        self.assertGreater(self.resumed, CASES // 2, "too few kills came after a first checkpoint")


if __name__ == "__main__":
    unittest.main(verbosity=2)
