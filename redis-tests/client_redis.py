#!/usr/bin/python3
"""redis-py, as a cluster client and as a plain one, against a running cluster.

usage: client_redis.py PORT...

Prints what is wrong and exits 1. Needs Debian's python3-redis.
"""
import sys

import redis
from redis.cluster import ClusterNode, RedisCluster


def forwarded(ports):
    """How many requests the nodes have passed on to each other."""
    return sum(redis.Redis(port=port).info("dynamo")["requests_forwarded"] for port in ports)


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


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
    check("forwarded", forwarded(ports) - before, 0)
    pipe = client.pipeline()
    for i in range(10, 60):
        pipe.get(f"py{i}")
    check("pipeline", pipe.execute(), [b"value%d" % i for i in range(10, 60)])
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


def main():
    ports = [int(port) for port in sys.argv[1:]]
    cluster_client(ports)
    plain_client(ports)


main()
