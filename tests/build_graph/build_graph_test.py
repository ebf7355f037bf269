"""The programs' dependency graph obeys rules.py. argv: the graph as XML."""

import sys
import unittest

import graph
import rules

USES = graph.read(sys.argv[1])


class BuildGraphTest(unittest.TestCase):
    def test_no_target_reaches_what_it_must_not(self):
        found = graph.violations(USES, rules.FORBIDDEN, rules.ALLOWED)
        if found:
            self.fail("\n" + "\n".join(found))

    def test_every_rule_speaks_of_targets_that_exist(self):
        for folder in {**rules.FORBIDDEN, **rules.ALLOWED}:
            self.assertTrue(graph.in_folder(USES, folder), "%s: no program uses a target there" % folder)

    def test_every_forbidden_library_is_used_by_somebody(self):
        # A renamed library would otherwise make its rules empty. CUDA is opened at run time, never linked.
        patterns = {pattern for patterns in rules.FORBIDDEN.values() for pattern in patterns}
        for pattern in sorted(patterns - {"@libtorch_cuda"}):
            self.assertTrue(graph.in_folder(USES, pattern), "%s: no program uses it" % pattern)

    def test_programs_have_the_parts_they_are_made_of(self):
        for program, library in (
            ("//worker/trainer:lctl-trainer", "@libtorch//:torch"),
            ("//worker/agent:lctl-worker", rules.GRPC),
            ("//server:lctl-server", "//storage:storage"),
            ("//client:lctl", rules.GRPC),
        ):
            self.assertIsNotNone(graph.path_to(USES, program, lambda label: label == library),
                                 "%s does not reach %s" % (program, library))


class ViolationsTest(unittest.TestCase):
    """The check itself, on small graphs."""

    def test_indirect_use_is_found_and_the_chain_is_shown(self):
        uses = {"//a:x": {"//b:y"}, "//b:y": {"//c:z"}, "//c:z": set()}
        self.assertEqual(graph.violations(uses, {"//a/...": ("//c/...",)}, {}),
                         ["//a/... must not reach //c:z: //a:x -> //b:y -> //c:z"])

    def test_an_allowed_list_refuses_all_else(self):
        uses = {"//a:x": {"//b:y"}, "//b:y": set()}
        self.assertEqual(graph.violations(uses, {}, {"//a/...": ("//a/...",)}),
                         ["//a/... may not use //b:y: //a:x -> //b:y"])
        self.assertEqual(graph.violations(uses, {}, {"//a/...": ("//a/...", "//b:y")}), [])

    def test_a_folder_is_not_its_namesake(self):
        self.assertTrue(graph.matches("//a/b:x", "//a/..."))
        self.assertFalse(graph.matches("//ab:x", "//a/..."))
        self.assertTrue(graph.matches("@libtorch//:torch", "@libtorch"))
        self.assertFalse(graph.matches("@libtorch_cuda//:torch_cuda", "@libtorch"))

    def test_cycles_end(self):
        uses = {"//a:x": {"//b:y"}, "//b:y": {"//a:x"}}
        self.assertEqual(graph.violations(uses, {"//a/...": ("//c/...",)}, {}), [])
