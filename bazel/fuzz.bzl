"""Fuzzing: a parser's inputs that nobody thought of."""

load("//bazel:lctl.bzl", "lctl_cc_binary", "lctl_cc_library")

def lctl_fuzz_test(name, src, deps):
    """A fuzz target (tests/support/fuzz.h).

    Makes `name`, a test of the seeds and some thousand neighbours, in every build; and `x_fuzzer`, the libFuzzer
    program, with --config=fuzz (CONTRIBUTING.md says how).

    Args:
      name: of the test, x_fuzz_test.
      src: defines seeds() and LLVMFuzzerTestOneInput().
      deps: what it tries.
    """
    lctl_cc_library(
        name = name + "_target",
        srcs = [src],
        testonly = True,
        alwayslink = True,
        deps = deps + ["//tests/support:fuzz"],
    )
    native.cc_test(
        name = name,
        size = "small",
        deps = [
            ":" + name + "_target",
            "//bazel:sanitizer_defaults",
            "//tests/support:fuzz_replay",
        ],
    )
    lctl_cc_binary(
        name = name[:-len("_test")] + "er",
        testonly = True,
        tags = ["manual"],
        deps = [":" + name + "_target"],
    )
