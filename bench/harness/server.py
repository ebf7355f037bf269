"""A coordinator by itself, over a store that bench/ingest_load has made."""

import os
import re
import subprocess
import time

from bench.harness.cluster import program

DEADLINE = 20  # seconds for it to listen


class Server:
    """A coordinator over a store that is there already."""

    def __init__(self, folder, http=""):
        self.log = os.path.join(folder, "server.log")
        with open(self.log, "wb") as stream:
            self.process = subprocess.Popen(
                [program("server/lctl-server"), "--data-dir", os.path.join(folder, "store"), "--listen", "127.0.0.1:0", "--http", http,
                 "--log-level", "error"], stdout=stream, stderr=subprocess.STDOUT)
        self.address = self.says(r"listening on (\S+)")

    def says(self, pattern):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.process.poll() is None:
            with open(self.log, encoding="utf-8") as stream:
                found = re.search(pattern, stream.read())
            if found:
                return found.group(1)
            time.sleep(0.02)
        self.close()
        with open(self.log, encoding="utf-8") as stream:
            raise RuntimeError("the server does not listen: " + stream.read()[-3000:])

    def close(self):
        self.process.terminate()
        self.process.wait()
