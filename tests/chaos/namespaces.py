"""Nodes with a network of their own: a namespace each, and a cable (a veth pair) into one switch (a bridge), which a test can
pull. Needs root; the kernel takes all of it down with the test.
"""

import os
import shutil
import signal
import subprocess
import sys

INSIDE = "CHAOS_NETWORK"
HOST = "10.77.0.1"  # this end of the switch


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def enter():
    """Starts this program anew in a corner of the machine, if that can be: networks, mounts and processes of its own."""
    if INSIDE in os.environ:
        # The first process of a corner gets no signal that it has not asked for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
        return
    corner = ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--net", "--mount"]
    why = why_not(corner)
    if why:
        print("no networks of their own, so no cable is pulled: %s" % why, flush=True)
        return
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*corner, sys.executable, *sys.orig_argv[1:]])


def why_not(corner):
    """Why nodes cannot have networks of their own here; "" = they can."""
    missing = [tool for tool in ("unshare", "ip", "mount") if shutil.which(tool) is None]
    if missing:
        return "%s is missing" % ", ".join(missing)
    if os.geteuid() != 0:
        return "only root can make them"
    probe = ("ip link add name probe0 type veth peer name probe1 && ip link add name probe type bridge"
             " && mount -t tmpfs none /run && ip netns add probe")
    tried = subprocess.run([*corner, "sh", "-c", probe], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip() or "the kernel refuses"


def available():
    return INSIDE in os.environ


class Switch:
    """Once per process, inside the corner."""

    def __init__(self):
        run("mount", "-t", "tmpfs", "none", "/run")  # for names of namespaces that nobody else sees
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "name", "switch", "type", "bridge")
        run("ip", "addr", "add", HOST + "/24", "dev", "switch")
        run("ip", "link", "set", "switch", "up")


class Network:
    """Of one node, which is reached as `address`."""

    def __init__(self, number):
        self.name, self.cable = "node%d" % number, "cable%d" % number
        self.address = "10.77.0.%d" % (100 + number)
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", "name", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", self.cable, "master", "switch")
        run("ip", "link", "set", self.cable, "up")
        self.inside = ["ip", "netns", "exec", self.name]
        run(*self.inside, "ip", "addr", "add", self.address + "/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run(*self.inside, "ip", "link", "set", device, "up")

    def pull(self):
        """Packets go nowhere, and nobody is told."""
        run("ip", "link", "set", self.cable, "down")

    def plug_in(self):
        run("ip", "link", "set", self.cable, "up")
