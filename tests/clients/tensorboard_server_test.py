"""A real TensorBoard server shows what our writer wrote: the requests that its web page makes are answered.

usage: tensorboard_server_test.py SAMPLE_PROGRAM
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request

import clients

SAMPLE = sys.argv[1]


class Server:
    """tensorboard on a port of the kernel's choice, over one folder."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [clients.python(), "-m", "tensorboard.main", "--logdir", folder, "--host", "127.0.0.1", "--port", "0",
             "--load_fast", "false"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.url = None
        for line in self.process.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if found:
                self.url = found.group(0)
                break
        # What it says later must not block it.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def get(self, path, **query):
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()

    def json(self, path, **query):
        return json.loads(self.get(path, **query))

    def stop(self):
        self.process.kill()
        self.process.wait()


class TensorBoardServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        code, said = clients.run(os.path.abspath(SAMPLE), cls.folder.name)
        assert code == 0, said
        cls.server = Server(cls.folder.name)
        assert cls.server.url, "tensorboard said no address"
        # The first load of the folder happens beside the server's start.
        for _ in range(200):
            if cls.server.json("data/plugin/images/tags"):
                break
            threading.Event().wait(0.1)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def tags(self, plugin):
        """(run, tag) of all that the plugin lists."""
        listed = self.server.json("data/plugin/%s/tags" % plugin)
        found = [(run, tag) for run, tags in listed.items() for tag in tags]
        self.assertTrue(found, listed)
        return found

    def test_images_are_shown(self):
        for run, tag in self.tags("images"):
            entries = self.server.json("data/plugin/images/images", run=run, tag=tag, sample=0)
            self.assertTrue(entries, tag)
            for entry in entries:
                picture = self.server.get("data/plugin/images/individualImage?" + entry["query"])
                self.assertEqual(picture[:8], b"\x89PNG\r\n\x1a\n", tag)

    def test_histograms_are_shown(self):
        for run, tag in self.tags("histograms"):
            for _, _, buckets in self.server.json("data/plugin/histograms/histograms", run=run, tag=tag):
                self.assertTrue(buckets, tag)
                self.assertGreater(sum(bucket[2] for bucket in buckets), 0, tag)

    def test_scalars_and_texts_are_shown(self):
        for run, tag in self.tags("scalars"):
            self.assertTrue(self.server.json("data/plugin/scalars/scalars", run=run, tag=tag), tag)
        for run, tag in self.tags("text"):
            self.assertTrue(self.server.json("data/plugin/text/text", run=run, tag=tag), tag)

    def test_the_graph_is_shown(self):
        runs = self.server.json("data/plugin/graphs/info")
        shown = [run for run, info in runs.items() if info.get("run_graph")]
        self.assertTrue(shown, runs)
        graph = self.server.get("data/plugin/graphs/graph", run=shown[0], conceptual="false")
        self.assertIn(b"aten::", graph)


if __name__ == "__main__":
    unittest.main()
