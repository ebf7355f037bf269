#!/usr/bin/env python3
"""Runs the unittest cases of one file, and writes them where Bazel reads them, each with its result.

usage: run_python_test.py FILE [ARGUMENT ...]     (see lctl_py_test in //bazel:lctl.bzl)

The file's own folder and the repository's root (the test's working folder) are importable. ARGUMENTs are
sys.argv[1:] of the file.
"""

import importlib.util
import os
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree


class Recorder(unittest.TextTestResult):
    """Text for people, and (test, seconds, what went wrong) for the XML."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = []
        self._started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self.cases.append([test.id(), 0.0, []])

    def stopTest(self, test):
        super().stopTest(test)
        self.cases[-1][1] = time.monotonic() - self._started

    def _record(self, test, text):
        if not self.cases or self.cases[-1][0] != test.id():  # not inside a case: setUpClass and its kind
            self.cases.append([test.id(), 0.0, []])
        self.cases[-1][2].append(text)

    def addError(self, test, err):
        super().addError(test, err)
        self._record(test, self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._record(test, self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._record(test, self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._record(test, "skipped: " + reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._record(test, "was expected to fail, and passed")


def write_xml(path, cases):
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", name=os.environ.get("TEST_TARGET", "python"))
    for name, seconds, problems in cases:
        case = ElementTree.SubElement(suite, "testcase", name=name, time="%.3f" % seconds)
        for problem in problems:
            text = "".join(c if c in "\t\n" or ord(c) >= 32 else "?" for c in problem)
            ElementTree.SubElement(case, "failure").text = text
    ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    path = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = os.getcwd()
    sys.path.insert(1, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Recorder)
    result = runner.run(suite)
    if os.environ.get("XML_OUTPUT_FILE"):
        write_xml(os.environ["XML_OUTPUT_FILE"], result.cases)
    if not result.cases:
        sys.exit("%s holds no test case" % path)
    sys.exit(1 if any(problems for _, _, problems in result.cases) else 0)


if __name__ == "__main__":
    main()
