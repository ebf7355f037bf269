"""A private corner of this machine: own processes, mounts, network and control groups. When the test ends, in whatever
way, the kernel takes all of it down: machines, mounts, bridge.
"""

import os
import shutil
import signal
import sys

TOOLS = {  # program -> Debian package
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
INSIDE = "LCTL_TEST_ISOLATED"


def check():
    """Fails, and says what to do, where machines cannot be started."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise RuntimeError("this test starts machines with systemd-nspawn, and these packages are missing: %s "
                           "(deploy/packages.txt has them)" % " ".join(missing))
    if os.geteuid() != 0:
        raise RuntimeError("this test starts machines with systemd-nspawn, which only root can: run it as root, or leave "
                           "it out: ./test --fast")


def ensure(before):
    """Returns inside the corner. Outside it calls before(), then starts this program anew in there."""
    if INSIDE in os.environ:
        # The first process of a corner gets no signal that it has not asked for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
        return
    check()
    before()
    sys.stdout.flush()
    os.environ[INSIDE] = "1"
    # The program is the corner's init: when it ends, or unshare is killed, the kernel kills everything in there.
    os.execvp("unshare", ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--net", "--mount", "--cgroup",
                          sys.executable, *sys.orig_argv[1:]])
