"""The figures as a table of at most 80 columns."""

WIDTH = 80


def number(value):
    """Three digits that count: 0.0123, 1.23, 12.3, 1230."""
    if value == 0:
        return "0"
    magnitude = abs(value)
    decimals = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3
    if magnitude < 0.1:
        decimals = 4
    return "%.*f" % (decimals, value)


def columns(cells):
    """Rows of texts as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in cells]


def phase_lines(rows):
    """Where the time of each variant went that says so; a column for each."""
    rows = [row for row in rows if "phases" in row]
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows for name in row["phases"]))
    cells = [["of it (medians)"] + [row["variant"] for row in rows]]
    for name in names:
        cells.append([name] + [number(row["phases"][name]["median"]) if name in row["phases"] else "" for row in rows])
    return ["", *columns(cells)]


def ratio_text(row):
    if "ratio" not in row:
        return ""
    text = "%sx %s" % (number(row["ratio"]["median"]), row["versus"])
    for bound, sign in (("ratio_at_most", "<="), ("ratio_at_least", ">=")):
        if bound in row:
            text += " (%s %s %s)" % (sign, number(row[bound]), "met" if row["ratio_met"] else "MISSED")
    return text


def lines(benchmark, rows):
    """The table of one benchmark, as lines."""
    out = ["%s: %s" % (benchmark.name, benchmark.question), ""]
    header = ["variant", "median [min .. max] " + benchmark.unit, "target", "ratio"]
    cells = [header]
    for row in rows:
        target = ""
        if "at_most" in row:
            target = "<= %s %s" % (number(row["at_most"]), "met" if row["met"] else "MISSED")
        ratio = ratio_text(row)
        cells.append([row["variant"], "%s [%s .. %s]" % tuple(number(row[key]) for key in ("median", "min", "max")),
                      target, ratio])
    table = columns(cells)
    if max(map(len, table)) > WIDTH:  # ratios then follow in a table of their own
        table = columns([cell[:3] for cell in cells]) + [""]
        table += columns([[cell[0], cell[3]] for cell in cells if cell[3]])
    out += table + phase_lines(rows)
    out += ["", *benchmark.notes] if benchmark.notes else []
    out += ["left out: " + sentence for sentence in benchmark.left_out]
    return out
