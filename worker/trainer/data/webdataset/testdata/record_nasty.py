"""Makes nasty_*.tar.gz and nasty.expected: what webdataset says of tars with every kind of member and name.

Run by hand, with webdataset installed: python3 record_nasty.py testdata
"""

import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile

import webdataset

LONG = "d" * 90 + "/" + "e" * 90 + "/" + "f" * 90

NAMES = [
    "a.jpg", "a.cls", "a.seg.PNG",                       # one sample, an extension of two parts
    "b.JPG", "B.cls",                                    # keys differ by case
    "dir.with.dots/c.jpg", "dir.with.dots/c.cls",        # dots of a folder belong to the key
    "dir.with.dots/no_extension",                        # no sample's, and parts nothing
    "dir.with.dots/c.txt",
    "./d.jpg", "d.cls",                                  # different keys
    ".hidden", "x/.hidden", "x.y/.hidden", "x.y/z/.hidden", "/.hidden", "./.x", "x.y//.z",
    "e.", "e..jpg", "f..",                               # empty extensions, two dots
    "__meta__", "__index__.json", "__meta__/list.txt", "__x.txt", "x/__meta__/g.txt",
    "a.jpg", "a.json",                                   # a again: another sample
    "images/h.jpg", "labels/h.cls",                      # folders belong to the key
    "i.tar.gz", "\u00e4\u00f6.Jpg", "\u00e4\u00f6.cls", "space key.jpg", "space key.two words",
    "new\nline.txt", "new\nline/k.txt", "new\n.line/k.txt", "line\n/.k",
    LONG + "/l.jpg", LONG + "/l.cls",
    "m" * 99 + ".j", "m" * 100 + ".j", "n" * 254 + ".jpg",
    "p" * 100 + "/" + "q" * 50 + ".jpg",                 # a prefix in ustar
    "last.jpg",
]


def fill(tar):
    for number, name in enumerate(NAMES):
        info = tarfile.TarInfo(name)
        data = b"%d." % number * (number * number)
        info.size = len(data)
        if number == 5:
            info.type = tarfile.CONTTYPE
        if number == 6:
            info.type = tarfile.AREGTYPE
        if number == 7:
            for kind, other in ((tarfile.DIRTYPE, "a.dir"), (tarfile.SYMTYPE, "a.sym"), (tarfile.LNKTYPE, "a.lnk"),
                                (tarfile.FIFOTYPE, "a.fifo"), (tarfile.CHRTYPE, "a.chr")):
                extra = tarfile.TarInfo(other)
                extra.type = kind
                extra.linkname = "a.jpg" if kind == tarfile.LNKTYPE else "t" * 150
                try:
                    tar.addfile(extra)
                except ValueError:
                    pass
        try:
            tar.addfile(info, io.BytesIO(data))
        except ValueError:  # too long for ustar
            assert tar.format == tarfile.USTAR_FORMAT, name


def write(path, form, **options):
    with tarfile.open(path, "w", format=form, **options) as tar:
        fill(tar)


def gnu(path, form):
    """By GNU tar itself, from files."""
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, name in enumerate(NAMES):
            if name.startswith("/") or "/../" in name or name in names or "//" in name:
                continue
            target = os.path.join(folder, name)
            try:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as out:
                    out.write(b"%d." % number * (number * number))
            except OSError:
                continue
            if len(name) > 250 and form == "ustar":
                continue
            names.append(name)
        os.symlink("a.jpg", os.path.join(folder, "a.sym"))
        os.link(os.path.join(folder, "a.jpg"), os.path.join(folder, "a.lnk"))
        listing = "\0".join(names[:5] + ["a.sym", "a.lnk", "x"] + names[5:])
        takes_all = form in ("gnu", "posix")  # the others leave out long names, and say so
        subprocess.run(["tar", "--format=" + form, "--no-recursion", "-cf", path, "-C", folder, "--owner=0", "--group=0",
                        "--mtime=2024-01-01", "--null", "-T", "-"], input=listing.encode(), check=takes_all,
                       stderr=None if takes_all else subprocess.DEVNULL)


def samples(path):
    """Key, then extension, size and sum of the bytes of each file."""
    files = webdataset.tariterators.tar_file_expander(
        [dict(url=path, stream=open(path, "rb"))])
    for sample in webdataset.tariterators.group_by_keys(files):
        yield [sample["__key__"]] + [(name, len(data), sum(data)) for name, data in sample.items()
                                     if not name.startswith("__")]


def main(folder):
    kinds = {
        "python_gnu": lambda path: write(path, tarfile.GNU_FORMAT),
        "python_pax": lambda path: write(path, tarfile.PAX_FORMAT, pax_headers={"comment": "global", "a": "b" * 600}),
        "python_ustar": lambda path: write(path, tarfile.USTAR_FORMAT),
        "tar_gnu": lambda path: gnu(path, "gnu"),
        "tar_pax": lambda path: gnu(path, "posix"),
        "tar_ustar": lambda path: gnu(path, "ustar"),
        "tar_v7": lambda path: gnu(path, "v7"),
    }
    with open(os.path.join(folder, "nasty.expected"), "w", encoding="utf-8") as expected:
        for kind, make in kinds.items():
            with tempfile.TemporaryDirectory() as scratch:
                path = os.path.join(scratch, "nasty.tar")
                make(path)
                expected.write("# %s\n" % kind)
                for sample in samples(path):
                    key = sample[0].replace("\n", "\\n")
                    fields = ["%s\t%d\t%d" % (name.replace("\n", "\\n"), size, total) for name, size, total in sample[1:]]
                    expected.write("%s\t%s\n" % (key, "\t".join(fields)))
                with open(path, "rb") as plain, open(os.path.join(folder, "nasty_%s.tar.gz" % kind), "wb") as packed:
                    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as out:
                        out.write(plain.read())


main(sys.argv[1])
