#!/usr/bin/env python3
"""Counts the single test cases of a Bazel run.

usage: count_results.py BUILD_EVENTS.json

Prints to stderr a line for each failed case and each target that was not built, to stdout `<passed> <failed>`.
A test whose test.xml lists cases (gtest, unittest) counts as those cases, every other test as one. A skipped case
counts as failed: nothing is skipped silently. A target that did not build, and a test that crashed or ran out of
time, count at least one failure; so does a run that failed in any other way.
"""

import json
import os
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def xml_cases(path):
    """(passed, names of the failed) of a test.xml; (0, []) when it lists nothing."""
    try:
        tree = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError):
        return 0, []
    passed, failed = 0, []
    for case in tree.iter("testcase"):
        bad = (case.get("status") == "notrun" or case.get("result") == "skipped"
               or any(case.find(kind) is not None for kind in ("failure", "error", "skipped")))
        if bad:
            failed.append(".".join(filter(None, (case.get("classname"), case.get("name")))))
        else:
            passed += 1
    return passed, failed


def result_cases(event):
    """(passed, descriptions of the failed) of one testResult."""
    label = event["id"]["testResult"]["label"]
    result = event["testResult"]
    ok = result["status"] == "PASSED"
    for output in result.get("testActionOutput", []):
        if output["name"] != "test.xml":
            continue
        passed, failed = xml_cases(urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path))
        # Bazel itself writes one case for a test that wrote no XML; its name is the target's.
        if not passed and not failed:
            continue
        if not ok and not failed:
            failed = [result["status"]]
        return passed, ["%s %s" % (label, name) for name in failed]
    return (1, []) if ok else (0, ["%s %s" % (label, result["status"])])


def count(events):
    passed, failed = 0, []
    results = {}  # (label, shard, run) -> (attempt, event): the last attempt counts
    not_built = set()
    exit_code = None
    for event in events:
        identity = event.get("id", {})
        if "testResult" in event:
            of = identity["testResult"]
            key = (of["label"], of.get("shard"), of.get("run"))
            if key not in results or of.get("attempt", 1) >= results[key][0]:
                results[key] = (of.get("attempt", 1), event)
        elif "targetCompleted" in identity:
            # A test that ran and failed was built: `completed.success` speaks of the build only.
            if "aborted" in event or not event.get("completed", {}).get("success", False):
                if event.get("aborted", {}).get("reason") != "SKIPPED":
                    not_built.add(identity["targetCompleted"]["label"])
        elif "aborted" in event:
            for kind in ("configuredLabel", "unconfiguredLabel", "targetConfigured"):
                if kind in identity:
                    not_built.add(identity[kind].get("label", "?"))
            if "pattern" in identity:
                not_built.update(identity["pattern"].get("pattern", []))
        elif "finished" in event:
            exit_code = event["finished"].get("exitCode", {})
    for _, event in results.values():
        more_passed, more_failed = result_cases(event)
        passed += more_passed
        failed += more_failed
    tested = {key[0] for key in results}
    failed += ["%s was not built" % label for label in sorted(not_built - tested)]
    if not failed:
        if exit_code is None:
            failed.append("Bazel stopped before the end")
        elif exit_code.get("code", 0) not in (0, 4):  # 4: built, and there was no test among the targets
            failed.append("Bazel failed: %s" % exit_code.get("name", "unknown"))
    return passed, failed


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    events = []
    if os.path.exists(sys.argv[1]):
        with open(sys.argv[1], encoding="utf-8") as stream:
            for line in stream:
                try:
                    events.append(json.loads(line))
                except ValueError:
                    break  # cut off while Bazel was writing
    passed, failed = count(events)
    for line in failed:
        print("FAILED  " + line, file=sys.stderr)
    print(passed, len(failed))


if __name__ == "__main__":
    main()
