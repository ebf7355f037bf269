"""A stop during a download: it ends at once, in order, and what came is kept for the next try. Who downloads says so."""

import glob
import http.server
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from tests.data_loading import samples
from tests.data_loading.formats_test import TRAINER

SIZE = 50_000_000
SENT = 1_000_000
TERMINATED = 143
FAILED = 1
STOPPED = 75
AT_ONCE = 5  # seconds; about one on a machine that has nothing else to do


class SlowServer:
    """Sends the first megabyte of a file, and then a few bytes now and then."""

    def __init__(self):
        outer = self
        self.sent, self.over = threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(SIZE))
                self.send_header("ETag", '"one"')
                self.end_headers()
                try:
                    self.wfile.write(bytes(SENT))
                    outer.sent.set()
                    while not outer.over.wait(0.05):
                        self.wfile.write(b"slow")
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/rows.csv" % self.server.server_port

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class SlowDownloadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.server = SlowServer()
        self.addCleanup(self.server.close)

    def start(self, name, **environment):
        which, = (each for each in samples.FORMATS if each.name == "csv")
        job = which.job()
        job["data"]["init_args"]["path"] = self.server.url
        job["trainer"]["devices"] = "auto"
        os.makedirs(os.path.join(self.folder, name))
        path = os.path.join(self.folder, name, "job.yaml")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(job, stream)
        everything = dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="",
                          LCTL_DATA_CACHE=os.path.join(self.folder, "cache"), **environment)
        process = subprocess.Popen([TRAINER, "fit", "--config", path], cwd=os.path.dirname(path), env=everything,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def partial(self):
        return sum(os.path.getsize(path) for path in glob.glob(os.path.join(self.folder, "cache/url/*.partial")))

    def stopped_by(self, which, process):
        self.assertTrue(self.server.sent.wait(60))
        while self.partial() < SENT:
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(which)
        _, text = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - began, AT_ONCE)
        self.assertGreaterEqual(self.partial(), SENT)
        self.assertIn("downloading " + self.server.url, text)
        self.assertIn(self.server.url + ": stopped, 1.0 MB of 50.0 MB are there", text)
        return process.returncode

    def test_sigterm_ends_it(self):
        self.assertEqual(self.stopped_by(signal.SIGTERM, self.start("term")), TERMINATED)

    def test_ctrl_c_ends_it(self):
        self.assertEqual(self.stopped_by(signal.SIGINT, self.start("int")), FAILED)

    def test_under_an_agent_it_is_a_stop_and_no_failure(self):
        process = self.start("agent", LCTL_SPOOL=os.path.join(self.folder, "events.log"),
                             LCTL_STAGE=os.path.join(self.folder, "stage"))
        self.assertEqual(self.stopped_by(signal.SIGTERM, process), STOPPED)

    def test_a_process_that_waits_stops_too_and_has_said_for_whom(self):
        first = self.start("first")
        self.assertTrue(self.server.sent.wait(60))
        second = self.start("second")
        line = second.stderr.readline()
        while line and "waiting for" not in line:
            line = second.stderr.readline()
        self.assertRegex(line, "waiting for process %d on .*, which downloads http" % first.pid)
        second.terminate()
        self.assertEqual(second.wait(timeout=60), TERMINATED)
        self.assertEqual(self.stopped_by(signal.SIGTERM, first), TERMINATED)


if __name__ == "__main__":
    unittest.main()
