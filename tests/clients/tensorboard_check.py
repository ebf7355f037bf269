#!/usr/bin/env python3
"""Reads event files with TensorBoard's own reader and compares every tag and value with what is expected.

  tensorboard_check.py DIR EXPECTED.json    exit code 1 and one line per difference when they differ
  tensorboard_check.py --print DIR          what the reader finds, in the form of EXPECTED.json

Needs an interpreter that has the package tensorboard (2.x). EXPECTED.json is

  {RUN: {"scalars": {TAG: [[step, value], ...]},
         "histograms": {TAG: [[step, {"min":, "max":, "num":, "sum":, "sum_squares":, "bucket_limit": [], "bucket": []}], ...]},
         "images": {TAG: [[step, width, height, SHA-256 of the RGBA pixels], ...]},
         "texts": {TAG: [[step, text], ...]},
         "hparams": {NAME: number or text},
         "metrics": [TAG, ...],
         "graph": [[name, op, [inputs], [attributes, shapes]], ...]}}

RUN is a folder below DIR that holds event files, "." for DIR itself. Kinds without values are left out, in both. Numbers that
are not finite are the texts "nan", "inf", "-inf". All must be equal, but sums, which may differ by 1e-12.
"""

import hashlib
import io
import json
import math
import os
import sys

SUMS = ("sum", "sum_squares")
HPARAMS = "hparams"


def number(value):
    return value if math.isfinite(value) else str(value)


def histogram(value):
    return {
        "min": number(value.min), "max": number(value.max), "num": number(value.num), "sum": number(value.sum),
        "sum_squares": number(value.sum_squares), "bucket_limit": [number(limit) for limit in value.bucket_limit],
        "bucket": list(value.bucket),
    }


def image(event):
    from PIL import Image

    pixels = Image.open(io.BytesIO(event.encoded_image_string)).convert("RGBA")
    if pixels.size != (event.width, event.height):
        raise ValueError("the event says %s, its image %s" % ((event.width, event.height), pixels.size))
    return [event.step, event.width, event.height, hashlib.sha256(pixels.tobytes()).hexdigest()]


def hparams(contents, found):
    from tensorboard.plugins.hparams import plugin_data_pb2

    for content in contents:
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        for name, value in data.session_start_info.hparams.items():
            found.setdefault("hparams", {})[name] = getattr(value, value.WhichOneof("kind"))
        for metric in data.experiment.metric_infos:
            found.setdefault("metrics", []).append(metric.name.tag)


def graph_nodes(nodes):
    """Values without a name of their own are numbered by the tracer; here by their first appearance."""
    numbers = {}

    def name_of(name):
        scope, _, last = name.rpartition("/")
        return "%s/#%d" % (scope, numbers.setdefault(name, len(numbers))) if last.isdigit() else name

    found = []
    for node in nodes:
        attributes = node.attr["attr"].s.decode() if "attr" in node.attr else ""
        shapes = [[dim.size for dim in shape.dim] for shape in node.attr["_output_shapes"].list.shape]
        found.append([name_of(node.name), node.op, [name_of(name) for name in node.input], [attributes, shapes]])
    return found


def read_run(folder):
    from tensorboard.backend.event_processing import event_accumulator

    everything = {kind: 0 for kind in event_accumulator.DEFAULT_SIZE_GUIDANCE}
    reader = event_accumulator.EventAccumulator(folder, size_guidance=everything)
    reader.Reload()
    tags = reader.Tags()
    found = {
        "scalars": {tag: [[event.step, number(event.value)] for event in reader.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {tag: [[event.step, histogram(event.histogram_value)] for event in reader.Histograms(tag)]
                       for tag in tags["histograms"]},
        "images": {tag: [image(event) for event in reader.Images(tag)] for tag in tags["images"]},
        "texts": {},
    }
    for tag in tags["tensors"]:
        if reader.SummaryMetadata(tag).plugin_data.plugin_name != "text":
            raise ValueError("a tensor that is no text: %s" % tag)
        found["texts"][tag] = [[event.step, event.tensor_proto.string_val[0].decode()] for event in reader.Tensors(tag)]
    try:
        contents = reader.PluginTagToContent(HPARAMS)
    except KeyError:
        contents = {}
    hparams(contents.values(), found)
    if tags["graph"]:
        found["graph"] = graph_nodes(reader.Graph().node)
    return {kind: values for kind, values in found.items() if values}


def read(top):
    runs = {}
    for folder, _, files in sorted(os.walk(top)):
        if any(".tfevents." in name for name in files):
            runs[os.path.relpath(folder, top)] = read_run(folder)
    return runs


def differences(expected, found, place=""):
    """Lines "place: what differs"."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            here = "%s/%s" % (place, key) if place else key
            if key not in found:
                yield "%s: missing" % here
            elif key not in expected:
                yield "%s: not expected" % here
            elif key in SUMS and isinstance(expected[key], float) and isinstance(found[key], float):
                if not math.isclose(expected[key], found[key], rel_tol=1e-12, abs_tol=1e-300):
                    yield "%s: expected %r, found %r" % (here, expected[key], found[key])
            else:
                yield from differences(expected[key], found[key], here)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield "%s: expected %d entries, found %d" % (place, len(expected), len(found))
        for index, (one, other) in enumerate(zip(expected, found)):
            yield from differences(one, other, "%s[%d]" % (place, index))
    elif expected != found:
        yield "%s: expected %r, found %r" % (place, expected, found)


def print_found(runs):
    """JSON, one tag a line."""
    def block(values, inner, depth):
        lines = ["%s%s: %s" % (" " * (depth + 1), json.dumps(key), inner(values[key])) for key in sorted(values)]
        return "{\n%s\n%s}" % (",\n".join(lines), " " * depth)

    def kind(values):
        return block(values, json.dumps, 2) if isinstance(values, dict) else json.dumps(values)

    print(block(runs, lambda run: block(run, kind, 1), 0))


def main(arguments):
    if len(arguments) != 2:
        sys.stderr.write(__doc__)
        return 2
    if arguments[0] == "--print":
        print_found(read(arguments[1]))
        return 0
    with open(arguments[1], encoding="utf-8") as stream:
        expected = json.load(stream)
    found = read(arguments[0])
    lines = list(differences(expected, found))
    for line in lines:
        print(line)
    if not lines:
        print("%d runs are as expected" % len(found))
    return 1 if lines or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
