"""Our daemons as child processes, for the tests of this folder."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

import clients

DEADLINE = 60  # seconds: bounds every wait


class Daemon:
    """A built program whose output is read until it has said what `pattern` finds."""

    def __init__(self, log, *command):
        self.log = log
        with open(log, "wb") as stream:
            self.process = subprocess.Popen([os.path.abspath(command[0]), *command[1:]], stdout=stream,
                                            stderr=subprocess.STDOUT)

    def says(self, pattern):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(pattern, self.text())
            if found:
                return found.group(1)
            time.sleep(0.05)
        raise RuntimeError("it did not say %s:\n%s" % (pattern, self.text()))

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=DEADLINE)


class ServerTest(unittest.TestCase):
    """One lctl-server, without nodes, for all tests of the class."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = Daemon(os.path.join(cls.folder.name, "log"), "server/lctl-server", "--data-dir",
                            os.path.join(cls.folder.name, "store"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
                            "--die-with-parent")
        cls.http = "http://" + cls.server.says(r"http on (\S+)")
        cls.address = cls.server.says(r"listening on (\S+)")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def lctl(self, *arguments):
        """What it prints with --json."""
        code, said = clients.run(os.path.abspath("client/lctl"), "--server", self.address, *arguments, "--json")
        self.assertEqual(code, 0, said)
        return json.loads(said)
