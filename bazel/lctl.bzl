"""C++ rules of this project: the language's own, with our warnings as errors."""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wcast-qual",
    "-Wformat=2",
    "-Wimplicit-fallthrough",
    "-Wno-missing-field-initializers",  # designated initializers leave defaults on purpose
    # GCC 12 sees ghosts in inlined std:: code at -O2.
    "-Wno-stringop-overflow",
    "-Wno-stringop-overread",
    "-Wno-array-bounds",
    "-Wno-restrict",
    "-Wno-maybe-uninitialized",
]

def lctl_cc_library(name, copts = [], **kwargs):
    """A library: one concept, private unless it says otherwise."""
    native.cc_library(name = name, copts = _WARNINGS + copts, **kwargs)

# Where an installed program (PREFIX/bin) finds libraries that no Debian package has: LibTorch's.
_INSTALLED_LIBRARIES = "-Wl,-rpath,'$$ORIGIN/../lib/lctl'"

def lctl_cc_binary(name, copts = [], linkopts = [], deps = [], **kwargs):
    """A program, or with `linkshared` a library that a program opens."""
    own = [] if kwargs.get("linkshared") else ["//bazel:sanitizer_defaults"]
    native.cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        linkopts = linkopts + [_INSTALLED_LIBRARIES],
        deps = own + deps,
        **kwargs
    )

def lctl_cc_test(name, deps = [], copts = [], size = "small", main = True, **kwargs):
    """A gtest (with gmock); `main = False` for a test with a main() of its own."""
    native.cc_test(
        name = name,
        copts = _WARNINGS + copts,
        size = size,
        deps = deps + [
            "//bazel:sanitizer_defaults",
            "//third_party/system:gtest_main" if main else "//third_party/system:gtest",
        ],
        **kwargs
    )

def lctl_py_test(name, src, data = [], args = [], **kwargs):
    """A test written for Python's unittest; standard library only, run by the system's python3.

    Args:
      name: of the test.
      src: its file; imports are from the repository's root or its own folder.
      data: modules and files that it needs.
      args: its sys.argv[1:]; $(rootpath ...) works.
      **kwargs: as for sh_test.
    """
    native.sh_test(
        name = name,
        srcs = ["//tests/support:run_python_test.py"],
        args = ["$(rootpath %s)" % src] + args,
        data = data + [src],
        **kwargs
    )
