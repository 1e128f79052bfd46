"""Part tail: the slowest thousandth of paced requests while something goes on in the background, and while nothing does.

Each state is made to happen, and INFO's counters must say that it did; a state that was not seen is said so and has no ratio.
"""
import subprocess
import threading
import time

from measure import load, load_command, quantile
from servers import info
from speed import fill

TARGET = 3.0
WINDOW_S = 0.5


def probe(bench, group, keys, seconds=WINDOW_S):
    """Paced requests, half of them reads, for a short time; latencies count from when a request was due."""
    return load(bench, group.addresses(), clients=20, keys=keys, reads=0.5, rate=bench.options.rate, seconds=seconds, warmup=0.1,
                buckets=True)


def until(bench, group, keys, over, limit_s):
    """Probes until `over()`; returns the results."""
    results, end = [], time.monotonic() + limit_s
    while not over() and time.monotonic() < end:
        results.append(probe(bench, group, keys))
    return results


def report(table, what, busy, quiet, seen):
    if not busy or not seen:
        print(f"  {what}: was not seen to happen ({seen})", flush=True)
        return
    slow, calm = quantile(busy, 0.999), quantile(quiet, 0.999)
    ratios = sorted(quantile([one], 0.999) / calm for one in busy)
    note = f"{seen}; {len(busy)} x {WINDOW_S} s, alone {ratios[0]:.2f} to {ratios[-1]:.2f}"
    table.add(what, slow, calm, [slow / calm], TARGET, note, most=True)


def merge(bench, table):
    """A second load writes large values; windows that a merge fills for the greater part are set beside those without any."""
    o = bench.options
    group = bench.node("everysec")
    server = group.servers[0]
    keys = o.keys[0]
    fill(bench, group, keys)
    writer = subprocess.Popen(load_command(bench, group.addresses(), {"clients": 4, "pipeline": 8, "keys": 10000000, "seconds": 600,
                                                                      "rate": 3 * o.rate, "value_bytes": 1000, "prefix": "other:"}),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    merges, ending = [], threading.Event()

    def watch():
        last = info(server, "store_merges")
        while not ending.wait(0.02):
            now, last_ms = info(server, "store_merges", "store_merge_last_ms")
            if now != last:
                at = time.monotonic()
                merges.append((at - last_ms / 1000, at))
                last = now

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    windows, end = [], time.monotonic() + o.tail_seconds
    try:
        while time.monotonic() < end:
            began = time.monotonic()
            windows.append((began, probe(bench, group, keys), time.monotonic()))
    finally:
        ending.set()
        watcher.join()
        writer.terminate()
        writer.wait()
    busy, quiet = [], []
    for began, result, ended in windows:
        beside = sum(max(0, min(ended, last) - max(began, first)) for first, last in merges)
        if beside > 0.5 * (ended - began):
            busy.append(result)
        elif beside == 0:
            quiet.append(result)
    long = max([last - first for first, last in merges], default=0)
    if quiet:
        report(table, "p99.9 us during a merge", busy, quiet, f"{len(merges)} merges, the longest {long:.1f} s" if merges else "")
    else:
        print(f"  merge: no quiet window beside {len(merges)} merges", flush=True)
    bench.drop(group)


def outage(bench, table, what, directives, counter):
    """One of three nodes misses writes and comes back; `counter` of INFO says what is repaired meanwhile."""
    o = bench.options
    group = bench.nodes(3, "everysec", *directives)
    away, keys = group.servers[2], o.keys[0]
    group.asked = group.servers[:2]
    fill(bench, group, keys)
    quiet = [probe(bench, group, keys) for _ in range(max(4, int(o.tail_seconds / 4 / WINDOW_S)))]
    away.kill()
    fill(bench, group, keys)
    away.start()
    away.wait()
    before = sum(info(server, counter) for server in group.servers)
    if what == "an exchange":
        from servers import ask
        for server in group.servers:
            ask(server, "DYNCLUSTER", "REPAIR")
    counts, last = [before], [time.monotonic()]

    def over():
        """Nothing new for two seconds."""
        now = sum(info(server, counter) for server in group.servers)
        if now != counts[-1]:
            counts.append(now)
            last[0] = time.monotonic()
        return len(counts) > 1 and time.monotonic() - last[0] > 2

    busy = until(bench, group, keys, over, 4 * o.tail_seconds)
    moved = counts[-1] - before
    # What was measured behind the last repair is quiet again.
    idle = int((time.monotonic() - last[0]) / (WINDOW_S + 0.15))
    busy = busy[:max(1, len(busy) - idle)]
    report(table, f"p99.9 us during {what}", busy, quiet, f"{counter} +{moved:.0f}" if moved > 0 else "")
    bench.drop(group)


def tail(bench, table):
    """Line 5."""
    table.heading("tail", f"{bench.options.rate} requests/s, half of them reads; ours: meanwhile, theirs: quiet")
    merge(bench, table)
    outage(bench, table, "a hint replay", ("--anti-entropy", "no"), "hints_delivered")
    outage(bench, table, "an exchange", ("--hinted-handoff", "no", "--read-repair", "no", "--anti-entropy-interval", "2000"),
           "antientropy_keys_repaired")
