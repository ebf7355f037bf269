#!/usr/bin/env python3
"""Prints as JSON what TensorBoard's reader finds of graphs: the kinds of all events in their order, and the graph's nodes.

  graph_check.py DIR        the newest event file below DIR
"""

import glob
import json
import os
import sys

from tensorboard.backend.event_processing import event_accumulator, event_file_loader


def kind(event):
    name = event.WhichOneof("what")
    if name == "summary":
        return [value.tag for value in event.summary.value]
    return event.tagged_run_metadata.tag if name == "tagged_run_metadata" else name


def main(folder):
    pattern = os.path.join(folder, "**", "events.out.tfevents.*")
    path = max(glob.glob(pattern, recursive=True), key=os.path.getmtime)
    events = [kind(event) for event in event_file_loader.LegacyEventFileLoader(path).Load()]
    reader = event_accumulator.EventAccumulator(os.path.dirname(path))
    reader.Reload()
    nodes = [[node.op, list(node.input)] for node in reader.Graph().node]
    names = [node.name for node in reader.Graph().node]
    json.dump({"events": events, "nodes": nodes, "names": names}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
