#!/usr/bin/env python3
"""Formats the C++ sources, or checks that they are formatted.

usage: format.py CLANG_FORMAT [--check]

--check: changes nothing, names each file that is not formatted with its first differing line, and exits 1.
"""

import concurrent.futures
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import sources  # pylint: disable=wrong-import-position


def formatted(program, path):
    result = subprocess.run([program, "--style=file", path], cwd=sources.root(), capture_output=True, check=False)
    if result.returncode != 0:
        sys.exit("clang-format failed on %s: %s" % (path, result.stderr.decode(errors="replace")))
    return result.stdout


def main():
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--check"]):
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    check = "--check" in sys.argv
    changed = []
    paths = sources.files((".cc", ".h"))
    if not paths:
        sys.exit("format.py: found no C++ source under " + sources.root())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, wanted in zip(paths, pool.map(lambda path: formatted(program, path), paths)):
            full = os.path.join(sources.root(), path)
            with open(full, "rb") as stream:
                present = stream.read()
            if present == wanted:
                continue
            changed.append(path)
            if check:
                first = first_difference(present, wanted)
                print("%s:%d: not formatted" % (path, first))
            else:
                with open(full, "wb") as stream:
                    stream.write(wanted)
    print("%d of %d files %s" % (len(changed), len(paths), "need `./test --format`" if check else "changed"))
    sys.exit(1 if check and changed else 0)


def first_difference(left, right):
    """Number of the first line that differs."""
    ours, theirs = left.split(b"\n"), right.split(b"\n")
    for number, (one, other) in enumerate(zip(ours, theirs), 1):
        if one != other:
            return number
    return min(len(ours), len(theirs)) + 1


if __name__ == "__main__":
    main()
