"""Peers are measured only where somebody has them: LCTL_PEER_PYTHON names a Python with torch and lightning."""

import os

from bench.harness.process import output_of

LEFT_OUT = "peers (set LCTL_PEER_PYTHON to a Python that has torch and lightning)"


def python():
    """Path of the peers' Python, or None."""
    return os.environ.get("LCTL_PEER_PYTHON") or None


def check(modules):
    """RuntimeError that says which of them the peers' Python lacks: now, not after the first minutes."""
    look = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if not importlib.util.find_spec(m)])"
    missing = output_of([python(), "-c", look, *modules]).split()
    if missing:
        raise RuntimeError("LCTL_PEER_PYTHON=%s has no %s: name a Python that has %s, or unset the variable to leave "
                           "peers out" % (python(), ", ".join(missing), ", ".join(modules)))
