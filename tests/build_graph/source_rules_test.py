"""Rules about sources that the compiler does not check."""

import os
import re
import unittest

from tests.lint import sources

CPP = (".cc", ".h")
TEXT = CPP + (".py", ".sh", ".bzl", ".bazel", ".BUILD", ".md", ".yaml", ".yml", ".proto", ".lock", ".txt", ".sql",
              ".json", ".bazelrc", "WORKSPACE", "quickstart", "test", "run", "install_dependencies", "prepare_build", "install",
              "uninstall", "installation", ".service", ".env")


def text(path):
    with open(os.path.join(sources.root(), path), encoding="utf-8", errors="replace") as stream:
        return stream.read()


def hits(pattern, paths):
    """`file:line: text` of each line that the pattern matches."""
    expression = re.compile(pattern)
    found = []
    for path in paths:
        for number, line in enumerate(text(path).split("\n"), 1):
            if expression.search(line):
                found.append("%s:%d: %s" % (path, number, line.strip()))
    return found


def under(folders, paths):
    return [path for path in paths if path.startswith(tuple(folder + "/" for folder in folders))]


THIS = "tests/build_graph/source_rules_test.py"


class SourceRulesTest(unittest.TestCase):
    def setUp(self):
        self.cpp = sources.files(CPP)
        self.assertGreater(len(self.cpp), 100, "found the wrong folder: " + sources.root())

    def expect_none(self, found, why):
        if found:
            self.fail("\n%s\n%s" % (why, "\n".join(found)))

    def test_only_base_clock_reads_the_clock(self):
        found = hits(r"(system_clock|steady_clock|high_resolution_clock|file_clock)::now\b|\btime\((nullptr|NULL|0)\)"
                     r"|\b(clock_gettime|gettimeofday|timespec_get)\(",
                     [path for path in self.cpp if path not in ("base/clock.cc", "base/boot_time.cc")])
        self.expect_none(found, "take a Clock& (base/clock.h), so that tests own the time:")

    def test_clock_rule_sees_the_clock_itself(self):
        self.assertTrue(hits(r"(system_clock|steady_clock)::now\b", ["base/clock.cc"]))

    def test_only_the_trainer_includes_libtorch(self):
        outside = [path for path in self.cpp if not path.startswith(("worker/trainer/", "tests/", "bench/", "examples/"))]
        self.expect_none(hits(r'#include [<"](torch|ATen|c10|caffe2)/', outside), "LibTorch belongs to worker/trainer:")

    def test_trainer_and_pure_parts_include_no_grpc(self):
        paths = under(("base", "jobspec", "storage", "server/scheduler", "server/jobs", "server/ingest", "worker/trainer",
                       "worker/spool", "worker/keeper"), self.cpp)
        self.expect_none(hits(r'#include [<"](grpc|grpcpp)/|\.grpc\.pb\.h"', paths), "these folders do not know gRPC:")

    def test_scheduler_includes_nothing_that_waits_or_touches_the_world(self):
        paths = [path for path in under(("server/scheduler",), self.cpp) if not path.endswith("_test.cc")]
        self.expect_none(hits(r"#include <(thread|mutex|atomic|condition_variable|future|fstream|filesystem|iostream|cstdio"
                              r"|random|unistd\.h|fcntl\.h|sys/.*|time\.h|ctime)>", paths), "the scheduler is a pure function:")

    def test_sql_stays_in_storage(self):
        paths = [path for path in self.cpp if not path.startswith(("storage/", "tests/", "bench/peers/"))]
        self.expect_none(hits(r'"\s*(SELECT\s.*\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+'
                              r'(TABLE|INDEX|VIEW|TRIGGER)|PRAGMA)\s|#include [<"](sqlite3|SQLiteCpp)', paths),
                         "no SQL outside storage/:")

    def test_every_header_is_included_once(self):
        found = [path for path in sources.files((".h",)) if not re.search(r"^#pragma once$", text(path), re.M)]
        self.expect_none(found, "these headers lack #pragma once:")

    def test_each_top_folder_has_a_readme(self):
        tops = sorted({path.split("/")[0] for path in sources.files() if "/" in path and not path.startswith(".")})
        self.assertIn("storage", tops)
        self.expect_none([top for top in tops if not os.path.exists(os.path.join(sources.root(), top, "README.md"))],
                         "these folders lack a README.md:")

    def test_documents_that_are_named_exist(self):
        missing = []
        for path in sources.files(TEXT):
            for number, line in enumerate(text(path).split("\n"), 1):
                named = re.findall(r"\bdocs/[\w/]+\.md\b", line)
                # Links of a document are relative to it.
                if path.endswith(".md"):
                    named = [os.path.normpath(os.path.join(os.path.dirname(path), target))
                             for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line)]
                missing += ["%s:%d: %s" % (path, number, target) for target in named
                            if not os.path.exists(os.path.join(sources.root(), target))]
        self.expect_none(missing, "these documents do not exist:")

    def test_nothing_is_tied_to_one_machine(self):
        paths = [path for path in sources.files(TEXT) if path != THIS]
        self.expect_none(hits(r"(^|[\s\"'=:(])/(root|work)/|/tmp/lctl/|pythonhosted\.org|pypi\.org|registry\.npmjs\.org"
                              r"|(deb|security)\.debian\.org|--(extra-)?index-url|\"resolved\": \"http", paths),
                         "no machine's path, no registry's host:")

    def test_nothing_is_left_for_later(self):
        paths = [path for path in sources.files(TEXT) if path != THIS]
        self.expect_none(hits(r"\b(TODO|FIXME|HACK)\b|\bXXX\b|\b[Ff]or now\b", paths), "finish it, or describe it as it is:")
