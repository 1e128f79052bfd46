#!/usr/bin/python3
"""redis-py, as a cluster client and as a plain one, against a running cluster.

usage: redis_py.py FOLDER PORT...

FOLDER: a file `restart` made there has the first node killed and started again, then there is a file `restarted`.
Prints what is wrong and exits 1; 77 where redis-py is not installed.
"""
import os
import sys
import time

try:
    import redis
    from redis.cluster import ClusterNode, RedisCluster
except ImportError:
    print("redis-py is not installed (Debian's python3-redis): skipped")
    sys.exit(77)

BINARY = bytes(range(256)) + b"\r\n$5\r\n\x00"


def forwarded(ports):
    """How many requests the nodes have passed on to each other."""
    return sum(redis.Redis(port=port).info("dynamo")["requests_forwarded"] for port in ports)


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def restart_first(folder):
    """Has the first node killed and started again."""
    open(os.path.join(folder, "restart"), "w").close()
    deadline = time.monotonic() + 60
    while not os.path.exists(os.path.join(folder, "restarted")):
        if time.monotonic() > deadline:
            sys.exit("the first node was not restarted")
        time.sleep(0.02)
    os.unlink(os.path.join(folder, "restarted"))


def cluster_client(ports):
    client = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", ports[0])])
    check("nodes", len(client.get_nodes()), len(ports))
    before = forwarded(ports)
    for i in range(200):
        check("set", client.set(f"py{i}", f"value{i}"), True)
        check("get", client.get(f"py{i}"), b"value%d" % i)
    check("px", client.set("py0", "soon", px=1000000), True)
    check("mget", client.mget_nonatomic("py1", "py2", "nosuch"), [b"value1", b"value2", None])
    check("exists", client.exists("py1", "py2", "nosuch"), 2)
    check("delete", client.delete("py1", "py2", "nosuch"), 2)
    check("keyslot", client.cluster_keyslot("py1"), client.keyslot("py1"))
    # Commands that redis-py does not know: their keys come from COMMAND.
    context, values = client.execute_command("DYNGET", "py3")
    check("dynget", values, [b"value3"])
    client.execute_command("DYNSET", "py3", "other", "CONTEXT", context)
    check("dynset", client.get("py3"), b"other")
    client.set(BINARY, BINARY)
    check("binary", client.get(BINARY), BINARY)
    check("forwarded", forwarded(ports) - before, 0)
    pipe = client.pipeline()
    for i in range(10, 60):
        pipe.get(f"py{i}")
    check("pipeline", pipe.execute(), [b"value%d" % i for i in range(10, 60)])
    # It asks every node, and every node knows all keys.
    wanted = {b"py%d" % i for i in range(200) if i not in (1, 2)} | {BINARY}
    check("scan_iter", set(client.scan_iter(count=50)), wanted)
    check("keys", set(client.keys(target_nodes=RedisCluster.RANDOM)), wanted)
    check("randomkey", client.randomkey() in wanted, True)
    client.close()


def plain_client(ports):
    for port in ports:
        client = redis.Redis(port=port, decode_responses=True)
        check("get", client.get("py10"), "value10")
        check("mget", client.mget("py10", "py11", "nosuch"), ["value10", "value11", None])
        pipe = client.pipeline(transaction=False)
        for i in range(100):
            pipe.set(f"pipe{i}", i)
            pipe.get(f"pipe{i}")
        replies = pipe.execute()
        check("pipelined", replies, [reply for i in range(100) for reply in (True, str(i))])
        check("type", client.type("py10"), "string")
        check("dbsize", client.dbsize() > 0, True)
        check("client name", (client.client_setname("me"), client.client_getname()), (True, "me"))
        check("config", client.config_get("appendfsync"), {"appendfsync": "everysec"})
        client.close()
        raw = redis.Redis(port=port)
        raw.set(BINARY, BINARY)
        check("binary", raw.get(BINARY), BINARY)
        check("scan", set(raw.scan_iter(match="pipe*", count=7)), {b"pipe%d" % i for i in range(100)})
        cursor, _ = raw.scan(0, count=1)
        check("cursor", isinstance(cursor, int), True)
        other = redis.Redis(port=ports[(ports.index(port) + 1) % len(ports)])
        check("another node goes on", isinstance(other.scan(cursor)[0], int), True)
        for one in (raw, other):
            one.close()


def reconnect(folder, ports):
    plain = redis.Redis(port=ports[0], retry_on_error=[redis.ConnectionError],
                        retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.1), 100))
    cluster = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports])
    plain.set("before", "restart")
    cluster.set("before{x}", "restart")
    restart_first(folder)
    check("after a restart", plain.get("before"), b"restart")
    check("after a restart", cluster.get("before{x}"), b"restart")
    for i in range(100):
        cluster.set(f"again{i}", i)
        check("again", cluster.get(f"again{i}"), b"%d" % i)
    plain.close()
    cluster.close()


def flush(ports):
    client = redis.Redis(port=ports[1])
    check("flushall", client.flushall(), True)
    for port in ports:
        one = redis.Redis(port=port)
        check("dbsize", one.dbsize(), 0)
        check("keys", one.keys("*"), [])
        one.set("after", "flush")
        check("after", one.get("after"), b"flush")
        check("flushdb", one.flushdb(), True)
        one.close()
    client.close()


def main():
    folder, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
    redis.Redis(port=ports[0]).flushall()
    cluster_client(ports)
    plain_client(ports)
    reconnect(folder, ports)
    flush(ports)


main()
