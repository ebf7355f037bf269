"""The repository's own text files, found from the real place of a file in it.

Tests run in a folder of links (Bazel's runfiles); a link's target tells where the sources really are.
Such tests are tagged "external": Bazel cannot know all that they read, so it must not cache them.
"""

import os


# What .gitignore names at the top.
MACHINE_LOCAL = (".git", ".lctl", ".bazelrc.local", "compile_commands.json")


def root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def files(suffixes=()):
    """Paths from the root, sorted; without version control, build outputs and what is machine-local."""
    base = root()
    found = []
    for folder, folders, names in os.walk(base):
        relative = os.path.relpath(folder, base)
        folders[:] = sorted(
            name for name in folders
            if not (relative == "." and (name in MACHINE_LOCAL or name.startswith("bazel-")))
            and name not in ("__pycache__", "node_modules")
            and not os.path.islink(os.path.join(folder, name)))
        for name in names:
            path = os.path.normpath(os.path.join(relative, name))
            if path in MACHINE_LOCAL:
                continue
            if (not suffixes or name.endswith(tuple(suffixes))) and not os.path.islink(os.path.join(base, path)):
                found.append(path)
    return sorted(found)
