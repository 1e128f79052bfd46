"""Running bench/load, comparing in alternating rounds, and the table of what came out."""
import csv
import os
import re
import shutil
import statistics
import subprocess

LOAD_LIMIT_S = 900


def load_command(bench, addresses, options):
    """bench/load with options: fill=True is --fill, keys=5 is --keys 5, fill="=3" is --fill=3."""
    words = [bench.options.load]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif isinstance(value, str) and value.startswith("="):
            words.append(option + value)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words + addresses


def load(bench, addresses, **options):
    """What bench/load said, by name: numbers, and "buckets" as text."""
    run = subprocess.run(load_command(bench, addresses, options), capture_output=True, text=True, timeout=LOAD_LIMIT_S)
    if run.returncode != 0:
        raise SystemExit(f"bench/run: {' '.join(run.args)}: {run.stderr}")
    said = dict(re.findall(r"(\S+)=(\S*)", run.stdout))
    buckets = said.pop("buckets", "")
    result = {name: float(value) for name, value in said.items()}
    result["buckets"] = [tuple(map(int, part.split(":"))) for part in buckets.split(",") if part]
    answered = result["ops"] + result["errors"] + result["filled"]
    if result["errors"] > 0.001 * answered:
        print(f"  {result['errors']:.0f} errors: {run.stderr.strip()}", flush=True)
    return result


def quantile(results, q):
    """Of several results' buckets together, in microseconds."""
    counts = {}
    for result in results:
        for end, count in result["buckets"]:
            counts[end] = counts.get(end, 0) + count
    left = q * sum(counts.values())
    for end in sorted(counts):
        left -= counts[end]
        if left <= 1e-6:
            return end / 1000
    return 0


def alternate(rounds, ours, theirs):
    """Two functions, called in turn, the first one changing; returns lists of their results."""
    results = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            results[which].append((ours, theirs)[which]())
    return results


class Table:
    """One line per question; `raw` keeps each round."""

    HEAD = ("what", "ours", "theirs", "ratio", "min", "max", "target", "holds", "note")

    def __init__(self):
        self.rows, self.raw, self.part = [], [], ""

    def heading(self, part, text):
        self.part = part
        print(f"\n{part}: {text}\n  {'':48}{'ours':>10}{'theirs':>10}{'ratio':>7} {'(min - max)':<14}{'target':<9}holds", flush=True)

    def add(self, what, ours, theirs, ratios, target, note="", most=False):
        """`ratios`: within rounds; empty: there is nothing to compare with. `target`: None is for information; at least so much, or with
        `most` at most so much."""
        ratio, spread = "", ""
        if ratios:
            ratio, spread = statistics.median(ratios), f"({min(ratios):.2f} - {max(ratios):.2f})"
        holds = "" if target is None else "yes" if (ratio <= target if most else ratio >= target) else "no"
        sign = "" if target is None else f"{'<=' if most else '>='} {target:g}"
        self.rows.append((self.part + ": " + what, ours, theirs, ratio, min(ratios, default=""), max(ratios, default=""), sign, holds, note))
        print(f"  {what:48}{number(ours):>10}{number(theirs):>10}{f'{ratio:.2f}' if ratios else '':>7} {spread:<14}{sign:<9}{holds:<5}{note}",
              flush=True)

    def tell(self, what, value, note=""):
        """A figure beside which there is nothing."""
        self.add(what, value, None, [], None, note)

    def compare(self, what, results, target=None, field="ops_per_s", most=False, note=""):
        """Of two lists of results, the ratio of a field within each round."""
        ours, theirs = ([result[field] for result in side] for side in results)
        for round_number, (a, b) in enumerate(zip(ours, theirs), 1):
            self.raw.append((self.part + ": " + what, round_number, field, a, b))
        self.add(what, statistics.median(ours), statistics.median(theirs), [a / b if b else 0 for a, b in zip(ours, theirs)],
                 target, note, most)

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "table.csv"), "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.HEAD] + self.rows)
        with open(os.path.join(folder, "rounds.csv"), "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("what", "round", "field", "ours", "theirs")] + self.raw)
        self.plot(folder)

    def plot(self, folder):
        """Ratios with their spread as bars, a tick where the target is."""
        rows = [row for row in self.rows if row[6]]
        if not rows or shutil.which("gnuplot") is None:
            return
        data = os.path.join(folder, "ratios.dat")
        with open(data, "w", encoding="utf-8") as file:
            for place, row in enumerate(reversed(rows)):
                file.write(f'"{row[0]}"\t{place}\t{row[3]}\t{row[4]}\t{row[5]}\t{row[6].split()[1]}\t{2 if row[7] == "yes" else 7}\n')
        script = f"""set terminal svg size 1000,{120 + 22 * len(rows)} font "sans,11"
set output "{os.path.join(folder, 'ratios.svg')}"
set datafile separator "\\t"
set title "ours / theirs: median and range of the rounds; a tick is the target"
set xlabel "ratio"; set logscale x 2; set grid xtics; set yrange [-1:{len(rows)}]; unset key
plot "{data}" using 3:2:4:5:7:ytic(1) with xerrorbars pt 7 lc variable, "{data}" using 6:2 with points pt 2 lc rgb "black"
"""
        subprocess.run(["gnuplot"], input=script, text=True, stderr=subprocess.DEVNULL)


def number(value):
    if not value:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.1f}k"
    return f"{value:.4g}"
