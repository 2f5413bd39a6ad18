#!/usr/bin/env python3
"""Tabulate a run of the benchmarks: scripts/bench-page.py [out/bench.json] > docs/benchmarks.md

No number is entered by hand. Aims that were missed are marked as such.
"""
import json
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

INTRODUCTION = """# Benchmarks

{machine}. Written by `scripts/bench-page.py` from runs of `make bench`; the date of each table stands under it. Run both
on your own machine: its results may differ.

- The first time is the shortest of at most 15 repeats (3 for large files), in milliseconds; after the comma stands the
  median. Solves have setup + iterations, and the median of both together. Where a median is far above the shortest
  time, other programs had the machine.
- In parentheses after the times of a peer: the peer's shortest time divided by ours. Above 1 we are faster.
- An aim is such a ratio to the fastest peer of the row, set before anything was measured. "missed" gives the ratio
  reached. STREAM's triad, timed beside each case, gave
  {stream}.
  An aim that is met or missed by less than this spread may be missed or met in the next run.
- GB/s is computed, not measured: the bytes that have to be read and written at least, each once, divided by the
  shortest time. Of a sparse matrix this counts what its product reads. "STREAM" is this rate divided by that of
  STREAM's triad in the same run, on as many ranks. It is above 1 where a case fits in the cache, or where it writes
  little: reading is cheaper than writing, and a third of the triad's bytes are written.
"""

# Group of cases on a matrix of a file: title, pattern of its name, what the cases are.
ON_MATRICES = [
    ("Unstructured meshes", r"mesh", "Graph Laplacians of Delaunay triangulations of random points with random weights, "
     "numbered by reverse Cuthill-McKee: no two rows are alike. `mesh2d` has 600 000 rows of 7 entries, `mesh3d` 200 000 "
     "of 16. `c.spmv` is `y = A x`, `c.spmvT` the transposed product; `d.assembly` makes the matrix from its entries without "
     "preallocation (PETSc: its COO interface), `d.refill` gives it new values; `e.transpose` makes the transpose. Solves "
     "start from zero and stop at `|b - A x| <= 1e-8 |b|`; incomplete factorizations without fill are of the block of each rank. "
     "GMRES restarts after 30 iterations and is preconditioned from the right."),
    ("Matrices from applications", r"", "The same cases. Of each matrix so many copies stand on the diagonal that it has about "
     "three million entries: `bcsstk09` is a clamped plate of finite elements (17 entries a row), `add32` a circuit (4.8), "
     "`fuego0` the pressure of a flow (8.2), `pushpull` a graph (49), `orsirr_2` an oil reservoir (6.7)."),
]

# Group of other cases: title, pattern, what they are.
GROUPS = [
    ("Vectors", r"b\.", "1e7 entries, double precision. Twenty vectors of 1e6 are combined by maxpy, and multiplied "
     "with another one by mdot. \"Reproducible\" sums have the same bits on any number of ranks; they are the default."),
    ("Products", r"c\.", "`y = A x` of the Laplacian with 7 points on 128^3, with 27 on 96^3, and 3 by 3 blocks on 40^3; "
     "spmvT is the transposed product. Matrices are stored as compressed rows with all their entries. Where the columns "
     "of consecutive rows differ by one, a product reads them once for all these rows; where the values are equal too, it reads "
     "the values once. The Laplacians have constant coefficients, so their products read few of their entries. The matrix with "
     "jumping coefficients (`jump`) has different values in every row: its values are all read."),
    ("Assembly", r"d\.", "The Laplacian on 128^3: rows in order; triplets without preallocation (PETSc: its COO "
     "interface, pattern and values); triplets of which every tenth belongs to another rank; new values on a known "
     "pattern."),
    ("Algebra", r"e\.", "Of the 7-point Laplacian on n^3: `A A`, `P^T A P` with plain and smoothed aggregation, the "
     "transpose; \"reuse\" has new values on the same pattern."),
    ("Solves", r"[fk]\.", "On 128^3, to a relative residual of 1e-8; the factorizations are of the block of each rank. "
     "The last is a grid of 32^3, where latency counts."),
    ("Files", r"j\.", "Written with fsync, read from the cache or after the cache was emptied. All programs take turns, "
     "since the rate of the disk changes. dd and SciPy are one process on any number of ranks, h5py is built for MPI. "
     "`j.raw` is plain writes and reads by as many ranks; `j.checkpoint.begin` is the time for which a solve waits "
     "when it is saved in the background. The aim for MatrixMarket text (`j.mtx`) was 0.15 GB/s for each rank. Reading "
     "a checkpoint is the only read that compares checksums."),
]

# Aims: the ratio to reach, by the start of the case's name; the first that matches counts. Raw writes and reads have none.
AIMS = [("c.spmv.mesh2d", 1.5), ("c.spmv.mesh3d", 1.4), ("f.cg_jacobi.mesh", 1 / 0.75), ("f.cg_icc0.mesh", 1 / 0.9),
        ("f.gmres30_ilu0.mesh", 1 / 0.9), ("b.", 1.0), ("c.spmv.27pt", 1.3), ("c.spmv.7pt", 1.5), ("c.spmv.jump", 1.5), ("c.spmv.", 1.0),
        ("d.assembly.", 1.0), ("d.refill.", 1.0), ("d.", 2.0),
        ("e.", 1.0), ("f.poisson.cg_jacobi", 1 / 0.75), ("f.", 1.0), ("k.", 1.0), ("j.raw.", None), ("j.", 1.0)]
# dd is the raw rate; the aim is 0.8 of it.
RAW = {"dd": 0.8}


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    cores = subprocess.run(["nproc"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"{cpu.group(1) if cpu else platform.machine()}, {cores} cores"


def stream(entries):
    """The range of STREAM's rates on each number of ranks; small shares have too few digits to give one."""
    rates = {}
    for entry in entries:
        if (entry["stream_share"] or 0.0) >= 0.2:
            rates.setdefault(entry["ranks"], []).append(entry["gbps"] / entry["stream_share"])
    ranges = (f"{min(of):.0f} to {max(of):.0f} GB/s on {ranks} rank{'s' * (ranks > 1)}" for ranks, of in sorted(rates.items()))
    return ", ".join(ranges)


def total(entry, prefix=""):
    """Solves are compared by setup and iterations together."""
    return entry[prefix + "seconds"] + (entry.get(prefix + "setup_seconds") or 0.0)


def milliseconds(seconds):
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def times(entry, prefix=""):
    """The shortest time, and the median where it was recorded."""
    text = milliseconds(entry[prefix + "seconds"])
    setup, median = entry.get(prefix + "setup_seconds"), entry.get(prefix + "median")
    if setup is not None:
        text = f"{milliseconds(setup)} + {text}"
    if median is None:
        return text
    return f"{text}, {milliseconds(median + (entry.get(prefix + 'setup_median') or 0.0))}"


def verdict(case, ratios):
    aim = next((aim for start, aim in AIMS if case.startswith(start)), None)
    if aim is None or not ratios:
        return ""
    peer, ratio = min(ratios.items(), key=lambda item: item[1] / RAW.get(item[0], aim))
    aim = RAW.get(peer, aim)
    return f"{aim:.2g}: met" if ratio >= aim else f"{aim:.2g}: missed, {ratio:.2f} of {peer}"


def iterations(entries):
    """Ours, then those of the peers, if they differ."""
    counts = [entries[0].get("iterations"), *(entry.get("peer_iterations") for entry in entries)]
    return ", ".join(dict.fromkeys(str(count) for count in counts if count is not None))


def table(cases, peers):
    solves = any(entry["setup_seconds"] is not None for entries in cases.values() for entry in entries)
    rates = any(entry["gbps"] is not None for entries in cases.values() for entry in entries)
    heads = ["case", "ranks", "setup + solve ms" if solves else "ms", *["iterations"] * solves, *["GB/s", "STREAM"] * rates, *peers, "aim"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    number = lambda value: "" if value is None else f"{value:.2f}"
    for (case, ranks), entries in cases.items():
        ours = entries[0]
        cells, ratios = [], {}
        for peer in peers:
            entry = next((entry for entry in entries if entry["peer"] == peer), None)
            if entry is None:
                cells.append("")
                continue
            ratios[peer] = total(entry, "peer_") / total(ours)
            cells.append(f"{times(entry, 'peer_')} ({ratios[peer]:.2f})")
        middle = [iterations(entries)] * solves + [number(ours["gbps"]), number(ours["stream_share"])] * rates
        lines.append("| " + " | ".join([case, str(ranks), times(ours), *middle, *cells, verdict(case, ratios)]) + " |")
    return "\n".join(lines)


def left_out(skipped):
    """Names the cases that do not apply, and why."""
    reasons = {}
    skipped = list(skipped)
    ours = {entry["case"] for entry in skipped if entry["system"] == "dolmen"}
    for entry in (entry for entry in skipped if entry["system"] == "dolmen" or entry["case"] not in ours):
        text = entry["skipped"] if entry["system"] == "dolmen" else f"{entry['system']}: {entry['skipped']}"
        reasons.setdefault(text, []).append(entry["case"])
    return [f"- {', '.join(f'`{case}`' for case in dict.fromkeys(cases))}: {reason}" for reason, cases in sorted(reasons.items())]


def section(title, text, entries):
    """A table of entries, when they were measured, and what was left out."""
    cases = {}
    for entry in entries:
        if "skipped" not in entry:
            cases.setdefault((entry["case"], entry["ranks"]), []).append(entry)
    if not cases:
        return
    peers = list(dict.fromkeys(entry["peer"] for group in cases.values() for entry in group if entry["peer"]))
    dates = sorted({entry["date"] for group in cases.values() for entry in group})
    print(f"## {title}\n\n{text}\n\n{table(dict(sorted(cases.items())), peers)}\n\nMeasured on {' and '.join(dates)}.\n")
    notes = left_out(entry for entry in entries if "skipped" in entry)
    if notes:
        print("Left out:\n\n" + "\n".join(notes) + "\n")


def main(source):
    entries = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    print(INTRODUCTION.format(machine=machine(), stream=stream(entry for entry in entries if "skipped" not in entry)))
    on_matrices = [entry for entry in entries if entry.get("matrix")]
    for title, pattern, text in ON_MATRICES:
        chosen = [entry for entry in on_matrices if re.match(pattern, entry["matrix"])]
        on_matrices = [entry for entry in on_matrices if entry not in chosen]
        section(title, text, chosen)
    for title, pattern, text in GROUPS:
        section(title, text, [entry for entry in entries if not entry.get("matrix") and re.match(pattern, entry["case"])])


main(*(sys.argv[1:] or [ROOT / "out/bench.json"]))
