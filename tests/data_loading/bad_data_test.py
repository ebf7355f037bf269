"""Data that is wrong: the message names the file and the place, the job is not tried again, and `skip` goes on."""

import gzip
import os
import shutil
import struct
import tempfile
import unittest

from tests.data_loading import samples
from tests.data_loading.formats_test import losses, train

BAD_SPEC = 2
JPEG = os.path.join(os.getcwd(), "worker/trainer/data/images/testdata/rgb_420.jpg")


def by_name(name):
    which, = (each for each in samples.FORMATS if each.name == name)
    return which


class BadDataTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def refused(self, job, *expected, workers=2):
        job["data"]["init_args"]["num_workers"] = workers
        done = train(self.folder, job, "run")
        last = done.stderr.strip().splitlines()[-1]
        self.assertEqual(done.returncode, BAD_SPEC, done.stderr)
        for text in expected:
            self.assertIn(text, last)

    def skipped(self, job, *expected):
        job["data"]["init_args"].update(on_bad_sample="skip", num_workers=2)
        done = train(self.folder, job, "skipping")
        self.assertEqual(done.returncode, 0, done.stderr)
        for text in expected:
            self.assertIn(text, done.stderr)
        self.assertGreater(len(losses(self.folder, "skipping")), 4)

    def test_a_corrupt_jpeg(self):
        which = by_name("images")
        which.make(self.folder)
        with open(JPEG, "rb") as stream:
            samples.write(self.path("images", "class1", "cut.jpg"), stream.read()[:-400])
        job = which.job()
        job["data"]["init_args"]["train_transforms"] = [{"Resize": {"size": [8, 8]}}, {
            "ToDtype": {"dtype": "float32", "scale": True}}]
        for workers in (0, 2):
            self.refused(job, "sample ", "images/class1/cut.jpg: ", workers=workers)
        self.skipped(job, "A bad sample is skipped: sample ", "cut.jpg", "Training left out 2 bad samples")

    def test_an_unreadable_image(self):
        which = by_name("images")
        which.make(self.folder)
        os.symlink(self.path("nowhere.png"), self.path("images", "class0", "gone.png"))
        self.refused(which.job(), "images/class0/gone.png", "No such file or directory")
        self.skipped(which.job(), "gone.png")

    def test_a_truncated_tar(self):
        which = by_name("shards")
        which.make(self.folder)
        torn = self.path("train-001.tar")
        with open(torn, "r+b") as stream:
            stream.truncate(2000)
        self.refused(which.job(), "train-001.tar", "truncated")
        self.skipped(which.job(), "train-001.tar")

    def test_an_empty_shard(self):
        which = by_name("shards")
        which.make(self.folder)
        samples.shard(self.path("train-002.tar"), [])
        self.refused(which.job(), "train-002.tar")

    def test_a_missing_column(self):
        which = by_name("csv")
        which.make(self.folder)
        job = which.job()
        job["data"]["init_args"]["label"] = "tarjet"
        self.refused(job, "rows.csv.gz:1: there is no column 'tarjet'")

    def test_a_cell_that_is_no_number(self):
        which = by_name("csv")
        which.make(self.folder)
        with gzip.open(self.path("rows.csv.gz"), "rt") as stream:
            lines = stream.read().splitlines()
        lines[5] = "nan," + lines[5].split(",", 1)[1]
        samples.write(self.path("rows.csv.gz"), gzip.compress("\n".join(lines).encode()))
        job = which.job()
        job["data"]["init_args"]["allow_nan"] = False
        self.refused(job, "rows.csv.gz:6: column 'f0': ", "nan")
        self.skipped(job, "rows.csv.gz:6")
        lines[5] = "," + lines[5].split(",", 1)[1]
        samples.write(self.path("rows.csv.gz"), gzip.compress("\n".join(lines).encode()))
        self.refused(which.job(), "rows.csv.gz:6: column 'f0': an empty cell is not a number")

    def test_a_token_that_is_none(self):
        which = by_name("tokens")
        which.make(self.folder)
        with open(self.path("train.bin"), "r+b") as stream:
            stream.seek(200)
            stream.write(struct.pack("<H", 99))
        self.refused(which.job(), "train.bin", "99")

    def test_a_wrong_checksum(self):
        which = by_name("csv")
        which.make(self.folder)
        job = which.job()
        job["data"]["init_args"]["path"] = "file://%s#sha256=%s" % (self.path("rows.csv.gz"), "0" * 64)
        self.refused(job, "rows.csv.gz", "0" * 64)

    def test_a_shape_that_does_not_fit_the_class_folders(self):
        which = by_name("images")
        which.make(self.folder)
        shutil.copytree(self.path("images"), self.path("val"))
        os.rename(self.path("val", "class2"), self.path("val", "other"))
        job = which.job()
        job["data"]["init_args"]["val"] = "val"
        self.refused(job, "class2", "other", "they must be the same")


if __name__ == "__main__":
    unittest.main()
