"""What can go wrong, one function each: breaks something of a running cluster, waits, and mends what does not mend itself.

A fault is given the test (`chaos`) with its daemons, links and jobs, and a random generator; it returns a line that says
what it did, or None when there was nothing to break.
"""

import os
import resource
import signal
import sqlite3
import time


def some_rank(chaos, random):
    ranks = chaos.running_ranks()
    return random.choice(ranks) if ranks else None


def send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def kill_rank(chaos, random):
    rank = some_rank(chaos, random)
    return rank and send(rank["pid"], signal.SIGKILL) and "rank %(rank)d of %(job)s killed" % rank


def abort_rank(chaos, random):
    rank = some_rank(chaos, random)
    return rank and send(rank["pid"], signal.SIGSEGV) and "rank %(rank)d of %(job)s crashed (SIGSEGV)" % rank


def interrupt_rank(chaos, random):
    rank = some_rank(chaos, random)
    return rank and send(rank["pid"], signal.SIGTERM) and "rank %(rank)d of %(job)s told to end by somebody" % rank


def kill_keeper(chaos, random):
    rank = some_rank(chaos, random)
    keeper = rank and parent_of(rank["pid"])
    return keeper and send(keeper, signal.SIGKILL) and "the keeper of rank %(rank)d of %(job)s killed" % rank


def parent_of(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stream:
            parent = int(stream.read().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return parent if parent > 1 else None


def pause_rank(chaos, random):
    rank = some_rank(chaos, random)
    if not rank or not send(rank["pid"], signal.SIGSTOP):
        return None
    seconds = random.uniform(0.3, 2)
    time.sleep(seconds)
    send(rank["pid"], signal.SIGCONT)
    return "rank %d of %s stood still for %.1f s" % (rank["rank"], rank["job"], seconds)


def kill_agent(chaos, random):
    node = random.choice(chaos.nodes)
    node.kill()
    time.sleep(random.uniform(0, 1))
    node.start()
    return "%s killed, started again" % node.name


def lose_agent(chaos, random):
    """Longer than a node may be silent: its ranks count as lost, and it finds them replaced when it is back."""
    node = random.choice(chaos.nodes)
    node.kill()
    time.sleep(chaos.lost_after + random.uniform(0.5, 1.5))
    node.start()
    return "%s away for longer than lost_after" % node.name


def pause_agent(chaos, random):
    node = random.choice(chaos.nodes)
    seconds = random.uniform(0.3, chaos.lost_after + 2)
    node.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    node.process.send_signal(signal.SIGCONT)
    return "%s stood still for %.1f s" % (node.name, seconds)


def kill_server(chaos, random):
    chaos.server.kill()
    time.sleep(random.uniform(0, 1))
    chaos.start_server()
    return "the server killed, started again"


def pause_server(chaos, random):
    seconds = random.uniform(0.3, 3)
    chaos.server.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    chaos.server.process.send_signal(signal.SIGCONT)
    return "the server stood still for %.1f s" % seconds


def partition(chaos, random):
    number = random.randrange(len(chaos.links))
    seconds = random.uniform(0.3, chaos.lost_after + 2)
    chaos.links[number].hold()
    time.sleep(seconds)
    chaos.links[number].mend()
    return "%s cut off for %.1f s" % (chaos.nodes[number].name, seconds)


def break_connections(chaos, random):
    number = random.randrange(len(chaos.links))
    chaos.links[number].reset()
    time.sleep(random.uniform(0, 1))
    chaos.links[number].mend()
    return "the connections of %s broken" % chaos.nodes[number].name


def slow_network(chaos, random):
    number = random.randrange(len(chaos.links))
    chaos.links[number].delay(random.uniform(0.05, 0.3))
    time.sleep(2)
    chaos.links[number].mend()
    return "the network of %s slow" % chaos.nodes[number].name


def exhaust_files(daemon, random):
    """No more open files than it has: what it opens now fails."""
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/%d/fd" % pid))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(3, used + random.randrange(3)), before[1]))
    time.sleep(random.uniform(0.5, 2))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    return "%s without file descriptors" % daemon.name


def exhaust_files_of_agent(chaos, random):
    return exhaust_files(random.choice(chaos.nodes), random)


def exhaust_files_of_server(chaos, random):
    return exhaust_files(chaos.server, random)


def unwritable_folder(chaos, random):
    """The node's folder of attempts is gone for a moment, and a file in its place."""
    node = random.choice(chaos.nodes)
    runs = chaos.path(node.name, "runs")
    if not os.path.isdir(runs):
        return None
    os.rename(runs, runs + ".away")
    with open(runs, "w", encoding="utf-8"):
        pass
    time.sleep(random.uniform(0.2, 1))
    os.remove(runs)
    os.rename(runs + ".away", runs)
    return "the attempts of %s could not be written" % node.name


def cut_cable(chaos, random):
    """Of the node's whole network: server and other nodes alike."""
    if not chaos.networks:
        return None
    number = random.randrange(len(chaos.networks))
    seconds = random.uniform(0.3, chaos.lost_after + 2)
    chaos.networks[number].pull()
    time.sleep(seconds)
    chaos.networks[number].plug_in()
    return "%s without its cable for %.1f s" % (chaos.nodes[number].name, seconds)


def fill_disk(chaos, random, daemon):
    seconds = random.uniform(0.3, 2)
    machine = chaos.machines[daemon.name]
    machine.fill_disk(True)
    time.sleep(seconds)
    machine.fill_disk(False)
    return "the disk of %s full for %.1f s" % (daemon.name, seconds)


def fill_disk_of_node(chaos, random):
    """Of all that runs there: the daemon, keepers, ranks."""
    return fill_disk(chaos, random, random.choice(chaos.nodes))


def fill_disk_of_server(chaos, random):
    return fill_disk(chaos, random, chaos.server)


def slow_disk(chaos, random, daemon):
    delay, seconds = random.uniform(0.05, 0.5), random.uniform(1, 3)
    machine = chaos.machines[daemon.name]
    machine.slow_down(delay)
    time.sleep(seconds)
    machine.slow_down(0)
    return "the disk of %s took %.2f s a sync for %.1f s" % (daemon.name, delay, seconds)


def slow_disk_of_node(chaos, random):
    return slow_disk(chaos, random, random.choice(chaos.nodes))


def slow_disk_of_server(chaos, random):
    return slow_disk(chaos, random, chaos.server)


def set_clock(chaos, random, daemon):
    """It stays wrong until it is set again."""
    seconds = random.choice([0, random.uniform(-3600, 3600), random.uniform(-5, 5)])
    chaos.machines[daemon.name].set_clock(seconds)
    time.sleep(random.uniform(0, 1))
    return "the clock of %s set to be %+.1f s wrong" % (daemon.name, seconds)


def set_clock_of_node(chaos, random):
    return set_clock(chaos, random, random.choice(chaos.nodes))


def set_clock_of_server(chaos, random):
    return set_clock(chaos, random, chaos.server)


# Of the versions of control groups: where groups are made, what is written into a new one's files, and which file counts
# the kills. What a process had before it came is not counted in its new group: it dies of what it needs next.
GROUPS = [("/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup",
           ["memory.swap.max=0", "cgroup.procs=PID", "memory.max=65536"], "memory.events"),
          ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory",
           ["memory.swappiness=0", "cgroup.procs=PID", "memory.limit_in_bytes=65536"], "memory.oom_control")]


def out_of_memory(chaos, random):
    """By a limit of a control group where those can be made, else by what the kernel would do: SIGKILL."""
    rank = some_rank(chaos, random)
    if not rank:
        return None
    pid = rank["pid"]
    folder, settings, events = next(((folder, settings, events) for mark, folder, settings, events in GROUPS
                                     if os.access(mark, os.R_OK)), ("", [], ""))
    group = os.path.join(folder, "lctl-chaos-%d" % pid)
    by_limit = bool(folder) and dies_in(group, pid, settings, events)
    killed = by_limit or send(pid, signal.SIGKILL)
    remove_group(group)
    if not killed:
        return None
    return "rank %d of %s ended for want of memory (%s)" % (
        rank["rank"], rank["job"], "by a limit" if by_limit else "by SIGKILL in the kernel's place")


def dies_in(group, pid, settings, events):
    """Whether the kernel has killed the process for want of memory. False where groups cannot be made."""
    try:
        os.mkdir(group)
        for setting in settings:
            name, value = setting.split("=")
            with open(os.path.join(group, name), "w", encoding="ascii") as out:
                out.write(value.replace("PID", str(pid)))
        for _ in range(20):
            with open(os.path.join(group, events), encoding="ascii") as counts:
                if dict(line.split() for line in counts).get("oom_kill", "0") != "0":
                    return True
            time.sleep(0.1)
    except OSError:
        pass  # not here
    return False


def remove_group(group):
    """Once the process is gone from it."""
    for _ in range(20):
        try:
            os.rmdir(group)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)


def corrupt_chunk(chaos, random):
    """A byte of the newest checkpoint in the store turns into another."""
    database = sqlite3.connect("file:%s?mode=ro" % chaos.path("server", "lctl.db"), uri=True)
    try:
        row = database.execute("SELECT hex(sha256) FROM manifest_chunks WHERE checkpoint ="
                               " (SELECT max(number) FROM checkpoints) ORDER BY random() LIMIT 1").fetchone()
    finally:
        database.close()
    sha256 = row[0].lower() if row else ""
    file = chaos.path("server", "blobs", sha256[:2], sha256[2:])
    if not os.path.isfile(file):
        return None
    with open(file, "r+b") as chunk:
        at = random.randrange(os.path.getsize(file))
        chunk.seek(at)
        byte = chunk.read(1)[0]
        chunk.seek(at)
        chunk.write(bytes([byte ^ 0x55]))
    return "byte %d of chunk %s… of the newest checkpoint changed" % (at, sha256[:8])


ALL = [kill_rank, abort_rank, interrupt_rank, kill_keeper, pause_rank, kill_agent, lose_agent, pause_agent, kill_server,
       pause_server, partition, break_connections, slow_network, exhaust_files_of_agent, exhaust_files_of_server,
       unwritable_folder, cut_cable, fill_disk_of_node, fill_disk_of_server, slow_disk_of_node, slow_disk_of_server,
       set_clock_of_node, set_clock_of_server, out_of_memory, corrupt_chunk]
