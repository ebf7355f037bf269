"""A fresh, minimal Debian with systemd and the packages that installed programs need: the floor under each machine.

Made once for each list of packages, in ~/.cache/lctl/machines (LCTL_MACHINES_CACHE names another folder): later runs
need no network. LCTL_DEBIAN_MIRROR names another mirror than mmdebstrap's own choice.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess

SUITE = "bookworm"  # whose libraries the programs are linked to


def packages(list_path):
    """Of a file as deploy/runtime_packages.txt, and systemd as a machine's init."""
    with open(list_path, encoding="utf-8") as stream:
        names = [line.split()[0] for line in stream if line.strip() and not line.startswith("#")]
    return sorted({*names, "systemd-sysv"})


def prepare(list_path):
    """The root's folder, for reading only; made when it is not there."""
    # A test's environment names no home.
    home = pwd.getpwuid(os.geteuid()).pw_dir
    cache = os.environ.get("LCTL_MACHINES_CACHE") or os.path.join(home, ".cache", "lctl", "machines")
    names = packages(list_path)
    version = hashlib.sha256(" ".join([SUITE, *names]).encode()).hexdigest()[:16]
    root = os.path.join(cache, version)
    os.makedirs(cache, exist_ok=True)
    with open(root + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(root):
            make(root, names)
    return root


def make(root, names):
    unfinished = root + ".unfinished"
    if os.path.isdir(unfinished):
        shutil.rmtree(unfinished)
    print("== a Debian root for the machines, once", flush=True)
    mirror = [os.environ["LCTL_DEBIAN_MIRROR"]] if os.environ.get("LCTL_DEBIAN_MIRROR") else []
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["mmdebstrap", "--variant=minbase", "--include=" + ",".join(names), SUITE, unfinished, *mirror],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError("mmdebstrap cannot make a Debian root (is there a network? LCTL_DEBIAN_MIRROR names another "
                           "mirror):\n%s" % done.stdout[-4000:])
    os.rename(unfinished, root)
