"""Bazel's dependency graph (`--output=xml`) and the questions that the rules ask of it."""

import collections
import xml.etree.ElementTree as ElementTree


def read(path):
    """Label -> set of the labels that it uses directly. Only rules, not files."""
    uses = {}
    for rule in ElementTree.parse(path).getroot().iter("rule"):
        uses[rule.get("name")] = {entry.get("name") for entry in rule.iter("rule-input")}
    return {label: inputs & uses.keys() for label, inputs in uses.items()}


def matches(label, pattern):
    if pattern.startswith("@"):
        return label.startswith(pattern + "//")
    if pattern.endswith("/..."):
        folder = pattern[: -len("/...")]
        return label.startswith((folder + ":", folder + "/"))
    return label == pattern


def path_to(uses, start, wanted):
    """The shortest chain of labels from `start` to one for which `wanted` holds, or None."""
    came_from = {start: None}
    queue = collections.deque([start])
    while queue:
        label = queue.popleft()
        if label != start and wanted(label):
            chain = [label]
            while came_from[chain[-1]] is not None:
                chain.append(came_from[chain[-1]])
            return chain[::-1]
        for used in sorted(uses.get(label, ())):
            if used not in came_from:
                came_from[used] = label
                queue.append(used)
    return None


def in_folder(uses, pattern):
    return sorted(label for label in uses if matches(label, pattern))


def violations(uses, forbidden, allowed):
    """One line for each target that breaks a rule, with the chain that shows how."""
    found = []
    for folder, patterns in forbidden.items():
        for label in in_folder(uses, folder):
            chain = path_to(uses, label, lambda used: any(matches(used, p) for p in patterns))
            if chain:
                found.append("%s must not reach %s: %s" % (folder, chain[-1], " -> ".join(chain)))
    for folder, patterns in allowed.items():
        for label in in_folder(uses, folder):
            chain = path_to(uses, label, lambda used: not any(matches(used, p) for p in patterns))
            if chain:
                found.append("%s may not use %s: %s" % (folder, chain[-1], " -> ".join(chain)))
    return found
