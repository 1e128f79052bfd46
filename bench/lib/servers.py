"""Servers on loopback: starting, asking, and stopping those that this program started, and no others."""
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

START_S = 60
STOP_S = 30


def free_port():
    """A port that is free, and so is the one 10000 above it; both outside the range that connections are given from."""
    while True:
        port = random.randrange(11000, 22000)
        try:
            for number in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


class Client:
    """Just enough RESP2 to ask for numbers and texts."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line:
            raise OSError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else line[:-2].decode()

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A process that serves on a port, in a folder of its own."""

    def __init__(self, name, parent, port=None):
        self.name = name
        self.port = port or free_port()
        self.folder = os.path.join(parent, f"{name}-{self.port}")
        os.makedirs(self.folder)
        self.process = None

    def command(self):
        raise NotImplementedError

    def is_open(self):
        return ask(self, "PING") == "+PONG"

    def start(self):
        with open(os.path.join(self.folder, "log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)

    def wait(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.is_open():
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            raise SystemExit(f"bench/run: {self.name} does not serve; its log ends so:\n{log.read()[-2000:]}")

    def kill(self):
        """As if the machine had lost it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self):
        return f"127.0.0.1:{self.port}"

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read()).group(1)) * 1024

    def processor_seconds(self):
        """Spent by the program, and by the kernel for it."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return [int(fields[at]) / os.sysconf("SC_CLK_TCK") for at in (11, 12)]


def ask(server, *words):
    client = Client(server.port)
    try:
        return client.ask(*words)
    finally:
        client.close()


def info(server, *fields):
    """Numbers of INFO by name, -1 where there is none: one number for one field, else a list."""
    text = ask(server, "INFO", "everything") or ""
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    values = [float(found.get(field, -1)) for field in fields]
    return values[0] if len(fields) == 1 else values


class Redis(Server):
    def __init__(self, parent, fsync, primary=None):
        super().__init__("redis" if primary is None else "replica", parent)
        self.fsync, self.primary = fsync, primary

    def command(self):
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--appendonly", "yes",
                 "--appendfsync", self.fsync, "--save", "", "--auto-aof-rewrite-percentage", "0"]
        if self.primary is not None:
            words += ["--replicaof", f"127.0.0.1 {self.primary.port}", "--repl-diskless-sync-delay", "0"]
        return words

    def is_open(self):
        if self.primary is None:
            return super().is_open()
        return "master_link_status:up" in ask(self, "INFO", "replication")


class Node(Server):
    """A Redynamo node; `seeds` is filled before the start of the first one."""

    def __init__(self, parent, binary, fsync, directives=(), copies=1):
        super().__init__("redynamo", parent)
        self.binary, self.fsync, self.directives, self.copies = binary, fsync, list(directives), copies
        self.seeds = []

    def command(self):
        quorum = str(min(2, self.copies))
        words = [self.binary, "--port", str(self.port), "--cluster-port", str(self.port + 10000), "--bind", "127.0.0.1",
                 "--dir", self.folder, "--appendfsync", self.fsync, "--replication-factor", str(self.copies),
                 "--read-quorum", quorum, "--write-quorum", quorum]
        for seed in self.seeds:
            words += ["--seed", f"127.0.0.1:{seed.port + 10000}"]
        return words + self.directives

    def is_open(self):
        is_open, up = info(self, "cluster_open", "members_up")
        return is_open == 1 and up == max(1, len(self.seeds))


class Group:
    """Servers that are one thing to a client: those of `asked` are given to the load generator."""

    def __init__(self, name, servers, asked=None):
        self.name, self.servers, self.asked = name, servers, asked or servers

    def addresses(self):
        return [server.address() for server in self.asked]

    def processor_seconds(self):
        """Of all servers together."""
        return [sum(parts) for parts in zip(*(server.processor_seconds() for server in self.servers))]

    def remove(self):
        for server in self.servers:
            server.remove()


class Bench:
    """What all parts share: options, the folder for data, and the servers that run."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.groups = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.files = hard if hard != resource.RLIM_INFINITY else 1 << 20

    def keep(self, group):
        self.groups.append(group)
        return group

    def drop(self, *groups):
        for group in groups:
            group.remove()
            self.groups.remove(group)

    def close(self):
        for group in self.groups:
            group.remove()
        self.groups = []

    def node(self, fsync, *directives):
        """One node, N=R=W=1."""
        group = self.keep(Group("redynamo", [Node(self.folder, self.options.server, fsync, directives)]))
        group.servers[0].start()
        group.servers[0].wait()
        return group

    def nodes(self, count, fsync, *directives):
        """A cluster with N=3 R=2 W=2."""
        members = [Node(self.folder, self.options.server, fsync, directives, 3) for _ in range(count)]
        group = self.keep(Group("redynamo", members))
        for member in members:
            member.seeds = members
            member.start()
        for member in members:
            member.wait()
        return group

    def redis(self, fsync, replicas=0):
        primary = Redis(self.folder, fsync)
        group = self.keep(Group("redis", [primary], [primary]))
        primary.start()
        primary.wait()
        for _ in range(replicas):
            replica = Redis(self.folder, fsync, primary)
            group.servers.append(replica)
            replica.start()
        for replica in group.servers[1:]:
            replica.wait()
        return group
