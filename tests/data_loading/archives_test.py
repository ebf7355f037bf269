"""Image folders that come as an archive, from a server: fetched and unpacked once, then trained on."""

import hashlib
import http.server
import io
import os
import tarfile
import tempfile
import threading
import unittest
import zipfile

from tests.data_loading import samples
from tests.data_loading.formats_test import losses, train

BAD_SPEC = 2


class Server:
    """Serves what is in `files` (path -> bytes) and remembers what was asked for."""

    def __init__(self):
        self.files, self.asked = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                content = outer.files.get(self.path.split("?")[0])
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.server.server_port, path)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def tar_gz(folder, name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(folder, arcname=name)
    return out.getvalue()


def zipped(folder, name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, _, files in os.walk(folder):
            for file in files:
                path = os.path.join(at, file)
                archive.write(path, os.path.join(name, os.path.relpath(path, folder)))
    return out.getvalue()


class ArchivesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.which, = (each for each in samples.FORMATS if each.name == "images")
        self.which.make(self.folder)
        self.images = os.path.join(self.folder, "images")
        self.server = Server()
        self.addCleanup(self.server.close)
        self.cache = os.path.join(self.folder, "cache")
        os.environ["LCTL_DATA_CACHE"] = self.cache
        self.addCleanup(os.environ.pop, "LCTL_DATA_CACHE")

    def job(self, train_on, **more):
        job = self.which.job(num_workers=2)
        job["data"]["init_args"].update(train=train_on, **more)
        return job

    def run_all_right(self, job, run, *overrides):
        done = train(self.folder, job, run, *overrides)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, job, *expected):
        done = train(self.folder, job, "refused")
        self.assertEqual(done.returncode, BAD_SPEC, done.stderr)
        for text in expected:
            self.assertIn(text, done.stderr.strip().splitlines()[-1])

    def test_an_archive_trains_like_its_folder(self):
        self.run_all_right(self.job(self.images), "folder")
        packed = tar_gz(self.images, "images")
        self.server.files["/images.tar.gz"] = packed
        self.server.files["/images.zip"] = zipped(self.images, "photos/of/classes")
        checksum = "#sha256=" + hashlib.sha256(packed).hexdigest()
        samples.write(os.path.join(self.folder, "local.tgz"), packed)
        for number, source in enumerate((self.server.url("/images.tar.gz"),
                                         self.server.url("/images.tar.gz?v=1" + checksum),
                                         self.server.url("/images.zip!/photos/of/classes"),
                                         "local.tgz", "local.tgz!/images")):
            with self.subTest(source=source):
                self.run_all_right(self.job(source), "archive-%d" % number)
                self.assertEqual(losses(self.folder, "archive-%d" % number), losses(self.folder, "folder"))

    def test_it_is_fetched_and_unpacked_once(self):
        packed = tar_gz(self.images, "images")
        self.server.files["/images.tar.gz"] = packed
        source = self.server.url("/images.tar.gz#sha256=" + hashlib.sha256(packed).hexdigest())
        job = self.job(source, val=source + "!/images")
        first = self.run_all_right(job, "first", "--trainer.devices=2")
        self.assertEqual(first.stderr.count("unpacking http"), 1, first.stderr)
        self.assertIn("30 files", first.stderr)
        second = self.run_all_right(job, "second")
        self.assertNotIn("unpack", second.stderr)
        self.assertEqual(self.server.asked, ["/images.tar.gz"])

    def test_what_is_wrong_is_said(self):
        self.server.files["/images.tar.gz"] = tar_gz(self.images, "images")
        self.refused(self.job(self.server.url("/images.tar.gz!/imagse")), "/images.tar.gz: ", "'imagse'",
                     "there are: images")
        self.server.files["/cut.tgz"] = self.server.files["/images.tar.gz"][:-50]
        self.refused(self.job(self.server.url("/cut.tgz")), "/cut.tgz: ", "cut off")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("../../evil"), None)
        self.server.files["/evil.tar"] = out.getvalue()
        self.refused(self.job(self.server.url("/evil.tar")), "/evil.tar: ", "'../../evil'")
        self.refused(self.job(self.server.url("/images.csv")), "/images.csv: ", ".tar.gz")
        self.refused(self.job("nowhere.zip"), "nowhere.zip", "No such file")


if __name__ == "__main__":
    unittest.main()
