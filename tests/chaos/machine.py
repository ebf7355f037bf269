"""A machine whose disk and clock a test can break: its processes load broken_machine.cc."""

import os
import struct

from tests.end_to_end.cluster import program

LIBRARY = "tests/chaos/libbroken_machine.so"
LAYOUT = struct.Struct("<qqq")  # broken_machine.cc: Machine


class Machine:
    """What is broken of it; all processes that were started with environment() see a change at once."""

    def __init__(self, path):
        self.path = path
        self.clock_offset, self.sync_delay, self.disk_is_full = 0.0, 0.0, False
        with open(path, "wb") as out:
            out.write(bytes(LAYOUT.size))

    def environment(self, base):
        return dict(base, LD_PRELOAD=program(LIBRARY), CHAOS_MACHINE=self.path)

    def _tell(self):
        with open(self.path, "r+b", buffering=0) as out:
            out.write(LAYOUT.pack(int(self.clock_offset * 1e9), int(self.sync_delay * 1e6), int(self.disk_is_full)))

    def set_clock(self, seconds):
        """How far it goes wrong from now on."""
        self.clock_offset = seconds
        self._tell()

    def slow_down(self, seconds):
        """So long takes every sync of the disk; 0 = as long as it takes."""
        self.sync_delay = seconds
        self._tell()

    def fill_disk(self, full):
        self.disk_is_full = full
        self._tell()
