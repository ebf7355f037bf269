"""Figures of many rounds in few numbers."""

import statistics

from bench.harness.benchmark import Measured


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": len(values)}


def paired_ratio(values, others):
    """Median over the rounds of value / other of the same round: noise of a round meets both."""
    if len(values) != len(others):
        raise ValueError("%d rounds against %d: they are not pairs" % (len(values), len(others)))
    return summary([value / other for value, other in zip(values, others)])


def phases(values):
    """{phase: summary} if every figure has phases, else {}. Medians of parts need not add up to that of the whole."""
    if not all(isinstance(value, Measured) for value in values):
        return {}
    return {name: summary([value.phases[name] for value in values]) for name in values[0].phases}


def results(variants, figures):
    """What the table and the JSON file show, a dictionary for each variant."""
    rows = []
    for variant in variants:
        row = {"variant": variant.name, **summary(figures[variant.name]), "values": figures[variant.name]}
        if variant.at_most is not None:
            row["at_most"] = variant.at_most
            row["met"] = row["median"] <= variant.at_most
        if variant.versus is not None:
            row["versus"] = variant.versus
            row["ratio"] = paired_ratio(figures[variant.name], figures[variant.versus])
            for bound, met in (("ratio_at_most", float.__le__), ("ratio_at_least", float.__ge__)):
                if (target := getattr(variant, bound)) is not None:
                    row[bound] = target
                    row["ratio_met"] = met(float(row["ratio"]["median"]), float(target))
        if parts := phases(figures[variant.name]):
            row["phases"] = parts
        rows.append(row)
    return rows
