"""Parts one, three, familiar, limits: requests per second beside Redis, and what the machine could do."""
import re
import statistics
import subprocess

from measure import alternate, load

CLIENTS = 50
VALUE_BYTES = 100


def asker(bench, group, **options):
    """A function that measures once: what bench/load says, and the servers' processor time per request."""
    o = bench.options
    settings = {"clients": CLIENTS, "value_bytes": VALUE_BYTES, "seconds": o.seconds, "warmup": o.warmup, **options}

    def measure():
        before = group.processor_seconds()
        result = load(bench, group.addresses(), **settings)
        spent = [b - a for a, b in zip(before, group.processor_seconds())]
        # The warm-up has cost as much per request as the rest.
        requests = max(1, result["ops"] * (o.seconds + o.warmup) / o.seconds)
        result["server_us"], result["kernel_us"] = sum(spent) / requests * 1e6, spent[1] / requests * 1e6
        return result

    return measure


def cost(table, what, results):
    """The servers' processor time, which says more than the clock on a machine that others use too."""
    kernel = [statistics.median(result["kernel_us"] for result in side) for side in results]
    table.compare(what + " server us", results, None, "server_us", most=True, note=f"of it in the kernel {kernel[0]:.1f}, theirs {kernel[1]:.1f}")


def fill(bench, group, keys, **options):
    return load(bench, group.addresses(), clients=CLIENTS, value_bytes=VALUE_BYTES, keys=keys, fill=True, requests=0, **options)


def short(keys):
    return f"{keys // 1000000}M keys" if keys % 1000000 == 0 else f"{keys // 1000}k keys"


def one(bench, table):
    """Issue 9, line 1: one node beside Redis with an append-only file."""
    o = bench.options
    for fsync in o.modes:
        for keys in o.keys:
            table.heading("one", f"N=R=W=1 beside redis-server, appendfsync {fsync}, {short(keys)}; requests/s, then p99 in us")
            pair = bench.node(fsync), bench.redis(fsync)
            for group in pair:
                fill(bench, group, keys)
            for test in o.tests:
                for pipeline in o.pipelines:
                    reads = 1 if test == "get" else 0
                    results = alternate(o.rounds, *(asker(bench, group, keys=keys, reads=reads, pipeline=pipeline) for group in pair))
                    what = f"{test.upper()} P{pipeline} {fsync} {short(keys)}"
                    table.compare(what, results, 1.0)
                    table.compare(what + " p99", results, 1.2, "p99_us", most=True)
                    cost(table, what, results)
            bench.drop(*pair)


def three(bench, table):
    """Line 2: three nodes beside a primary with two replicas."""
    o = bench.options
    for fsync in o.modes:
        keys = o.keys[0]
        table.heading("three", f"N=3 R=2 W=2 beside a primary with two replicas, appendfsync {fsync}, {short(keys)}")
        pair = bench.nodes(3, fsync), bench.redis(fsync, replicas=2)
        for group in pair:
            fill(bench, group, keys)
        for pipeline in o.pipelines:
            def both(ours, theirs, pipeline=pipeline):
                return alternate(o.rounds, asker(bench, pair[0], keys=keys, pipeline=pipeline, **ours),
                                 asker(bench, pair[1], keys=keys, pipeline=pipeline, **theirs))
            deep = pipeline >= 16
            at = f"P{pipeline} {fsync}"
            if "set" in o.tests:
                results = both({}, {"wait": 1})
                table.compare(f"SET / SET+WAIT 1 {at}", results, 2.0 if deep else 1.2)
                table.compare(f"SET / SET+WAIT 1 {at} p99", results, None, "p99_us", most=True)
                cost(table, f"SET / SET+WAIT 1 {at}", results)
                if deep:
                    table.compare(f"SET / 16 SETs then one WAIT {at}", both({}, {"wait": 1, "wait_once": True}))
                table.compare(f"SET / asynchronous SET {at}", both({}, {}), 0.6)
            if "get" in o.tests:
                results = both({"reads": 1}, {"reads": 1})
                table.compare(f"GET R=2 / GET {at}", results, 0.5 if deep else 0.7)
                cost(table, f"GET R=2 / GET {at}", results)
                table.compare(f"GET R=1 to homes / GET {at}", both({"reads": 1, "read_quorum": 1, "homes": True}, {"reads": 1}), 0.9)
        bench.drop(*pair)


def familiar_once(bench, server, test, pipeline, requests):
    run = subprocess.run(["redis-benchmark", "-p", str(server.port), "-t", test, "-n", str(requests), "-r", str(bench.options.keys[0]),
                          "-d", str(VALUE_BYTES), "-c", str(CLIENTS), "-P", str(pipeline), "--csv"],
                         capture_output=True, text=True, timeout=300)
    found = re.search(rf'^"{test.upper()}[^"]*","([\d.]+)"(?:,"[\d.]+"){{4}},"([\d.]+)"', run.stdout, re.M)
    if found is None:
        raise SystemExit(f"bench/run: redis-benchmark said {run.stdout}{run.stderr}")
    return {"ops_per_s": float(found.group(1)), "p99_us": float(found.group(2)) * 1000}


def familiar(bench, table):
    """Line 1 once more, with redis-benchmark."""
    o = bench.options
    for fsync in o.modes:
        table.heading("familiar", f"as part one, asked by redis-benchmark, appendfsync {fsync}")
        pair = bench.node(fsync), bench.redis(fsync)
        for group in pair:
            fill(bench, group, o.keys[0])
        for test in o.tests:
            for pipeline in o.pipelines:
                # About as long as one measurement of the other parts, at the speed Redis has.
                requests = int(o.seconds * (50000 if pipeline < 16 else 250000))
                results = alternate(o.rounds, *(lambda s=group.servers[0]: familiar_once(bench, s, test, pipeline, requests)
                                                for group in pair))
                table.compare(f"{test.upper()} P{pipeline} {fsync}", results, 1.0)
        bench.drop(*pair)


def limits(bench, table):
    """What the machine allows: bench/limits."""
    table.heading("limits", "loopback echo with the same framing; a plain file, written and synced (ours: the limit)")
    run = subprocess.run([bench.options.limits, "--seconds", str(bench.options.seconds), bench.folder], capture_output=True, text=True,
                         timeout=600)
    if run.returncode != 0:
        raise SystemExit(f"bench/run: bench/limits: {run.stderr}")
    for line in run.stdout.splitlines():
        what, rate, note = re.match(r"(.*): (\d+)/s ?(.*)$", line).groups()
        table.tell(what, float(rate), note)


