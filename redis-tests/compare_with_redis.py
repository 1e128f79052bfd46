#!/usr/bin/env python3
"""Sends the same commands to a redis-server and to a redynamo-server of one node and compares the replies, byte for byte.

usage: compare_with_redis.py [REDYNAMO-SERVER [REDIS-SERVER]]

Each script runs on a connection of its own to both servers, once in RESP2 and once in RESP3. Exits 77 (skipped) if there is no
redis-server. What differs on purpose is not in the scripts.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# One script per line group; a line is one inline command.
SCRIPTS = """
PING
ping hello
PING a b
ECHO x
ECHO
echo a b
NOSUCH
NOSUCH a "b c" d
nosuch aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b c
SELECT 0
SELECT a
SELECT
TIME x
DBSIZE x

GET
GET a b
GET missing
SET k
SET k v
GET k
SET k ""
GET k
STRLEN k
SET k "with \\x00 zero and \\r\\n lines"
GET k
STRLEN k
STRLEN missing
TYPE k
TYPE missing
SET k v EX 100
SET k v PX 100000
SET k v EXAT 9999999999
SET k v PXAT 9999999999999
SET k v EX
SET k v EX 0
SET k v EX -1
SET k v EX abc
SET k v EX 9223372036854775807
SET k v EX 9223372036854775
SET k v PX 9223372036854775807
SET k v PX 1.5
SET k v EXAT 0
SET k v PXAT -5
SET k v EX 10 PX 10
SET k v EX 10 EX 10
SET k v BOGUS
SET k v EXAT 1
GET k

MSET a 1 b 2 a 3
MGET a b c a
MGET
MSET a
MSET a 1 b
EXISTS a a b c
DEL a a c
EXISTS a
UNLINK b c
DEL
EXISTS

CLIENT
CLIENT NOSUCH
CLIENT ID x
CLIENT GETNAME
CLIENT SETNAME my-name
CLIENT GETNAME
CLIENT SETNAME "two words"
CLIENT SETNAME ""
CLIENT GETNAME
CLIENT SETNAME
CLIENT LIST TYPE nosuch
CLIENT LIST TYPE pubsub
CLIENT LIST ID x
CLIENT LIST ID 0
CLIENT LIST ID
CLIENT LIST nosuch
CLIENT REPLY nosuch
CLIENT REPLY SKIP
PING
PING
CLIENT REPLY OFF
PING
CLIENT REPLY ON

AUTH x
AUTH a b
AUTH default x
AUTH a b c
AUTH
HELLO x
HELLO 4
HELLO 1
HELLO 2 x
HELLO 2 SETNAME
HELLO 2 AUTH x
HELLO 2 AUTH nobody x
HELLO 2 SETNAME "a b"

COMMAND NOSUCH
COMMAND COUNT x
COMMAND INFO nosuch
COMMAND INFO get
COMMAND INFO mset nosuch mget
COMMAND INFO ECHO PING AUTH SELECT STRLEN EXISTS TYPE DEL UNLINK MSET QUIT RESET HELLO TIME SHUTDOWN READONLY READWRITE ASKING
COMMAND INFO client|getname client|id client|list client|nosuch config|get command|count
COMMAND GETKEYS nosuch a
COMMAND GETKEYS get a
COMMAND GETKEYS get a b
COMMAND GETKEYS mset a 1 b 2
COMMAND GETKEYS del a b c
COMMAND GETKEYS echo a
COMMAND GETKEYSANDFLAGS mget a b
COMMAND GETKEYSANDFLAGS del a
COMMAND LIST nosuch
COMMAND LIST FILTERBY nosuch x
COMMAND LIST FILTERBY MODULE x
COMMAND LIST FILTERBY PATTERN mge*
COMMAND DOCS nosuch

CONFIG
CONFIG NOSUCH
CONFIG GET
CONFIG GET nosuch
CONFIG GET timeout
CONFIG GET timeout
CONFIG SET
CONFIG SET timeout
CONFIG SET timeout 0 maxclients
CONFIG SET nosuch 1
CONFIG SET timeout abc
CONFIG SET timeout -1
CONFIG SET timeout 1 timeout 2
CONFIG SET tcp-backlog 5
CONFIG SET timeout 5 nosuch 1
CONFIG GET timeout
CONFIG SET timeout 0
CONFIG RESETSTAT
CONFIG RESETSTAT x

SHUTDOWN nosuch
SHUTDOWN ABORT
SHUTDOWN SAVE NOSAVE
SHUTDOWN ABORT NOW
INFO nosuch
INFO nosuch nosuch2
CLUSTER NOSUCH
CLUSTER
CLUSTER SLOTS
CLUSTER INFO
CLUSTER NODES
CLUSTER SHARDS
CLUSTER KEYSLOT
READONLY
READWRITE
ASKING
READONLY x

RESET
PING
QUIT

FLUSHALL x
FLUSHALL ASYNC SYNC
FLUSHDB now
SCAN
SCAN x
SCAN 1x
SCAN " 1"
SCAN 18446744073709551616
SCAN 0 COUNT
SCAN 0 COUNT 0
SCAN 0 COUNT -2147483648
SCAN 0 COUNT x
SCAN 0 MATCH
SCAN 0 NOSUCH 1
KEYS
KEYS a b
RANDOMKEY x
FLUSHALL
DBSIZE
KEYS *
SCAN 0
RANDOMKEY
SET only v
KEYS *
KEYS on*
KEYS [n-p]?l[^x]
KEYS x*
SCAN 0
SCAN 0 MATCH o* COUNT 100
SCAN 0 count 1000 match x*
SCAN 0 TYPE string
SCAN 0 TYPE list
RANDOMKEY
FLUSHDB SYNC
GET only
DBSIZE
FLUSHALL ASYNC
"""

# Malformed input; each on a connection of its own, read until the server closes it.
RAW = [b"*1\r\n!4\r\n", b"*x\r\n", b"*-5\r\nPING\r\nQUIT\r\n", b"*0\r\nPING\r\nQUIT\r\n", b"*1\r\n$x\r\n", b"*1\r\n$-2\r\n",
       b"*99999999999999\r\n", b"*2147483648\r\n", b"ECHO \"a\r\n", b"ECHO 'a\r\n", b"\r\n\r\nPING\r\nQUIT\r\n",
       b"x" * 70000, b"*1\r\n$" + b"1" * 70000, b"*" + b"1" * 70000, b"SET \"\\x41\\n\" 'b\\'c'\r\nGET \"A\\n\"\r\nQUIT\r\n",
       b"*1\r\n$4\r\nQUIT\r\nPING\r\n", b"quit extra\r\n"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def read_to_end(sock):
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def run_line(sock, line):
    """Sends a line and a marker behind it; returns what came before the marker's echo."""
    sock.sendall(line.encode() + b"\r\n")
    if line == "QUIT":
        return read_to_end(sock)
    if line.startswith("CLIENT REPLY") or "REPLY" in getattr(run_line, "mode", ""):
        time.sleep(0.05)
        sock.setblocking(False)
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            data = b""
        sock.settimeout(5)
        run_line.mode = "" if "ON" in line or line.endswith("nosuch") else "REPLY"
        return data
    marker = b"$13\r\n--the marker-\r\n"
    sock.sendall(b"*2\r\n$4\r\nECHO\r\n" + marker)
    data = b""
    while not data.endswith(marker):
        chunk = sock.recv(65536)
        if not chunk:
            return data + b"(closed)"
        data += chunk
    return data[:-len(marker)]


def compare(ports):
    differences = checks = 0

    def check(what, replies):
        nonlocal differences, checks
        checks += 1
        if replies[0] != replies[1]:
            differences += 1
            print(f"{what[:120]}\n  redis:    {replies[0][:2000]!r}\n  redynamo: {replies[1][:2000]!r}")

    for proto in (2, 3):
        for script in SCRIPTS.strip().split("\n\n"):
            socks = [connect(port) for port in ports]
            for sock in socks:
                run_line(sock, f"HELLO {proto}")
            for line in script.split("\n"):
                check(f"RESP{proto} {line}", [run_line(sock, line) for sock in socks])
            for sock in socks:
                sock.close()
    for raw in RAW:
        replies = []
        for port in ports:
            with connect(port) as sock:
                try:
                    sock.sendall(raw)
                except OSError:
                    pass
                replies.append(read_to_end(sock))
        check(repr(raw), replies)
    print(f"{checks} replies compared, {differences} differ")
    return differences


def undocumented(port):
    """Commands of the redis-server that doc/commands.md neither describes nor lists as absent."""
    with open(os.path.join(os.environ.get("TOP_SRCDIR", "."), "doc/commands.md"), encoding="utf-8") as file:
        text = file.read()
    with connect(port) as sock:
        reply = run_line(sock, "COMMAND LIST").decode().split("\r\n")
    names = [name.upper().replace("|", " ") for name in reply[2::2]]
    missing = [name for name in names if f"`{name}`" not in text and f"**`{name} " not in text]
    containers = {name.split(" ")[0] for name in names if " " in name}
    missing = [name for name in missing if name not in containers or f"`{name} " not in text]
    for name in missing:
        print(f"doc/commands.md says nothing about {name}")
    return missing


def main():
    redynamo = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.environ.get("TOP_BUILDDIR", "."), "src/redynamo-server")
    redis = sys.argv[2] if len(sys.argv) > 2 else shutil.which("redis-server")
    if redis is None:
        print("no redis-server to compare with: skipped")
        return 77
    ports = [free_port(), free_port()]
    directory = tempfile.mkdtemp(prefix="redynamo-compare-")
    os.mkdir(os.path.join(directory, "node"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    servers = [subprocess.Popen([redis, "--port", str(ports[0]), "--save", "", "--dir", directory], **quiet),
               subprocess.Popen([redynamo, "--port", str(ports[1]), "--cluster-port", str(free_port()), "--partitioner", "md5",
                                 "--dir", os.path.join(directory, "node")], **quiet)]
    try:
        return 1 if compare(ports) or undocumented(ports[0]) else 0
    finally:
        for server in servers:
            server.send_signal(signal.SIGKILL)
            server.wait()
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
