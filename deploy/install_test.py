"""deploy/install and deploy/uninstall below a root of their own."""

import os
import stat
import subprocess
import tempfile
import unittest

PROGRAMS = {"server": ["lctl-server"], "worker": ["lctl-keeper", "lctl-trainer", "lctl-worker"], "client": ["lctl"]}
BUILT = os.getcwd()  # the programs among the test's files, where Bazel built them

class InstallTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def script(self, name, *words, code=0):
        done = subprocess.run([os.path.join("deploy", name), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def install(self, *words, code=0):
        return self.script("install", "--from", BUILT, "--root", self.root, *words, code=code)

    def uninstall(self, *words, code=0):
        return self.script("uninstall", "--root", self.root, *words, code=code)

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as stream:
            return stream.read()

    def files(self):
        """Path -> (inode, time of change): who is untouched has the same."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                status = os.stat(path)
                found[os.path.relpath(path, self.root)] = (status.st_ino, status.st_mtime_ns)
        return found

    def test_installed_programs_run_from_their_place(self):
        said = self.install("server", "worker", "client")
        for part, programs in PROGRAMS.items():
            self.assertIn(part + ":\n", said)
            for program in programs:
                path = self.path("usr/bin/" + program)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o755)
                if program == "lctl-keeper":  # has no options
                    continue
                done = subprocess.run([path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout)
        mapped = subprocess.run(["ldd", self.path("usr/bin/lctl-trainer")], stdout=subprocess.PIPE, text=True, check=True).stdout
        for library in ("libtorch_cpu.so", "libc10.so"):
            self.assertIn("/lib/lctl/" + library, next(line for line in mapped.splitlines() if library in line))
        self.assertIn("complete -F _lctl lctl", self.read("usr/share/bash-completion/completions/lctl"))

    def test_next_steps_are_said(self):
        said = self.install("worker")
        for step in ("deploy/runtime_packages.txt", "systemd-sysusers /usr/lib/sysusers.d/lctl-worker.conf",
                     "/etc/lctl/worker.env", "systemctl enable --now lctl-worker.service"):
            self.assertIn(step, said.split("Next:\n")[1])

    def test_again_changes_nothing(self):
        self.install("server", "client")
        before = self.files()
        said = self.install("server", "client")
        self.assertEqual(said.count("all is as it was"), 2)
        self.assertEqual(self.files(), before)

    def test_upgrade_keeps_settings_and_drops_what_a_version_no_longer_has(self):
        self.install("server")
        with open(self.path("etc/lctl/server.env"), "w", encoding="utf-8") as stream:
            stream.write("LCTL_SERVER_OPTIONS=--log-level debug\n")
        with open(self.path("usr/bin/lctl-server"), "w", encoding="utf-8") as stream:
            stream.write("an older version")
        with open(self.path("usr/bin/lctl-old"), "w", encoding="utf-8") as stream:
            stream.write("of an older version")
        with open(self.path("usr/lib/lctl/installed/server"), "a", encoding="utf-8") as stream:
            stream.write("/usr/bin/lctl-old\n")
        said = self.install("server")
        self.assertIn("usr/bin/lctl-server\n", said)
        self.assertIn("usr/bin/lctl-old: of an older version, removed", said)
        self.assertFalse(os.path.exists(self.path("usr/bin/lctl-old")))
        self.assertGreater(os.path.getsize(self.path("usr/bin/lctl-server")), 100_000)
        self.assertEqual(self.read("etc/lctl/server.env"), "LCTL_SERVER_OPTIONS=--log-level debug\n")

    def test_another_prefix_is_in_the_unit_and_systemd_finds_that(self):
        self.install("--prefix", "/opt/lctl", "server")
        self.assertTrue(os.path.exists(self.path("opt/lctl/bin/lctl-server")))
        unit = self.read("etc/systemd/system/lctl-server.service")
        self.assertIn("\nExecStart=/opt/lctl/bin/lctl-server ", unit)
        self.assertNotIn("/usr/bin", unit)
        self.assertTrue(os.path.exists(self.path("etc/sysusers.d/lctl-server.conf")))
        self.uninstall("--prefix", "/opt/lctl", "server")
        self.assertEqual(list(self.files()), ["etc/lctl/server.env"])
        self.assertEqual(os.listdir(self.path("opt")), [])

    def test_uninstall_leaves_settings_and_data(self):
        self.install("server", "client")
        os.makedirs(self.path("var/lib/lctl-server"))
        said = self.uninstall("server", "client")
        self.assertEqual(list(self.files()), ["etc/lctl/server.env"])
        self.assertFalse(os.path.exists(self.path("usr/lib/lctl")))
        self.assertIn(self.path("var/lib/lctl-server"), said)
        self.assertIn("server is not installed", self.uninstall("server", code=1))

    def test_uninstall_of_one_part_leaves_the_others(self):
        self.install("server", "client")
        self.uninstall("client")
        self.assertEqual(sorted(os.listdir(self.path("usr/bin"))), ["lctl-server"])
        self.assertTrue(os.path.exists(self.path("usr/lib/systemd/system/lctl-server.service")))

    def test_mistakes_are_explained(self):
        for words, expected in (
                ([], "name what"),
                (["daemon"], "there is no part 'daemon': server, worker or client"),
                (["--purge", "server"], "unknown option --purge"),
                (["--prefix"], "--prefix wants a folder"),
                (["--prefix", "/", "server"], "--prefix /: name a folder")):
            self.assertIn(expected, self.install(*words, code=2))
        nowhere = os.path.join(self.root, "nowhere")
        self.assertIn("there is no such folder", self.script("install", "--root", nowhere, "server", code=1))
        for part in ("server", "worker", "client"):
            said = self.script("install", "--from", nowhere, "--root", self.root, part, code=1)
            self.assertIn("not there. Build first: bazel build //:programs", said)
        self.assertEqual(self.files(), {})

if __name__ == "__main__":
    unittest.main(verbosity=2)
