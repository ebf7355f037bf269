"""What the figures were taken on: without it they mean little."""

import os
import platform


def _first_line(path, start):
    try:
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                if line.startswith(start):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown"


def describe():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def sentence(machine):
    return "%(cores)d cores of %(cpu)s, %(memory_gib)s GiB, load %(load_before).1f before" % machine
