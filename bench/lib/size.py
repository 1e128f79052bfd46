"""Parts memory and growth: data larger than memory, many keys, many connections, siblings, tombstones."""
import subprocess
import threading
import time

from measure import alternate, load, load_command
from servers import Client, info
from speed import asker, fill, short

MB = 1 << 20
MEMTABLES = 128 * MB  # two of 64 MB: doc/storage.md
FIXED = 64 * MB  # what a node needs besides: doc/performance.md


class Sampler(threading.Thread):
    """The largest resident memory of a server while it runs."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.largest, self.ending = server, 0, threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.05):
            try:
                self.largest = max(self.largest, self.server.resident_bytes())
            except (OSError, AttributeError):
                return

    def stop(self):
        self.ending.set()
        self.join()
        return self.largest


def settle(server):
    """Waits until no merge has ended for two seconds."""
    last, since = None, time.monotonic()
    while time.monotonic() - since < 2:
        now = info(server, "store_merges")
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)


def memory(bench, table):
    """Line 3: the data set is ten times cache-size."""
    o = bench.options
    cache = (8 if o.quick else 32) * MB
    # What a key counts for is its bytes and those of its value.
    keys = 10 * cache // (16 + 100)
    table.heading("memory", f"cache-size {cache // MB} MB, {keys * 116 // MB} MB of keys and values; theirs: the same with all in the cache")
    small, large = bench.node("everysec", "--cache-size", str(cache)), bench.node("everysec", "--cache-size", "4gb")
    sampler = Sampler(small.servers[0])
    for group in (small, large):
        fill(bench, group, keys)
        settle(group.servers[0])
        for _ in range(2):  # the cache takes what is asked for
            load(bench, group.addresses(), keys=keys, zipfian=True, reads=1, pipeline=16, seconds=2 * o.seconds)
    for pipeline in o.pipelines:
        results = alternate(o.rounds, *(asker(bench, group, keys=keys, zipfian=True, reads=1, pipeline=pipeline)
                                        for group in (small, large)))
        hits, misses = info(small.servers[0], "store_cache_hits", "store_cache_misses")
        table.compare(f"zipfian GET P{pipeline}", results, 0.6, note=f"cache hits {hits / max(1, hits + misses):.2f} since the start")
        table.compare(f"zipfian GET P{pipeline} p99 us", results, None, "p99_us", most=True)
    largest = sampler.stop()
    bound = cache + MEMTABLES + FIXED
    table.add("largest resident memory (MB), and its bound", largest / MB, bound / MB, [largest / bound], 1.0, most=True,
              note=f"cache {cache // MB} + memtables {MEMTABLES // MB} + fixed {FIXED // MB}")
    now, cached = large.servers[0].resident_bytes(), info(large.servers[0], "store_cache_bytes", "store_memtable_bytes")
    table.tell("with a cache for all: resident bytes per key", now / keys, f"cache {cached[0] / keys:.0f}, memtables {cached[1] / keys:.0f} of them")
    bench.drop(small, large)


def compare_sizes(bench, table, what, plain, grown, target, options_of):
    """SET and GET at all pipelines of two groups; ours is the one that has grown."""
    o = bench.options
    for test in o.tests:
        for pipeline in o.pipelines:
            reads = 1 if test == "get" else 0
            results = alternate(o.rounds, *(asker(bench, group, reads=reads, pipeline=pipeline, **options_of(group))
                                            for group in (grown, plain)))
            table.compare(f"{what} {test.upper()} P{pipeline}", results, target)


def idle_connections(bench, table, plain):
    """The same server with and without connections that say nothing."""
    o = bench.options
    server = plain.servers[0]
    count = min(10000, bench.files - 200)

    def with_idle(test, pipeline):
        holder = subprocess.Popen(load_command(bench, plain.addresses(), {"idle": count, "clients": 1, "rate": 1, "seconds": 3600}),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while info(server, "connected_clients") < count:
                time.sleep(0.05)
            return asker(bench, plain, keys=o.keys[0], reads=test == "get" and 1 or 0, pipeline=pipeline)()
        finally:
            holder.terminate()
            holder.wait()

    def without(test, pipeline):
        while info(server, "connected_clients") > 100:
            time.sleep(0.05)
        return asker(bench, plain, keys=o.keys[0], reads=test == "get" and 1 or 0, pipeline=pipeline)()

    for test in o.tests:
        for pipeline in o.pipelines:
            results = alternate(o.rounds, lambda: with_idle(test, pipeline), lambda: without(test, pipeline))
            table.compare(f"{count} idle connections {test.upper()} P{pipeline}", results, 0.9)


def connection_memory(bench, table, node):
    """Resident memory of a fresh node before and after connections that have said one thing each."""
    fresh = node()
    server = fresh.servers[0]
    count = min(10000, bench.files - 200)
    before = server.resident_bytes()
    clients = []
    for _ in range(count):
        clients.append(Client(server.port))
        clients[-1].ask("PING")
    each = (server.resident_bytes() - before) / count / 1024
    table.add(f"KB of resident memory for each of {count} connections", each, 4, [each / 4], 1.0, most=True)
    for client in clients:
        client.close()
    bench.drop(fresh)


def growth(bench, table):
    """Line 4: what must not slow the others down."""
    o = bench.options
    base, many = o.keys[0], 1000000 if o.quick else 5000000
    hidden = 100000 if o.quick else 1000000
    table.heading("growth", f"ours: the node that has grown, theirs: one with {short(base)}; everysec, cache-size 4gb")
    node = lambda: bench.node("everysec", "--cache-size", "4gb", "--maxclients", "20000")
    plain = node()
    fill(bench, plain, base)
    if "idle" in o.growth:
        connection_memory(bench, table, node)
        idle_connections(bench, table, plain)
    if "siblings" in o.growth:
        grown = node()
        fill(bench, grown, base)
        made = load(bench, grown.addresses(), write="dynset", prefix="sib:", keys=100, fill="=100", requests=0, clients=10)
        compare_sizes(bench, table, f"{made['filled']:.0f} siblings elsewhere", plain, grown, 0.95, lambda _: {"keys": base})
        bench.drop(grown)
    if "tombstones" in o.growth:
        grown = node()
        fill(bench, grown, hidden, prefix="dead:")
        fill(bench, grown, hidden, prefix="dead:", write="del")
        fill(bench, grown, base)
        settle(grown.servers[0])
        stones, end = 0, time.monotonic() + 20  # they are counted by a pass that takes its time
        while stones < hidden and time.monotonic() < end:
            time.sleep(0.2)
            stones = info(grown.servers[0], "tombstones")
        compare_sizes(bench, table, f"{stones:.0f} tombstones", plain, grown, 0.95, lambda _: {"keys": base})
        bench.drop(grown)
    if "keys" in o.growth:
        grown = node()
        fill(bench, grown, many)
        settle(grown.servers[0])
        load(bench, grown.addresses(), keys=many, reads=1, pipeline=16, requests=2 * many)  # into the cache
        compare_sizes(bench, table, short(many), plain, grown, 0.8, lambda group: {"keys": many if group is grown else base})
        bench.drop(grown)
    bench.drop(plain)
