#!/usr/bin/env python3
"""Merges gcov's JSON (gcc >= 9) into one lcov file, in the place of Bazel's downloaded LcovMerger."""

import collections
import glob
import gzip
import json
import re
import sys


def main():
    options = collections.defaultdict(list)
    for argument in sys.argv[1:]:
        key, _, value = argument.lstrip("-").partition("=")
        options[key].append(value)
    unwanted = [re.compile(pattern) for pattern in options["filter_sources"]]
    counts = collections.defaultdict(lambda: collections.defaultdict(int))
    for path in glob.glob(options["coverage_dir"][0] + "/**/*.gcov.json.gz", recursive=True):
        with gzip.open(path) as report:
            sources = json.load(report)["files"]
        for source in sources:
            name = source["file"]
            if name.startswith("/") or any(pattern.fullmatch(name) for pattern in unwanted):
                continue
            for line in source["lines"]:
                counts[name][line["line_number"]] += line["count"]
    with open(options["output_file"][0], "w", encoding="utf-8") as out:
        for name, lines in sorted(counts.items()):
            out.write("SF:%s\n" % name)
            out.writelines("DA:%d,%d\n" % item for item in sorted(lines.items()))
            hit = sum(count > 0 for count in lines.values())
            out.write("LH:%d\nLF:%d\nend_of_record\n" % (hit, len(lines)))


if __name__ == "__main__":
    main()
