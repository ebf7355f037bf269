"""Our daemons as child processes, for the tests of this folder."""

import os
import re
import signal
import subprocess
import time

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
