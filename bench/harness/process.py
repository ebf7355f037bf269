"""Other programs: run to their end, and what they said when they failed."""

import os
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


def on_terminal(command, **how):
    """(What it wrote to a terminal of its own, its resource usage). RuntimeError when it fails."""
    words = " ".join(command)
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=its, stderr=its, **how)
        except OSError as error:
            raise RuntimeError("%s cannot be started: %s" % (words, error)) from error
        finally:
            os.close(its)
        output = b""
        while True:
            try:
                part = terminal.read(1 << 16)
            except OSError:  # EIO: nobody has the other end open any more
                break
            if not part:
                break
            output += part
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = code = os.waitstatus_to_exitcode(status)
    text = output.decode("utf-8", "replace")
    if code != 0:
        raise RuntimeError("%s ended with %d: %s" % (words, code, text.strip()[-SHOWN:]))
    return text, usage
