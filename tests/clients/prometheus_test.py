"""Prometheus' own parser understands the pages of a running server and worker, and they obey its conventions.

usage: prometheus_test.py DOCS_MONITORING_MD
"""

import json
import os
import re
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import clients
from daemons import DEADLINE, Daemon

DOCUMENT = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))

# What a name's last words say of its unit; Prometheus' base units.
UNITS = ("seconds", "bytes", "info")
FOREIGN_UNITS = ("ms", "us", "millis", "milliseconds", "microseconds", "minutes", "kb", "mb", "kib", "mib", "percent")


def scrape(address):
    with urllib.request.urlopen("http://%s/metrics" % address, timeout=DEADLINE) as answer:
        return answer.headers["Content-Type"], answer.read().decode("utf-8")


class Prometheus(unittest.TestCase):
    """One server and one worker whose trainer sleeps; a job runs on it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        trainer = cls.path("trainer")
        with open(trainer, "w", encoding="utf-8") as script:
            script.write("#!/bin/sh\necho hello\nexec sleep 600\n")
        os.chmod(trainer, 0o755)
        cls.server = Daemon(cls.path("server.log"), "server/lctl-server", "--data-dir", cls.path("server"),
                            "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--die-with-parent")
        cls.daemons = [cls.server]
        cls.http = cls.server.says(r"http on (\S+)")
        cls.address = cls.server.says(r"listening on (\S+)")
        cls.worker = Daemon(cls.path("worker.log"), "worker/agent/lctl-worker", "--server", cls.address, "--data-dir",
                            cls.path("worker"), "--name", "node-1", "--cpu-slots", "2", "--trainer", trainer,
                            "--keeper", os.path.abspath("worker/keeper/lctl-keeper"), "--metrics", "127.0.0.1:0",
                            "--die-with-parent", "--stop-ranks-on-exit")
        cls.daemons.append(cls.worker)
        cls.worker_http = cls.worker.says(r"http on (\S+)")
        code, said = clients.run(os.path.abspath("client/lctl"), "--server", cls.address, "submit", "--json",
                                 os.path.abspath("examples/digits.yaml"), "--job.resources.nodes=1",
                                 "--job.resources.devices=2")
        assert code == 0, said
        cls.job = json.loads(said)["id"]
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and 'lctl_jobs{state="running"} 1' not in scrape(cls.http)[1]:
            time.sleep(0.05)
        # What the ranks said has arrived.
        while time.monotonic() < end and "lctl_worker_spool_waiting_bytes 0" not in scrape(cls.worker_http)[1]:
            time.sleep(0.05)
        cls.pages = {"lctl_": scrape(cls.http), "lctl_worker_": scrape(cls.worker_http)}
        cls.families = {prefix: cls.parse(page) for prefix, (_, page) in cls.pages.items()}

    @classmethod
    def tearDownClass(cls):
        codes = [daemon.stop() for daemon in reversed(cls.daemons)]
        logs = "\n".join(daemon.text() for daemon in cls.daemons)
        cls.folder.cleanup()
        assert codes == [0, 0], "%s\n%s" % (codes, logs)

    @classmethod
    def path(cls, *parts):
        return os.path.join(cls.folder.name, *parts)

    @classmethod
    def parse(cls, page):
        with open(cls.path("page"), "w", encoding="utf-8") as out:
            out.write(page)
        code, said = clients.run(clients.python(), os.path.join(HERE, "prometheus_check.py"), cls.path("page"))
        assert code == 0, "%s\n%s" % (said, page)
        return json.loads(said)

    def each(self):
        for prefix, families in self.families.items():
            for family in families:
                yield prefix, family

    def value(self, prefix, name, **labels):
        for family in self.families[prefix]:
            for sample, own, value in family["samples"]:
                if sample == name and labels.items() <= own.items():
                    return value
        self.fail("no sample %s%s in\n%s" % (name, labels, self.pages[prefix][1]))

    def test_content_type_is_that_of_the_text_format(self):
        for kind, _ in self.pages.values():
            self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")

    def test_every_family_has_a_type_a_help_and_our_prefix(self):
        for prefix, family in self.each():
            self.assertIn(family["type"], ("counter", "gauge", "summary"), family["name"])
            self.assertTrue(family["help"].endswith("."), family["name"])
            self.assertTrue(family["name"].startswith(prefix), family["name"])
            self.assertEqual(family["name"].startswith("lctl_worker_"), prefix == "lctl_worker_", family["name"])

    def test_names_and_units_obey_the_conventions(self):
        for _, family in self.each():
            name = family["name"]
            self.assertRegex(name, r"^[a-z][a-z0-9_]*[a-z0-9]$")
            words = name.split("_")
            self.assertFalse(set(words) & set(FOREIGN_UNITS), name)
            # The unit stands last (a counter's _total is behind it: the parser has taken it off).
            for unit in UNITS:
                self.assertTrue(unit not in words or words[-1] == unit, name)
            for sample, labels, value in family["samples"]:
                if family["type"] == "counter":
                    self.assertTrue(sample.endswith("_total"), sample)
                    self.assertGreaterEqual(value, 0, sample)
                else:
                    self.assertFalse(sample.endswith("_total"), sample)
                # Prometheus sets these itself.
                self.assertFalse({"job", "instance"} & set(labels), sample)
            if words[-1] == "info":
                self.assertTrue(all(value == 1 for _, _, value in family["samples"]), name)

    def test_no_series_stands_twice(self):
        for prefix in self.families:
            seen = set()
            for family in self.families[prefix]:
                for sample, labels, _ in family["samples"]:
                    key = (sample, tuple(sorted(labels.items())))
                    self.assertNotIn(key, seen)
                    seen.add(key)

    def test_pages_tell_what_runs(self):
        server = "lctl_"
        self.assertEqual(self.value(server, "lctl_jobs", state="running"), 1)
        self.assertEqual(self.value(server, "lctl_attempts_placed_total"), 1)
        self.assertEqual(self.value(server, "lctl_job_info", job_id=self.job, state="running"), 1)
        self.assertEqual(self.value(server, "lctl_job_attempt", job_id=self.job), 1)
        self.assertEqual(self.value(server, "lctl_node_state", node="node-1", state="ready"), 1)
        self.assertEqual(self.value(server, "lctl_node_devices", node="node-1", kind="cpu"), 2)
        self.assertEqual(self.value(server, "lctl_grpc_calls_total", method="lctl.v1.Jobs/Submit", code="OK"), 1)
        self.assertGreater(self.value(server, "lctl_ingest_bytes_total"), 0)
        self.assertGreater(self.value(server, "lctl_store_commits_total"), 0)
        self.assertGreater(self.value(server, "lctl_store_database_bytes", file="main"), 0)
        self.assertLess(abs(time.time() - self.value(server, "lctl_server_start_time_seconds")), 600)
        worker = "lctl_worker_"
        in_use = self.value(server, "lctl_node_devices_in_use")
        self.assertEqual(self.value(worker, "lctl_worker_ranks", state="running"), in_use)
        self.assertEqual(self.value(worker, "lctl_worker_connected"), 1)
        self.assertGreaterEqual(self.value(worker, "lctl_worker_forwarded_bytes_total"), len("hello\n"))

    def test_document_lists_what_is_on_the_pages(self):
        with open(DOCUMENT, encoding="utf-8") as stream:
            listed = dict(re.findall(r"^\| `(lctl_\w+)` \| (\w+) \|", stream.read(), re.M))
        shown = {}
        for _, family in self.each():
            shown[family["name"] + ("_total" if family["type"] == "counter" else "")] = family["type"]
        self.assertEqual(listed, shown)

    def test_unknown_paths_are_json_errors(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen("http://%s/nowhere" % self.http, timeout=DEADLINE)
        with caught.exception as error:
            self.assertEqual(error.code, 404)
            self.assertEqual(json.loads(error.read())["error_code"], "ENDPOINT_NOT_FOUND")


if __name__ == "__main__":
    unittest.main()
