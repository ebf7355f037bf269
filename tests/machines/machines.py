"""Machines on a private bridge: systemd-nspawn containers with an init of their own, that can be rebooted.

    rack = Rack(folder)
    layer = rack.layer("node-layer", [root], lambda folder: install(folder))
    node = rack.machine("node-1", 11, [layer, root])
    node.boot()

Only inside isolation's corner. Thread rule: one thread only.
"""

import os
import subprocess
import time

NETWORK = "10.77.0."
BRIDGE = "lctl0"
GROUPS = "/sys/fs/cgroup"
MEMORY = "3g"  # at most, for all that the machines write
REBOOTED = 133  # exit code of systemd-nspawn when the machine has asked for a reboot
DEADLINE = 120  # seconds


def run(*command, code=0, timeout=DEADLINE):
    """stdout of a command that must end with that code."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          timeout=timeout, stdin=subprocess.DEVNULL, check=False)
    if code is not None and done.returncode != code:
        raise RuntimeError("%s ended with %d:\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))
    return done.stdout


def wait_for(what, condition, timeout=DEADLINE):
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise RuntimeError("waited %d s in vain until %s" % (timeout, what))
        time.sleep(0.05)
    return value


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


class Rack:
    """The bridge, and room in memory for what machines write. This machine is .254 on the bridge."""

    def __init__(self, folder):
        """`folder`: an empty one; all mounts lie below it."""
        self.folder = folder
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")  # systemd-nspawn's notes about machines
        run("mount", "-t", "tmpfs", "-o", "mode=755,size=" + MEMORY, "none", folder)
        # The same hierarchy on all hosts: control groups of version 2 alone.
        run("umount", "--recursive", GROUPS)
        run("mount", "-t", "cgroup2", "none", GROUPS)
        self._sweep()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", NETWORK + "254/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")

    @staticmethod
    def _sweep():
        """Control groups are all that outlives a killed test: those of dead ones go."""
        for name in os.listdir(GROUPS):
            group = os.path.join(GROUPS, name)
            if name.startswith("lctl-machine.") and not is_populated(group):
                remove_group(group)

    def layer(self, name, below, change):
        """A layer that has what change(folder) does to the layers `below`; first is uppermost."""
        merged = self._mount(name, below)
        change(merged)
        run("umount", merged)
        return os.path.join(self.folder, name, "upper")

    def machine(self, name, number, layers):
        """Not booted; a folder `root` that can be changed before."""
        return Machine(name, NETWORK + str(number), self._mount(name, layers))

    def _mount(self, name, below):
        places = {place: os.path.join(self.folder, name, place) for place in ("upper", "work", "root")}
        for place in places.values():
            os.makedirs(place)
        run("mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % (
            ":".join(below), places["upper"], places["work"]), "none", places["root"])
        return places["root"]


def is_populated(group):
    with open(os.path.join(group, "cgroup.events"), encoding="ascii") as stream:
        return "populated 1" in stream.read()


def remove_group(group):
    """With all below it."""
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)


class Machine:
    def __init__(self, name, address, root):
        self.name, self.address, self.root = name, address, root
        self.group = os.path.join(GROUPS, "lctl-machine.%s.%s" % (name, os.urandom(4).hex()))
        self.log_path = root + ".console"
        self.process = None
        write(os.path.join(root, "etc/hostname"), name + "\n")
        write(os.path.join(root, "etc/machine-id"), "")  # each its own, and no questions of a first boot
        write(os.path.join(root, "etc/systemd/network/10-host0.network"),
              "[Match]\nName=host0\n[Network]\nAddress=%s/24\nLinkLocalAddressing=no\n" % address)
        run("systemctl", "--root=" + root, "enable", "--quiet", "systemd-networkd")

    def boot(self):
        """Returns when all its units have been started."""
        os.makedirs(self.group, exist_ok=True)

        def enter_group():
            with open(os.path.join(self.group, "cgroup.procs"), "w", encoding="ascii") as stream:
                stream.write("0")

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe",
                 "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--network-bridge=" + BRIDGE,
                 "--machine=" + self.name, "--directory=" + self.root], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=enter_group)
        wait_for("%s is up" % self.name, self._is_up)

    def _is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError("%s did not boot:\n%s" % (self.name, self.console()))
        return self.init() and self.run("systemctl", "is-system-running", code=None).strip() in ("running", "degraded")

    def init(self):
        """The pid of its init as seen from here; None when there is none yet."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as stream:
            children = stream.read().split()
        return int(children[0]) if children else None

    def run(self, *command, code=0):
        """stdout of a command in there, as root."""
        return run("nsenter", "--target", str(self.init()), "--all", "--", *command, code=code)

    def show(self, unit, *properties):
        """Of a unit, as a dictionary."""
        lines = self.run("systemctl", "show", unit, *["--property=" + name for name in properties]).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def reboot(self):
        """As a person at its shell does it; returns when it is up again."""
        self.run("systemctl", "--no-block", "reboot")
        code = self.process.wait(timeout=DEADLINE)
        if code != REBOOTED:
            raise RuntimeError("%s ended with %d instead of rebooting:\n%s" % (self.name, code, self.console()))
        self.boot()

    def power_off(self):
        """As if its plug were pulled: nobody hears a last word."""
        if self.process is None:
            return
        # Its cable; gone already when it did not boot.
        run("ip", "link", "delete", "vb-" + self.name, code=None)
        write(os.path.join(self.group, "cgroup.kill"), "1")
        self.process.wait(timeout=DEADLINE)
        self.process = None
        wait_for("the last process of %s is gone" % self.name, lambda: not is_populated(self.group))
        remove_group(self.group)

    def console(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as stream:
            return stream.read()[-8000:]

    def journal(self, unit):
        """What a unit has said, also of a machine that is down."""
        return run("journalctl", "--no-pager", "--directory=%s/var/log/journal" % self.root, "--unit=" + unit, code=None)
