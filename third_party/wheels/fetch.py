#!/usr/bin/env python3
"""Puts the pinned wheels' headers and libraries into a folder.

usage: fetch.py LOCK DESTINATION [PACKAGE ...]     (no PACKAGE: all of LOCK)

Each wheel is downloaded by pip, checked against its SHA-256, and unpacked once per machine into
$LCTL_WHEEL_CACHE (default ~/.cache/lctl/wheels)/<sha256>; DESTINATION gets hard links. With a warm
cache nothing is fetched. Only headers, libraries, tools and licences are kept.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

PYTHON = "3.12"
PLATFORMS = ["manylinux_2_%d_x86_64" % n for n in (28, 27, 25, 24, 18, 17)]
PLATFORMS += ["manylinux2014_x86_64", "any"]
KEPT = re.compile(r"^(torch/(include|lib)/|nvidia/[^/]+/(include|lib|bin|nvvm)/"
                  r"|clang_(format|tidy)/data/|[^/]+\.dist-info/.*licen[cs]e)", re.I)


def read_lock(path):
    """Name → (requirement line, sha256)."""
    pins = {}
    with open(path, encoding="utf-8") as lock:
        for number, line in enumerate(lock, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            match = re.fullmatch(r"([\w.-]+)==\S+ --hash=sha256:([0-9a-f]{64})", line)
            if not match:
                sys.exit("%s:%d: expected `name==version --hash=sha256:<64 hex digits>`" % (path, number))
            pins[match[1]] = (line, match[2])
    return pins


def download(line, folder):
    """Fetches the wheel of one lock line into folder; returns its path. pip checks the hash."""
    requirement = os.path.join(folder, "requirement.txt")
    with open(requirement, "w", encoding="utf-8") as out:
        out.write(line + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
               "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp",
               "--abi", "cp312", "--abi", "abi3", "--abi", "none", "--no-cache-dir",
               "--disable-pip-version-check", "--dest", folder, "-r", requirement]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        sys.exit("fetching %s failed:\n%s\nIs the network reachable? Once fetched, builds work offline."
                 % (line.split()[0], result.stdout))
    return next(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".whl"))


def unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if KEPT.match(member.filename) and not member.is_dir():
                path = archive.extract(member, folder)
                if "/bin/" in member.filename:
                    os.chmod(path, 0o755)


def cached(root, line, sha256):
    """The folder of an unpacked wheel, fetched when it is not there. One process at a time per wheel."""
    final = os.path.join(root, sha256)
    if os.path.isdir(final):
        return final
    os.makedirs(root, exist_ok=True)
    with open(final + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(final):
            return final
        print("fetching " + line.split()[0], file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=root, prefix="fetch-") as scratch:
            content = os.path.join(scratch, "content")
            os.mkdir(content)
            wheel = download(line, scratch)
            unpack(wheel, content)
            os.rename(content, final)
    return final


def link_tree(source, destination):
    """Hard links, or copies where the cache lies on another file system."""
    def link(src, dst):
        try:
            os.link(src, dst)
        except OSError:
            shutil.copy2(src, dst)
    shutil.copytree(source, destination, copy_function=link, dirs_exist_ok=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pins = read_lock(sys.argv[1])
    root = os.environ.get("LCTL_WHEEL_CACHE") or os.path.expanduser("~/.cache/lctl/wheels")
    for package in sys.argv[3:] or sorted(pins):
        if package not in pins:
            sys.exit("%s does not pin %s" % (sys.argv[1], package))
        link_tree(cached(root, *pins[package]), sys.argv[2])


if __name__ == "__main__":
    main()
