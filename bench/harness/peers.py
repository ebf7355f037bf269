"""Peers are measured only where somebody has them: LCTL_PEER_PYTHON names a Python with torch and lightning."""

import os

LEFT_OUT = "peers (set LCTL_PEER_PYTHON to a Python that has torch and lightning)"


def python():
    """Path of the peers' Python, or None."""
    return os.environ.get("LCTL_PEER_PYTHON") or None
