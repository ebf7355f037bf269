"""Parses a page as Prometheus' own Python client does, and prints what it found as JSON.

usage: prometheus_check.py PAGE
"""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as page:
    families = list(text_string_to_metric_families(page.read()))
print(json.dumps([{
    "name": family.name,
    "type": family.type,
    "help": family.documentation,
    "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
} for family in families]))
