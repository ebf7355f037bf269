"""Other programs: run to their end, and what they said when they failed."""

import subprocess

SHOWN = 3000  # characters of a failed program's output: its end has the reason


def output_of(command, **how):
    """What it wrote to stdout. RuntimeError with its stderr when it cannot be started or fails."""
    words = " ".join(command)
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, errors="replace", check=False, **how)
    except OSError as error:
        raise RuntimeError("%s cannot be started: %s" % (words, error)) from error
    if result.returncode != 0:
        raise RuntimeError("%s ended with %d: %s" % (words, result.returncode, result.stderr.strip()[-SHOWN:]))
    return result.stdout
