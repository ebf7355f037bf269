#!/usr/bin/env python3
"""Counts single test cases of a Bazel run: prints `<passed> <failed>`.

usage: count_results.py BUILD_EVENTS.json

A target whose test.xml lists cases (gtest) counts as those cases, every other target as one. A target
that did not build, timed out or crashed counts at least one failure. Cases that say "skipped" are
failures: no test is skipped silently.
"""

import json
import os
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def cases(xml_path):
    """(passed, failed) of a test.xml, or None when it lists nothing."""
    try:
        tree = ElementTree.parse(xml_path)
    except (OSError, ElementTree.ParseError):
        return None
    passed = failed = 0
    for case in tree.iter("testcase"):
        skipped = case.get("status") == "notrun" or case.find("skipped") is not None
        bad = skipped or case.find("failure") is not None or case.find("error") is not None
        failed += bad
        passed += not bad
    return (passed, failed) if passed + failed else None


def main():
    passed = failed = 0
    with open(sys.argv[1], encoding="utf-8") as stream:
        events = [json.loads(line) for line in stream if line.strip()]
    counted = set()
    for event in events:
        if "testResult" not in event:
            continue
        identity = event["id"]["testResult"]
        key = (identity["label"], identity.get("shard"), identity.get("run"))
        if key in counted:
            continue
        counted.add(key)
        result = event["testResult"]
        ok = result["status"] in ("PASSED", "FLAKY")
        found = None
        for output in result.get("testActionOutput", []):
            if output["name"] == "test.xml":
                found = cases(urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path))
        good, bad = found or (int(ok), int(not ok))
        if not ok and bad == 0:
            bad = 1
        passed += good
        failed += bad
    # Targets that never got as far as running.
    run = {key[0] for key in counted}
    for event in events:
        if "testSummary" in event:
            label = event["id"]["testSummary"]["label"]
            if label not in run and event["testSummary"].get("overallStatus") != "PASSED":
                failed += 1
                run.add(label)
        if "aborted" in event:
            label = event["id"].get("targetCompleted", {}).get("label")
            if label and label not in run:
                print("not built: %s: %s" % (label, event["aborted"].get("description", "")), file=sys.stderr)
                failed += 1
                run.add(label)
    print(passed, failed)


if __name__ == "__main__":
    main()
