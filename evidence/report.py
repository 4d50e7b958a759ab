#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes the report of what scripts/evidence.sh had simulated: report.py DIR SYSTEM.MAP TO

Reads DIR/plan and DIR/runs, and writes to TO report.md, report.html, csv/ and plots/.
Nothing in it depends on when or where it runs.
"""

import bisect
import csv
import html
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict

ARMS = {
    "stock": "(a) stock",
    "same": "(b) same bank",
    "banks": "(c) private banks",
    "sets": "(d) private banks and cache sets",
    "wrong": "(d), one bit of the map wrong",
}
MACHINES = {
    "w3530": "Banks of the Xeon W3530, one channel (0x183000), DDR3-1066",
    "xor": "Banks of the i5-2520M (14^18, 15^19, 16^20, 17^21), DDR4-2400",
}
VARIANTS = {
    "base": "miss registers of the LLC without limit",
    "misses16": "16 miss registers in the LLC",
    "misses8": "8 miss registers in the LLC",
    "random": "pseudo-random replacement",
    "hashed": "hashed sets",
}
LIMIT = 1.5


def die(text):
    sys.exit("report.py: " + text)


class Run:
    """What one run of the simulator printed"""

    def __init__(self, directory, name):
        self.name = name
        (self.machine, self.arm, self.victim, self.hog, self.variant, hogs,
         seed) = name.split(".")
        self.hogs, self.seed = int(hogs), int(seed)
        self.value, self.pages = {}, []
        path = os.path.join(directory, "runs", name)
        try:
            with open(path, encoding="ascii") as lines:
                for line in lines:
                    words = line.split()
                    if words[0] == "kernel_page":
                        self.pages.append((int(words[1], 16), int(words[3]), int(words[5])))
                    else:
                        self.value[words[0]] = int(words[1])
        except OSError as error:
            die(f"{path}: {error.strerror}")
        if "refreshes" not in self.value:
            die(f"{path}: cut off")

    def __getitem__(self, name):
        return self.value["core0." + name]

    def by_others(self, what):
        return sum(self.value.get(f"core0.{what}_by_core{i}", 0) for i in range(1, 8))

    def by_kernel(self, what):
        return self.by_others(what + "_kernel")


class Runs:
    def __init__(self, directory):
        self.dir = directory
        with open(os.path.join(directory, "plan"), encoding="ascii") as plan:
            self.all = [Run(directory, line.split()[0]) for line in plan]
        self.by_name = {run.name: run for run in self.all}
        self.machines = list(dict.fromkeys(run.machine for run in self.all))
        self.arms = [a for a in ARMS if any(run.arm == a for run in self.all)]
        self.pairs = list(dict.fromkeys((run.victim, run.hog) for run in self.all))

    def get(self, machine, arm, pair, hogs, variant="base"):
        return [run for run in self.all if
                (run.machine, run.arm, (run.victim, run.hog), run.hogs, run.variant) ==
                (machine, arm, pair, hogs, variant)]

    def slowdown(self, run):
        alone = self.get(run.machine, run.arm, (run.victim, run.hog), 0, run.variant)[0]
        return run["cycles"] / alone["cycles"]

    def slowdowns(self, *key):
        return [self.slowdown(run) for run in self.get(*key)]


def spread(values):
    middle = statistics.median(values)
    low, high = min(values), max(values)
    if f"{low:.2f}" == f"{high:.2f}":
        return f"{middle:.2f}"
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |",
             "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


# ---- Names of kernel pages ----

class Symbols:
    def __init__(self, path):
        self.address, self.name = [], []
        with open(path, encoding="ascii") as lines:
            for line in lines:
                address, kind, name = line.split()[:3]
                if kind not in "aAU" and int(address, 16) >> 63:
                    self.address.append(int(address, 16))
                    self.name.append(name)

    def find(self, address):
        i = bisect.bisect_right(self.address, address) - 1
        return self.name[i] if i >= 0 else hex(address)


def where(vaddr, symbols):
    if vaddr >= 0xffffffff80000000:
        return f"kernel image, {symbols.find(vaddr)}"
    if 0xffffea0000000000 <= vaddr < 0xffffeb0000000000:
        return "array of struct page"
    if 0xffffc90000000000 <= vaddr < 0xffffe90000000000:
        return "vmalloc area (stacks)"
    return "allocated memory"


def kernel_pages(runs, symbols):
    """For arm sets: what kernel pages had to do with the victim's conflicts and evictions"""
    count = defaultdict(lambda: [0, 0])
    for run in runs.all:
        if run.arm == "sets" and run.variant == "base" and run.hogs == 3 and run.seed == 1:
            for page, conflicts, evictions in run.pages:
                count[run.machine, page][0] += conflicts
                count[run.machine, page][1] += evictions
    names = defaultdict(lambda: defaultdict(int))
    for machine in runs.machines:
        base = os.path.join(runs.dir, "traces", machine)
        with open(os.path.join(base, "list"), encoding="ascii") as lines:
            numbers = [line.split()[0] for line in lines if line.split()[1] == "sets"]
        for number in numbers:
            with open(os.path.join(base, number + ".kernel"), encoding="ascii") as lines:
                for line in lines:
                    _, page, vaddr, code, accesses = line.split()
                    if page != "other":
                        what = (where(int(vaddr, 16), symbols) + ", first by " +
                                symbols.find(int(code, 16)))
                        names[machine, int(page, 16)][what] += int(accesses)
    rows = []
    for (machine, page), (conflicts, evictions) in sorted(
            count.items(), key=lambda item: (-sum(item[1]), item[0])):
        what = names.get((machine, page))
        name = max(sorted(what), key=lambda n: what[n]) if what else "not in the table of pages"
        rows.append([machine, f"{page:#x}", name, str(conflicts), str(evictions)])
    return rows


# ---- Plots ----

COLORS = ["#888888", "#c0392b", "#e69f00", "#0072b2", "#9b59b6"]


class Plots:
    def __init__(self, to):
        self.to = to
        self.list = []

    def draw(self, name, title, script, size="900,420"):
        path = os.path.join(self.to, name + ".svg")
        head = (f"set terminal svg size {size} font 'sans-serif,12' background 'white' "
                f"dynamic\nset output '{path}'\nset datafile separator ','\n")
        done = subprocess.run(["gnuplot", "-"], input=head + script, text=True,
                              capture_output=True, check=False)
        if done.returncode or not os.path.exists(path) or not os.path.getsize(path):
            die(f"gnuplot made no {name}.svg: {done.stderr}")
        self.list.append((name, title))

    def bars(self, name, title, ylabel, groups, series, values, log=False, limit=None):
        """values[group][series]: (middle, low, high)"""
        out = [f"set title {title!r}", f"set ylabel {ylabel!r}", "set style data histograms",
               "set style histogram errorbars gap 2 lw 1", "set style fill solid 0.85",
               "set grid ytics", "set key outside bottom center horizontal", "set errorbars 0.5"]
        if log:
            out.append("set logscale y\nset yrange [0.9:*]\n"
                       "set ytics (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)")
        else:
            out.append("set yrange [0:*]")
        out.append("$data << EOD")
        for group in groups:
            cells = [f'"{group}"']
            for one in series:
                cells += [f"{v:.6g}" for v in values[group][one]]
            out.append(",".join(cells))
        out.append("EOD")
        parts = []
        for i, one in enumerate(series):
            column = 2 + 3 * i
            parts.append(f"$data using {column}:{column + 1}:{column + 2}:xtic(1) "
                         f"title {one!r} lc rgb '{COLORS[i % len(COLORS)]}'")
        if limit:
            parts.append(f"{limit} title 'limit {limit}' with lines lc rgb 'black' dt 2")
        out.append("plot " + ", ".join(parts))
        self.draw(name, title, "\n".join(out) + "\n")


def pair_name(pair):
    return f"{pair[0]} / {pair[1]}"


def draw_all(runs, plots):
    for machine in runs.machines:
        label = MACHINES.get(machine, machine)
        names = [ARMS[a] for a in runs.arms]
        groups = [pair_name(p) for p in runs.pairs]

        def collect(function, hogs=3, arms=runs.arms):
            values = {}
            for pair in runs.pairs:
                values[pair_name(pair)] = {}
                for arm in arms:
                    got = [function(r) for r in runs.get(machine, arm, pair, hogs)]
                    values[pair_name(pair)][ARMS[arm]] = (
                        statistics.median(got), min(got), max(got))
            return values

        plots.bars(f"slowdown-{machine}", f"Slowdown by three hogs. {label}",
                   "time / time alone (log)", groups, names, collect(runs.slowdown), log=True,
                   limit=LIMIT)
        plots.bars(f"conflicts-{machine}", f"Row conflicts that others cause. {label}",
                   "per 1000 records of the victim", groups, names,
                   collect(lambda r: 1000 * r.by_others("conflicts") / r["records"]))
        plots.bars(f"evictions-{machine}", f"LLC evictions that others cause. {label}",
                   "per 1000 records of the victim", groups, names,
                   collect(lambda r: 1000 * r.by_others("evictions") / r["records"]))

        pair = ("latency", "read")
        if pair in runs.pairs:
            out = [f"set title 'Slowdown of latency by read hogs. {label}'",
                   "set xlabel 'hogs'", "set ylabel 'time / time alone'", "set xrange [0:3]",
                   "set xtics 1", "set yrange [0:*]", "set grid", "set key left top"]
            for i, arm in enumerate(runs.arms):
                out.append(f"$d{i} << EOD")
                for hogs in range(4):
                    middle = statistics.median(runs.slowdowns(machine, arm, pair, hogs))
                    out.append(f"{hogs},{middle:.6g}")
                out.append("EOD")
            out.append("plot " + ", ".join(
                f"$d{i} using 1:2 with linespoints lw 2 pt 7 lc rgb '{COLORS[i]}' "
                f"title {ARMS[arm]!r}" for i, arm in enumerate(runs.arms)))
            plots.draw(f"hogs-{machine}", f"Slowdown by number of hogs. {label}",
                       "\n".join(out) + "\n", "700,380")
            heat(runs, plots, machine, label)

        variants = [v for v in VARIANTS if any(r.variant == v for r in runs.all)]
        cases = [(arm, pair) for pair in runs.pairs for arm in ("stock", "sets")
                 if runs.get(machine, arm, pair, 3, "misses8")]
        if cases:
            values = {}
            for arm, pair in cases:
                row = values.setdefault(f"{pair_name(pair)}, {arm}", {})
                for variant in variants:
                    got = runs.slowdowns(machine, arm, pair, 3, variant)[:1]
                    row[VARIANTS[variant]] = (got[0],) * 3
            plots.bars(f"variants-{machine}", f"What is left, three hogs. {label}",
                       "time / time alone (log)", list(values), [VARIANTS[v] for v in variants],
                       values, log=True, limit=LIMIT)


def heat(runs, plots, machine, label):
    """Requests by time and bank, of the victim and of the hogs"""
    arms = [a for a in ("stock", "same", "sets") if a in runs.arms]
    out = [f"set multiplot layout {len(arms)},2 title 'Requests per bank over time: latency, "
           f"three read hogs. {label}'",
           "set palette defined (0 'white', 0.01 '#deebf7', 0.3 '#6baed6', 1 '#08306b')",
           "set yrange [-0.5:15.5]", "set ylabel 'bank'", "set xlabel '100,000 cycles'",
           "unset key"]
    for arm in arms:
        path = os.path.join(runs.dir, "runs", f"{machine}.{arm}.latency.read.base.3.1.heat")
        cells = defaultdict(int)
        slices = 0
        with open(path, encoding="ascii") as lines:
            for row in csv.DictReader(lines):
                at = int(row["cycle"]) // 100000
                slices = max(slices, at + 1)
                cells[row["core"] != "0", at, int(row["bank"])] += int(row["requests"])
        for hogs in (False, True):
            block = f"${arm}{int(hogs)}"
            out.append(f"{block} << EOD")
            for at in range(slices):
                for bank in range(16):
                    out.append(f"{at},{bank},{cells[hogs, at, bank]}")
            out.append("EOD")
            who = "hogs" if hogs else "victim"
            out.append(f"set title '{ARMS[arm]}: {who}'\nset xrange [-0.5:{slices - 0.5}]\n"
                       f"set cbrange [0:*]\nplot {block} using 1:2:3 with image pixels")
    out.append("unset multiplot")
    plots.draw(f"heat-{machine}", f"Requests per bank over time. {label}",
               "\n".join(out) + "\n", f"1000,{260 * len(arms)}")


# ---- The report ----

def targets(runs):
    """What is to hold, and does or does not"""
    lines = []
    for machine in runs.machines:
        worst = [0, 0]
        shows = []
        slow = []
        for pair in runs.pairs:
            for run in runs.get(machine, "sets", pair, 3):
                worst[0] += run.by_others("conflicts")
                worst[1] += run.by_others("evictions")
            for run in runs.get(machine, "wrong", pair, 3):
                shows.append(run.by_others("conflicts"))
            got = runs.slowdowns(machine, "sets", pair, 3)
            if got:
                slow.append((statistics.median(got), pair))
        if slow:
            state = "NOT MET" if any(worst) else "met"
            lines.append(f"- {state}: {machine}, (d): row conflicts that other partitions' own "
                         f"pages cause: {worst[0]}; evictions: {worst[1]}; 0 are allowed.")
        if shows:
            state = "met" if all(shows) else "NOT MET"
            lines.append(f"- {state}: {machine}, one bit of the map wrong: the isolation is gone, "
                         f"with {min(shows)} to {max(shows)} row conflicts in a run.")
        for middle, pair in slow:
            state = "within" if middle <= LIMIT else "NOT within"
            stock = runs.slowdowns(machine, "stock", pair, 3)
            lines.append(f"- {state} {LIMIT}: {machine}, (d), {pair_name(pair)}: {middle:.2f}" +
                         (f"; stock: {statistics.median(stock):.2f}." if stock else "."))
    return "\n".join(lines) + "\n"


def write_csv(runs, to):
    with open(os.path.join(to, "runs.csv"), "w", encoding="ascii", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        names = sorted({n[6:] for r in runs.all for n in r.value
                        if n.startswith("core0.") and "_by_" not in n})
        out.writerow(["machine", "arm", "victim", "hog", "variant", "hogs", "seed", "slowdown",
                      "conflicts_by_others", "conflicts_kernel", "evictions_by_others",
                      "evictions_kernel"] + names)
        for r in runs.all:
            out.writerow([r.machine, r.arm, r.victim, r.hog, r.variant, r.hogs, r.seed,
                          f"{runs.slowdown(r):.4f}", r.by_others("conflicts"),
                          r.by_kernel("conflicts"), r.by_others("evictions"),
                          r.by_kernel("evictions")] + [r[n] for n in names])


def section(runs, machine):
    arms = runs.arms
    head = ["victim / hogs"] + [ARMS[a] for a in arms]
    out = [f"## {MACHINES.get(machine, machine)}\n"]

    def rows(cell):
        return [[pair_name(pair)] + [cell(arm, pair) for arm in arms] for pair in runs.pairs]

    out.append("Slowdown by three hogs: time by time alone in the same arm, the median of seeds "
               "and the range:\n")
    out.append(table(head, rows(
        lambda arm, pair: spread(runs.slowdowns(machine, arm, pair, 3)))))
    out.append("\nWhat the partition itself costs: time alone by time alone in the first arm:\n")
    first = arms[0]
    out.append(table(head, rows(
        lambda arm, pair: "%.2f" % (runs.get(machine, arm, pair, 0)[0]["cycles"] /
                                    runs.get(machine, first, pair, 0)[0]["cycles"]))))
    for what, title in (("conflicts", "Row conflicts"), ("evictions", "Evictions from the LLC")):
        out.append(f"\n{title} of the victim that other cores' own pages caused, and, after the "
                   "+, that pages of the kernel had to do with; three hogs, seed 1:\n")
        out.append(table(head, rows(
            lambda arm, pair, what=what: "{} + {}".format(
                runs.get(machine, arm, pair, 3)[0].by_others(what),
                runs.get(machine, arm, pair, 3)[0].by_kernel(what)))))
    cases = [(arm, pair) for pair in runs.pairs for arm in ("stock", "sets")
             if runs.get(machine, arm, pair, 3, "misses8")]
    if cases:
        variants = [v for v in VARIANTS if runs.get(machine, *cases[0], 3, v)]
        out.append("\nWhat colors do not isolate, and caches that are not as the colors take them "
                   "to be; slowdown by three hogs (evictions that others caused), seed 1:\n")
        out.append(table(["victim / hogs, arm"] + [VARIANTS[v] for v in variants], [
            [f"{pair_name(pair)}, {ARMS[arm]}"] +
            ["{:.2f} ({})".format(runs.slowdowns(machine, arm, pair, 3, v)[0],
                                  runs.get(machine, arm, pair, 3, v)[0].by_others("evictions"))
             for v in variants] for arm, pair in cases]))
    return "\n".join(out) + "\n"


INTRO = """# What coloring does to row conflicts, evictions and slowdown

Programs ran in a guest, on the patched kernel, set up as a user would: a map written to
`control`, cgroups with `palloc.bins`. A plugin of QEMU's recorded the physical addresses that
each CPU accessed and a first level cache of 32 KiB did not have. A simulator then replayed these on
a model of four cores with caches and DRAM, which interleaves them by simulated time.

**What to take from it**: the order of the columns, and counts. The times are those of a model, not
of any machine.

- *Victims*: `latency` follows pointers through 12 MiB, an access at a time; `bandwidth` reads
  12 MiB in order; `cache` follows pointers through 1 MiB, which its part of the LLC holds, with some
  200 instructions between two accesses; `sqlite` is Debian's sqlite3 in the midst of a join.
- *Hogs*: up to three, on cores of their own, that `read` or `write` 8 MiB each, in order.
- *Arms*: (a) @STOCK@; (b) all in one bank; (c) each in banks of its own, all in the same cache sets;
  (d) each in banks and cache sets of its own; and (d) with a map in the kernel that has one bit wrong,
  so that colors are not what they seem to be. (e), memory that is reserved, is not in the
  kernel yet.
"""


def main():
    if len(sys.argv) != 4:
        sys.exit("Usage: report.py DIR SYSTEM.MAP TO")
    source, map_file, to = sys.argv[1:]
    runs = Runs(source)
    symbols = Symbols(map_file)
    for name in ("csv", "plots"):
        os.makedirs(os.path.join(to, name), exist_ok=True)
    write_csv(runs, os.path.join(to, "csv"))
    plots = Plots(os.path.join(to, "plots"))
    draw_all(runs, plots)
    verdict = targets(runs)
    with open(os.path.join(source, "targets"), "w", encoding="ascii") as f:
        f.write(verdict)
    pages = kernel_pages(runs, symbols) if "sets" in runs.arms else []
    with open(os.path.join(to, "csv", "kernel_pages.csv"), "w", encoding="ascii",
              newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        header = ["machine", "page frame", "what it is", "conflicts", "evictions"]
        out.writerow(header)
        out.writerows(pages)

    stock = "the patched kernel, which does not use palloc, as in any boot before it is enabled"
    if any(os.path.isdir(os.path.join(source, "traces", m + "-stock")) for m in runs.machines):
        stock = "a kernel without the series"
    text = INTRO.replace("@STOCK@", stock) + "\n## Targets\n\n" + verdict + "\n"
    text += "\n".join(section(runs, machine) for machine in runs.machines)
    if pages:
        text += ("\n## Pages of the kernel that are left, in (d)\n\nColors are for memory of "
                 "processes. These pages of the kernel, on other CPUs or on the victim's, took part "
                 f"in its row conflicts and evictions; the first {min(len(pages), 15)} of "
                 f"{len(pages)}, the others are in csv/kernel_pages.csv:\n\n")
        text += table(header, pages[:15]) + "\n"
    figures = "\n## Figures\n\n" + "".join(
        f"![{title}](plots/{name}.svg)\n\n" for name, title in plots.list)
    with open(os.path.join(to, "report.md"), "w", encoding="ascii") as f:
        f.write(text + figures)
    with open(os.path.join(to, "report.html"), "w", encoding="utf-8") as f:
        f.write(to_html(text, plots))


def to_html(text, plots):
    """For the little of Markdown that is used above"""
    out = ["<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>"
           "<title>What coloring does</title><style>body{font:15px/1.45 sans-serif;"
           "max-width:1000px;margin:2em auto;padding:0 1em}table{border-collapse:collapse;"
           "font-size:13px}td,th{border:1px solid #bbb;padding:3px 8px;text-align:right}"
           "td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}"
           "</style></head><body>"]

    def inline(s):
        s = html.escape(s, quote=False)
        s = re.sub(r"`([^`]*)`", r"<code>\1</code>", s)
        s = re.sub(r"\*\*([^*]*)\*\*", r"<b>\1</b>", s)
        return re.sub(r"\*([^*]*)\*", r"<i>\1</i>", s)

    for block in re.split(r"\n\n+", text.strip()):
        lines = block.split("\n")
        if lines[0].startswith("#"):
            level = len(lines[0]) - len(lines[0].lstrip("#"))
            out.append(f"<h{level}>{inline(lines[0].lstrip('# '))}</h{level}>")
            lines = lines[1:]
        if not lines:
            continue
        if lines[0].startswith("|"):
            out.append("<table>")
            for i, line in enumerate(lines):
                if i != 1:
                    tag = "th" if i == 0 else "td"
                    out.append("<tr>" + "".join(f"<{tag}>{inline(c.strip())}</{tag}>" for c in
                                                line.strip("|").split(" | ")) + "</tr>")
            out.append("</table>")
        elif lines[0].startswith("- "):
            items = re.split(r"\n- ", "\n" + block)[1:]
            out.append("<ul>" + "".join(f"<li>{inline(i)}</li>" for i in items) + "</ul>")
        else:
            out.append(f"<p>{inline(block)}</p>")
    out.append("<h2>Figures</h2>")
    for name, _ in plots.list:
        with open(os.path.join(plots.to, name + ".svg"), encoding="utf-8") as f:
            svg = f.read()
        svg = svg[svg.index("<svg"):]
        # Of several figures in a page, each is to refer to its own parts
        svg = re.sub(r'(id="|href="#|href=\'#|id=\'|url\(#)', rf"\g<1>{name}-", svg)
        out.append(f"<figure>{svg}</figure>")
    out.append("</body></html>\n")
    return "\n".join(out)


if __name__ == "__main__":
    main()
