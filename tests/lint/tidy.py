#!/usr/bin/env python3
"""clang-tidy (config: .clang-tidy) over the changed sources, or over all.

usage: ./test --tidy [--all | FILE ...]

Changed: what differs from the last commit, and what this branch has beyond origin/main. Writes compile_commands.json
into the repository's root on the way, which editors read too. Exits 1 when there is a finding.
"""

import concurrent.futures
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import sources  # pylint: disable=wrong-import-position

ROOT = sources.root()
# What gcc understands and clang does not.
GCC_ONLY = ("-fno-canonical-system-headers", "-Wno-free-nonheap-object", "-Wunused-but-set-parameter",
            "-Wno-stringop-overflow", "-Wno-stringop-overread", "-Wno-restrict", "-Wno-maybe-uninitialized", "-Werror")


def run(*command):
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit("tidy: `%s` failed (exit code %d)" % (" ".join(command), result.returncode))
    return result.stdout


def compile_commands():
    """Source file -> clang's arguments, for every C++ file of ours that Bazel compiles."""
    graph = json.loads(run("bazel", "aquery", "--output=jsonproto", "--include_artifacts=false",
                           'mnemonic("CppCompile", //...)'))
    folder = run("bazel", "info", "execution_root").strip()
    commands = {}
    for action in graph.get("actions", []):
        arguments = [item for item in action["arguments"] if item not in GCC_ONLY]
        source = arguments[arguments.index("-c") + 1]
        if not source.startswith(("bazel-out/", "external/")):
            commands[source] = {"directory": folder, "file": source, "arguments": arguments}
    with open(os.path.join(ROOT, "compile_commands.json"), "w", encoding="utf-8") as out:
        json.dump(sorted(commands.values(), key=lambda entry: entry["file"]), out, indent=1)
    return commands, folder


def changed():
    names = run("git", "diff", "--name-only", "HEAD").split()
    names += run("git", "ls-files", "--others", "--exclude-standard").split()
    if subprocess.run(["git", "rev-parse", "--verify", "--quiet", "origin/main"], cwd=ROOT,
                      stdout=subprocess.DEVNULL, check=False).returncode == 0:
        names += run("git", "diff", "--name-only", "origin/main...HEAD").split()
    return set(names)


def with_users_of_headers(names, commands):
    """Sources to look at: the named ones, and for a header that has one, the .cc beside it."""
    wanted = set()
    for name in names:
        stem, extension = os.path.splitext(name)
        wanted.update(path for path in (name, stem + ".cc" if extension == ".h" else name) if path in commands)
    return sorted(wanted)


def look_at(program, folder, source):
    """Findings of one file, as text."""
    result = subprocess.run([program, "--quiet", "-p", ROOT, "--config-file=" + os.path.join(ROOT, ".clang-tidy"), source],
                            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return result.returncode, result.stdout.strip() or result.stderr.strip()


def main():
    names = sys.argv[1:]
    print("tidy: building, since generated headers are needed")
    run("bazel", "build", "--keep_going", "//...", "@clang_tidy//:program")
    commands, folder = compile_commands()
    program = os.path.join(run("bazel", "info", "output_base").strip(),
                           "external/clang_tidy/site/clang_tidy/data/bin/clang-tidy")
    if names == ["--all"]:
        wanted = sorted(commands)
    else:
        wanted = with_users_of_headers(names or changed(), commands)
        unknown = [name for name in names if not os.path.exists(os.path.join(ROOT, name))]
        if unknown:
            sys.exit("tidy: no such file: %s\n%s" % (", ".join(unknown), __doc__))
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, (code, text) in zip(wanted, pool.map(lambda path: look_at(program, folder, path), wanted)):
            print("%s %s" % ("FOUND " if code else "clean ", source), flush=True)
            if code:
                bad += 1
                print(text, flush=True)
    print("%d files looked at, %d with findings" % (len(wanted), bad))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
