"""bench/run: chooses benchmarks, runs their rounds, prints the figures."""

import argparse
import json
import sys

from bench.catalog import BENCHMARKS
from bench.harness import figures, machine, rounds, table


def run(benchmark, count, show_progress):
    def report(done, total):
        if show_progress:
            print("\r%s: round %d of %d " % (benchmark.name, max(done, 0), total), end="", file=sys.stderr, flush=True)

    try:
        benchmark.open()
        measured = rounds.run_rounds(benchmark.variants, count, report=report)
        return figures.results(benchmark.variants, measured)
    finally:
        benchmark.close()
        if show_progress:
            print("\r\033[K", end="", file=sys.stderr)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="bench/run", description="Runs the benchmarks in interleaved rounds.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run; none = all")
    parser.add_argument("--rounds", type=int, default=10, help="counted rounds (10); one more goes before them")
    parser.add_argument("--json", metavar="FILE", help="also write all figures, each round's, there")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and end")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds needs a number of at least 1")
    known = {each.name: each for each in BENCHMARKS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error("no benchmark %s; there are: %s" % (", ".join(unknown), ", ".join(known)))
    if options.list:
        for each in BENCHMARKS:
            print("%-20s %s" % (each.name, each.question))
        return 0

    if options.json:
        try:
            open(options.json, "a", encoding="utf-8").close()  # not after minutes of measuring
        except OSError as error:
            parser.error("--json: %s" % error)

    here = machine.describe()
    print(machine.sentence(here))
    written = {"machine": here, "rounds": options.rounds, "benchmarks": {}}
    for name in options.names or known:
        benchmark = known[name]()
        try:
            rows = run(benchmark, options.rounds, sys.stderr.isatty())
        except RuntimeError as error:
            print("bench/run: %s: %s" % (name, error), file=sys.stderr)
            return 1
        print()
        print("\n".join(table.lines(benchmark, rows)))
        written["benchmarks"][name] = {"unit": benchmark.unit, "variants": rows, "notes": benchmark.notes,
                                       "left_out": benchmark.left_out}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(written, stream, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
