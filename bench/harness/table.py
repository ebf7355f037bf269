"""The figures as a table of at most 80 columns."""


def number(value):
    """Three digits that count: 0.0123, 1.23, 12.3, 1230."""
    if value == 0:
        return "0"
    magnitude = abs(value)
    decimals = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3
    if magnitude < 0.1:
        decimals = 4
    return "%.*f" % (decimals, value)


def lines(benchmark, rows):
    """The table of one benchmark, as lines."""
    out = ["%s: %s" % (benchmark.name, benchmark.question), ""]
    header = ["variant", "median [min .. max] " + benchmark.unit, "target", "ratio"]
    cells = [header]
    for row in rows:
        target = ""
        if "at_most" in row:
            target = "<= %s %s" % (number(row["at_most"]), "met" if row["met"] else "MISSED")
        ratio = "%sx %s" % (number(row["ratio"]["median"]), row["versus"]) if "ratio" in row else ""
        cells.append([row["variant"], "%s [%s .. %s]" % tuple(number(row[key]) for key in ("median", "min", "max")),
                      target, ratio])
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(header))]
    for cell in cells:
        out.append("  ".join(text.ljust(width) for text, width in zip(cell, widths)).rstrip())
    out += ["left out: " + sentence for sentence in benchmark.left_out]
    return out
